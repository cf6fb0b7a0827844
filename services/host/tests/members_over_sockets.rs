//! Hosts of one cluster over real sockets and files: who is dialled when members come and go.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use shoal_host::{Host, HostConfig};
use shoal_runtime::shutdown::Shutdown;
use shoal_transport::{ClientOptions, HostClient};
use shoal_types::{
    ClusterId, ClusterMember, ClusterSpec, HostReply, HostRequest, HostState, HostStatus, Refusal,
    Revision,
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

fn list(nodes: &[&Node], revision: u64) -> ClusterSpec {
    let mut members: Vec<_> = nodes.iter().map(|node| node.member.clone()).collect();
    members.sort_by_key(|member| member.host);
    ClusterSpec {
        cluster: ClusterId(5),
        members,
        revision: Revision(revision),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_replaced_by_a_new_one_and_learns_of_it_after_a_restart() {
    shoal_runtime::crypto::install();
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
