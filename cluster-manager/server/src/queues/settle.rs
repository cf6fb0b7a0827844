//! Bringing a queue from "decided" to "done".

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::try_join_all;
use futures_util::stream;
use shoal_api::Problem;
use shoal_runtime::telemetry::RateLimit;
use shoal_types::{Applied, ErrorCode, QueueName};
use tokio::time::Instant;
use tracing::{debug, error, warn};

use super::Queues;
use crate::executor::InstructError;
use crate::keys;
use crate::limits::{OPERATION_PATIENCE, SETTLE_CONCURRENCY, SETTLE_INTERVAL};
use crate::problem::store_problem;
use crate::records::{At, DeletedRecord, QueueRecord, QueueStage, Record};
use crate::store::{CommitError, Transaction};

impl Queues {
    /// Writes a new stage of a queue; `None` if its record was changed meanwhile.
    pub(super) async fn write(
        &self,
        before: Option<&At<QueueRecord>>,
        record: QueueRecord,
    ) -> Result<Option<At<QueueRecord>>, Problem> {
        let transaction = Transaction::new()
            .expect(record.key(), before.map(|at| at.revision))
            .put(record.key(), record.encode());
        let Some(at) = self.commit(transaction, record).await? else {
            return Ok(None);
        };
        if at.record.stage != QueueStage::Active {
            self.unsettled.add(&at.record);
        }
        Ok(Some(at))
    }

    /// Has the clusters carry out what the record says, and writes that it did. Gives the record as it is
    /// then, or `None` if there is none any more.
    pub(super) async fn settle(
        &self,
        at: At<QueueRecord>,
        until: Instant,
    ) -> Result<Option<At<QueueRecord>>, Problem> {
        if at.record.stage == QueueStage::Active {
            return Ok(Some(at));
        }
        // A store that is rebuilt from what is noted at the clusters tells anew where dead letters go. That they
        // go nowhere any more is told before it is noted: nobody would tell it again.
        let goes_nowhere = at.record.settings.dead_letter_queue.is_none();
        if goes_nowhere {
            self.settle_dead_letters(&at, until).await?;
        }
        let instructions = at.instructions().into_iter();
        let executed =
            instructions.map(|(cluster, all)| self.instructor.execute_in_turn(cluster, all, until));
        if let Err(failed) = try_join_all(executed).await {
            return Err(not_settled(&at.record, failed));
        }
        if !goes_nowhere {
            self.settle_dead_letters(&at, until).await?;
        }
        self.settled(at).await
    }

    /// Nobody is told that a queue is as wanted before all its partitions know when messages die.
    async fn settle_dead_letters(
        &self,
        at: &At<QueueRecord>,
        until: Instant,
    ) -> Result<(), Problem> {
        let QueueRecord { name, queue, .. } = &at.record;
        self.tell_where_dead_letters_go(name, *queue, |_| true, until)
            .await
    }

    async fn settled(&self, at: At<QueueRecord>) -> Result<Option<At<QueueRecord>>, Problem> {
        let name = at.record.name.clone();
        let transaction = Transaction::new().expect(at.record.key(), Some(at.revision));
        let after = match at.record.stage {
            QueueStage::Deleting => {
                let deleted = DeletedRecord {
                    name: name.clone(),
                    queue: at.record.queue,
                };
                let transaction = transaction
                    .remove(at.record.key())
                    .remove(keys::dead_letters(at.record.queue))
                    .remove(keys::redrives(at.record.queue))
                    .put(deleted.key(), deleted.encode());
                if self.commit(transaction, at.record.clone()).await?.is_none() {
                    return Err(changed_meanwhile(&name));
                }
                self.fleet.queue_gone(&at.record);
                self.forget(&name, at.record.queue);
                None
            }
            QueueStage::Creating | QueueStage::Configuring | QueueStage::Active => {
                let record = at.record.in_stage(QueueStage::Active);
                // The name is in use again: its deletion says nothing any more.
                let transaction = transaction
                    .put(record.key(), record.encode())
                    .remove(keys::deleted(&name));
                let after = self.commit(transaction, record).await?;
                Some(after.ok_or_else(|| changed_meanwhile(&name))?)
            }
        };
        self.unsettled.remove(&name);
        Ok(after)
    }

    /// `None` if a condition did not hold.
    async fn commit(
        &self,
        transaction: Transaction,
        record: QueueRecord,
    ) -> Result<Option<At<QueueRecord>>, Problem> {
        match self.store.commit(transaction).await {
            Ok(revision) => {
                self.note(&record);
                Ok(Some(At { record, revision }))
            }
            Err(CommitError::Conflict { .. }) => Ok(None),
            Err(CommitError::Store(error)) => Err(store_problem(&error)),
        }
    }

    /// Looks at all unfinished queues again and again. Runs until it is dropped.
    pub(crate) async fn settle_all(self: Arc<Self>) {
        let mut again = tokio::time::interval(SETTLE_INTERVAL);
        again.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            again.tick().await;
            if !self.whole.is_whole() {
                continue;
            }
            let names = self.unsettled.of(|cluster| self.fleet.is_serving(cluster));
            stream::iter(names)
                .for_each_concurrent(SETTLE_CONCURRENCY, |name| self.settle_one(name))
                .await;
        }
    }

    async fn settle_one(&self, name: QueueName) {
        // Whoever has the lock is at it.
        let Some(_lock) = self.locks.try_lock(&name) else {
            return;
        };
        let until = Instant::now() + OPERATION_PATIENCE;
        let settled = match self.read(&name).await {
            Ok(Some(at)) if at.record.stage != QueueStage::Active => {
                self.settle(at, until).await.map(drop)
            }
            Ok(_) => {
                self.unsettled.remove(&name);
                Ok(())
            }
            Err(problem) => Err(problem),
        };
        match settled {
            Ok(()) => debug!(%name, "unfinished queue finished"),
            Err(problem) => debug!(%name, %problem, "queue stays unfinished"),
        }
    }
}

/// Why the cluster did not follow. It is tried again later in any case, so nothing is certain.
fn not_settled(queue: &QueueRecord, failed: InstructError) -> Problem {
    static SAID: RateLimit = RateLimit::new(Duration::from_secs(10));
    let QueueRecord { name, stage, .. } = queue;
    let code = match &failed {
        InstructError::Unavailable { .. } => {
            debug!(%name, ?stage, %failed, "cluster has not followed");
            ErrorCode::Unavailable
        }
        InstructError::Refused { refusal, .. } if refusal.code == ErrorCode::Fenced => {
            if let Some(passed_over) = SAID.allow() {
                warn!(%name, ?stage, %failed, passed_over, "cluster has seen a newer instruction; is this store older than another one?");
            }
            ErrorCode::Fenced
        }
        InstructError::Refused { .. } => {
            if let Some(passed_over) = SAID.allow() {
                error!(%name, ?stage, %failed, passed_over, "cluster does not know a partition that it should have");
            }
            ErrorCode::Internal
        }
    };
    Problem::new(code, failed.to_string()).applied(Applied::Unknown)
}

/// With one manager only a fault of ours: names are locked.
pub(super) fn changed_meanwhile(name: &QueueName) -> Problem {
    Problem::new(
        ErrorCode::Busy,
        format!("{name} was changed by another manager meanwhile"),
    )
    .applied(Applied::Unknown)
}
