//! What all handlers share.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use shoal_api::Problem;
use shoal_runtime::clock::SystemClock;
use shoal_runtime::shutdown::Shutdown;
use shoal_types::{Applied, ErrorCode, QueueName, QueueRoute};

use crate::FrontendConfig;
use crate::admission::Admission;
use crate::dispatch::{Deadline, Dispatcher, Pause};
use crate::manager_client::ManagerClient;
use crate::openings::Openings;
use crate::operations::Turns;
use crate::partitions::is_not_there;
use crate::routes::Routes;
use crate::sqs::{Keys, Purges};

/// The parts of a running frontend.
pub(crate) struct App {
    pub(crate) admission: Arc<Admission>,
    pub(crate) manager: ManagerClient,
    pub(crate) routes: Arc<Routes>,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) openings: Openings,
    pub(crate) turns: Turns,
    /// Who may ask by SQS.
    pub(crate) keys: Keys,
    pub(crate) purges: Purges,
    /// What SQS's queue URLs begin with, if it was configured.
    pub(crate) public_url: String,
    /// Says that those who wait are to be answered.
    pub(crate) stopping: Shutdown,
}

impl App {
    /// # Errors
    /// If the HTTP client for the manager cannot be set up, or the key file cannot be used.
    pub(crate) fn new(config: &FrontendConfig, stopping: Shutdown) -> anyhow::Result<Arc<Self>> {
        let manager = ManagerClient::new(&config.manager)
            .context("cannot set up the client for the manager")?;
        let routes = Routes::new(manager.clone());
        let dispatcher = Dispatcher::new(Arc::clone(&routes), SystemClock::new());
        Ok(Arc::new(Self {
            admission: Admission::new(config),
            manager,
            routes,
            dispatcher,
            openings: Openings::default(),
            turns: Turns::default(),
            keys: Keys::load(&config.credentials)?,
            purges: Purges::new(Duration::from_secs(config.purge_pause_s.into())),
            public_url: config.public_url.trim_end_matches('/').to_owned(),
            stopping,
        }))
    }
}

/// Something that is done with a queue, wherever it is.
pub(crate) trait QueueOperation: Send {
    /// What comes of it.
    type Done: Send;

    /// Does it, with the queue at this place. Called again with a newer route if a part of the queue
    /// turned out not to be there, and nothing was applied of what was to be done there: what was done
    /// elsewhere already, it must remember.
    fn run(
        &mut self,
        app: &App,
        route: &QueueRoute,
    ) -> impl Future<Output = Result<Self::Done, Problem>> + Send;

    /// There is no newer route: what comes of it with this problem and what was done until then.
    fn fail(&mut self, problem: Problem) -> Result<Self::Done, Problem> {
        Err(problem)
    }
}

impl App {
    /// Does something with a queue. If its cluster says that the queue is not there (any more), the
    /// manager is asked, and it is done again with the newer route, or, if there is none yet, with the
    /// same one after a pause.
    pub(crate) async fn on_queue<T: QueueOperation>(
        &self,
        name: &QueueName,
        deadline: Deadline,
        operation: &mut T,
    ) -> Result<T::Done, Problem> {
        let mut route = self.find(name, deadline).await?;
        let mut pause = Pause::default();
        loop {
            let problem = match operation.run(self, &route).await {
                Err(problem) if is_not_there(&problem) => problem,
                done => return done,
            };
            route = match self.newer(route, problem, &mut pause, deadline).await {
                Ok(newer) => newer,
                Err(problem) => return operation.fail(problem),
            };
        }
    }

    /// What to go on with after a cluster said that it does not have what this route says it has.
    async fn newer(
        &self,
        stale: Arc<QueueRoute>,
        told: Problem,
        pause: &mut Pause,
        deadline: Deadline,
    ) -> Result<Arc<QueueRoute>, Problem> {
        if let Some(known) = self.routes.news(&stale) {
            return Ok(known);
        }
        match deadline.bound(self.routes.newer(&stale)).await {
            Ok(Some(newer)) => Ok(newer),
            // The cluster lags behind a creation, or the manager behind a deletion.
            Ok(None) if pause.wait(deadline).await => Ok(stale),
            Ok(None) => Err(told),
            Err(gone) if gone.code == ErrorCode::QueueNotFound => Err(gone),
            Err(unknown) => Err(lost(&stale, &unknown)),
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
}

fn lost(stale: &QueueRoute, unknown: &Problem) -> Problem {
    let detail = format!(
        "{} is not where it was, and the manager does not say where it is: {}",
        stale.name, unknown.detail
    );
    Problem::new(ErrorCode::StaleRoute, detail)
}
