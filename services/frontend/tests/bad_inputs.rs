//! What clients get wrong. Each line is a request and what it must be answered with: a status, a code,
//! and the field that is wrong; and nothing may come of it.

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{Answer, System, receipts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A request that is wrong.
struct Bad {
    method: &'static str,
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: Body,
    status: u16,
    code: &'static str,
    field: Option<&'static str>,
}

#[derive(Clone, Copy)]
enum Body {
    None,
    Json(&'static str),
    /// With the content type that the headers say.
    Raw(&'static [u8]),
    Made(fn() -> Vec<u8>),
}

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

/// A request with a JSON body that is refused as `invalid_request`.
const fn invalid(
    method: &'static str,
    path: &'static str,
    body: &'static str,
    field: Option<&'static str>,
) -> Bad {
    let body = Body::Json(body);
    Bad {
        method,
        path,
        headers: JSON,
        body,
        status: 400,
        code: "invalid_request",
        field,
    }
}

/// A request without a body.
const fn plain(
    method: &'static str,
    path: &'static str,
    status: u16,
    code: &'static str,
    field: Option<&'static str>,
) -> Bad {
    Bad {
        method,
        path,
        headers: &[],
        body: Body::None,
        status,
        code,
        field,
    }
}

/// A good message with a bad header field.
const fn header(
    headers: &'static [(&'static str, &'static str)],
    status: u16,
    code: &'static str,
    field: &'static str,
) -> Bad {
    let body = Body::Raw(b"x");
    Bad {
        method: "POST",
        path: SEND,
        headers,
        body,
        status,
        code,
        field: Some(field),
    }
}

const fn made(
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: fn() -> Vec<u8>,
    status: u16,
    code: &'static str,
    field: &'static str,
) -> Bad {
    Bad {
        method: "POST",
        path,
        headers,
        body: Body::Made(body),
        status,
        code,
        field: Some(field),
    }
}

const QUEUE: &str = "/v1/queues/good";
const SEND: &str = "/v1/queues/good/messages";
const SEND_FIFO: &str = "/v1/queues/good.fifo/messages";
const RECEIVE: &str = "/v1/queues/good/messages/receive";
const ACK: &str = "/v1/queues/good/messages/ack";
const EXTEND: &str = "/v1/queues/good/messages/extend";
const RELEASE: &str = "/v1/queues/good/messages/release";
const NEW: &str = "/v1/queues/new";
const REDRIVE: &str = "/v1/queues/good/redrive";

// One request a line.
#[rustfmt::skip]
const CASES: &[Bad] = &[
    // Not JSON, or not the JSON that is wanted.
    invalid("POST", SEND, "{", None),
    invalid("POST", SEND, "{\"body\":\"x\"", None),
    invalid("POST", SEND, "{\"body\":\"x\"} {}", None),
    invalid("POST", SEND, "", None),
    invalid("POST", SEND, "[]", None),
    invalid("POST", SEND, "null", None),
    invalid("POST", SEND, "\"body\"", None),
    invalid("POST", SEND, "{\"body\":\"\\ud800\"}", None),
    invalid("PUT", NEW, "{", None),
    invalid("PATCH", QUEUE, "", None),
    invalid("POST", RECEIVE, "[1]", None),
    invalid("POST", ACK, "", None),
    made(SEND, JSON, deep, 400, "invalid_request", "body"),
    // Unknown fields.
    invalid("POST", SEND, r#"{"body":"x","colour":1}"#, Some("colour")),
    invalid("POST", SEND, r#"{"messages":[{"body":"x"},{"body":"x","dealy_s":1}]}"#, Some("messages[1].dealy_s")),
    invalid("POST", RECEIVE, r#"{"wait":1}"#, Some("wait")),
    invalid("POST", ACK, r#"{"receipt":"x"}"#, Some("receipt")),
    invalid("POST", EXTEND, r#"{"receipts":["x"],"visibility_timeout_s":1,"x":1}"#, Some("x")),
    invalid("POST", "/v1/queues/good/purge", r#"{"x":1}"#, Some("x")),
    invalid("PUT", NEW, r#"{"visibility_timeout":1}"#, Some("visibility_timeout")),
    invalid("POST", REDRIVE, r#"{"rate":1}"#, Some("rate")),
    // Dead letters.
    invalid("PUT", NEW, r#"{"max_receive_count":3}"#, Some("dead_letter_queue")),
    invalid("PUT", NEW, r#"{"dead_letter_queue":"good"}"#, Some("max_receive_count")),
    invalid("PUT", NEW, r#"{"max_receive_count":0,"dead_letter_queue":"good"}"#, Some("max_receive_count")),
    invalid("PUT", NEW, r#"{"max_receive_count":1001,"dead_letter_queue":"good"}"#, Some("max_receive_count")),
    invalid("PUT", NEW, r#"{"max_receive_count":3,"dead_letter_queue":"new"}"#, Some("dead_letter_queue")),
    invalid("PUT", NEW, r#"{"max_receive_count":3,"dead_letter_queue":"a b"}"#, Some("dead_letter_queue")),
    invalid("PUT", NEW, r#"{"max_receive_count":3,"dead_letter_queue":"d.fifo"}"#, Some("dead_letter_queue")),
    invalid("PUT", NEW, r#"{"max_receive_count":3,"dead_letter_queue":"nowhere"}"#, Some("dead_letter_queue")),
    invalid("PUT", NEW, r#"{"redrive_allow":"some"}"#, Some("redrive_allow")),
    invalid("PUT", NEW, r#"{"redrive_allow":{"queues":[]}}"#, Some("redrive_allow")),
    invalid("POST", REDRIVE, r#"{"max_per_second":0}"#, Some("max_per_second")),
    invalid("POST", REDRIVE, r#"{"max_per_second":501}"#, Some("max_per_second")),
    invalid("POST", REDRIVE, r#"{"to":"a b"}"#, Some("to")),
    invalid("POST", REDRIVE, r#"{"to":"good"}"#, Some("to")),
    invalid("POST", REDRIVE, r#"{"to":"123456789012/us-east-1/orders"}"#, Some("to")),
    // Settings and batches.
    invalid("PUT", NEW, r#"{"partitions":2}"#, Some("partitions")),
    invalid("PUT", NEW, r#"{"partitions":"many"}"#, Some("partitions")),
    invalid("PUT", NEW, r#"{"delay_s":1,"delay_s":1}"#, Some("delay_s")),
    // Numbers that are none, or out of range.
    invalid("PUT", NEW, r#"{"delay_s":-1}"#, Some("delay_s")),
    invalid("PUT", NEW, r#"{"delay_s":901}"#, Some("delay_s")),
    invalid("PUT", NEW, r#"{"delay_s":1.5}"#, Some("delay_s")),
    invalid("PUT", NEW, r#"{"delay_s":"5"}"#, Some("delay_s")),
    invalid("PUT", NEW, r#"{"delay_s":true}"#, Some("delay_s")),
    invalid("PUT", NEW, r#"{"delay_s":9223372036854775808}"#, Some("delay_s")),
    invalid("PUT", NEW, r#"{"delay_s":1e400}"#, None),
    invalid("PUT", NEW, r#"{"delay_s":99999999999999999999999}"#, Some("delay_s")),
    invalid("PUT", NEW, r#"{"visibility_timeout_s":43201}"#, Some("visibility_timeout_s")),
    invalid("PUT", NEW, r#"{"retention_s":59}"#, Some("retention_s")),
    invalid("PUT", NEW, r#"{"max_message_bytes":1048577}"#, Some("max_message_bytes")),
    invalid("PUT", NEW, r#"{"receive_wait_s":21}"#, Some("receive_wait_s")),
    invalid("PUT", NEW, r#"{"max_messages":0}"#, Some("max_messages")),
    invalid("PATCH", QUEUE, r#"{"delay_s":-1}"#, Some("delay_s")),
    invalid("POST", SEND, r#"{"body":"x","delay_s":-1}"#, Some("delay_s")),
    invalid("POST", SEND, r#"{"body":"x","delay_s":901}"#, Some("delay_s")),
    invalid("POST", SEND, r#"{"body":"x","ttl_s":0}"#, Some("ttl_s")),
    invalid("POST", SEND, r#"{"body":"x","ttl_s":-5}"#, Some("ttl_s")),
    invalid("POST", RECEIVE, r#"{"max":0}"#, Some("max")),
    invalid("POST", RECEIVE, r#"{"max":1001}"#, Some("max")),
    invalid("POST", RECEIVE, r#"{"max":-1}"#, Some("max")),
    invalid("POST", RECEIVE, r#"{"wait_s":21}"#, Some("wait_s")),
    invalid("POST", RECEIVE, r#"{"wait_s":-1}"#, Some("wait_s")),
    invalid("POST", RECEIVE, r#"{"wait_s":0.5}"#, Some("wait_s")),
    invalid("POST", RECEIVE, r#"{"visibility_timeout_s":43201}"#, Some("visibility_timeout_s")),
    invalid("POST", RECEIVE, r#"{"auto_ack":"yes"}"#, Some("auto_ack")),
    invalid("POST", EXTEND, r#"{"receipts":["x"],"visibility_timeout_s":-1}"#, Some("visibility_timeout_s")),
    invalid("POST", EXTEND, r#"{"receipts":["x"]}"#, Some("visibility_timeout_s")),
    invalid("POST", RELEASE, r#"{"receipts":["x"],"delay_s":901}"#, Some("delay_s")),
    // Settings that contradict the name or each other.
    invalid("PUT", NEW, r#"{"fifo":true}"#, Some("fifo")),
    invalid("PUT", "/v1/queues/new.fifo", r#"{"fifo":false}"#, Some("fifo")),
    invalid("PUT", NEW, r#"{"content_deduplication":true}"#, Some("content_deduplication")),
    invalid("PUT", NEW, r#"{"tags":{"":"x"}}"#, Some("tags")),
    invalid("PUT", NEW, r#"{"tags":{"a":1}}"#, Some("tags.a")),
    // Messages that are none.
    invalid("POST", SEND, r#"{}"#, Some("body")),
    invalid("POST", SEND, r#"{"body":""}"#, Some("body")),
    invalid("POST", SEND, r#"{"body":5}"#, Some("body")),
    invalid("POST", SEND, r#"{"body":"x","body_base64":"eA=="}"#, Some("body_base64")),
    invalid("POST", SEND, r#"{"body_base64":"*"}"#, Some("body_base64")),
    invalid("POST", SEND, r#"{"messages":[]}"#, Some("messages")),
    invalid("POST", SEND, r#"{"messages":{}}"#, Some("messages")),
    invalid("POST", SEND, r#"{"messages":["x"]}"#, Some("messages[0]")),
    invalid("POST", SEND, r#"{"messages":[{"body":"x"}],"body":"x"}"#, Some("messages")),
    invalid("POST", SEND, r#"{"body":"x","group":""}"#, Some("group")),
    invalid("POST", SEND, r#"{"body":"x","dedup_id":""}"#, Some("dedup_id")),
    invalid("POST", SEND, r#"{"body":"x","attributes":{"a":""}}"#, Some("attributes.a.value")),
    invalid("POST", SEND, r#"{"body":"x","attributes":{"a b":"x"}}"#, Some("attributes.a b")),
    invalid("POST", SEND, r#"{"body":"x","attributes":{"a":5}}"#, Some("attributes.a")),
    invalid("POST", SEND_FIFO, r#"{"body":"x"}"#, Some("group")),
    invalid("POST", SEND_FIFO, r#"{"messages":[{"body":"x","group":"g"},{"body":"x"}]}"#, Some("messages[1].group")),
    invalid("POST", SEND_FIFO, r#"{"body":"x","group":"g","delay_s":1}"#, Some("delay_s")),
    header(&[("content-type", "text/plain"), ("shoal-group", "")], 400, "invalid_request", "shoal-group"),
    header(&[("content-type", "text/plain"), ("shoal-delay-s", "-1")], 400, "invalid_request", "shoal-delay-s"),
    header(&[("content-type", "text/plain"), ("shoal-delay-s", "901")], 400, "invalid_request", "shoal-delay-s"),
    header(&[("content-type", "text/plain"), ("shoal-ttl-s", "1.5")], 400, "invalid_request", "shoal-ttl-s"),
    Bad { method: "POST", path: SEND, headers: &[("content-type", "text/plain")], body: Body::Raw(b""), status: 400, code: "invalid_request", field: Some("body"), },
    Bad { method: "POST", path: SEND_FIFO, headers: &[("content-type", "text/plain")], body: Body::Raw(b"x"), status: 400, code: "invalid_request", field: Some("group"), },
    // Too much.
    made(SEND, JSON, batch_of_1001, 413, "too_large", "messages"),
    made(SEND, JSON, message_over_1_mib, 413, "too_large", "body"),
    made(SEND, JSON, batch_over_4_mib, 413, "too_large", "messages"),
    made(SEND, JSON, body_over_8_mib, 413, "too_large", "body"),
    made(SEND, &[("content-type", "application/octet-stream")], raw_over_1_mib, 413, "too_large", "body"),
    made("/v1/queues/narrow/messages", JSON, message_of_2_kib, 413, "too_large", "body"),
    made("/v1/queues/narrow/messages", JSON, batch_with_2_kib, 413, "too_large", "messages[1].body"),
    made(ACK, JSON, receipts_1001, 413, "too_large", "receipts"),
    made(RECEIVE, JSON, message_over_1_mib, 413, "too_large", "body"),
    // Receipts that are none of ours. (Those of other queues are made below.)
    invalid("POST", ACK, r#"{"receipts":[]}"#, Some("receipts")),
    invalid("POST", ACK, r#"{}"#, Some("receipts")),
    invalid("POST", ACK, r#"{"receipts":"x"}"#, Some("receipts")),
    Bad { method: "POST", path: ACK, headers: JSON, body: Body::Json(r#"{"receipts":["nonsense"]}"#), status: 400, code: "invalid_receipt", field: Some("receipts[0]"), },
    Bad { method: "POST", path: RELEASE, headers: JSON, body: Body::Json(r#"{"receipts":["000000000000000000000000000000000000000000"]}"#), status: 400, code: "invalid_receipt", field: Some("receipts[0]"), },
    // Names and paths.
    plain("PUT", "/v1/queues/a%20b", 400, "invalid_request", Some("queue")),
    plain("PUT", "/v1/queues/a%2Fb", 400, "invalid_request", Some("queue")),
    plain("PUT", "/v1/queues/.fifo", 400, "invalid_request", Some("queue")),
    plain("PUT", "/v1/queues/%F0%9F%90%9F", 400, "invalid_request", Some("queue")),
    plain("PUT", "/v1/queues/%c0%af", 400, "invalid_request", Some("queue")),
    plain("PUT", "/v1/queues/%00", 400, "invalid_request", Some("queue")),
    plain("GET", "/v1/queues/%zz", 400, "invalid_request", Some("queue")),
    plain("PUT", "/v1/queues/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 400, "invalid_request", Some("queue")),
    plain("GET", "/v1/queues/nowhere", 404, "queue_not_found", Some("queue")),
    plain("POST", "/v1/queues/nowhere/messages/receive", 404, "queue_not_found", Some("queue")),
    plain("GET", "/nothing", 404, "not_found", None),
    plain("GET", "/v9/queues", 404, "not_found", None),
    plain("GET", "/v1/queues/good/", 404, "not_found", None),
    plain("GET", "/v1//queues", 404, "not_found", None),
    plain("GET", "/v1/queues/good/stream", 404, "not_found", None),
    plain("POST", "/v1/queues/good/revive", 404, "not_found", None),
    plain("GET", "/v1/queues/good/%2e%2e/%2e%2e/etc/passwd", 404, "not_found", None),
    // Events.
    plain("GET", "/v1/events?limit=0", 400, "invalid_request", Some("limit")),
    plain("GET", "/v1/events?limit=1001", 400, "invalid_request", Some("limit")),
    plain("GET", "/v1/events?after=x", 400, "invalid_request", Some("after")),
    plain("GET", "/v1/events?before=3", 400, "invalid_request", Some("before")),
    // Methods.
    plain("POST", QUEUE, 405, "method_not_allowed", None),
    plain("PUT", SEND, 405, "method_not_allowed", None),
    plain("GET", RECEIVE, 405, "method_not_allowed", None),
    plain("DELETE", "/v1/queues", 405, "method_not_allowed", None),
    plain("PATCH", "/v1/clusters", 405, "method_not_allowed", None),
    plain("BREW", QUEUE, 405, "method_not_allowed", None),
    // Content that is not taken.
    header(&[("content-type", "text/plain"), ("content-encoding", "gzip")], 415, "unsupported_media_type", "content-encoding"),
    Bad { method: "POST", path: RECEIVE, headers: &[("content-type", "text/plain")], body: Body::Raw(b"{}"), status: 415, code: "unsupported_media_type", field: Some("content-type"), },
    Bad { method: "PUT", path: NEW, headers: &[("content-type", "application/xml")], body: Body::Raw(b"{}"), status: 415, code: "unsupported_media_type", field: Some("content-type"), },
    // Header fields.
    header(&[("content-type", "text/plain"), ("x-deadline-ms", "0")], 400, "invalid_request", "x-deadline-ms"),
    header(&[("content-type", "text/plain"), ("x-deadline-ms", "-5")], 400, "invalid_request", "x-deadline-ms"),
    header(&[("content-type", "text/plain"), ("x-deadline-ms", "x")], 400, "invalid_request", "x-deadline-ms"),
    header(&[("content-type", "text/plain"), ("idempotency-key", "")], 400, "invalid_request", "idempotency-key"),
    header(&[("content-type", "text/plain"), ("idempotency-key", "a"), ("idempotency-key", "b")], 400, "invalid_request", "idempotency-key"),
    header(&[("content-type", "text/plain"), ("idempotency-key", "é")], 400, "invalid_request", "idempotency-key"),
    header(&[("content-type", "text/plain"), ("idempotency-key", "k"), ("shoal-dedup-id", "d")], 400, "invalid_request", "dedup_id"),
    header(&[("content-type", "text/plain"), ("idempotency-key", LONG_KEY)], 400, "invalid_request", "idempotency-key"),
    // Queries.
    plain("GET", "/v1/queues?limit=0", 400, "invalid_request", Some("limit")),
    plain("GET", "/v1/queues?limit=x", 400, "invalid_request", Some("limit")),
    plain("GET", "/v1/queues?limt=1", 400, "invalid_request", Some("limt")),
    plain("GET", "/v1/queues?limit=1&limit=1", 400, "invalid_request", Some("limit")),
    plain("GET", "/v1/queues?cursor=forged!", 400, "invalid_request", Some("cursor")),
    plain("GET", "/v1/queues?cursor=Li4", 400, "invalid_request", Some("cursor")),
    plain("GET", "/v1/queues/good/messages/peek?limit=1001", 400, "invalid_request", Some("limit")),
    plain("GET", "/v1/queues/good/messages/peek?limit=-1", 400, "invalid_request", Some("limit")),
];

/// One byte more than the longest.
const LONG_KEY: &str = match std::str::from_utf8(&[b'k'; 257]) {
    Ok(key) => key,
    Err(_) => unreachable!(),
};

fn text(bytes: usize) -> String {
    "x".repeat(bytes)
}

fn deep() -> Vec<u8> {
    format!("{{\"body\":{}", "[".repeat(100_000)).into()
}

fn batch_of_1001() -> Vec<u8> {
    json!({ "messages": vec![json!({ "body": "x" }); 1_001] })
        .to_string()
        .into()
}

fn message_over_1_mib() -> Vec<u8> {
    json!({ "body": text((1 << 20) + 1) }).to_string().into()
}

fn batch_over_4_mib() -> Vec<u8> {
    json!({ "messages": vec![json!({ "body": text(1 << 20) }); 5] })
        .to_string()
        .into()
}

fn body_over_8_mib() -> Vec<u8> {
    json!({ "body": text(8 << 20) }).to_string().into()
}

fn raw_over_1_mib() -> Vec<u8> {
    vec![0; (1 << 20) + 1]
}

fn message_of_2_kib() -> Vec<u8> {
    json!({ "body": text(2_048) }).to_string().into()
}

fn batch_with_2_kib() -> Vec<u8> {
    json!({ "messages": [{ "body": "x" }, { "body": text(2_048) }] })
        .to_string()
        .into()
}

fn receipts_1001() -> Vec<u8> {
    json!({ "receipts": vec!["x"; 1_001] }).to_string().into()
}

async fn system() -> System {
    let system = System::start().await;
    system.create("good", Value::Null).await;
    system.create("good.fifo", Value::Null).await;
    system
        .create("narrow", json!({ "max_message_bytes": 1_024 }))
        .await;
    system
}

impl Bad {
    async fn ask(&self, system: &System) -> Answer {
        let mut request = system.request(self.method, self.path);
        for (name, value) in self.headers {
            request = request.header(*name, value.as_bytes());
        }
        let request = match self.body {
            Body::None => request,
            Body::Json(text) => request.body(text),
            Body::Raw(bytes) => request.body(bytes),
            Body::Made(make) => request.body(make()),
        };
        Answer::read(request.send().await.unwrap()).await
    }

    fn name(&self) -> String {
        let body = match self.body {
            Body::Json(text) => text,
            _ => "",
        };
        format!("{} {} {:?} {body}", self.method, self.path, self.headers)
    }
}

#[tokio::test]
async fn every_bad_request_is_answered_with_what_is_wrong_and_changes_nothing() {
    let system = system().await;
    let mut wrong = Vec::new();
    for case in CASES {
        let answer = case.ask(&system).await;
        let (code, applied, field) = answer.problem();
        // A body may be wrong in a place that has no name; then no field is wanted in particular.
        let field_fits = case.field.is_none() || field == case.field;
        let as_wanted = (answer.status, code, applied) == (case.status, case.code, "no");
        if !as_wanted || !field_fits {
            wrong.push(format!("{}\n    {}", case.name(), answer.body));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        CASES.len(),
        wrong.join("\n")
    );
    for queue in ["good", "good.fifo", "narrow"] {
        let shown = system
            .ask("GET", &format!("/v1/queues/{queue}"), Value::Null)
            .await
            .expect(200);
        assert_eq!(shown["counts"]["bytes"], 0, "{queue}");
    }
    let queues = system
        .ask("GET", "/v1/queues", Value::Null)
        .await
        .expect(200);
    assert_eq!(queues["queues"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn receipts_of_other_queues_and_of_no_message_are_refused() {
    let system = system().await;
    system
        .send("narrow", json!({ "body": "x" }))
        .await
        .expect(201);
    let foreign = receipts(&system.receive("narrow", Value::Null).await.expect(200));
    let refused = system.ack("good", &foreign).await;
    assert_eq!(
        (refused.status, refused.problem()),
        (400, ("invalid_receipt", "no", Some("receipts[0]")))
    );

    // Well-formed, of this queue, and of a message that was never sent.
    let real: shoal_types::Receipt = foreign[0].parse().unwrap();
    let never = shoal_types::Receipt {
        sequence: shoal_types::Sequence(999),
        ..real
    };
    let refused = system.ack("narrow", &[never.to_string()]).await;
    assert_eq!(
        (refused.status, refused.problem()),
        (400, ("invalid_receipt", "no", Some("receipts[0]")))
    );
    // Beside a good one each is judged for itself.
    let mixed = system
        .ack("narrow", &[never.to_string(), foreign[0].clone()])
        .await
        .expect(207);
    assert_eq!(mixed["receipts"][0]["reason"], "unknown");
    assert_eq!(mixed["receipts"][1]["ok"], true);
}

/// What a client that speaks worse HTTP than reqwest gets.
async fn speak(system: &System, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(system.frontend.address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = vec![0; 4_096];
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut answer));
    let length = read.await.expect("an answer or a close").unwrap_or(0);
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test]
async fn a_body_that_is_announced_too_large_is_refused_before_it_comes() {
    let system = system().await;
    let head = format!(
        "POST {SEND} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-type: text/plain\r\ncontent-length: 1073741824\r\n\r\n"
    );
    let answer = speak(&system, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
}

#[tokio::test]
async fn a_body_without_an_announced_length_is_cut_off_at_the_limit() {
    let system = system().await;
    let head = format!(
        "POST {SEND} HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let mut endless = head.into_bytes();
    for _ in 0..20 {
        endless.extend(b"10000\r\n");
        endless.extend([b'x'; 0x10000]);
        endless.extend(b"\r\n");
    }
    let answer = speak(&system, &endless).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn what_is_no_http_is_answered_with_400_or_closed_and_others_are_served() {
    let system = system().await;
    for request in [
        &b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad name: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /v1/queues HTTP/1.1\r\n\r\n",
    ] {
        let answer = speak(&system, request).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
            "{answer}"
        );
    }
    system
        .send("good", json!({ "body": "x" }))
        .await
        .expect(201);
}
