//! Small things that several tests need.

use anyhow::{Context as _, Result, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use shoal_harness::Dev;

/// Status and JSON of an answer; `null` if it has no body.
pub(crate) async fn answer(request: reqwest::RequestBuilder) -> Result<(StatusCode, Value)> {
    let answer = request.send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    if text.is_empty() {
        return Ok((status, Value::Null));
    }
    let json = serde_json::from_str(&text).with_context(|| format!("{status}: {text:?}"))?;
    Ok((status, json))
}

/// The JSON of an answer that must be a success.
pub(crate) async fn success(request: reqwest::RequestBuilder) -> Result<Value> {
    let (status, json) = answer(request).await?;
    ensure!(status.is_success(), "{status}: {json}");
    Ok(json)
}

pub(crate) async fn create(dev: &Dev, queue: &str) -> Result<()> {
    success(http().put(dev.queue(queue))).await.map(drop)
}

pub(crate) async fn send(dev: &Dev, queue: &str, body: &str) -> Result<Value> {
    let url = dev.queue(&format!("{queue}/messages"));
    success(http().post(url).json(&json!({ "body": body }))).await
}

/// Receives one message within five seconds and acknowledges it; its body.
pub(crate) async fn take(dev: &Dev, queue: &str) -> Result<String> {
    let url = dev.queue(&format!("{queue}/messages/receive"));
    let received = success(http().post(url).json(&json!({ "wait_s": 5 }))).await?;
    let message = &received["messages"][0];
    let body = message["body"].as_str().context("no message came")?;
    let url = dev.queue(&format!("{queue}/messages/ack"));
    let receipts = json!({ "receipts": [message["receipt"]] });
    let acknowledged = success(http().post(url).json(&receipts)).await?;
    ensure!(acknowledged["receipts"][0]["ok"] == true, "{acknowledged}");
    Ok(body.to_owned())
}

/// How many messages are in a queue, in whichever state.
pub(crate) async fn count(dev: &Dev, queue: &str) -> Result<u64> {
    let shown = success(http().get(dev.queue(queue))).await?;
    let of = |state: &str| shown["counts"][state].as_u64();
    let all = ["ready", "in_flight", "delayed"].map(of);
    all.into_iter()
        .sum::<Option<u64>>()
        .with_context(|| format!("no counts in {shown}"))
}

pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::new()
}
