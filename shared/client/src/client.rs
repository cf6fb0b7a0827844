//! The connection to a service.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use shoal_api::manager::{ClusterInfo, HostInfo};
use shoal_api::plan::{EventPage, MoveInfo};
use shoal_api::{PROBLEM_CONTENT_TYPE, Problem, QueueList};

use crate::{ClientError, Queue};

/// A service, by the address of one of its frontends. Clones share connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
}

/// Longer than any receive waits (20 s) plus its deadline.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(40);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

impl Client {
    /// A service at `http://host:port`. Nothing is dialled yet. A process that has not chosen a TLS
    /// provider (`rustls::crypto::CryptoProvider::install_default`) gets ring.
    ///
    /// # Errors
    /// If the address is none.
    pub fn new(base: &str) -> Result<Self, ClientError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // The error says that somebody else was quicker, which is as good.
            _ = rustls::crypto::ring::default_provider().install_default();
        }
        let mut http = reqwest::Client::builder();
        if base.starts_with("http://") {
            // A system without certificates, such as a bare container, is no reason to fail then.
            http = http.tls_certs_only([]);
        }
        let http = http
            .timeout(ANSWER_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .build()
            .map_err(ClientError::Connection)?;
        let base = base.trim_end_matches('/').to_owned();
        if !base.starts_with("http://") && !base.starts_with("https://") {
            return Err(ClientError::Unexpected(format!(
                "{base:?} is no http:// or https:// address"
            )));
        }
        Ok(Self { http, base })
    }

    /// A queue, there or not.
    #[must_use]
    pub fn queue(&self, name: &str) -> Queue {
        Queue::new(self.clone(), name)
    }

    /// One page of queues whose names begin with `prefix`; go on with the page's cursor.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn queues(
        &self,
        prefix: &str,
        cursor: Option<&str>,
    ) -> Result<QueueList, ClientError> {
        let mut query = vec![("prefix", prefix)];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        let mut url = reqwest::Url::parse(&format!("{}/v1/queues", self.base))
            .map_err(|e| ClientError::Unexpected(e.to_string()))?;
        url.query_pairs_mut().extend_pairs(query);
        json(self.http.get(url)).await
    }

    /// All clusters.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn clusters(&self) -> Result<Vec<ClusterInfo>, ClientError> {
        json(self.request(Method::GET, "/v1/clusters")).await
    }

    /// All hosts.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn hosts(&self) -> Result<Vec<HostInfo>, ClientError> {
        json(self.request(Method::GET, "/v1/hosts")).await
    }

    /// Moves, splits and merges of queues that are under way.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn moves(&self) -> Result<Vec<MoveInfo>, ClientError> {
        json(self.request(Method::GET, "/v1/moves")).await
    }

    /// A page of what was decided about the fleet: at most `limit` events after a number, or the newest.
    /// Go on after the page's `next`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn events(&self, after: Option<u64>, limit: u64) -> Result<EventPage, ClientError> {
        let after = after.map_or_else(String::new, |after| format!("&after={after}"));
        let path = format!("/v1/events?limit={limit}{after}");
        json(self.request(Method::GET, &path)).await
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }
}

/// Sends a request and reads the answer's body.
pub(crate) async fn json<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, ClientError> {
    let answer = accepted(request).await?;
    let bytes = answer.bytes().await.map_err(ClientError::Connection)?;
    serde_json::from_slice(&bytes).map_err(|e| ClientError::Unexpected(e.to_string()))
}

/// Sends a request whose answer has no body of interest.
pub(crate) async fn done(request: RequestBuilder) -> Result<(), ClientError> {
    // Read to the end, or the connection cannot be used again.
    accepted(request)
        .await?
        .bytes()
        .await
        .map_err(ClientError::Connection)?;
    Ok(())
}

async fn accepted(request: RequestBuilder) -> Result<Response, ClientError> {
    let answer = request.send().await.map_err(ClientError::Connection)?;
    if answer.status().is_success() {
        return Ok(answer);
    }
    let status = answer.status();
    let content_type = answer.headers().get(reqwest::header::CONTENT_TYPE);
    let is_problem =
        content_type.is_some_and(|t| t.as_bytes().starts_with(PROBLEM_CONTENT_TYPE.as_bytes()));
    let bytes = answer.bytes().await.map_err(ClientError::Connection)?;
    match serde_json::from_slice::<Problem>(&bytes) {
        Ok(problem) if is_problem => Err(problem.into()),
        _ => Err(ClientError::Unexpected(format!(
            "status {status} without a problem document"
        ))),
    }
}
