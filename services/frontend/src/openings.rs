//! Opening successors. One that was created to follow others takes sends only once it was shown their
//! seals. Any frontend may show them: then nobody who sends has to wait for the manager.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shoal_api::Problem;
use shoal_types::{
    Command, ErrorCode, Inherited, Outcome, PartitionId, PartitionRoute, Query, QueryReply,
    QueueRoute, Refusal, Seal, SuccessionStage,
};
use tokio::time::Instant;

use crate::app::App;
use crate::dispatch::{Deadline, Pause};
use crate::limits::LOOK_WITHIN;
use crate::operations::unexpected;
use crate::partitions::is_not_there;

/// The successors that are being opened. Bounded by the requests under way: each entry is somebody's.
#[derive(Default)]
pub(crate) struct Openings(Mutex<HashMap<PartitionId, Turn>>);

/// Held by the one who shows the seals; true once it is open.
type Turn = Arc<tokio::sync::Mutex<bool>>;

impl Openings {
    fn join(&self, successor: PartitionId) -> Joined<'_> {
        let turn = Arc::clone(self.lock().entry(successor).or_default());
        Joined {
            openings: self,
            successor,
            turn,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PartitionId, Turn>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who waits for a successor to open. The last to go takes the entry along.
struct Joined<'a> {
    openings: &'a Openings,
    successor: PartitionId,
    turn: Turn,
}

impl Drop for Joined<'_> {
    fn drop(&mut self) {
        let mut running = self.openings.lock();
        // The entry's and ours.
        if Arc::strong_count(&self.turn) <= 2 {
            running.remove(&self.successor);
        }
    }
}

impl App {
    /// Opens a partition that said that it waits for the seals of these others, or waits until somebody
    /// else has. Only one request at a time shows them.
    ///
    /// # Errors
    /// If it is not open by the deadline, or not there any more. Nothing was applied that a client would
    /// notice.
    pub(crate) async fn open(
        &self,
        route: &QueueRoute,
        successor: &PartitionRoute,
        mut waits_for: Vec<PartitionId>,
        deadline: Deadline,
    ) -> Result<(), Problem> {
        let joined = self.openings.join(successor.partition);
        let turn = tokio::time::timeout_at(deadline.at, joined.turn.lock()).await;
        let mut is_open = turn.map_err(|_| not_open(successor, &waits_for))?;
        let mut pause = Pause::default();
        let mut told = Vec::new();
        while !*is_open {
            for sealed in &waits_for {
                if told.contains(sealed) {
                    continue;
                }
                match self.show(route, successor, *sealed, deadline).await? {
                    Shown::Open => *is_open = true,
                    Shown::Noted => told.push(*sealed),
                    Shown::NotYet => {}
                }
            }
            if *is_open {
                break;
            }
            if !pause.wait(deadline).await {
                return Err(not_open(successor, &waits_for));
            }
            match self.stage(successor, deadline).await {
                Some(SuccessionStage::Closed { waits_for: now }) => waits_for = now,
                Some(_) => *is_open = true,
                None => {}
            }
        }
        Ok(())
    }

    /// Shows a successor the seal of one that it waits for.
    async fn show(
        &self,
        route: &QueueRoute,
        successor: &PartitionRoute,
        sealed: PartitionId,
        deadline: Deadline,
    ) -> Result<Shown, Problem> {
        let Some(seal) = self.seal_of(route, sealed, deadline).await else {
            return Ok(Shown::NotYet);
        };
        let command = |_| Command::Succeed {
            partition: successor.partition,
            seal: Box::new(Seal::clone(&seal)),
            news: Inherited::Seal,
        };
        let told = self
            .dispatcher
            .execute(successor.cluster, deadline, &[], command);
        match told.await.map(|answer| answer.reply) {
            Ok(Outcome::Done) => Ok(Shown::Open),
            Ok(Outcome::Closed { .. }) => Ok(Shown::Noted),
            Ok(other) => Err(unexpected(&other)),
            Err(refusal) => Err(refused(successor, refusal)),
        }
    }

    /// The seal of a partition: as it was shown here, or as its cluster shows it now. `None` if it is not
    /// sealed yet, or cannot be asked.
    async fn seal_of(
        &self,
        route: &QueueRoute,
        sealed: PartitionId,
        deadline: Deadline,
    ) -> Option<Arc<Seal>> {
        if let Some(seal) = self.routes.seal_of(route, sealed) {
            return Some(seal);
        }
        let place = route
            .partitions
            .iter()
            .find(|place| place.partition == sealed)?;
        match self.stage(place, deadline).await? {
            SuccessionStage::Sealed { seal, .. } | SuccessionStage::Forwarding { seal, .. } => {
                Some(Arc::from(seal))
            }
            _ => None,
        }
    }

    /// Whether a partition of this route takes no sends any more, so that messages come to others. What its
    /// cluster tells of them is made known here.
    pub(crate) async fn is_sealed(&self, route: &QueueRoute, place: &PartitionRoute) -> bool {
        if self.routes.news(route).is_some() {
            return true;
        }
        let soon = Deadline {
            at: Instant::now() + LOOK_WITHIN,
            wait: Duration::ZERO,
        };
        match self.stage(place, soon).await {
            Some(
                SuccessionStage::Sealed { seal, .. } | SuccessionStage::Forwarding { seal, .. },
            ) => {
                self.routes.seal(route, &Arc::from(seal));
                true
            }
            _ => false,
        }
    }

    /// What a partition takes, as a host of its cluster knows it. `None` if none can be asked.
    async fn stage(&self, place: &PartitionRoute, deadline: Deadline) -> Option<SuccessionStage> {
        let query = Query::Succession {
            partition: place.partition,
        };
        let soon = deadline.at_most(LOOK_WITHIN);
        let answer = self.dispatcher.query(place.cluster, soon, query).await;
        match answer.ok()?.reply {
            QueryReply::Succession(succession) => Some(succession.stage),
            _ => None,
        }
    }
}

/// What came of showing one seal.
enum Shown {
    /// The successor takes sends.
    Open,
    /// It has this seal, and waits for something else.
    Noted,
    /// There is no seal to be shown yet.
    NotYet,
}

fn refused(successor: &PartitionRoute, refusal: Refusal) -> Problem {
    let problem = Problem::from(refusal);
    if is_not_there(&problem) {
        return problem;
    }
    let detail = format!(
        "the queue is being moved: {} does not take messages yet: {}",
        successor.partition, problem.detail
    );
    Problem::new(ErrorCode::NotReady, detail)
}

/// The answer when the deadline came first. Nothing was applied.
pub(crate) fn not_open(successor: &PartitionRoute, waits_for: &[PartitionId]) -> Problem {
    let waits_for: Vec<String> = waits_for.iter().map(ToString::to_string).collect();
    let detail = format!(
        "the queue is being moved: {} does not take messages yet, it waits to hear of {}",
        successor.partition,
        waits_for.join(", ")
    );
    Problem::new(ErrorCode::NotReady, detail)
}
