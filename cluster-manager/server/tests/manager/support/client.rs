//! The manager's API from outside.

use std::net::SocketAddr;

use reqwest::{Method, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use shoal_api::Problem;
use shoal_api::manager::{ClusterInfo, ClusterState, Feed, HostInfo};
use shoal_types::{QueueRoute, QueueSettings, Revision};

use super::eventually;

#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
}

/// The problem document that an answer is.
pub(crate) async fn problem(answer: Response) -> Problem {
    let status = answer.status();
    let content_type = answer.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(content_type, "application/problem+json", "{status}");
    let problem: Problem = answer.json().await.unwrap();
    assert_eq!(problem.status, status.as_u16());
    problem
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            http,
            base: format!("http://{address}"),
        }
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> Response {
        self.try_send(method, path, body)
            .await
            .expect("the manager is there")
    }

    /// `None` if nobody answers.
    pub(crate) async fn try_send(
        &self,
        method: Method,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> Option<Response> {
        let url = format!("{}{path}", self.base);
        self.http.request(method, url).body(body).send().await.ok()
    }

    pub(crate) async fn send_json(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Response {
        self.send(method, path, serde_json::to_vec(body).unwrap())
            .await
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let answer = self.send(Method::GET, path, "").await;
        assert_eq!(
            answer.status(),
            StatusCode::OK,
            "{path}: {:?}",
            answer.text().await
        );
        answer.json().await.unwrap()
    }

    /// Creates a queue with default settings, which must be new. A FIFO queue if its name says so.
    pub(crate) async fn create(&self, name: &str) -> QueueRoute {
        let settings = QueueSettings {
            fifo: name.ends_with(".fifo"),
            ..QueueSettings::default()
        };
        let answer = self.put(name, &settings).await;
        assert_eq!(
            answer.status(),
            StatusCode::CREATED,
            "{name}: {:?}",
            answer.text().await
        );
        answer.json().await.unwrap()
    }

    pub(crate) async fn put(&self, name: &str, settings: &QueueSettings) -> Response {
        self.send_json(Method::PUT, &format!("/v1/queues/{name}"), settings)
            .await
    }

    pub(crate) async fn delete(&self, name: &str) -> Response {
        self.send(Method::DELETE, &format!("/v1/queues/{name}"), "")
            .await
    }

    pub(crate) async fn queue(&self, name: &str) -> Option<QueueRoute> {
        let answer = self
            .send(Method::GET, &format!("/v1/queues/{name}"), "")
            .await;
        match answer.status() {
            StatusCode::OK => Some(answer.json().await.unwrap()),
            _ => {
                assert_eq!(problem(answer).await.code.as_str(), "queue_not_found");
                None
            }
        }
    }

    pub(crate) async fn feed(&self, since: Revision, wait_s: u32) -> Feed {
        self.get(&format!("/v1/feed?since={since}&wait_s={wait_s}"))
            .await
    }

    pub(crate) async fn clusters(&self) -> Vec<ClusterInfo> {
        self.get("/v1/clusters").await
    }

    pub(crate) async fn hosts(&self) -> Vec<HostInfo> {
        self.get("/v1/hosts").await
    }

    /// Waits until there are so many clusters and all serve.
    pub(crate) async fn until_serving(&self, count: usize) -> Vec<ClusterInfo> {
        eventually("clusters serve", async || {
            let clusters = self.clusters().await;
            let serving = |cluster: &ClusterInfo| cluster.state == ClusterState::Serving;
            (clusters.len() == count && clusters.iter().all(serving)).then_some(clusters)
        })
        .await
    }
}
