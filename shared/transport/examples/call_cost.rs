//! What a call costs: CPU time of both ends together, per call with a body of 1 KiB that is sent
//! back, over loopback.
//!
//!     cargo run --release -p shoal-transport --example call_cost

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use shoal_runtime::shutdown::Shutdown;
use shoal_transport::{
    ClientOptions, HostClient, HostService, Identity, Listener, PeerEvent, Remote, Response,
};
use shoal_types::{
    ClusterId, Command, HostId, HostReply, HostRequest, Incarnation, Origin, Outcome, PartitionId,
    Request, RequestId, SendItem, Ts,
};
use tokio::sync::{mpsc, oneshot};

const BODY_BYTES: usize = 1_024;
const RUN: Duration = Duration::from_secs(3);
const DEADLINE: Duration = Duration::from_secs(10);

/// Hands each call to another task, as a host hands it to its driver, and sends the bodies back.
struct Echo(mpsc::Sender<(Vec<Bytes>, oneshot::Sender<Vec<Bytes>>)>);

impl HostService for Echo {
    async fn call(
        self: Arc<Self>,
        _caller: Arc<Remote>,
        _request: HostRequest,
        bodies: Vec<Bytes>,
        _wait: Duration,
    ) -> Response {
        let (reply, answer) = oneshot::channel();
        self.0.send((bodies, reply)).await.expect("the driver runs");
        let bodies = answer.await.expect("the driver answers");
        Response {
            clock: Ts(1),
            result: Ok(HostReply::Outcome(Outcome::Done)),
            bodies,
        }
    }
}

fn send() -> HostRequest {
    let item = SendItem {
        size: 1_024,
        crc: 7,
        delay: None,
        ttl: None,
        group: None,
        deduplication: None,
    };
    HostRequest::Execute {
        cluster: ClusterId(1),
        request: Request {
            id: RequestId(1 << 100),
            deadline: Ts(1 << 50),
            origin: Origin::default(),
            command: Command::Send {
                partition: PartitionId(1),
                items: vec![item],
            },
        },
    }
}

/// Seconds of CPU that this process has used.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .expect("a name")
        .split_whitespace()
        .collect();
    let ticks = |at: usize| fields[at].parse::<f64>().expect("a number");
    (ticks(11) + ticks(12)) / 100.0
}

#[tokio::main]
async fn main() {
    let (driver, mut calls) = mpsc::channel::<(Vec<Bytes>, oneshot::Sender<Vec<Bytes>>)>(1_024);
    tokio::spawn(async move {
        let mut turn = Vec::new();
        while calls.recv_many(&mut turn, 1_024).await > 0 {
            for (bodies, reply) in turn.drain(..) {
                // The caller may be gone.
                _ = reply.send(bodies);
            }
        }
    });
    let listener = Listener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.address().to_string();
    let me = Identity::host(HostId(1), Incarnation(1), address.clone());
    let (events, _peers) = mpsc::channel::<PeerEvent>(1);
    tokio::spawn(listener.serve(me, Arc::new(Echo(driver)), events, Shutdown::new()));

    println!("in flight   calls/s   CPU µs/call   mean latency µs");
    for in_flight in [1_usize, 16, 64] {
        let client = HostClient::new(address.clone(), ClientOptions::default());
        let (began, cpu_before) = (Instant::now(), cpu_seconds());
        let callers: Vec<_> = (0..in_flight)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move {
                    let (request, body) = (send(), Bytes::from(vec![7; BODY_BYTES]));
                    let mut done = 0_u64;
                    while began.elapsed() < RUN {
                        let bodies = std::slice::from_ref(&body);
                        let response = client
                            .call(&request, bodies, DEADLINE)
                            .await
                            .expect("an answer");
                        assert_eq!(response.bodies[0].len(), BODY_BYTES);
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        let mut calls = 0;
        for caller in callers {
            calls += caller.await.expect("no panic");
        }
        let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu_before);
        let calls = calls as f64;
        println!(
            "{in_flight:9} {:9.0} {:13.1} {:17.1}",
            calls / seconds,
            cpu / calls * 1e6,
            seconds * in_flight as f64 / calls * 1e6
        );
    }
}
