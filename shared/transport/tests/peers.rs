//! What a host can rely on among its peers.

mod support;

use std::time::{Duration, Instant};

use bytes::Bytes;
use shoal_transport::faults::{Fault, Proxy};
use shoal_transport::handshake::VERSIONS;
use shoal_transport::{Identity, PeerEvent, PeerLinks};
use shoal_types::{ClusterId, ClusterMember, HostId, Incarnation};
use support::{CLUSTER, HOST, Server, in_time, silence};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const ME: HostId = HostId(1);
const MY_LIFE: Incarnation = Incarnation(7);

/// Our links, to the peer [`HOST`] at an address.
struct Links {
    links: PeerLinks<PeerEvent>,
    events: mpsc::Receiver<PeerEvent>,
}

fn member(address: impl ToString) -> ClusterMember {
    ClusterMember {
        host: HOST,
        address: address.to_string(),
    }
}

impl Links {
    fn to(address: impl ToString) -> Self {
        Self::as_member_of(None, address)
    }

    fn as_member_of(cluster: Option<ClusterId>, address: impl ToString) -> Self {
        let me = Identity::host(ME, MY_LIFE, "nowhere:1");
        cluster
            .into_iter()
            .for_each(|cluster| me.set_cluster(cluster));
        let (sender, events) = mpsc::channel(100);
        let mut links = PeerLinks::new(me, sender);
        links.set_members(&[
            member(address),
            ClusterMember {
                host: ME,
                address: "nowhere:1".into(),
            },
        ]);
        Self { links, events }
    }

    async fn next(&mut self) -> PeerEvent {
        in_time(self.events.recv()).await.unwrap()
    }

    /// The next event that is no refusal.
    async fn next_but_refused(&mut self) -> PeerEvent {
        loop {
            match self.next().await {
                PeerEvent::Refused { .. } => {}
                other => return other,
            }
        }
    }

    fn send(&self, text: &'static str) -> bool {
        self.links
            .send(HOST, |_| vec![Bytes::from_static(text.as_bytes())])
    }
}

fn up(incarnation: u64) -> PeerEvent {
    PeerEvent::Up {
        peer: HOST,
        incarnation: Incarnation(incarnation),
        assigned: false,
    }
}

const CLOSED: PeerEvent = PeerEvent::Closed { peer: HOST };
const REFUSED: PeerEvent = PeerEvent::Refused { peer: HOST };

fn frame(bytes: impl Into<Bytes>) -> PeerEvent {
    PeerEvent::Frame {
        from: ME,
        incarnation: MY_LIFE,
        version: *VERSIONS.end(),
        bytes: bytes.into(),
    }
}

#[tokio::test]
async fn frames_arrive_whole_in_order_and_with_their_sender() {
    let mut server = Server::start(silence()).await;
    let mut links = Links::to(server.address);
    assert_eq!(links.next().await, up(1));
    let large = Bytes::from(vec![3; 1 << 20]);
    for n in 0..500_u32 {
        let number = Bytes::copy_from_slice(&n.to_le_bytes());
        assert!(
            links
                .links
                .send(HOST, |_| vec![number, large.slice(..n as usize)])
        );
    }
    assert!(
        links
            .links
            .send(HOST, |_| vec![large.clone(), large.clone()])
    );
    for n in 0..500_u32 {
        let expected = [&n.to_le_bytes()[..], &large[..n as usize]].concat();
        assert_eq!(in_time(server.peers.recv()).await, Some(frame(expected)));
    }
    let PeerEvent::Frame { bytes, .. } = in_time(server.peers.recv()).await.unwrap() else {
        panic!("no frame");
    };
    assert_eq!(bytes.len(), 2 << 20);
}

#[tokio::test]
async fn a_peer_that_restarts_is_closed_and_up_again_as_another_life() {
    let server = Server::start(silence()).await;
    let address = server.address;
    let mut links = Links::to(address);
    assert_eq!(links.next().await, up(1));
    server.kill().await;
    assert_eq!(links.next().await, CLOSED);
    assert_eq!(links.next().await, REFUSED);
    assert!(
        !links.send("lost"),
        "nothing is kept for a link that is down"
    );
    let mut again = Server::start_as(address, HOST, Incarnation(2), silence()).await;
    assert_eq!(links.next_but_refused().await, up(2));
    assert!(links.send("new"));
    assert_eq!(in_time(again.peers.recv()).await, Some(frame("new")));
}

