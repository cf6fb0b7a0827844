//! The manager's API from the frontend's side.

use std::fmt::Display;
use std::time::Duration;

use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use shoal_api::manager::{
    CLUSTERS_PATH, ClusterInfo, FEED_PATH, Feed, FeedQuery, HOSTS_PATH, HostInfo, QUEUES_PATH,
};
use shoal_api::plan::{EVENTS_PATH, EventPage, EventQuery, MOVES_PATH, MoveInfo};
use shoal_api::redrive::{CancelRedrive, REDRIVES_PATH, RedriveInfo, RedriveRequest};
use shoal_api::{Problem, query};
use shoal_runtime::http_client;
use shoal_types::{Applied, ErrorCode, QueueName, QueueRoute, QueueSettings};
use tracing::debug;

use crate::limits::{MANAGER_ANSWER_BYTES_MAX, MANAGER_CONNECT_TIMEOUT, MANAGER_TIMEOUT};

/// Calls the manager. Every failure is a [`Problem`]: its own words if it gave any, else
/// `manager_unavailable`.
#[derive(Clone)]
pub(crate) struct ManagerClient {
    http: reqwest::Client,
    /// Without a slash at its end.
    base: String,
}

impl ManagerClient {
    /// # Errors
    /// If the HTTP client cannot be set up.
    pub(crate) fn new(manager: &str) -> Result<Self, reqwest::Error> {
        let http = http_client::builder(manager)
            .connect_timeout(MANAGER_CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            http,
            base: manager.trim_end_matches('/').to_owned(),
        })
    }

    pub(crate) async fn queue(&self, name: &QueueName) -> Result<QueueRoute, Problem> {
        read(self.ask(Method::GET, &queue_path(name)).await?)
    }

    /// The queue, and whether it is new.
    pub(crate) async fn create(
        &self,
        name: &QueueName,
        settings: &QueueSettings,
    ) -> Result<(QueueRoute, bool), Problem> {
        let answer = self
            .tell(Method::PUT, &queue_path(name), Some(settings))
            .await?;
        let is_new = answer.status == 201;
        Ok((read(answer)?, is_new))
    }

    pub(crate) async fn change(
        &self,
        name: &QueueName,
        settings: &QueueSettings,
    ) -> Result<QueueRoute, Problem> {
        read(
            self.tell(Method::PATCH, &queue_path(name), Some(settings))
                .await?,
        )
    }

    pub(crate) async fn delete(&self, name: &QueueName) -> Result<(), Problem> {
        self.tell::<()>(Method::DELETE, &queue_path(name), None)
            .await
            .map(drop)
    }

    /// Starts a task that moves a queue's messages. 409 if one of this queue is under way.
    pub(crate) async fn start_redrive(
        &self,
        asked: &RedriveRequest,
    ) -> Result<RedriveInfo, Problem> {
        read(self.tell(Method::POST, REDRIVES_PATH, Some(asked)).await?)
    }

    /// The queue's tasks, newest first.
    pub(crate) async fn redrives(&self, queue: &QueueName) -> Result<Vec<RedriveInfo>, Problem> {
        let path = format!("{REDRIVES_PATH}?queue={}", quoted(queue));
        read(self.ask(Method::GET, &path).await?)
    }

    /// Ends a task, or the one of this queue that is under way. 404 or 409 if there is none.
    pub(crate) async fn cancel_redrive(
        &self,
        queue: &QueueName,
        which: CancelRedrive,
    ) -> Result<RedriveInfo, Problem> {
        let path = format!("{REDRIVES_PATH}/{}/cancel", quoted(queue));
        read(self.tell(Method::POST, &path, Some(&which)).await?)
    }

    pub(crate) async fn clusters(&self) -> Result<Vec<ClusterInfo>, Problem> {
        read(self.ask(Method::GET, CLUSTERS_PATH).await?)
    }

    pub(crate) async fn hosts(&self) -> Result<Vec<HostInfo>, Problem> {
        read(self.ask(Method::GET, HOSTS_PATH).await?)
    }

    pub(crate) async fn moves(&self) -> Result<Vec<MoveInfo>, Problem> {
        read(self.ask(Method::GET, MOVES_PATH).await?)
    }

    pub(crate) async fn events(&self, asked: EventQuery) -> Result<EventPage, Problem> {
        fn given(value: &Option<u64>) -> Option<&dyn Display> {
            value.as_ref().map(|value| value as _)
        }
        let query = query::write([
            ("after", given(&asked.after)),
            ("limit", given(&asked.limit)),
        ]);
        read(
            self.ask(Method::GET, &format!("{EVENTS_PATH}{query}"))
                .await?,
        )
    }

    pub(crate) async fn feed(&self, asked: FeedQuery) -> Result<Feed, Problem> {
        let query = query::write([
            ("since", Some(&asked.since as _)),
            ("wait_s", Some(&asked.wait_s as _)),
        ]);
        let timeout = Duration::from_secs(asked.wait_s.into()) + MANAGER_TIMEOUT;
        let request = self.request(Method::GET, &format!("{FEED_PATH}{query}"), timeout);
        read(send(request).await?)
    }

    /// A request that changes nothing, so a failure certainly did not either.
    async fn ask(&self, method: Method, path: &str) -> Result<Answer, Problem> {
        send(self.request(method, path, MANAGER_TIMEOUT))
            .await
            .map_err(|problem| problem.applied(Applied::No))
    }

    async fn tell<T: Serialize>(
        &self,
        method: Method,
        path: &str,
        body: Option<&T>,
    ) -> Result<Answer, Problem> {
        let request = self.request(method, path, MANAGER_TIMEOUT);
        send(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    fn request(&self, method: Method, path: &str, timeout: Duration) -> reqwest::RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.base))
            .timeout(timeout)
    }
}

