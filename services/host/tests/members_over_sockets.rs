//! Hosts of one cluster over real sockets and files: who is dialled when members come and go.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use shoal_host::{Host, HostConfig};
use shoal_runtime::shutdown::Shutdown;
use shoal_transport::{ClientOptions, HostClient};
use shoal_types::{
    ClusterId, ClusterMember, ClusterSpec, Command, HostReply, HostRequest, HostState, HostStatus,
    Incarnation, Origin, Outcome, PartitionId, QueueSettings, Refusal, Request, RequestId,
    Revision, SendItem, Ts,
};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Any free port.
const ANY: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));

/// A host, its client and its folder.
struct Node {
    host: Host,
    shutdown: Shutdown,
    client: HostClient,
    member: ClusterMember,
    data: tempfile::TempDir,
}

impl Node {
    async fn start(data: tempfile::TempDir, listen: SocketAddr) -> Self {
        let config = HostConfig {
            data: data.path().to_owned(),
            listen,
            admin: ANY,
            // Nobody listens there: the hosts need no manager once they are told.
            manager: "http://127.0.0.1:1".to_owned(),
            segment_bytes: 1 << 20,
            // Logs begin later soon, whoever still needs what they held.
            checkpoint_log_bytes: 1 << 20,
            catch_up_bytes: 1 << 20,
            ..HostConfig::default()
        };
        let shutdown = Shutdown::new();
        let host = Host::start(config, shutdown.clone()).await.unwrap();
        let client = HostClient::new(host.address.to_string(), ClientOptions::default());
        let status = status(&client).await;
        let member = ClusterMember {
            host: status.host,
            address: status.address,
        };
        Self {
            host,
            shutdown,
            client,
            member,
            data,
        }
    }

    async fn ask(&self, request: HostRequest) -> Result<HostReply, Refusal> {
        let answer = self.client.call(&request, &[], PATIENCE).await;
        answer.unwrap().result
    }

    /// Executes a command in the queue of this test. The bodies of what it delivers come along.
    async fn execute(&self, command: Command, bodies: &[Bytes]) -> (Outcome, Vec<Bytes>) {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let request = HostRequest::Execute {
            cluster: CLUSTER,
            request: Request {
                id: RequestId(LAST.fetch_add(1, Ordering::Relaxed).into()),
                deadline: in_half_a_minute(),
                origin: Origin::default(),
                command,
            },
        };
        let response = self.client.call(&request, bodies, PATIENCE).await.unwrap();
        match response.result {
            Ok(HostReply::Outcome(outcome)) => (outcome, response.bodies),
            other => panic!("{other:?} answers a command"),
        }
    }

    async fn send(&self, body: &Bytes) {
        let item = SendItem {
            size: body.len() as u32,
            crc: crc32c::crc32c(body),
            delay: None,
            ttl: None,
            group: None,
            deduplication: None,
        };
        let send = Command::Send {
            partition: QUEUE,
            items: vec![item],
        };
        let (outcome, _) = self.execute(send, std::slice::from_ref(body)).await;
        assert!(matches!(outcome, Outcome::Sent(_)), "{outcome:?}");
    }

    /// Receives a few messages and deletes them; their bodies, once they are checked.
    async fn take(&self) -> Vec<Bytes> {
        let receive = Command::Receive {
            partition: QUEUE,
            max: 10,
            visibility: None,
            wait_until: None,
            attempt: None,
            auto_ack: false,
        };
        let (outcome, bodies) = self.execute(receive, &[]).await;
        let Outcome::Received(deliveries) = outcome else {
            panic!("{outcome:?} answers a receive")
        };
        for (delivery, body) in deliveries.iter().zip(&bodies) {
            assert_eq!(crc32c::crc32c(body), delivery.crc, "{delivery:?}");
        }
        let receipts = deliveries.iter().map(|d| d.receipt).collect();
        let acknowledge = Command::Acknowledge {
            partition: QUEUE,
            receipts,
        };
        if !deliveries.is_empty() {
            self.execute(acknowledge, &[]).await;
        }
        bodies
    }

    /// True if its log begins later than it once did.
    fn log_was_trimmed(&self) -> bool {
        !self.data.path().join("0000000001.segment").exists()
    }

    async fn reaches(&self, state: HostState) {
        let reached = async {
            while status(&self.client).await.state != state {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, reached).await;
        let now = status(&self.client).await;
        assert!(in_time.is_ok(), "not {state:?}: {now:?}");
    }

    async fn stop(self) -> tempfile::TempDir {
        self.shutdown.trigger();
        self.host.stopped().await.unwrap();
        self.data
    }
}

async fn status(client: &HostClient) -> HostStatus {
    let answer = client.call(&HostRequest::Status, &[], PATIENCE).await;
    match answer.unwrap().result {
        Ok(HostReply::Status(status)) => *status,
        other => panic!("{other:?} answers a question for the status"),
    }
}

const CLUSTER: ClusterId = ClusterId(5);
const QUEUE: PartitionId = PartitionId(7);

fn in_half_a_minute() -> Ts {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Ts(now.unwrap().as_micros() as u64 + 30_000_000)
}

/// The n-th message: its number, then noise.
fn body(n: u64) -> Bytes {
    let mut state = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let noise = std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    });
    let words = std::iter::once(n).chain(noise.take(4_000));
    words.flat_map(u64::to_le_bytes).collect()
}

