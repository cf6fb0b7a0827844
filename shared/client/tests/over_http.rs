//! What the client says over HTTP, and what it makes of the answers, against a server that records
//! every request and answers as told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Value, json};
use shoal_api::{Field, Problem, QueueBody, checksum};
use shoal_client::{
    Client, ClientError, Message, Receive, ReceivedExt, RedriveBody, SendItemAnswer,
};
use shoal_types::{Applied, ErrorCode};
use tokio::net::TcpListener;

/// Answers with what was laid in, in turn, and keeps what was asked.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    answers: VecDeque<Response>,
    asked: Vec<(String, Value)>,
}

impl Script {
    async fn serve(&self) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Client::new(&format!("http://{address}/")).unwrap()
    }

    fn json(&self, status: u16, body: &Value) -> &Self {
        let response = Response::builder()
            .status(status)
            .body(Body::from(body.to_string()));
        self.response(response.unwrap())
    }

    fn response(&self, response: Response) -> &Self {
        self.0.lock().unwrap().answers.push_back(response);
        self
    }

    /// Method, path and body of the last request.
    fn asked(&self) -> (String, Value) {
        self.0.lock().unwrap().asked.last().unwrap().clone()
    }
}

async fn answer(State(script): State<Script>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let mut lines = script.0.lock().unwrap();
    lines
        .asked
        .push((format!("{} {}", head.method, head.uri), body));
    lines.answers.pop_front().expect("an answer was laid in")
}

fn received(body: &str) -> Value {
    json!({
        "id": "i", "sequence": "7", "receipt": receipt(), "body": body, "attributes": {},
        "group": null, "receive_count": 1, "sent_at": "2026-11-21T04:12:00.000123Z",
        "checksum": checksum(b"hello"),
    })
}

fn receipt() -> String {
    let (partition, sequence) = (shoal_types::PartitionId(1), shoal_types::Sequence(7));
    shoal_types::Receipt {
        partition,
        sequence,
        lease: 1,
    }
    .to_string()
}

#[tokio::test]
async fn a_message_goes_out_and_its_number_comes_back() {
    let script = Script::default();
    let orders = script.serve().await.queue("orders");
    script.json(
        201,
        &json!({ "messages": [{ "id": "i", "sequence": "18446744073709551615" }] }),
    );
    let sent = orders
        .send(Message::text("hello").group("g").delay_s(5))
        .await
        .unwrap();
    let SendItemAnswer::Sent { sequence, .. } = &sent.messages[0] else {
        panic!("{sent:?}")
    };
    assert_eq!(sequence.0, u64::MAX);
    let (request, body) = script.asked();
    assert_eq!(request, "POST /v1/queues/orders/messages");
    assert_eq!(body, json!({ "body": "hello", "group": "g", "delay_s": 5 }));
}

#[tokio::test]
async fn a_batch_that_was_only_partly_taken_is_an_answer_not_an_error() {
    let script = Script::default();
    let orders = script.serve().await.queue("orders");
    let error = json!({ "code": "queue_full", "detail": "d", "retryable": true, "applied": "no" });
    script.json(
        207,
        &json!({ "messages": [{ "id": "i", "sequence": "1" }, { "error": error }] }),
    );
    let messages = [
        Message::of_bytes(b"text".to_vec()),
        Message::of_bytes(vec![0xff]),
    ];
    let sent = orders.send_batch(&messages).await.unwrap();
    let SendItemAnswer::Failed { error } = &sent.messages[1] else {
        panic!("{sent:?}")
    };
    assert_eq!(
        (error.code, error.applied),
        (ErrorCode::QueueFull, Applied::No)
    );
    let body = script.asked().1;
    assert_eq!(
        body,
        json!({ "messages": [{ "body": "text" }, { "body_base64": "/w==" }] })
    );
}

#[tokio::test]
async fn messages_are_received_checked_and_finished_with() {
    let script = Script::default();
    let orders = script.serve().await.queue("orders");
    script.json(
        200,
        &json!({ "messages": [received("hello"), received("hellp")] }),
    );
    let how = Receive::default().max(2).wait_s(20).visibility_timeout_s(5);
    let messages = orders.receive(&how).await.unwrap();
    assert_eq!(
        script.asked().1,
        json!({ "max": 2, "wait_s": 20, "visibility_timeout_s": 5 })
    );
    assert_eq!(messages[0].bytes().unwrap(), b"hello");
    let damaged = messages[1].bytes().unwrap_err();
    assert!(matches!(damaged, ClientError::Unexpected(_)), "{damaged}");

    let done = json!({ "receipts": [{ "receipt": receipt(), "ok": true }] });
    let receipts = messages[0].receipts();
    for (what, body) in [
        ("ack", json!({ "receipts": receipts })),
        (
            "extend",
            json!({ "receipts": receipts, "visibility_timeout_s": 9 }),
        ),
        ("release", json!({ "receipts": receipts, "delay_s": 3 })),
    ] {
        script.json(200, &done);
        let answer = match what {
            "ack" => orders.acknowledge(&receipts).await,
            "extend" => orders.extend(&receipts, 9).await,
            _ => orders.release(&receipts, 3).await,
        };
        assert!(answer.unwrap().receipts[0].ok);
        let path = format!("POST /v1/queues/orders/messages/{what}");
        assert_eq!(script.asked(), (path, body));
    }
}

