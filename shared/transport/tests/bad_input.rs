//! What a host's port does with bytes that no process of ours would send.

mod support;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use shoal_transport::frame::{self, HEADER_BYTES, Kind};
use shoal_transport::{ClientOptions, HostClient};
use shoal_types::limits::FRAME_BYTES_MAX;
use shoal_types::{HostRequest, encode_frame, join};
use support::{CLUSTER, HOST, SOON, Server, echo, in_time, silence};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes of a frame.
fn frame(kind: Kind, id: u64, payload: &[u8]) -> Vec<u8> {
    let payload = Bytes::copy_from_slice(payload);
    let mut bytes =
        frame::header(frame::HANDSHAKE, kind, id, std::slice::from_ref(&payload)).to_vec();
    bytes.extend_from_slice(&payload);
    bytes
}

/// A role as postcard writes it.
const FROM_HOST: u8 = 0;
const FROM_FRONTEND: u8 = 1;

/// A hello by the letter of the protocol: versions, role, host, incarnation, cluster, address, and
/// the host and cluster that are meant.
fn hello(
    versions: (u16, u16),
    role: u8,
    host: u8,
    incarnation: u8,
    cluster: Option<u8>,
) -> Vec<u8> {
    let mut hello = b"SHOAL".to_vec();
    hello.extend(versions.0.to_le_bytes());
    hello.extend(versions.1.to_le_bytes());
    hello.extend([role, host, incarnation]);
    match cluster {
        None => hello.push(0),
        Some(cluster) => hello.extend([1, cluster]),
    }
    hello.extend([1, b'x', 0, 0]);
    frame(Kind::Hello, 0, &hello)
}

fn frontend() -> Vec<u8> {
    hello((2, 2), FROM_FRONTEND, 0, 0, None)
}

fn call(id: u64) -> Vec<u8> {
    // The caller waits for 100 ms and asks for the status (the fourth request).
    frame(
        Kind::Call,
        id,
        &join(&encode_frame(&(100_u32, HostRequest::Status), &[])),
    )
}

/// Sends all of it, and gives back everything that came until the host closed.
async fn answer_to(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // The host may close before everything is written.
    _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    in_time(async {
        // A reset is a way to close, too.
        while matches!(stream.read_buf(&mut answer).await, Ok(1..)) {}
    })
    .await;
    answer
}

/// The refusal that is all of the answer.
async fn refusal(server: &Server, bytes: &[u8]) -> String {
    let answer = answer_to(server, bytes).await;
    let frame = frame::decode(frame::HANDSHAKE, answer.into()).unwrap();
    assert_eq!(frame.kind, Kind::Refused);
    String::from_utf8(frame.payload.to_vec()).unwrap()
}

/// Asserts that after a good handshake these bytes end the connection, with nothing said.
async fn closes_after_handshake(server: &Server, bytes: &[u8]) {
    let answer = answer_to(server, &[frontend(), bytes.to_vec()].concat()).await;
    let welcome = frame::total_bytes(&answer, 1_000).unwrap().unwrap();
    assert_eq!(
        frame::decode(frame::HANDSHAKE, answer.clone().into()).map(|f| f.kind),
        Ok(Kind::Welcome)
    );
    assert_eq!(answer.len(), welcome);
}

/// The next so many frames.
async fn frames(stream: &mut TcpStream, count: usize) -> Vec<(Kind, u64)> {
    let (mut received, mut frames) = (BytesMut::new(), Vec::new());
    in_time(async {
        while frames.len() < count {
            match frame::total_bytes(&received, 1_000).unwrap() {
                Some(total) if received.len() >= total => {
                    let frame = received.split_to(total).freeze();
                    // This release speaks one version, in which handshakes are too.
                    let frame = frame::decode(frame::HANDSHAKE, frame).unwrap();
                    frames.push((frame.kind, frame.id));
                }
                _ => assert!(stream.read_buf(&mut received).await.unwrap() > 0, "closed"),
            }
        }
    })
    .await;
    frames
}

async fn still_serves(server: &Server) {
    let client = HostClient::new(server.address.to_string(), ClientOptions::default());
    client.call(&HostRequest::Status, &[], SOON).await.unwrap();
}

#[tokio::test]
async fn strangers_are_closed_without_a_word() {
    let server = Server::start(echo()).await;
    let noise: Vec<u8> = (0..64_u32 << 10)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let client_hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &noise[..500]].concat();
    let http = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}".to_vec();
    for bytes in [noise, client_hello, http] {
        assert_eq!(answer_to(&server, &bytes).await, b"");
    }
    still_serves(&server).await;
}

#[tokio::test]
async fn lengths_out_of_range_close_before_and_after_the_handshake() {
    let server = Server::start(echo()).await;
    let shortest = HEADER_BYTES as u32 - 4;
    let limit = shortest + FRAME_BYTES_MAX as u32;
    for length in [0, 1, 7, shortest - 1, limit + 1, u32::MAX] {
        let mut bytes = call(1);
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        assert_eq!(answer_to(&server, &bytes).await, b"", "{length}");
        closes_after_handshake(&server, &bytes).await;
    }
    let mut long = frontend();
    long[..4].copy_from_slice(&2_000_u32.to_le_bytes());
    assert_eq!(answer_to(&server, &long).await, b"", "a handshake is short");
}

