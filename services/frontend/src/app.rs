//! What all handlers share.

use std::sync::Arc;

use shoal_api::Problem;
use shoal_runtime::clock::SystemClock;
use shoal_types::{Applied, ErrorCode, PartitionRoute, PartitionState, QueueName, QueueRoute};

use crate::FrontendConfig;
use crate::admission::Admission;
use crate::dispatch::{Deadline, Dispatcher};
use crate::manager_client::ManagerClient;
use crate::routes::Routes;

/// The parts of a running frontend.
pub(crate) struct App {
    pub(crate) admission: Arc<Admission>,
    pub(crate) manager: ManagerClient,
    pub(crate) routes: Arc<Routes>,
    pub(crate) dispatcher: Arc<Dispatcher>,
}

impl App {
    /// # Errors
    /// If the HTTP client for the manager cannot be set up.
    pub(crate) fn new(config: &FrontendConfig) -> Result<Arc<Self>, reqwest::Error> {
        let manager = ManagerClient::new(&config.manager)?;
        let routes = Routes::new(manager.clone());
        let dispatcher = Dispatcher::new(Arc::clone(&routes), SystemClock::new());
        Ok(Arc::new(Self {
            admission: Admission::new(config),
            manager,
            routes,
            dispatcher,
        }))
    }
}

/// Something that is done with a queue, wherever it is.
pub(crate) trait QueueOperation: Sync {
    /// What comes of it.
    type Done: Send;

    /// Does it, with the queue at this place. May be called again with a newer route if the queue
    /// turned out not to be there, and nothing was applied.
    fn run(
        &self,
        app: &App,
        route: &QueueRoute,
    ) -> impl Future<Output = Result<Self::Done, Problem>> + Send;
}

impl App {
    /// Does something with a queue. If its cluster says that the queue is not there (any more), the
    /// manager is asked, and if it knows better, it is done again with the newer route.
    pub(crate) async fn on_queue<T: QueueOperation>(
        &self,
        name: &QueueName,
        deadline: Deadline,
        operation: &T,
    ) -> Result<T::Done, Problem> {
        let mut route = self.find(name, deadline).await?;
        loop {
            let problem = match operation.run(self, &route).await {
                Err(problem) if is_about_the_route(&problem) => problem,
                done => return done,
            };
            // Each turn has a newer route, so this ends.
            route = match deadline.bound(self.routes.newer(&route)).await {
                Ok(Some(newer)) => newer,
                Err(gone) if gone.code == ErrorCode::QueueNotFound => return Err(gone),
                Ok(None) | Err(_) => return Err(problem),
            };
        }
    }

    /// The queue's route. Looking for it changes nothing, so a failure certainly did not either.
    pub(crate) async fn find(
        &self,
        name: &QueueName,
        deadline: Deadline,
    ) -> Result<Arc<QueueRoute>, Problem> {
        let found = deadline.bound(self.routes.queue(name)).await;
        found.map_err(|problem| problem.applied(Applied::No))
    }

    /// Where new messages go: the newest partition that takes them.
    pub(crate) fn partition_for_sends(route: &QueueRoute) -> Result<PartitionRoute, Problem> {
        route
            .partitions
            .iter()
            .rev()
            .copied()
            .find(is_active)
            .ok_or_else(|| not_there_yet(route))
    }

    /// Where messages come from: the oldest partition.
    pub(crate) fn partition_for_receives(route: &QueueRoute) -> Result<PartitionRoute, Problem> {
        route
            .partitions
            .iter()
            .copied()
            .find(is_active)
            .ok_or_else(|| not_there_yet(route))
    }
}

fn is_active(place: &PartitionRoute) -> bool {
    place.state == PartitionState::Active
}

fn is_about_the_route(problem: &Problem) -> bool {
    let elsewhere = matches!(
        problem.code,
        ErrorCode::QueueNotFound | ErrorCode::StaleRoute
    );
    elsewhere && problem.applied == Applied::No
}

fn not_there_yet(route: &QueueRoute) -> Problem {
    let detail = format!("{} is being created or deleted at the moment", route.name);
    Problem::new(ErrorCode::NotReady, detail)
}