/// A good answer.
struct Answer {
    status: u16,
    body: Vec<u8>,
}

fn queue_path(name: &QueueName) -> String {
    format!("{QUEUES_PATH}/{}", quoted(name))
}

/// The name as part of an address: of what stands in it, only what parts it from its scope needs quoting.
fn quoted(name: &QueueName) -> String {
    name.as_str().replace('/', "%2F")
}

async fn send(request: reqwest::RequestBuilder) -> Result<Answer, Problem> {
    let mut response = request.send().await.map_err(|e| unavailable(&e))?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| unavailable(&e))? {
        if body.len() + chunk.len() > MANAGER_ANSWER_BYTES_MAX {
            return Err(
                Problem::new(ErrorCode::Internal, "the manager's answer is too large")
                    .applied(Applied::Unknown),
            );
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return Ok(Answer {
            status: status.as_u16(),
            body,
        });
    }
    Err(match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => forwarded(&problem),
        Err(_) => {
            let detail = format!("the manager answered {status} without saying why");
            Problem::new(ErrorCode::ManagerUnavailable, detail).applied(Applied::Unknown)
        }
    })
}

/// The manager's problem as ours: the request's name in the log is the one given here.
fn forwarded(problem: &Problem) -> Problem {
    let ours = Problem::new(problem.code, problem.detail.clone())
        .status(problem.status)
        .applied(problem.applied);
    match &problem.field {
        Some(field) => ours.at(field.clone()),
        None => ours,
    }
}

fn read<T: DeserializeOwned>(answer: Answer) -> Result<T, Problem> {
    serde_json::from_slice(&answer.body).map_err(|e| {
        let detail = format!("the manager's answer cannot be read: {e}");
        Problem::new(ErrorCode::Internal, detail).applied(Applied::Unknown)
    })
}

fn unavailable(error: &reqwest::Error) -> Problem {
    debug!(%error, "manager did not answer");
    let applied = if error.is_connect() {
        Applied::No
    } else {
        Applied::Unknown
    };
    let detail = "the manager cannot be reached; queues that are known here go on";
    Problem::new(ErrorCode::ManagerUnavailable, detail).applied(applied)
}
