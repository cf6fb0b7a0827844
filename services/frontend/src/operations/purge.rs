//! Emptying a queue.

use std::sync::Arc;

use shoal_api::Problem;
use shoal_types::{
    Applied, Command, ErrorCode, Outcome, PartitionId, PartitionRoute, PartitionState, QueueRoute,
};

use crate::app::{App, QueueOperation};
use crate::dispatch::Deadline;
use crate::partitions::{in_partition, is_not_there, with_messages};

/// Deletes everything that was sent before.
pub(crate) struct Purge {
    deadline: Deadline,
    /// The partitions that are empty by now.
    purged: Vec<PartitionId>,
}

impl Purge {
    pub(crate) fn new(deadline: Deadline) -> Self {
        Self {
            deadline,
            purged: Vec::new(),
        }
    }
}

impl QueueOperation for Purge {
    type Done = ();

    async fn run(&mut self, app: &App, route: &QueueRoute) -> Result<(), Problem> {
        let mut newest = Arc::new(route.clone());
        loop {
            let is_left = |place: &&PartitionRoute| !self.purged.contains(&place.partition);
            let Some(place) = with_messages(&newest).find(is_left).copied() else {
                return Ok(());
            };
            if let Some(newer) = self.purge_with_heirs(app, &newest, place).await? {
                newest = newer;
            }
        }
    }

    fn fail(&mut self, problem: Problem) -> Result<(), Problem> {
        if self.purged.is_empty() {
            return Err(problem);
        }
        let purged: Vec<String> = self.purged.iter().map(ToString::to_string).collect();
        let detail = format!("{}; purged is {}", problem.detail, purged.join(", "));
        Err(Problem::new(problem.code, detail).applied(Applied::Unknown))
    }
}

impl Purge {
    /// Empties a partition, and where its messages go on to, whether or not the manager has told of that yet.
    /// A newer route, if it turned out to be sealed where this one says that it takes sends.
    async fn purge_with_heirs(
        &mut self,
        app: &App,
        route: &QueueRoute,
        first: PartitionRoute,
    ) -> Result<Option<Arc<QueueRoute>>, Problem> {
        let mut newer = None;
        let mut next = Some(first);
        while let Some(place) = next.take() {
            if self.purged.contains(&place.partition) {
                break;
            }
            match self.purge(app, &place).await {
                Ok(Outcome::PurgedBut { seal, heir }) => {
                    if place.state == PartitionState::Active {
                        newer = Some(app.routes.seal(route, &Arc::from(seal)));
                    }
                    next = heir.map(|heir| {
                        app.routes.learn_heir(&heir);
                        PartitionRoute {
                            partition: heir.partition,
                            cluster: heir.cluster,
                            state: PartitionState::Draining,
                            ..place
                        }
                    });
                }
                Ok(_) => {}
                Err(problem) if is_not_there(&problem) => {
                    // Where it was being emptied its messages may have gone on, before it went.
                    let is_gone = place.state == PartitionState::Draining
                        && problem.code == ErrorCode::QueueNotFound;
                    if !is_gone || !self.is_newest(app, route).await {
                        return Err(problem);
                    }
                }
                Err(problem) => {
                    let problem = match route.partitions.len() {
                        1 => problem,
                        _ => in_partition(&place, &problem),
                    };
                    return self.fail(problem).map(|()| None);
                }
            }
            self.purged.push(place.partition);
        }
        Ok(newer)
    }

    async fn purge(&self, app: &App, place: &PartitionRoute) -> Result<Outcome, Problem> {
        let partition = place.partition;
        let purge = |_| Command::Purge { partition };
        let purged = app
            .dispatcher
            .execute(place.cluster, self.deadline, &[], purge);
        purged
            .await
            .map(|answer| answer.reply)
            .map_err(Problem::from)
    }

    /// Whether the manager knows no newer route: then what is not where that says is gone. False if it
    /// cannot be asked.
    async fn is_newest(&self, app: &App, route: &QueueRoute) -> bool {
        let newer = self.deadline.bound(app.routes.newer(route)).await;
        matches!(newer, Ok(None))
    }
}
