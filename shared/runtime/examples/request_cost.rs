//! What an HTTP request costs: CPU time of the server's threads per request with a body of 1 KiB that
//! is sent back, over loopback, with one request at a time on each connection.
//!
//!     cargo run --release -p shoal-runtime --example request_cost

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use shoal_runtime::http::{HttpLimits, serve};
use shoal_runtime::shutdown::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

const BODY_BYTES: usize = 1_024;
const RUN: Duration = Duration::from_secs(3);

fn runtime(name: &str) -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name(name)
        .enable_all()
        .build()
        .expect("threads")
}

/// Seconds of CPU that this process's threads of a name have used.
fn cpu_seconds(name: &str) -> f64 {
    let threads = fs::read_dir("/proc/self/task").expect("Linux");
    let stats =
        threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("stat")).ok());
    let of_name = stats.filter(|stat| stat.contains(&format!("({name})")));
    let ticks = |stat: String| -> f64 {
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .expect("a name")
            .split_whitespace()
            .collect();
        fields[11..=12]
            .iter()
            .map(|field| field.parse::<f64>().expect("a number"))
            .sum()
    };
    of_name.map(ticks).sum::<f64>() / 100.0
}

async fn call_until(address: SocketAddr, end: Instant) -> u64 {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.set_nodelay(true).expect("a socket");
    let mut request = format!(
        "POST /v1/queues/orders/messages HTTP/1.1\r\nhost: 127.0.0.1:9324\r\nuser-agent: request-cost\r\n\
         accept: */*\r\ncontent-type: application/json\r\ncontent-length: {BODY_BYTES}\r\n\r\n"
    )
    .into_bytes();
    request.resize(request.len() + BODY_BYTES, b'x');
    let mut answer = vec![0; 4 * BODY_BYTES];
    let mut done = 0;
    while Instant::now() < end {
        stream.write_all(&request).await.expect("it serves");
        let mut filled = 0;
        // The body is the answer's end, and the only place with an x x.
        while !(filled > BODY_BYTES && answer[..filled].ends_with(b"xx")) {
            filled += stream
                .read(&mut answer[filled..])
                .await
                .expect("it answers");
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
        done += 1;
    }
    done
}

fn main() {
    let (server, client) = (runtime("server"), runtime("client"));
    let listener = server
        .block_on(TcpListener::bind("127.0.0.1:0"))
        .expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let router = Router::new().route(
        "/v1/queues/{queue}/messages",
        post(async |body: Bytes| body),
    );
    server.spawn(serve(
        listener,
        router,
        HttpLimits::default(),
        Shutdown::new(),
    ));

    println!("connections   requests/s   server CPU µs/request");
    for connections in [1_usize, 16, 64] {
        let (began, cpu_before) = (Instant::now(), cpu_seconds("server"));
        let callers: Vec<_> = (0..connections)
            .map(|_| client.spawn(call_until(address, began + RUN)))
            .collect();
        let calls: u64 = callers
            .into_iter()
            .map(|c| client.block_on(c).expect("no panic"))
            .sum();
        let (seconds, cpu) = (
            began.elapsed().as_secs_f64(),
            cpu_seconds("server") - cpu_before,
        );
        let calls = calls as f64;
        println!(
            "{connections:11} {:12.0} {:23.1}",
            calls / seconds,
            cpu / calls * 1e6
        );
    }
}
