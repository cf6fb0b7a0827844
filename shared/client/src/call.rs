//! One call: sent to a frontend, and to the next one if it certainly took no effect at the first.

use std::time::Instant;

use reqwest::header::{CONNECTION, CONTENT_TYPE, HeaderMap};
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use shoal_api::{PROBLEM_CONTENT_TYPE, Problem};
use shoal_types::Applied;

use crate::frontends::Frontend;
use crate::{Client, ClientError};

/// What is to be asked.
pub(crate) struct Call<'a> {
    client: &'a Client,
    method: Method,
    /// With its query.
    path: String,
    body: Option<Vec<u8>>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(client: &'a Client, method: Method, path: impl Into<String>) -> Self {
        Self {
            client,
            method,
            path: path.into(),
            body: None,
        }
    }

    pub(crate) fn json(mut self, body: &impl Serialize) -> Self {
        let bytes = serde_json::to_vec(body);
        self.body = Some(bytes.expect("bodies are plain values with text as their keys"));
        self
    }

    /// Asks, and reads the answer's body.
    pub(crate) async fn read<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        let bytes = self.send().await?;
        serde_json::from_slice(&bytes).map_err(|e| ClientError::Unexpected(e.to_string()))
    }

    /// Asks what is answered without a body of interest.
    pub(crate) async fn done(self) -> Result<(), ClientError> {
        self.send().await.map(drop)
    }

    /// Each frontend is asked once at most.
    async fn send(self) -> Result<Vec<u8>, ClientError> {
        let frontends = self.client.frontends.for_a_call(Instant::now());
        let mut last = None;
        for frontend in frontends {
            match self.ask(frontend).await {
                Err(error) if self.may_be_sent_again(&error) => last = Some(error),
                ended => return ended,
            }
        }
        Err(last.expect("there is a frontend"))
    }

    /// True if it certainly took no effect, or has none, and another frontend may do better.
    fn may_be_sent_again(&self, error: &ClientError) -> bool {
        let is_harmless = error.applied() == Applied::No || self.method == Method::GET;
        match error {
            ClientError::Connection(error) => {
                is_harmless && (error.is_connect() || !error.is_timeout())
            }
            ClientError::Refused(problem) => {
                is_harmless
                    && problem.retryable
                    && problem.status == StatusCode::SERVICE_UNAVAILABLE
            }
            ClientError::Unexpected(_) => false,
        }
    }

    /// Asks one frontend, and notes what that tells of it.
    async fn ask(&self, frontend: &Frontend) -> Result<Vec<u8>, ClientError> {
        let url = format!("{}{}", frontend.base, self.path);
        let mut request = self.client.http.request(self.method.clone(), url);
        if let Some(body) = &self.body {
            request = request.header(CONTENT_TYPE, "application/json");
            request = request.body(body.clone());
        }
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                // Whatever it was, the next call does better to go elsewhere.
                frontend.failed(Instant::now());
                return Err(ClientError::Connection(error));
            }
        };
        match closes(answer.headers()) {
            true => frontend.is_leaving(Instant::now()),
            false => frontend.is_well(),
        }
        let status = answer.status();
        let is_problem = is_problem(answer.headers());
        // Read to the end, or the connection cannot be used again.
        let bytes = answer.bytes().await.map_err(ClientError::Connection)?;
        if status.is_success() {
            return Ok(bytes.into());
        }
        match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) if is_problem => Err(problem.into()),
            _ => Err(ClientError::Unexpected(format!(
                "status {status} without a problem document"
            ))),
        }
    }
}

fn closes(headers: &HeaderMap) -> bool {
    let said = headers.get_all(CONNECTION).iter();
    said.filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|option| option.trim().eq_ignore_ascii_case("close"))
}

fn is_problem(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE);
    content_type.is_some_and(|t| t.as_bytes().starts_with(PROBLEM_CONTENT_TYPE.as_bytes()))
}