#[tokio::test]
async fn queues_are_managed() {
    let script = Script::default();
    let client = script.serve().await;
    let orders = client.queue("orders");
    let info = json!({
        "name": "orders", "settings": {}, "partitions": [],
        "created_at": "2026-11-21T04:12:00.000123Z",
    });
    script
        .json(201, &info)
        .json(200, &info)
        .json(200, &json!({ "queues": [info] }));
    let five = shoal_api::Whole::new(5).unwrap();
    let settings = QueueBody {
        delay_s: Field::Value(five),
        ..QueueBody::default()
    };
    assert_eq!(
        orders.create(&settings).await.unwrap().counts,
        Field::Missing
    );
    assert_eq!(
        script.asked(),
        ("PUT /v1/queues/orders".to_owned(), json!({ "delay_s": 5 }))
    );
    orders
        .set(&QueueBody {
            max_bytes: Field::Null,
            ..QueueBody::default()
        })
        .await
        .unwrap();
    assert_eq!(
        script.asked(),
        (
            "PATCH /v1/queues/orders".to_owned(),
            json!({ "max_bytes": null })
        )
    );
    assert_eq!(
        client.queues("o r", Some("c&")).await.unwrap().queues.len(),
        1
    );
    assert_eq!(script.asked().0, "GET /v1/queues?prefix=o+r&cursor=c%26");
    let nothing = || Response::builder().status(204).body(Body::empty()).unwrap();
    script.response(nothing()).response(nothing());
    orders.purge().await.unwrap();
    orders.delete().await.unwrap();
    assert_eq!(script.asked().0, "DELETE /v1/queues/orders");
}

#[tokio::test]
async fn dead_letters_are_moved() {
    let script = Script::default();
    let dead = script.serve().await.queue("dead");
    let task = json!({
        "task": "7", "queue": "dead", "status": "running", "to_move": 3, "moved": 1, "failed": 0,
        "started_at": "2026-11-21T04:12:00.000123Z",
    });
    script.json(202, &task);
    let how = RedriveBody {
        to: Some("orders".parse().unwrap()),
        max_per_second: None,
    };
    let started = dead.redrive(&how).await.unwrap();
    assert_eq!((started.task, started.moved), (7, 1));
    let (asked, body) = script.asked();
    assert_eq!(asked, "POST /v1/queues/dead/redrive");
    assert_eq!(body, json!({ "to": "orders" }));

    script.json(200, &json!({ "redrives": [task] }));
    assert_eq!(
        dead.redrives().await.unwrap(),
        std::slice::from_ref(&started)
    );
    assert_eq!(script.asked().0, "GET /v1/queues/dead/redrive");
    script.json(200, &task);
    assert_eq!(dead.cancel_redrive().await.unwrap(), started);
    assert_eq!(script.asked().0, "DELETE /v1/queues/dead/redrive");
}

#[tokio::test]
async fn a_problem_says_what_was_wrong_and_whether_anything_was_applied() {
    let script = Script::default();
    let orders = script.serve().await.queue("orders");
    let problem = Problem::new(ErrorCode::Unavailable, "gone").applied(Applied::Unknown);
    script.response(problem.to_response().map(Body::from));
    let error = orders.send("x").await.unwrap_err();
    assert!(error.is_retryable());
    assert_eq!(error.applied(), Applied::Unknown);
    let ClientError::Refused(refused) = error else {
        panic!("{error}")
    };
    assert_eq!(refused, problem);
}

#[tokio::test]
async fn whatever_else_answers_is_not_taken_for_the_service() {
    let script = Script::default();
    let orders = script.serve().await.queue("orders");
    let proxy = Response::builder()
        .status(502)
        .body(Body::from("<html>"))
        .unwrap();
    script.response(proxy).json(200, &json!({ "hello": 1 }));
    for _ in 0..2 {
        let error = orders.send("x").await.unwrap_err();
        assert!(matches!(error, ClientError::Unexpected(_)), "{error}");
        assert_eq!(error.applied(), Applied::Unknown);
    }
}

#[tokio::test]
async fn without_a_connection_nothing_was_applied() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = Client::new(&format!("http://{address}")).unwrap();
    let error = client.queue("orders").send("x").await.unwrap_err();
    assert_eq!((error.applied(), error.is_retryable()), (Applied::No, true));
    assert!(Client::new("orders").is_err());
}
