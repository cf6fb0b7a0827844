//! The load's [`Service`] over REST.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use shoal_types::Applied;

use crate::service::{Failure, Received, SendAnswer, Service};

/// How long an operation may take beyond what it waits for a message. Longer than the frontend's own
/// deadlines, so that the frontend's answer is what counts.
const PATIENCE: Duration = Duration::from_secs(30);

/// A frontend. Several loads may share one.
#[derive(Clone, Debug)]
pub struct Rest {
    http: reqwest::Client,
    /// Without a slash at the end.
    base: String,
}

impl Rest {
    /// Talks to the frontend at `http://host:port`.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub fn new(frontend: &str) -> anyhow::Result<Self> {
        Ok(Self {
            // A connection per worker, kept open.
            http: reqwest::Client::builder().tcp_nodelay(true).build()?,
            base: frontend.trim_end_matches('/').to_owned(),
        })
    }

    async fn call(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<Value>,
        timeout: Duration,
    ) -> Result<Value, Failure> {
        let url = format!("{}/v1/queues/{path}", self.base);
        let mut request = self.http.request(method, url).timeout(timeout);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.map_err(|e| broken(&e))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|e| broken(&e))?;
        if !status.is_success() {
            return Err(refused(status.as_u16(), &body));
        }
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|e| Failure {
            code: "bad_answer".to_owned(),
            detail: e.to_string(),
            applied: Applied::Unknown,
        })
    }
}

impl Service for Rest {
    async fn create_queue(&self, queue: &str, visibility: Duration) -> Result<(), Failure> {
        let settings = json!({ "visibility_timeout_s": visibility.as_secs() });
        self.call(reqwest::Method::PUT, queue, Some(settings), PATIENCE)
            .await
            .map(drop)
    }

    async fn delete_queue(&self, queue: &str) -> Result<(), Failure> {
        self.call(reqwest::Method::DELETE, queue, None, PATIENCE)
            .await
            .map(drop)
    }

    async fn send(&self, queue: &str, bodies: Vec<Bytes>) -> Result<Vec<SendAnswer>, Failure> {
        let text = |body: &Bytes| json!({ "body": String::from_utf8_lossy(body) });
        let messages: Vec<Value> = bodies.iter().map(text).collect();
        let path = format!("{queue}/messages");
        let body = json!({ "messages": messages });
        let answer = self
            .call(reqwest::Method::POST, &path, Some(body), PATIENCE)
            .await?;
        items(&answer, "messages")
            .iter()
            .map(|item| match item.get("sequence") {
                Some(number) => Ok(SendAnswer::Accepted(decimal(number)?)),
                None => Ok(SendAnswer::Refused(item["error"]["code"].to_string())),
            })
            .collect()
    }

    async fn receive(
        &self,
        queue: &str,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<Received>, Failure> {
        let path = format!("{queue}/messages/receive");
        let body = json!({ "max": max, "wait_s": wait.as_secs() });
        let answer = self
            .call(reqwest::Method::POST, &path, Some(body), PATIENCE + wait)
            .await?;
        items(&answer, "messages")
            .iter()
            .map(|item| {
                Ok(Received {
                    sequence: decimal(&item["sequence"])?,
                    receipt: item["receipt"].as_str().unwrap_or_default().to_owned(),
                    body: Bytes::from(item["body"].as_str().unwrap_or_default().to_owned()),
                })
            })
            .collect()
    }

    async fn acknowledge(&self, queue: &str, receipts: Vec<String>) -> Result<Vec<bool>, Failure> {
        let path = format!("{queue}/messages/ack");
        let body = json!({ "receipts": receipts });
        let answer = self
            .call(reqwest::Method::POST, &path, Some(body), PATIENCE)
            .await?;
        Ok(items(&answer, "receipts")
            .iter()
            .map(|item| item["ok"] == true)
            .collect())
    }

    async fn waiting(&self, queue: &str) -> Result<u64, Failure> {
        let answer = self
            .call(reqwest::Method::GET, queue, None, PATIENCE)
            .await?;
        let counts =
            ["ready", "in_flight", "delayed"].map(|state| answer["counts"][state].as_u64());
        counts
            .into_iter()
            .try_fold(0, |sum, count| Some(sum + count?))
            .ok_or_else(|| Failure {
                code: "no_counts".to_owned(),
                detail: format!("the frontend does not know the counts of {queue}"),
                applied: Applied::No,
            })
    }
}

fn items<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name].as_array().map_or(&[], Vec::as_slice)
}

/// Sequence numbers are decimal strings in JSON.
fn decimal(value: &Value) -> Result<u64, Failure> {
    let number = value.as_str().and_then(|text| text.parse().ok());
    number.ok_or_else(|| Failure {
        code: "bad_answer".to_owned(),
        detail: format!("{value} is no sequence number"),
        applied: Applied::Unknown,
    })
}

/// No answer came. Only a connection that never was leaves nothing behind for certain.
fn broken(error: &reqwest::Error) -> Failure {
    Failure {
        code: "connection".to_owned(),
        detail: error.to_string(),
        applied: if error.is_connect() {
            Applied::No
        } else {
            Applied::Unknown
        },
    }
}

/// A problem document, or what came instead of one.
fn refused(status: u16, body: &[u8]) -> Failure {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    Failure {
        code: problem["code"]
            .as_str()
            .map_or_else(|| format!("status_{status}"), str::to_owned),
        detail: problem["detail"].as_str().unwrap_or_default().to_owned(),
        applied: if problem["applied"] == "no" {
            Applied::No
        } else {
            Applied::Unknown
        },
    }
}