#[tokio::test]
async fn frames_that_are_wrong_or_out_of_place_close() {
    let server = Server::start(silence()).await;
    let mut checksum = call(1);
    checksum[5] ^= 1;
    closes_after_handshake(&server, &checksum).await;
    closes_after_handshake(&server, &frame(Kind::Peer, 0, b"I am no host")).await;
    closes_after_handshake(&server, &frame(Kind::Answer, 1, b"to nothing")).await;
    closes_after_handshake(&server, &frontend()).await;
    closes_after_handshake(&server, &[call(7), call(7)].concat()).await;
    assert_eq!(
        answer_to(&server, &call(1)).await,
        b"",
        "a call before the handshake"
    );
    let peer = hello((2, 2), FROM_HOST, 1, 1, None);
    let answer = answer_to(&server, &[peer, call(1)].concat()).await;
    assert_eq!(
        frame::decode(frame::HANDSHAKE, answer.into()).unwrap().kind,
        Kind::Welcome,
        "and no answer to a peer's call"
    );
}

#[tokio::test]
async fn handshakes_that_do_not_fit_are_refused_with_the_reason() {
    let server = Server::start(echo()).await;
    server.identity.set_cluster(CLUSTER);
    let frontend = |versions| hello(versions, FROM_FRONTEND, 0, 0, None);
    for versions in [(0, 0), (1, 1), (4, 255), (2, 0)] {
        let why = refusal(&server, &frontend(versions)).await;
        assert!(why.starts_with("no common version: "), "{why}");
    }
    let host = |id, incarnation, cluster| hello((2, 2), FROM_HOST, id, incarnation, cluster);
    let own = refusal(&server, &host(HOST.0 as u8, 1, None)).await;
    assert_eq!(own, "ha is my own id");
    let other_cluster = refusal(&server, &host(1, 1, Some(1))).await;
    assert_eq!(other_cluster, "ha belongs to cc, not to c1");
    let mut peer = TcpStream::connect(server.address).await.unwrap();
    peer.write_all(&host(1, 5, None)).await.unwrap();
    peer.read_u8().await.unwrap();
    let stale = refusal(&server, &host(1, 4, None)).await;
    assert_eq!(stale, "stale incarnation: h1 was here as 5, not 4");
    let mut magic = b"SHOAX\x02\0\x02\0".to_vec();
    magic.extend([0; 8]);
    assert_eq!(
        answer_to(&server, &frame(Kind::Hello, 0, &magic)).await,
        b""
    );
    assert_eq!(
        answer_to(&server, &frame(Kind::Hello, 0, b"SHOAL\x02\0\x02\0\xff")).await,
        b""
    );
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_is_closed() {
    let server = Server::start(echo()).await;
    let began = std::time::Instant::now();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let hello = frontend();
    let mut dribble = tokio::time::interval(Duration::from_millis(200));
    for byte in hello.iter().cycle() {
        dribble.tick().await;
        if stream.write_all(&[*byte]).await.is_err() || began.elapsed() > SOON {
            break;
        }
    }
    let took = began.elapsed();
    assert!(
        took > Duration::from_secs(2) && took < Duration::from_secs(5),
        "{took:?}"
    );
}

#[tokio::test]
async fn segments_of_one_byte_are_answered_like_any_other() {
    let server = Server::start(echo()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in [frontend(), call(77)].concat() {
        stream.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(
        frames(&mut stream, 2).await,
        [(Kind::Welcome, 0), (Kind::Answer, 77)]
    );
}

#[tokio::test]
async fn a_request_of_another_version_is_refused_and_the_connection_stays() {
    let server = Server::start(echo()).await;
    let unknown = frame(Kind::Call, 1, &join(&encode_frame(&(100_u32, 99_u8), &[])));
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(&[frontend(), unknown, call(2)].concat())
        .await
        .unwrap();
    let expected = [(Kind::Welcome, 0), (Kind::Answer, 1), (Kind::Answer, 2)];
    assert_eq!(frames(&mut stream, 3).await, expected);
}

#[tokio::test]
async fn no_flipped_bit_and_no_cut_brings_the_host_down() {
    let server = Server::start(echo()).await;
    let good = [frontend(), call(1)].concat();
    let mutations = (0..good.len() * 8).map(|bit| {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        bad
    });
    let cuts = (0..good.len()).map(|end| good[..end].to_vec());
    for bytes in mutations.chain(cuts) {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        _ = stream.write_all(&bytes).await;
        _ = stream.shutdown().await;
        in_time(async { while matches!(stream.read(&mut [0; 256]).await, Ok(1..)) {} }).await;
    }
    still_serves(&server).await;
}
