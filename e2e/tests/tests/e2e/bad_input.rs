//! Bad requests over real REST: a clear answer that names the field, nothing stored, nothing crashed.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use shoal_harness::{Dev, run};

use crate::support::{answer, count, create, http, send, take};

/// A request that must be refused.
struct Bad {
    what: &'static str,
    method: Method,
    /// Below `/v1/queues/`.
    path: &'static str,
    body: Body,
    status: u16,
    code: &'static str,
    /// What the problem document names, if the fault is in a field.
    field: Option<&'static str>,
}

enum Body {
    None,
    Json(Value),
    /// With the content type of JSON.
    Text(String),
}

impl Bad {
    fn new(what: &'static str, method: Method, path: &'static str, body: Body) -> Self {
        Self {
            what,
            method,
            path,
            body,
            status: 400,
            code: "invalid_request",
            field: None,
        }
    }

    fn answered(mut self, status: u16, code: &'static str) -> Self {
        (self.status, self.code) = (status, code);
        self
    }

    fn naming(mut self, field: &'static str) -> Self {
        self.field = Some(field);
        self
    }
}

fn post(what: &'static str, path: &'static str, body: Value) -> Bad {
    Bad::new(what, Method::POST, path, Body::Json(body))
}

fn put(what: &'static str, path: &'static str, body: Value) -> Bad {
    Bad::new(what, Method::PUT, path, Body::Json(body))
}

const SEND: &str = "orders/messages";
const RECEIVE: &str = "orders/messages/receive";
const ACK: &str = "orders/messages/ack";

fn bad_requests() -> Vec<Bad> {
    let text = |text: &str| Body::Text(text.to_owned());
    let batch = |count: usize| json!({ "messages": vec![json!({ "body": "x" }); count] });
    let big = "x".repeat((1 << 20) + 1);
    let receipt = "0".repeat(44);
    vec![
        Bad::new("no JSON", Method::POST, SEND, text("{\"body\": ")),
        Bad::new("no object", Method::POST, SEND, text("[1, 2]")),
        Bad::new("nothing", Method::POST, SEND, text("")),
        post("an empty object", SEND, json!({})),
        post("an unknown field", SEND, json!({ "body": "x", "bodi": 1 })).naming("bodi"),
        post("a body that is no text", SEND, json!({ "body": 7 })).naming("body"),
        post(
            "two bodies",
            SEND,
            json!({ "body": "x", "body_base64": "eA==" }),
        ),
        post("base64 that is none", SEND, json!({ "body_base64": "!" })).naming("body_base64"),
        post(
            "a negative delay",
            SEND,
            json!({ "body": "x", "delay_s": -1 }),
        )
        .naming("delay_s"),
        post(
            "a delay too long",
            SEND,
            json!({ "body": "x", "delay_s": 901 }),
        )
        .naming("delay_s"),
        post(
            "a negative time to live",
            SEND,
            json!({ "body": "x", "ttl_s": -5 }),
        )
        .naming("ttl_s"),
        post("an empty batch", SEND, batch(0)).naming("messages"),
        post("a batch of 1,001", SEND, batch(1_001))
            .answered(413, "too_large")
            .naming("messages"),
        post("a message too large", SEND, json!({ "body": big })).answered(413, "too_large"),
        post("a negative wait", RECEIVE, json!({ "wait_s": -1 })).naming("wait_s"),
        post("a wait too long", RECEIVE, json!({ "wait_s": 21 })).naming("wait_s"),
        post("a receive of none", RECEIVE, json!({ "max": 0 })).naming("max"),
        post("a receive of 1,001", RECEIVE, json!({ "max": 1_001 })).naming("max"),
        post("a fraction", RECEIVE, json!({ "max": 1.5 })).naming("max"),
        post("no receipts", ACK, json!({ "receipts": [] })).naming("receipts"),
        post(
            "nonsense for a receipt",
            ACK,
            json!({ "receipts": ["nonsense"] }),
        )
        .answered(400, "invalid_receipt")
        .naming("receipts[0]"),
        post("a receipt of nobody", ACK, json!({ "receipts": [receipt] }))
            .answered(400, "invalid_receipt")
            .naming("receipts[0]"),
        post(
            "a queue that is not there",
            "nowhere/messages",
            json!({ "body": "x" }),
        )
        .answered(404, "queue_not_found"),
        put("a bad name", "a%20b", json!({})),
        put("a name too long", LONG_NAME, json!({})),
        put(
            "a negative visibility",
            "new",
            json!({ "visibility_timeout_s": -1 }),
        )
        .naming("visibility_timeout_s"),
        put("a retention too short", "new", json!({ "retention_s": 59 })).naming("retention_s"),
        put("an unknown setting", "new", json!({ "visibility": 5 })).naming("visibility"),
        put("other settings", "orders", json!({ "delay_s": 5 })).answered(409, "queue_exists"),
        Bad::new("a method that is not there", Method::PUT, SEND, Body::None)
            .answered(405, "method_not_allowed"),
        Bad::new(
            "a path that is not there",
            Method::POST,
            "orders/massages",
            Body::None,
        )
        .answered(404, "not_found"),
    ]
}

const LONG_NAME: &str =
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

#[test]
fn each_bad_request_is_answered_by_what_is_wrong_with_it() {
    run(async |bench| {
        let dev = bench.dev().ephemeral().start().await?;
        create(&dev, "orders").await?;
        let mut wrong = Vec::new();
        for bad in bad_requests() {
            if let Err(error) = ask(&dev, &bad).await {
                wrong.push(format!("{}: {error:#}", bad.what));
            }
        }
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));

        ensure!(count(&dev, "orders").await? == 0, "a bad send was stored");
        let (status, _) = answer(http().get(dev.queue("new"))).await?;
        ensure!(status == 404, "a bad creation made a queue: {status}");
        send(&dev, "orders", "still alive").await?;
        ensure!(take(&dev, "orders").await? == "still alive");
        Ok(())
    });
}

async fn ask(dev: &Dev, bad: &Bad) -> Result<()> {
    let request = http().request(bad.method.clone(), dev.queue(bad.path));
    let request = match &bad.body {
        Body::None => request,
        Body::Json(json) => request.json(json),
        Body::Text(text) => request
            .header("content-type", "application/json")
            .body(text.clone()),
    };
    let response = request.send().await?;
    let kind = response.headers().get("content-type").cloned();
    let status = response.status().as_u16();
    let text = response.text().await?;
    let problem: Value = serde_json::from_str(&text).context(text)?;
    ensure!(
        kind.is_some_and(|kind| kind == "application/problem+json"),
        "no problem document: {problem}"
    );
    ensure!(
        status == bad.status,
        "{status} instead of {}: {problem}",
        bad.status
    );
    ensure!(problem["code"] == bad.code, "not {}: {problem}", bad.code);
    ensure!(problem["applied"] == "no", "{problem}");
    let detail = problem["detail"].as_str().context("no detail")?;
    ensure!(!detail.is_empty(), "the detail is empty");
    if let Some(field) = bad.field {
        ensure!(
            problem["field"] == field,
            "does not name {field}: {problem}"
        );
    }
    Ok(())
}