fn number_of(body: &Bytes) -> u64 {
    let (number, _) = body.split_first_chunk().unwrap();
    u64::from_le_bytes(*number)
}

fn list(nodes: &[&Node], revision: u64) -> ClusterSpec {
    let mut members: Vec<_> = nodes.iter().map(|node| node.member.clone()).collect();
    members.sort_by_key(|member| member.host);
    ClusterSpec {
        cluster: CLUSTER,
        members,
        revision: Revision(revision),
        only: None,
    }
}

/// A cluster of the first three, which act, and a host that belongs to none.
async fn three_and_a_spare() -> [Node; 4] {
    let mut nodes = Vec::new();
    for _ in 0..4 {
        nodes.push(Node::start(tempfile::tempdir().unwrap(), ANY).await);
    }
    let [a, b, c, new] = <[Node; 4]>::try_from(nodes).ok().unwrap();
    let spec = list(&[&a, &b, &c], 1);
    for node in [&a, &b, &c] {
        let formed = node.ask(HostRequest::Form { spec: spec.clone() }).await;
        assert_eq!(formed, Ok(HostReply::Formed));
    }
    for node in [&a, &b, &c] {
        node.reaches(HostState::Acting).await;
    }
    [a, b, c, new]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_replaced_by_a_new_one_and_learns_of_it_after_a_restart() {
    shoal_runtime::crypto::install();
    let [a, b, c, new] = three_and_a_spare().await;
    let dead = c.member.clone();
    let data = c.stop().await;

    let mut spec = list(&[&a, &b, &new], 2);
    spec.members.push(dead.clone());
    spec.members.sort_by_key(|member| member.host);
    let learning = new.ask(HostRequest::Learn { spec: spec.clone() }).await;
    assert_eq!(learning, Ok(HostReply::Learning));
    let added = a.ask(HostRequest::ChangeMembers { spec }).await;
    assert_eq!(added, Ok(HostReply::MembersChanged));
    new.reaches(HostState::Acting).await;
    let spec = list(&[&a, &b, &new], 3);
    let removed = new.ask(HostRequest::ChangeMembers { spec }).await;
    assert_eq!(removed, Ok(HostReply::MembersChanged));
    for node in [&a, &b, &new] {
        node.reaches(HostState::Acting).await;
        assert_eq!(status(&node.client).await.view.members.len(), 3);
    }

    // The others still dial it where it was, to tell it.
    let back = Node::start(data, dead.address.parse().unwrap()).await;
    assert_eq!(back.member.host, dead.host);
    back.reaches(HostState::Removed).await;
    for node in [back, a, b, new] {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_joins_under_load_whose_entries_are_in_no_log_any_more() {
    shoal_runtime::crypto::install();
    let [a, b, c, new] = three_and_a_spare().await;
    let create = Command::CreatePartition {
        partition: QUEUE,
        settings: QueueSettings::default().partition(Default::default()),
        revision: Revision(1),
    };
    assert_eq!(a.execute(create, &[]).await.0, Outcome::Done);
    // The queue always holds some messages; those that are sent last stay.
    let mut sent = 0;
    let mut taken = Vec::new();
    let trimmed = || [&a, &b, &c].iter().all(|node| node.log_was_trimmed());
    while !trimmed() || sent < 200 {
        for _ in 0..10 {
            a.send(&body(sent)).await;
            sent += 1;
        }
        if sent > 60 {
            taken.extend(b.take().await.iter().map(number_of));
        }
        assert!(sent < 5_000, "the logs are never trimmed");
    }

    // Somebody goes on sending while the newcomer gets what it lacks.
    let join = async || {
        let spec = list(&[&a, &b, &c, &new], 2);
        let learning = new.ask(HostRequest::Learn { spec: spec.clone() }).await;
        assert_eq!(learning, Ok(HostReply::Learning));
        let change = HostRequest::ChangeMembers { spec };
        assert_eq!(a.ask(change).await, Ok(HostReply::MembersChanged));
        new.reaches(HostState::Acting).await;
    };
    {
        let mut joined = std::pin::pin!(join());
        loop {
            let more = body(sent);
            tokio::select! {
                () = &mut joined => break,
                () = c.send(&more) => sent += 1,
            }
        }
    }
    let life = status(&new.client).await.incarnation;
    assert_eq!(life, Incarnation(2), "it went on from a snapshot once");

    // The send that was under way may or may not have come about.
    loop {
        let bodies = new.take().await;
        if bodies.is_empty() {
            break;
        }
        for got in &bodies {
            let number = number_of(got);
            assert_eq!(*got, body(number), "byte for byte");
            taken.push(number);
        }
    }
    taken.sort_unstable();
    taken.dedup();
    assert!(taken.iter().copied().take(sent as usize).eq(0..sent));
    for node in [a, b, c, new] {
        node.stop().await;
    }
}
