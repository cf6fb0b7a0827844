//! What the HTTP server does with requests, good and bad, byte for byte.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::routing::{get, post};
use http::StatusCode;
use shoal_runtime::http::{BodyError, HttpLimits, serve};
use shoal_runtime::shutdown::{Drain, Shutdown};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const SOON: Duration = Duration::from_secs(10);
const MS: Duration = Duration::from_millis(1);

struct Server {
    address: SocketAddr,
    /// Asks clients to go elsewhere.
    leaving: Shutdown,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

/// Short times, so that tests need not wait long.
fn limits() -> HttpLimits {
    HttpLimits {
        body_bytes_max: 1 << 20,
        head_timeout: 300 * MS,
        body_timeout: 300 * MS,
        idle_timeout: 600 * MS,
        grace: 300 * MS,
        ..HttpLimits::default()
    }
}

async fn start(limits: HttpLimits) -> Server {
    let router = Router::new()
        .route("/echo", post(echo))
        .route("/", get(async || "hello"))
        .route("/slow", get(async || tokio::time::sleep(1_000 * MS).await))
        .route("/never", get(std::future::pending::<()>))
        .layer(axum::extract::DefaultBodyLimit::disable());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, shutdown) = (listener.local_addr().unwrap(), Shutdown::new());
    let leaving = shutdown.child();
    let drain = Drain::new(leaving.clone(), shutdown.clone());
    let serving = serve(listener, router, limits, drain);
    let task = tokio::spawn(async {
        let Ok(()) = serving.await;
    });
    Server {
        address,
        leaving,
        shutdown,
        task,
    }
}

async fn echo(request: Request) -> (StatusCode, Bytes) {
    match axum::body::to_bytes(request.into_body(), usize::MAX).await {
        Ok(body) => (StatusCode::OK, body),
        Err(error) => match BodyError::of(&error).expect("a body fails with a body's error") {
            BodyError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, Bytes::new()),
            BodyError::TimedOut { .. } => (StatusCode::REQUEST_TIMEOUT, Bytes::new()),
            BodyError::Broken(_) => (StatusCode::BAD_REQUEST, Bytes::new()),
        },
    }
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future)
        .await
        .expect("it happens soon")
}

/// Sends all of it and gives back all that came until the server closed.
async fn answer_to(server: &Server, bytes: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(bytes.as_ref()).await.unwrap();
    rest_of(&mut stream).await
}

