//! Carrying moves on, each on its own, until nothing of them is left.

use std::collections::BTreeSet;
use std::sync::Arc;

use shoal_api::Problem;
use shoal_api::plan::EventKind;
use shoal_types::{ErrorCode, PartitionId, Ts};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::debug;

use crate::events::News;
use crate::limits::{MOVE_PAUSE_MIN, OPERATION_PATIENCE};
use crate::problem::store_problem;
use crate::queues::Queues;
use crate::records::{At, ClusterRecord, MoveRecord, MoveStage, QueueRecord, QueueStage, Record};
use crate::store::{CommitError, Transaction};

/// What a step came to.
pub(super) enum Step {
    /// The record says something new.
    Written,
    /// It is to be tried again: this is what it waits for.
    Waits(String),
}

/// Why a step was not done: for people, who are shown it while it is tried again.
pub(super) type Tried = Result<Step, String>;

impl Queues {
    /// Carries on all moves, those that an earlier process began included. Runs until it is dropped.
    pub(crate) async fn carry_on_moves(self: Arc<Self>) {
        let mut begun = self.moves.begun();
        let mut pursued = JoinSet::new();
        let mut under_way = BTreeSet::new();
        loop {
            begun.borrow_and_update();
            for id in self.moves.ids() {
                if under_way.insert(id) {
                    pursued.spawn(Arc::clone(&self).pursue(id));
                }
            }
            tokio::select! {
                _ = begun.changed() => {}
                Some(ended) = pursued.join_next() => {
                    let id = ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
                    under_way.remove(&id);
                }
            }
        }
    }

    async fn pursue(self: Arc<Self>, id: PartitionId) -> PartitionId {
        let mut pause = MOVE_PAUSE_MIN;
        while let Some(at) = self.moves.get(id) {
            match self.step(&at).await {
                Ok(Step::Written) => pause = MOVE_PAUSE_MIN,
                Ok(Step::Waits(why)) | Err(why) => {
                    debug!(%id, queue = %at.record.name, stage = ?at.record.stage, why, "move waits");
                    self.moves.note(id, why);
                    self.moves.pause(id, pause).await;
                    pause = (pause * 2).min(self.moves.longest_pause(&at.record));
                }
            }
        }
        id
    }

    async fn step(&self, at: &At<MoveRecord>) -> Tried {
        if !self.whole.is_whole() {
            return Ok(Step::Waits("the store is to be rebuilt".to_owned()));
        }
        let follows = at.record.stage != MoveStage::Undoing && !at.record.seals.is_empty();
        if follows && self.queue_of(at).await?.is_none() {
            return self.write_step(at, |_, _, _| (), None).await;
        }
        match at.record.stage {
            MoveStage::Creating => self.create_successors(at).await,
            MoveStage::Sealing => self.seal(at).await,
            MoveStage::Opening => self.open(at).await,
            MoveStage::Draining | MoveStage::Undoing => self.clear(at).await,
        }
    }

    /// The queue that is moved, unless it is deleted: then its clusters know nothing of its partitions.
    pub(super) async fn queue_of(
        &self,
        at: &At<MoveRecord>,
    ) -> Result<Option<At<QueueRecord>>, String> {
        let read = self.read(&at.record.name).await;
        let queue = read.map_err(|problem| problem.detail.to_string())?;
        Ok(queue.filter(|queue| queue.is_moved_by(at)))
    }

    /// Writes what comes next, into the move's record and the queue's, together with the event that tells
    /// of it. If the queue is being deleted, all its partitions go with it, and only what is in its record
    /// no more is left to the move.
    pub(super) async fn write_step(
        &self,
        at: &At<MoveRecord>,
        change: impl FnOnce(&mut MoveRecord, &mut QueueRecord, Ts),
        told: Option<(EventKind, String)>,
    ) -> Tried {
        self.write_step_beside(at, &[], change, told)
            .await
            .map_err(|problem| problem.detail.to_string())
    }

    /// The same, only if these clusters' records are as they are known.
    pub(super) async fn write_step_beside(
        &self,
        at: &At<MoveRecord>,
        clusters: &[At<ClusterRecord>],
        change: impl FnOnce(&mut MoveRecord, &mut QueueRecord, Ts),
        told: Option<(EventKind, String)>,
    ) -> Result<Step, Problem> {
        let name = &at.record.name;
        let until = Instant::now() + OPERATION_PATIENCE;
        // Whoever changes the queue's record has this lock.
        let Ok(_lock) = tokio::time::timeout_at(until, self.locks.lock(name)).await else {
            let why = format!("another operation on {name} has not ended yet");
            return Err(Problem::new(ErrorCode::Unavailable, why));
        };
        let now = self.clock.now().wall;
        let mut after = at.record.clone();
        let queue = self.read(name).await?;
        let queue = queue.filter(|queue| queue.is_moved_by(at));
        let mut queue_after = queue.as_ref().map(|queue| queue.record.clone());
        let as_known = |all: Transaction, cluster: &At<ClusterRecord>| {
            all.expect(cluster.record.key(), Some(cluster.revision))
        };
        let transaction = clusters.iter().fold(Transaction::new(), as_known);
        let mut transaction = transaction.expect(after.key(), Some(at.revision));
        match (&queue, &mut queue_after) {
            (Some(queue), Some(queue_after)) => {
                change(&mut after, queue_after, now);
                transaction = transaction.expect(queue_after.key(), Some(queue.revision));
                if *queue_after != queue.record {
                    transaction = transaction.put(queue_after.key(), queue_after.encode());
                }
            }
            _ => {
                after.stage = MoveStage::Draining;
                after.seals.clear();
                after.forwards.clear();
            }
        }
        after.tidy();
        transaction = match after.is_over() {
            true => transaction.remove(after.key()),
            false => transaction.put(after.key(), after.encode()),
        };
        let committed = match told.filter(|_| queue.is_some()) {
            Some((kind, text)) => {
                let news = News {
                    kind,
                    clusters: after.clusters(),
                    queue: Some(name.clone()),
                    text,
                };
                self.events.commit(transaction, news).await
            }
            None => self.store.commit(transaction).await,
        };
        let revision = match committed {
            Ok(revision) => revision,
            Err(CommitError::Store(error)) => return Err(store_problem(&error)),
            Err(CommitError::Conflict { key }) => {
                let why = format!("{key} was changed by another manager meanwhile");
                return Err(Problem::new(ErrorCode::Busy, why));
            }
        };
        if let (Some(before), Some(after)) = (&queue, &queue_after) {
            self.partitions_changed(&before.record, after);
        }
        self.move_changed(At {
            record: after,
            revision,
        });
        Ok(Step::Written)
    }

    /// The store has another record of a move, or none any more.
    pub(in crate::queues) fn move_changed(&self, at: At<MoveRecord>) {
        self.news.move_changed(&at.record);
        match at.record.is_over() {
            true => self.moves.remove(at.record.id),
            false => self.moves.put(at),
        }
    }

    /// The store has other partitions of a queue.
    pub(in crate::queues) fn partitions_changed(&self, before: &QueueRecord, after: &QueueRecord) {
        self.fleet.partitions_changed(before, after);
        self.note(after);
    }
}

impl At<QueueRecord> {
    /// True if the move is about this life of the queue's name, and it is not ending.
    fn is_moved_by(&self, at: &At<MoveRecord>) -> bool {
        self.record.queue == at.record.queue && self.record.stage != QueueStage::Deleting
    }
}
