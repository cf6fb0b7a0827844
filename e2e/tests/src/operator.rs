//! What an operator asks of the manager of a `shoal dev`.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::{Client, Method, StatusCode};
use serde::de::DeserializeOwned;
use shoal_api::Problem;
use shoal_api::manager::{CLUSTERS_PATH, ClusterInfo, ClusterState, DrainRequest, QUEUES_PATH};
use shoal_api::plan::{EVENTS_PATH, Event, EventPage, MOVES_PATH, MoveInfo, MoveRequest};
use shoal_api::redrive::{REDRIVES_PATH, RedriveInfo, RedriveRequest, RedriveStatus};
use shoal_harness::{Dev, wait};
use shoal_types::{ClusterId, QueueName, QueueRoute, QueueSettings};

/// The manager's API.
#[derive(Clone, Debug)]
pub struct Operator {
    url: String,
    http: Client,
}

/// The manager's answer if it refuses.
pub type Refused = Problem;

impl Operator {
    /// Of a system whose roles are processes.
    ///
    /// # Errors
    /// If it has no manager of its own.
    pub fn of(dev: &Dev) -> Result<Self> {
        Ok(Self::at(format!(
            "http://{}",
            dev.role("manager")?.listen()?
        )))
    }

    /// Of the manager at this URL.
    #[must_use]
    pub fn at(url: String) -> Self {
        Self {
            url,
            http: Client::new(),
        }
    }

    /// All clusters.
    ///
    /// # Errors
    /// If the manager does not answer.
    pub async fn clusters(&self) -> Result<Vec<ClusterInfo>> {
        self.get(CLUSTERS_PATH).await
    }

    /// One of them.
    ///
    /// # Errors
    /// If the manager does not answer, or knows none of this name.
    pub async fn cluster(&self, cluster: ClusterId) -> Result<ClusterInfo> {
        let clusters = self.clusters().await?;
        let found = clusters.into_iter().find(|info| info.cluster == cluster);
        found.with_context(|| format!("no {cluster}"))
    }

    /// Moves that are under way.
    ///
    /// # Errors
    /// If the manager does not answer.
    pub async fn moves(&self) -> Result<Vec<MoveInfo>> {
        self.get(MOVES_PATH).await
    }

    /// The newest events.
    ///
    /// # Errors
    /// If the manager does not answer.
    pub async fn events(&self) -> Result<Vec<Event>> {
        let page: EventPage = self.get(&format!("{EVENTS_PATH}?limit=1000")).await?;
        Ok(page.events)
    }

    /// Begins a move, unless the manager says that it cannot be now.
    ///
    /// # Errors
    /// If the manager does not answer.
    pub async fn start_move(&self, asked: &MoveRequest) -> Result<Result<MoveInfo, Refused>> {
        self.post(MOVES_PATH, asked).await
    }

    /// Has a cluster emptied.
    ///
    /// # Errors
    /// If the manager refuses.
    pub async fn drain(&self, cluster: ClusterId) -> Result<()> {
        self.ask_to_drain(cluster, false).await
    }

    /// Has a cluster emptied, without patience for what nobody consumes.
    ///
    /// # Errors
    /// If the manager refuses.
    pub async fn drain_and_forward(&self, cluster: ClusterId) -> Result<()> {
        self.ask_to_drain(cluster, true).await
    }

    async fn ask_to_drain(&self, cluster: ClusterId, forward: bool) -> Result<()> {
        let path = format!("{CLUSTERS_PATH}/{cluster}/drain");
        let asked = DrainRequest {
            drain: true,
            forward,
        };
        let drained: Result<ClusterInfo, Refused> = self.post(&path, &asked).await?;
        drained.map(drop).map_err(|refused| refused.into())
    }

    /// Waits until a cluster is as said.
    ///
    /// # Errors
    /// If it is not within so long.
    pub async fn until(
        &self,
        cluster: ClusterId,
        state: ClusterState,
        within: Duration,
    ) -> Result<()> {
        let what = format!("{cluster} to be {state:?}");
        wait::until(&what, within, async || {
            let info = self.cluster(cluster).await?;
            ensure!(info.state == state, "{info:?}; {:?}", self.moves().await?);
            Ok(())
        })
        .await
    }

    /// Creates a queue.
    ///
    /// # Errors
    /// If the manager refuses.
    pub async fn create(&self, name: &QueueName, settings: &QueueSettings) -> Result<QueueRoute> {
        let path = format!("{QUEUES_PATH}/{name}");
        Ok(self.send(Method::PUT, &path, settings).await??)
    }

    /// Deletes a queue.
    ///
    /// # Errors
    /// If the manager refuses.
    pub async fn delete(&self, name: &QueueName) -> Result<()> {
        let path = format!("{}{QUEUES_PATH}/{name}", self.url);
        let status = self.http.delete(path).send().await?.status();
        ensure!(status == StatusCode::NO_CONTENT, "{name}: {status}");
        Ok(())
    }

    /// Begins to move the messages of a dead-letter queue back to where they died.
    ///
    /// # Errors
    /// If the manager refuses.
    pub async fn redrive(&self, queue: &QueueName) -> Result<RedriveInfo> {
        let asked = RedriveRequest {
            queue: queue.clone(),
            to: None,
            max_per_second: None,
        };
        Ok(self.post(REDRIVES_PATH, &asked).await??)
    }

    /// Waits until the last of a queue's redrives is as said.
    ///
    /// # Errors
    /// If it is not within so long.
    pub async fn until_redrive_is(
        &self,
        queue: &QueueName,
        status: RedriveStatus,
        within: Duration,
    ) -> Result<RedriveInfo> {
        let what = format!("the redrive of {queue} to be {}", status.as_str());
        wait::until(&what, within, async || {
            let tasks: Vec<RedriveInfo> =
                self.get(&format!("{REDRIVES_PATH}?queue={queue}")).await?;
            let newest = tasks.into_iter().next().context("there is none")?;
            ensure!(newest.status == status, "{newest:?}");
            Ok(newest)
        })
        .await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await?;
        let (status, body) = (answer.status(), answer.text().await?);
        ensure!(status == StatusCode::OK, "{path}: {status} {body}");
        serde_json::from_str(&body).with_context(|| format!("{path}: {body}"))
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        asked: &impl serde::Serialize,
    ) -> Result<Result<T, Refused>> {
        self.send(Method::POST, path, asked).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        asked: &impl serde::Serialize,
    ) -> Result<Result<T, Refused>> {
        let request = self.http.request(method, format!("{}{path}", self.url));
        let answer = request.json(asked).send().await?;
        let (status, body) = (answer.status(), answer.text().await?);
        if status.is_success() {
            return Ok(Ok(serde_json::from_str(&body)?));
        }
        match serde_json::from_str(&body) {
            Ok(problem) => Ok(Err(problem)),
            Err(_) => bail!("{path}: {status} {body}"),
        }
    }
}