async fn rest_of(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    in_time(stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// The status of the only answer; the connection was closed after it.
async fn status_of(server: &Server, bytes: impl AsRef<[u8]>) -> u16 {
    let answer = answer_to(server, bytes).await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    answer["HTTP/1.1 ".len()..][..3].parse().unwrap()
}

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_their_order() {
    let server = start(limits()).await;
    let bodies = ["first", "", "third"];
    let mut all: String = bodies
        .iter()
        .map(|body| {
            format!(
                "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        })
        .collect();
    all += "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfourth\r\n0\r\n\r\n";
    let answer = answer_to(&server, all).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 4, "{answer}");
    let at = |text| answer.find(text).unwrap();
    assert!(at("first") < at("third") && at("third") < at("fourth"));
}

#[tokio::test]
async fn malformed_heads_are_refused_and_the_connection_closes() {
    let server = start(limits()).await;
    let with = |lines: &str| format!("POST /echo HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n");
    for (bytes, status) in [
        (with("Content-Length: -1"), 400),
        (with("Content-Length: +3"), 400),
        (with("Content-Length: 0x10"), 400),
        (with("Content-Length: 3, 4"), 400),
        (with("Content-Length: 99999999999999999999"), 400),
        (with("Content-Length: 3\r\nContent-Length: 4"), 400),
        (with("Transfer-Encoding: chunked, identity"), 400),
        (with("Transfer-Encoding: xchunked"), 400),
        (with("Content-Length: 1048577"), 413),
        (with("Content-Length: 1048577\r\nExpect: 100-continue"), 413),
        (with("Bad Name: x"), 400),
        (with("Name: a\0b"), 400),
        (with("Name: a\r\n folded"), 400),
        (with(&"A: b\r\n".repeat(64)), 431),
        (with(&"A: b\r\n".repeat(101)), 431),
        (with(&format!("A: {}", "b".repeat(64 << 10))), 431),
        ("GET / HTTP/1.1\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nHost: user@x\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nHost: x:99999\r\n\r\n".into(), 400),
        (
            "GET http://elsewhere/ HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            400,
        ),
        (
            format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(9 << 10)),
            414,
        ),
        (
            "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
            400,
        ),
        ("TRACE / HTTP/1.1\r\nHost: x\r\n\r\n".into(), 405),
        ("CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n".into(), 405),
        ("\x16\x03\x01 this is no HTTP\r\n\r\n".into(), 400),
    ] {
        let shown = &bytes[..bytes.len().min(80)];
        assert_eq!(status_of(&server, &bytes).await, status, "{shown:?}");
    }
}

#[tokio::test]
async fn what_is_no_http_1_is_closed() {
    let server = start(limits()).await;
    let noise: Vec<u8> = (0..64_u32 << 10)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    for bytes in [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &noise] {
        let answer = answer_to(&server, bytes).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn what_follows_a_request_with_two_framings_is_never_taken_for_a_request() {
    let server = start(limits()).await;
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    let chunked = format!("0\r\n\r\n{smuggled}");
    let length = format!("Content-Length: {}", chunked.len());
    for fields in [
        format!("{length}\r\nTransfer-Encoding: chunked"),
        format!("Transfer-Encoding: chunked\r\n{length}"),
    ] {
        let request = format!("POST /echo HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n{chunked}");
        assert_eq!(
            status_of(&server, request).await,
            200,
            "answered once, then closed"
        );
    }
}

#[tokio::test]
async fn a_listener_without_chunked_requests_wants_a_length() {
    let server = start(HttpLimits {
        chunked: false,
        ..limits()
    })
    .await;
    let request = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(status_of(&server, request).await, 411);
}

#[tokio::test]
async fn bodies_end_at_their_bounds() {
    let server = start(limits()).await;
    let head = "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    let large = "7ffff\r\n".to_owned() + &"x".repeat(0x7_ffff) + "\r\n";
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
    assert_eq!(
        status_of(&server, format!("{chunked}{large}{large}{large}")).await,
        413
    );
    assert_eq!(
        status_of(&server, format!("{chunked}FFFFFFFFFFFFFFFFF\r\n")).await,
        400
    );
    assert_eq!(status_of(&server, format!("{chunked}5\r\nabc")).await, 408);
    assert_eq!(
        status_of(
            &server,
            format!("{head}Content-Length: 1000\r\n\r\nten bytes ")
        )
        .await,
        408
    );
}

#[tokio::test]
async fn a_refused_upload_of_megabytes_still_reads_its_answer() {
    let server = start(limits()).await;
    let request = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 8388608\r\n\r\n";
    assert_eq!(
        status_of(&server, request.to_owned() + &"x".repeat(8 << 20)).await,
        413
    );
}

#[tokio::test]
async fn slow_heads_are_closed_while_others_are_served() {
    let server = start(limits()).await;
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET / HT").await.unwrap();
        slow.push(stream);
    }
    let began = Instant::now();
    let close = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(status_of(&server, close).await, 200);
    for stream in &mut slow {
        // Dribbling on does not help.
        stream.write_all(b"T").await.unwrap();
    }
    for stream in &mut slow {
        assert_eq!(rest_of(stream).await, "");
    }
    assert!(
        began.elapsed() >= 200 * MS && began.elapsed() < 3_000 * MS,
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn an_idle_connection_is_closed_later_than_a_slow_head() {
    let server = start(limits()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
        .await
        .unwrap();
    stream.write_all(b"hi").await.unwrap();
    let began = Instant::now();
    assert!(rest_of(&mut stream).await.ends_with("hi"));
    assert!(began.elapsed() >= 500 * MS, "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_answer_may_take_longer_than_any_timeout_of_requests() {
    let server = start(limits()).await;
    let request = "GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(status_of(&server, request).await, 200);
}

#[tokio::test]
async fn connections_beyond_the_bound_are_closed_and_those_before_are_served() {
    let server = start(HttpLimits {
        connections_max: 2,
        ..limits()
    })
    .await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    let _second = TcpStream::connect(server.address).await.unwrap();
    let mut third = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(in_time(third.read(&mut [0; 1])).await.unwrap_or(0), 0);
    first
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    assert!(rest_of(&mut first).await.ends_with("hello"));
}

#[tokio::test]
async fn at_the_shutdown_idle_connections_close_and_answers_get_their_grace() {
    let server = start(HttpLimits {
        grace: SOON,
        ..limits()
    })
    .await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(100 * MS).await;
    server.shutdown.trigger();
    assert_eq!(rest_of(&mut idle).await, "");
    assert!(rest_of(&mut busy).await.starts_with("HTTP/1.1 200"));
    in_time(server.task).await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn answers_that_never_come_do_not_hold_the_shutdown_up() {
    let server = start(limits()).await;
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    busy.write_all(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(100 * MS).await;
    server.shutdown.trigger();
    in_time(server.task).await.unwrap();
    let answer = rest_of(&mut busy).await;
    assert!(answer.starts_with("HTTP/1.1 504"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn while_it_drains_everybody_is_served_and_told_to_go() {
    let server = start(limits()).await;
    let hello = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut used = TcpStream::connect(server.address).await.unwrap();
    used.write_all(hello).await.unwrap();
    in_time(used.read(&mut [0; 1_000])).await.unwrap();
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(100 * MS).await;

    server.leaving.trigger();
    used.write_all(hello).await.unwrap();
    let mut newcomer = TcpStream::connect(server.address).await.unwrap();
    newcomer.write_all(hello).await.unwrap();
    for stream in [&mut used, &mut newcomer, &mut busy] {
        let answer = rest_of(stream).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
    assert!(!server.task.is_finished(), "the drain has not ended");
}

/// The kernel completes connections before the server accepts them. To close the port reset those, with what
/// they had asked already.
#[tokio::test]
async fn who_connects_at_the_last_moment_is_answered() {
    use std::io::Write as _;

    let server = start(limits()).await;
    // Without a pause in which the server, on this very thread, could accept them.
    let connect = |_| {
        let mut stream = std::net::TcpStream::connect(server.address).unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    };
    let waiting: Vec<_> = (0..20).map(connect).collect();
    server.leaving.trigger();
    server.shutdown.trigger();
    for stream in waiting {
        let answer = rest_of(&mut TcpStream::from_std(stream).unwrap()).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    in_time(server.task).await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}
