//! A frontend with everything behind it, in one test process: a manager that keeps its queues in
//! memory, and hosts that answer on real sockets. Each runs on a runtime of its own, so that it can be
//! killed without a word, as a process can.

#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "every test file uses a part of this"
)]

mod cluster;
mod hosts;
mod manager;
mod moves;
mod parcels;
mod redrives;
mod shown;

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::Value;
use shoal_frontend::{Frontend, FrontendConfig};
use shoal_runtime::admin::Readiness;
use shoal_runtime::shutdown::Shutdown;
use shoal_transport::faults::Proxy;
use shoal_types::{ClusterId, ClusterMember, PartitionId};

pub use cluster::{CLUSTER, FakeCluster};
pub use hosts::{FakeHost, Mode};
pub use manager::FakeManager;

/// A frontend, its manager, and one cluster of three hosts.
pub struct System {
    pub cluster: FakeCluster,
    pub hosts: Vec<FakeHost>,
    pub manager: FakeManager,
    pub frontend: Frontend,
    pub http: reqwest::Client,
    /// Before the first cluster's hosts, if there are any.
    pub proxies: Vec<Proxy>,
    shutdown: Shutdown,
}

impl System {
    /// Starts everything and waits until the frontend is ready.
    pub async fn start() -> Self {
        Self::start_with(FrontendConfig::default()).await
    }

    pub async fn start_with(config: FrontendConfig) -> Self {
        Self::start_on(FakeCluster::new(0), config).await
    }

    /// Starts everything else around this cluster.
    pub async fn start_on(cluster: FakeCluster, config: FrontendConfig) -> Self {
        let hosts: Vec<FakeHost> = (1..=3).map(|id| FakeHost::start(id, &cluster)).collect();
        let members = manager::members(&hosts);
        Self::start_with_members(cluster, hosts, members, config).await
    }

    /// Starts everything, with a proxy before each host of the first cluster.
    pub async fn start_with_proxies() -> Self {
        let cluster = FakeCluster::new(0);
        let hosts: Vec<FakeHost> = (1..=3).map(|id| FakeHost::start(id, &cluster)).collect();
        let mut members = manager::members(&hosts);
        let mut proxies = Vec::new();
        for member in &mut members {
            let proxy = Proxy::start(&*member.address).await.unwrap();
            member.address = proxy.address().to_string();
            proxies.push(proxy);
        }
        let config = FrontendConfig::default();
        let mut system = Self::start_with_members(cluster, hosts, members, config).await;
        system.proxies = proxies;
        system
    }

    async fn start_with_members(
        cluster: FakeCluster,
        hosts: Vec<FakeHost>,
        members: Vec<ClusterMember>,
        config: FrontendConfig,
    ) -> Self {
        shoal_runtime::crypto::install();
        let manager = FakeManager::start(&cluster, members);
        let shutdown = Shutdown::new();
        let any_port = ([127, 0, 0, 1], 0).into();
        let config = FrontendConfig {
            listen: any_port,
            admin: any_port,
            manager: manager.url(),
            ..config
        };
        let frontend = start_frontend(config, &shutdown).await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            cluster,
            hosts,
            manager,
            frontend,
            http,
            proxies: Vec::new(),
            shutdown,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.frontend.address)
    }

    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(
            Method::from_bytes(method.as_bytes()).unwrap(),
            self.url(path),
        )
    }

    /// Sends JSON, or nothing for `null`.
    pub async fn ask(&self, method: &str, path: &str, body: Value) -> Answer {
        let request = self.request(method, path);
        let request = if body.is_null() {
            request
        } else {
            request.json(&body)
        };
        Answer::read(request.send().await.unwrap()).await
    }

    /// Creates a queue.
    pub async fn create(&self, queue: &str, settings: Value) {
        let answer = self
            .ask("PUT", &format!("/v1/queues/{queue}"), settings)
            .await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    pub async fn send(&self, queue: &str, body: Value) -> Answer {
        self.ask("POST", &format!("/v1/queues/{queue}/messages"), body)
            .await
    }

    pub async fn receive(&self, queue: &str, body: Value) -> Answer {
        self.ask(
            "POST",
            &format!("/v1/queues/{queue}/messages/receive"),
            body,
        )
        .await
    }

    pub async fn ack(&self, queue: &str, receipts: &[String]) -> Answer {
        let body = serde_json::json!({ "receipts": receipts });
        self.ask("POST", &format!("/v1/queues/{queue}/messages/ack"), body)
            .await
    }

    /// Starts another cluster of three hosts, of which the manager tells.
    pub fn add_cluster(&self, id: u64) -> Other {
        let other = Other::start(id);
        self.manager.add_cluster(&other.cluster, &other.hosts);
        other
    }

    /// Starts another cluster of three hosts, of which the manager does not tell.
    pub fn add_cluster_unseen(&self, id: u64) -> Other {
        let other = Other::start(id);
        self.manager
            .add_cluster_unseen(&other.cluster, &other.hosts);
        other
    }

    /// Asks the frontend to end.
    pub fn stop(&self) {
        self.shutdown.trigger();
    }

    pub fn host(&self, id: u64) -> &FakeHost {
        &self.hosts[id as usize - 1]
    }
}

