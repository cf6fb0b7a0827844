//! Processes of two releases with one another: they speak the highest version that both know.

mod support;

use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::Bytes;
use shoal_transport::{
    CallErrorKind, ClientOptions, HostClient, Identity, PeerEvent, PeerLinks, Role,
};
use shoal_types::{ClusterMember, HostId, HostRequest, Incarnation, WireVersion};
use support::{HOST, SOON, Server, echo, in_time, silence};
use tokio::sync::mpsc;

const THIS: RangeInclusive<WireVersion> = WireVersion::V2..=WireVersion::V2;
const NEXT: RangeInclusive<WireVersion> = WireVersion::V2..=WireVersion::V3;
const AFTER_NEXT: RangeInclusive<WireVersion> = WireVersion::V3..=WireVersion::V3;

/// Who dials, who is dialled, and what they speak.
fn pairs() -> [(
    RangeInclusive<WireVersion>,
    RangeInclusive<WireVersion>,
    WireVersion,
); 6] {
    [
        (THIS, THIS, WireVersion::V2),
        (THIS, NEXT, WireVersion::V2),
        (NEXT, THIS, WireVersion::V2),
        (NEXT, NEXT, WireVersion::V3),
        (NEXT, AFTER_NEXT, WireVersion::V3),
        (AFTER_NEXT, NEXT, WireVersion::V3),
    ]
}

fn client(server: &Server, versions: RangeInclusive<WireVersion>) -> HostClient {
    let options = ClientOptions {
        identity: Identity::caller(Role::Frontend).speaking(versions),
        ..ClientOptions::default()
    };
    HostClient::new(server.address.to_string(), options)
}

fn links(
    server: &Server,
    versions: RangeInclusive<WireVersion>,
) -> (PeerLinks<PeerEvent>, mpsc::Receiver<PeerEvent>) {
    let me = Identity::host(HostId(1), Incarnation(7), "nowhere:1").speaking(versions);
    let (sender, events) = mpsc::channel(100);
    let mut links = PeerLinks::new(me, sender);
    links.set_members(&[ClusterMember {
        host: HOST,
        address: server.address.to_string(),
    }]);
    (links, events)
}

#[tokio::test]
async fn callers_of_another_release_are_answered() {
    for (caller, host, _) in pairs() {
        let server = Server::speaking(host, echo()).await;
        let client = client(&server, caller);
        let bodies = [Bytes::from(vec![5; 100_000]), Bytes::from_static(b"small")];
        for _ in 0..3 {
            let answer = client.call(&HostRequest::Status, &bodies, SOON).await;
            assert_eq!(answer.unwrap().bodies, bodies);
        }
    }
}

#[tokio::test]
async fn peers_of_two_releases_speak_the_highest_version_that_both_know() {
    for (dials, host, speaks) in pairs() {
        let mut server = Server::speaking(host, silence()).await;
        let (links, mut events) = links(&server, dials);
        assert!(matches!(
            in_time(events.recv()).await,
            Some(PeerEvent::Up { .. })
        ));
        let said = |version: WireVersion| vec![Bytes::from(vec![version.number() as u8; 50_000])];
        assert!(links.send(HOST, said));
        let Some(PeerEvent::Frame { version, bytes, .. }) = in_time(server.peers.recv()).await
        else {
            panic!("no frame");
        };
        assert_eq!(version, speaks);
        assert_eq!(bytes, said(speaks)[0]);
    }
}

#[tokio::test]
async fn a_link_to_a_host_that_came_back_with_another_release_speaks_that_ones_version() {
    let server = Server::speaking(NEXT, silence()).await;
    let (links, mut events) = links(&server, NEXT);
    in_time(events.recv()).await.unwrap();
    let address = server.address;
    server.kill().await;
    let identity = Identity::host(HOST, Incarnation(2), "").speaking(THIS);
    let mut server = Server::start_with(address, identity, silence()).await;
    // Again and again: what is sent before the link has noticed the end goes nowhere.
    let sent = async {
        loop {
            links.send(HOST, |version| {
                vec![Bytes::copy_from_slice(&version.number().to_le_bytes())]
            });
            let arrived = tokio::time::timeout(Duration::from_millis(20), server.peers.recv());
            if let Ok(event) = arrived.await {
                break event;
            }
        }
    };
    let Some(PeerEvent::Frame { version, bytes, .. }) = in_time(sent).await else {
        panic!("no frame");
    };
    assert_eq!(version, WireVersion::V2);
    assert_eq!(bytes[..], 2u16.to_le_bytes());
}

#[tokio::test]
async fn releases_that_share_no_version_say_which_they_speak() {
    for (caller, host, why) in [
        (
            THIS,
            AFTER_NEXT,
            "no common version: 2 to 2 offered, 3 to 3 spoken here",
        ),
        (
            AFTER_NEXT,
            THIS,
            "no common version: 3 to 3 offered, 2 to 2 spoken here",
        ),
    ] {
        let server = Server::speaking(host, echo()).await;
        let client = client(&server, caller);
        let refused = client.call(&HostRequest::Status, &[], SOON).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind, CallErrorKind::Connect);
        assert!(refused.to_string().contains(why), "{refused}");
    }
}
