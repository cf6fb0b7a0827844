//! The steps by Amazon SQS's JSON protocol, unsigned.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use reqwest::Client;
use serde_json::{Value, json};
use shoal_runtime::http_client;

use super::{Api, Attempt, RECEIVE_WAIT_S, Refused};

/// The body that goes through.
const BODY: &str = "is anybody there, by another name?";
/// For one answer: a receive that waits is the longest.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(RECEIVE_WAIT_S as u64 + 10);
/// What is answered where requests have to be signed, or nobody's are taken.
const UNSIGNED: [&str; 2] = ["MissingAuthenticationToken", "AccessDenied"];

pub(super) struct Sqs {
    http: Client,
    frontends: Vec<String>,
    /// Which of them is asked: the next one after an attempt that may go better.
    turn: AtomicUsize,
    queue: String,
}

impl Sqs {
    /// Frontends by their addresses, with commas between them.
    pub(super) fn new(frontends: &str, queue: &str) -> anyhow::Result<Self> {
        let http = http_client::builder(frontends).timeout(ANSWER_TIMEOUT);
        let address = |frontend: &str| format!("{}/", frontend.trim().trim_end_matches('/'));
        Ok(Self {
            http: http.build().context("cannot make an HTTP client")?,
            frontends: frontends.split(',').map(address).collect(),
            turn: AtomicUsize::new(0),
            queue: queue.to_owned(),
        })
    }

    async fn ask(&self, operation: &str, parameters: &Value) -> Attempt<Value> {
        let turn = self.turn.load(Ordering::Relaxed) % self.frontends.len();
        let answer = self
            .ask_at(&self.frontends[turn], operation, parameters)
            .await;
        if answer.as_ref().is_err_and(|refused| refused.may_try_again) {
            self.turn.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    async fn ask_at(&self, frontend: &str, operation: &str, parameters: &Value) -> Attempt<Value> {
        let request = self
            .http
            .post(frontend)
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("AmazonSQS.{operation}"))
            .body(parameters.to_string());
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(body);
        }
        let code = body["__type"].as_str().unwrap_or_default();
        Err(Refused {
            why: format!("{operation}: {status}: {text}"),
            may_try_again: status.is_server_error(),
            is_unsigned: UNSIGNED.iter().any(|unsigned| code.contains(unsigned)),
        })
    }

    /// Parameters of an operation on the queue. Of a URL only account and name count, so none of a frontend's
    /// addresses has to be known.
    fn of_queue(&self, mut parameters: Value) -> Value {
        parameters["QueueUrl"] = format!("{}000000000000/{}", self.frontends[0], self.queue).into();
        parameters
    }
}

impl Api for Sqs {
    const NAME: &str = "sqs";

    async fn create(&self) -> Attempt<()> {
        let parameters = json!({ "QueueName": self.queue });
        self.ask("CreateQueue", &parameters).await.map(drop)
    }

    async fn send(&self) -> Attempt<()> {
        let parameters = self.of_queue(json!({ "MessageBody": BODY }));
        self.ask("SendMessage", &parameters).await.map(drop)
    }

    async fn receive(&self) -> Attempt<String> {
        let parameters = self.of_queue(json!({ "WaitTimeSeconds": RECEIVE_WAIT_S }));
        let answer = self.ask("ReceiveMessage", &parameters).await?;
        let message = answer["Messages"]
            .get(0)
            .ok_or_else(Refused::nothing_came)?;
        if message["Body"] != BODY {
            return Err(Refused::other_body());
        }
        let receipt = message["ReceiptHandle"].as_str();
        let receipt = receipt.ok_or_else(|| Refused::unexpected("a message without a receipt"))?;
        Ok(receipt.to_owned())
    }

    async fn acknowledge(&self, receipt: &str) -> Attempt<()> {
        let parameters = self.of_queue(json!({ "ReceiptHandle": receipt }));
        self.ask("DeleteMessage", &parameters).await.map(drop)
    }

    async fn delete(&self) -> Attempt<()> {
        match self.ask("DeleteQueue", &self.of_queue(json!({}))).await {
            // An earlier attempt whose answer got lost, or nothing was created.
            Err(refused) if refused.why.contains("QueueDoesNotExist") => Ok(()),
            other => other.map(drop),
        }
    }
}

impl From<reqwest::Error> for Refused {
    fn from(error: reqwest::Error) -> Self {
        Self {
            why: format!("{:#}", anyhow::Error::from(error)),
            may_try_again: true,
            is_unsigned: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn after_a_frontend_that_does_not_answer_the_next_one_is_asked() {
        let frontend = TcpListener::bind("127.0.0.1:0").unwrap();
        let nobody = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let list = format!(
            "http://{nobody}, http://{}/",
            frontend.local_addr().unwrap()
        );
        std::thread::spawn(move || {
            let (mut connection, _) = frontend.accept().unwrap();
            _ = connection.read(&mut [0; 4_096]).unwrap();
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
            connection.write_all(answer.as_bytes()).unwrap();
        });
        shoal_runtime::crypto::install();
        let sqs = Sqs::new(&list, "smoke").unwrap();
        let refused = sqs.create().await.unwrap_err();
        assert!(refused.may_try_again, "{}", refused.why);
        assert!(sqs.create().await.is_ok());
    }
}