/// A frontend beside the first one.
pub struct Beside {
    frontend: Frontend,
    http: reqwest::Client,
}

impl System {
    /// Starts another frontend of the same system.
    pub async fn another_frontend(&self) -> Beside {
        let any_port = ([127, 0, 0, 1], 0).into();
        let config = FrontendConfig {
            listen: any_port,
            admin: any_port,
            manager: self.manager.url(),
            ..FrontendConfig::default()
        };
        let frontend = start_frontend(config, &self.shutdown).await;
        let http = self.http.clone();
        Beside { frontend, http }
    }
}

impl Beside {
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        let url = format!("http://{}/v1/queues/{path}", self.frontend.address);
        Answer::read(self.http.post(url).json(&body).send().await.unwrap()).await
    }
}

/// Starts a frontend and waits until it is ready.
async fn start_frontend(config: FrontendConfig, shutdown: &Shutdown) -> Frontend {
    let frontend = Frontend::start(config, shutdown.clone()).await.unwrap();
    let mut ready = frontend.ready.clone();
    let is_ready = ready.wait_for(|ready| *ready == Readiness::Ready);
    tokio::time::timeout(Duration::from_secs(10), is_ready)
        .await
        .unwrap()
        .unwrap();
    frontend
}

/// A cluster beside the first one.
pub struct Other {
    pub cluster: FakeCluster,
    pub hosts: Vec<FakeHost>,
}

impl Other {
    fn start(id: u64) -> Self {
        let cluster = FakeCluster::with_id(ClusterId(id), 0);
        let host = |n| FakeHost::start(10 * id + n, &cluster);
        Self {
            hosts: (1..=3).map(host).collect(),
            cluster,
        }
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    pub async fn read(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).unwrap_or_else(|_| panic!("not JSON: {bytes:?}"))
        };
        Self {
            status,
            headers,
            body,
        }
    }

    /// Asserts the status and gives the body.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// Asserts that this is a well-formed problem, and gives its code, `applied` and field.
    #[track_caller]
    pub fn problem(&self) -> (&str, &str, Option<&str>) {
        assert_eq!(
            self.headers["content-type"], "application/problem+json",
            "{self:?}"
        );
        assert_eq!(self.body["status"], self.status, "{self:?}");
        for field in ["type", "title", "detail", "request_id"] {
            assert!(
                self.body[field]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{self:?}"
            );
        }
        assert_eq!(
            self.headers["x-request-id"],
            self.body["request_id"].as_str().unwrap()
        );
        assert!(self.body["retryable"].is_boolean());
        let text = |field: &str| self.body[field].as_str();
        (
            text("code").unwrap(),
            text("applied").unwrap(),
            text("field"),
        )
    }
}

/// The receipts of an answer to a receive.
pub fn receipts(received: &Value) -> Vec<String> {
    let messages = received["messages"].as_array().unwrap();
    messages
        .iter()
        .map(|message| message["receipt"].as_str().unwrap().to_owned())
        .collect()
}

/// The bodies of an answer to a receive.
pub fn bodies(received: &Value) -> Vec<String> {
    let messages = received["messages"].as_array().unwrap();
    messages
        .iter()
        .map(|message| message["body"].as_str().unwrap().to_owned())
        .collect()
}

/// Of an answer to a send: the partition of each message, from its id.
pub fn partitions(sent: &Value) -> Vec<PartitionId> {
    let messages = sent["messages"].as_array().unwrap();
    let partition = |message: &Value| {
        let id = message["id"].as_str().unwrap().replace('-', "");
        PartitionId(u64::from_str_radix(&id[..16], 16).unwrap())
    };
    messages.iter().map(partition).collect()
}

/// Waits until a condition holds, at most five seconds.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while !holds().await {
        assert!(
            tokio::time::Instant::now() < deadline,
            "waited in vain until {what}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
