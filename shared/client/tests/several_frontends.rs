//! A client of several frontends: whom it asks, when it goes on to another one, and what it never repeats.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use shoal_client::{Client, ClientError, Queue};
use shoal_types::Applied;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const QUEUE_LIST: &str = r#"{"queues":[],"next_cursor":null}"#;
const SENT: &str = r#"{"messages":[{"id":"i","sequence":"1"}]}"#;

/// What a fake frontend does with a request that it has read.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// The body, and the connection stays.
    Good,
    /// The body, and the connection closes, which is said before.
    GoodAndCloses,
    /// A problem document.
    Refuses { status: u16, applied: &'static str },
    /// It ends the connection without a word.
    HangsUp,
}

/// A frontend that does the same with every request, and counts them.
struct Fake {
    address: String,
    requests: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Fake {
    async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Self {
            address: format!("http://{}", listener.local_addr().unwrap()),
            requests: Arc::default(),
            connections: Arc::default(),
        };
        let (requests, connections) = (Arc::clone(&fake.requests), Arc::clone(&fake.connections));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, answer, Arc::clone(&requests)));
            }
        });
        fake
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

async fn serve(mut stream: TcpStream, answer: Answer, requests: Arc<AtomicUsize>) {
    while let Some(request) = read_request(&mut stream).await {
        requests.fetch_add(1, Ordering::Relaxed);
        let body = match request.starts_with("GET") {
            true => QUEUE_LIST,
            false => SENT,
        };
        let (status, close, body) = match answer {
            Answer::Good => (200, "", body.to_owned()),
            Answer::GoodAndCloses => (200, "connection: close\r\n", body.to_owned()),
            Answer::Refuses { status, applied } => (status, "", problem(status, applied)),
            Answer::HangsUp => return,
        };
        let head = format!(
            "HTTP/1.1 {status} x\r\ncontent-type: application/problem+json\r\n{close}content-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).await.unwrap();
        if !close.is_empty() {
            return;
        }
    }
}

fn problem(status: u16, applied: &str) -> String {
    serde_json::json!({
        "type": "t", "title": "t", "status": status, "code": "busy", "detail": "d", "retryable": true,
        "applied": applied, "request_id": "r",
    })
    .to_string()
}

/// The head of a request, once its body has come as well; `None` at the end of the connection.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut text = String::new();
    let mut chunk = [0; 4096];
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return Some(head.to_owned());
            }
        }
        match stream.read(&mut chunk).await {
            Ok(read) if read > 0 => text += std::str::from_utf8(&chunk[..read]).unwrap(),
            _ => return None,
        }
    }
}

async fn start<const N: usize>(answers: [Answer; N]) -> (Client, Vec<Fake>) {
    let mut fakes = Vec::new();
    for answer in answers {
        fakes.push(Fake::start(answer).await);
    }
    let addresses: Vec<&str> = fakes.iter().map(|fake| fake.address.as_str()).collect();
    let client = Client::new(&addresses.join(",")).unwrap();
    (client, fakes)
}

async fn send(queue: &Queue, times: usize) {
    for _ in 0..times {
        queue.send("hello").await.unwrap();
    }
}

#[tokio::test]
async fn calls_go_to_all_frontends_by_turns() {
    let (client, fakes) = start([Answer::Good; 3]).await;
    send(&client.queue("orders"), 9).await;
    assert!(fakes.iter().all(|fake| fake.requests() == 3));
}

#[tokio::test]
async fn a_frontend_that_is_not_there_fails_no_call() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let there = Fake::start(Answer::Good).await;
    let client = Client::new(&format!("http://{address},{}", there.address)).unwrap();
    send(&client.queue("orders"), 10).await;
    assert_eq!(there.requests(), 10);
}

#[tokio::test]
async fn a_frontend_that_is_back_is_asked_again_after_a_pause() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let there = Fake::start(Answer::Good).await;
    let client = Client::new(&format!("http://{address},{}", there.address)).unwrap();
    let orders = client.queue("orders");
    send(&orders, 2).await;

    let back = TcpListener::bind(address).await.unwrap();
    send(&orders, 4).await;
    let asked = tokio::time::timeout(Duration::from_millis(50), back.accept());
    assert!(asked.await.is_err(), "it was to be left alone for a while");
    tokio::spawn(async move {
        let (stream, _) = back.accept().await.unwrap();
        serve(stream, Answer::Good, Arc::default()).await;
    });
    let before = there.requests();
    tokio::time::sleep(Duration::from_millis(600)).await;
    send(&orders, 4).await;
    assert_eq!(there.requests() - before, 2);
}

#[tokio::test]
async fn what_was_refused_without_effect_is_asked_of_another_frontend() {
    let busy = Answer::Refuses {
        status: 503,
        applied: "no",
    };
    let (client, fakes) = start([busy, Answer::Good]).await;
    send(&client.queue("orders"), 4).await;
    assert_eq!((fakes[0].requests(), fakes[1].requests()), (2, 4));
}

#[tokio::test]
async fn when_all_refuse_each_is_asked_once_and_the_last_word_counts() {
    let busy = Answer::Refuses {
        status: 503,
        applied: "no",
    };
    let (client, fakes) = start([busy; 3]).await;
    let error = client.queue("orders").send("hello").await.unwrap_err();
    assert!(matches!(error, ClientError::Refused(_)), "{error:?}");
    assert!(fakes.iter().all(|fake| fake.requests() == 1));
}

#[tokio::test]
async fn what_may_have_been_applied_is_never_sent_again() {
    let unknown = Answer::Refuses {
        status: 503,
        applied: "unknown",
    };
    let final_no = Answer::Refuses {
        status: 429,
        applied: "no",
    };
    for first in [unknown, final_no, Answer::HangsUp] {
        let (client, fakes) = start([first, Answer::Good]).await;
        let error = client.queue("orders").send("hello").await.unwrap_err();
        assert_eq!(
            error.applied() == Applied::Unknown,
            !matches!(first, Answer::Refuses { status: 429, .. }),
            "{error:?}"
        );
        assert_eq!(fakes[1].requests(), 0, "{first:?}");
    }
}

#[tokio::test]
async fn what_only_reads_is_asked_of_another_frontend_if_it_was_cut_off() {
    let (client, fakes) = start([Answer::HangsUp, Answer::Good]).await;
    client.queues("", None).await.unwrap();
    assert_eq!((fakes[0].requests(), fakes[1].requests()), (1, 1));
}

#[tokio::test]
async fn a_frontend_that_says_it_closes_is_left_alone_for_a_while() {
    let (client, fakes) = start([Answer::GoodAndCloses, Answer::Good]).await;
    send(&client.queue("orders"), 10).await;
    assert_eq!((fakes[0].requests(), fakes[1].requests()), (1, 9));
}

#[tokio::test]
async fn the_only_frontend_is_asked_whatever_it_said() {
    let (client, fakes) = start([Answer::GoodAndCloses]).await;
    send(&client.queue("orders"), 3).await;
    assert_eq!(fakes[0].requests(), 3);
}

/// A frontend that stops closes connections that were idle for two seconds: one of ours never was.
#[tokio::test]
async fn a_connection_that_was_idle_for_a_second_is_not_used_again() {
    let (client, fakes) = start([Answer::Good]).await;
    let connections = || fakes[0].connections.load(Ordering::Relaxed);
    let orders = client.queue("orders");
    send(&orders, 3).await;
    assert_eq!(connections(), 1);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    send(&orders, 1).await;
    assert_eq!(connections(), 2);
}