#[tokio::test]
async fn a_refused_peer_is_reported_now_and_then_not_at_every_attempt() {
    let gone = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let mut links = Links::to(gone);
    let began = Instant::now();
    for _ in 0..4 {
        assert_eq!(links.next().await, REFUSED);
    }
    assert!(
        began.elapsed() >= Duration::from_millis(300),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_member_that_moved_is_dialled_at_its_new_address() {
    let mut server = Server::start(silence()).await;
    let gone = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let mut links = Links::to(gone);
    assert_eq!(links.next().await, REFUSED);
    links.links.set_members(&[member(server.address)]);
    assert_eq!(links.next_but_refused().await, up(1));
    links.links.set_address(HOST, "nowhere:2");
    assert!(links.send("a link that is up stays"));
    assert_eq!(
        in_time(server.peers.recv()).await,
        Some(frame("a link that is up stays"))
    );
}

#[tokio::test]
async fn a_host_that_is_no_member_any_more_is_sent_nothing() {
    let server = Server::start(silence()).await;
    let mut links = Links::to(server.address);
    assert_eq!(links.next().await, up(1));
    links.links.set_members(&[]);
    assert!(!links.send("lost"));
}

#[tokio::test]
async fn another_host_at_the_address_or_one_of_another_cluster_is_no_peer() {
    let anywhere = "127.0.0.1:0".parse().unwrap();
    let other_host = Server::start_as(anywhere, HostId(0xbad), Incarnation(1), silence()).await;
    let other_cluster = Server::start(silence()).await;
    other_cluster.identity.set_cluster(ClusterId(0xbad));
    let unformed = Server::start(silence()).await;
    let mut mistaken = Links::to(other_host.address);
    let mut foreign = Links::as_member_of(Some(CLUSTER), other_cluster.address);
    let mut fine = Links::as_member_of(Some(CLUSTER), unformed.address);
    assert_eq!(fine.next().await, up(1));
    assert!(mistaken.events.try_recv().is_err() && !mistaken.send("lost"));
    assert!(foreign.events.try_recv().is_err() && !foreign.send("lost"));
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_dropped_when_too_much_waits() {
    let server = Server::start(silence()).await;
    let proxy = Proxy::start(server.address.to_string()).await.unwrap();
    let mut links = Links::to(proxy.address());
    assert_eq!(links.next().await, up(1));
    proxy.set(Fault::Cut);
    let chunk = Bytes::from(vec![0; 1 << 20]);
    let mut sent = 0;
    while links.links.send(HOST, |_| vec![chunk.clone()]) {
        sent += 1;
        assert!(sent < 64, "32 MiB wait, a few more are in the sockets");
        tokio::task::yield_now().await;
    }
    assert!(sent >= 31, "{sent} MiB");
    assert_eq!(links.next().await, CLOSED);
    proxy.set(Fault::None);
    assert_eq!(links.next_but_refused().await, up(1));
    assert!(links.send("from here on"));
}

#[tokio::test]
async fn a_cut_is_noticed_and_healed_soon_after_it_ends() {
    let mut server = Server::start(silence()).await;
    let proxy = Proxy::start(server.address.to_string()).await.unwrap();
    let mut links = Links::to(proxy.address());
    assert_eq!(links.next().await, up(1));
    proxy.set(Fault::Cut);
    assert_eq!(links.next().await, CLOSED);
    proxy.set(Fault::None);
    let healed = Instant::now();
    assert_eq!(links.next_but_refused().await, up(1));
    assert!(
        healed.elapsed() < Duration::from_secs(4),
        "{:?}",
        healed.elapsed()
    );
    assert!(links.send("again"));
    in_time(async { while server.peers.recv().await != Some(frame("again")) {} }).await;
}

#[tokio::test]
async fn a_delay_delays_and_a_refusal_refuses() {
    let mut server = Server::start(silence()).await;
    let proxy = Proxy::start(server.address.to_string()).await.unwrap();
    let mut links = Links::to(proxy.address());
    assert_eq!(links.next().await, up(1));
    let delay = Duration::from_millis(80);
    proxy.set(Fault::Delay(delay));
    let began = Instant::now();
    assert!(links.send("late"));
    assert_eq!(in_time(server.peers.recv()).await, Some(frame("late")));
    assert!(began.elapsed() >= delay, "{:?}", began.elapsed());
    proxy.set(Fault::Refuse);
    assert_eq!(links.next().await, CLOSED);
    assert_eq!(links.next().await, REFUSED);
    let mut other = Server::start_as(
        "127.0.0.1:0".parse().unwrap(),
        HOST,
        Incarnation(9),
        silence(),
    )
    .await;
    proxy.set_target(other.address.to_string());
    proxy.set(Fault::None);
    assert_eq!(links.next_but_refused().await, up(9));
    assert!(links.send("elsewhere"));
    assert_eq!(in_time(other.peers.recv()).await, Some(frame("elsewhere")));
}
