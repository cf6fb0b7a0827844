//! Telling a queue's partitions where its dead letters go.

use futures_util::future::join_all;
use shoal_api::Problem;
use shoal_types::{Applied, DeadLetters, ErrorCode, PartitionId, QueueId, QueueName};
use tokio::time::Instant;

use super::target_of;
use crate::executor::InstructError;
use crate::keys;
use crate::problem::store_problem;
use crate::queues::Queues;
use crate::records::{
    self, At, DeadLettersRecord, PartitionRecord, QueueRecord, QueueStage, Record,
};
use crate::store::{CommitError, Transaction};

impl Queues {
    /// Has these partitions of a queue know where its dead letters go now. Nothing is to be told if none of its
    /// messages ever died, or if the queue is being deleted.
    ///
    /// # Errors
    /// If one of them has not confirmed it, where they go cannot be said at the moment, or the store fails. It may
    /// be done again then.
    pub(in crate::queues) async fn tell_where_dead_letters_go(
        &self,
        name: &QueueName,
        queue: QueueId,
        which: impl Fn(&PartitionRecord) -> bool,
        until: Instant,
    ) -> Result<(), Problem> {
        let lock = self.dead_letters.telling.lock(name);
        let Ok(_lock) = tokio::time::timeout_at(until, lock).await else {
            return Err(untold(format!(
                "{name} is being told where its dead letters go"
            )));
        };
        let is_it = |at: &At<QueueRecord>| {
            at.record.queue == queue && at.record.stage != QueueStage::Deleting
        };
        // Read only now: whoever was before may have known an older one.
        let Some(at) = self.read(name).await?.filter(is_it) else {
            return Ok(());
        };
        let Some(decided) = self.decide(&at).await? else {
            return Ok(());
        };
        self.tell(&at, decided, which, until).await
    }

    /// What a queue is to be told, written down if it is something new; `None` if it need not be told anything.
    async fn decide(&self, at: &At<QueueRecord>) -> Result<Option<At<DeadLettersRecord>>, Problem> {
        let queue = &at.record;
        let wanted = self.wanted(queue).await?;
        let before = records::read(&*self.store, &keys::dead_letters(queue.queue)).await;
        let before: Option<At<DeadLettersRecord>> =
            before.map_err(|error| store_problem(&error))?;
        match before {
            None if wanted.is_none() => Ok(None),
            Some(before) if before.record.dead_letters == wanted => Ok(Some(before)),
            before => {
                let record = DeadLettersRecord::decided(queue, wanted);
                self.write_told(at, before.as_ref(), record).await.map(Some)
            }
        }
    }

    /// Where a queue's dead letters go, as things are.
    async fn wanted(&self, queue: &QueueRecord) -> Result<Option<DeadLetters>, Problem> {
        let settings = &queue.settings;
        let (Some(to), Some(max_receives)) =
            (&settings.dead_letter_queue, settings.max_receive_count)
        else {
            return Ok(None);
        };
        // Without one nothing dies; whoever creates it makes this queue due again.
        let target = self.read(to).await?;
        let Some(target) = target.filter(|target| target.record.is_visible()) else {
            return Ok(None);
        };
        // Known before the members are read: when they change after that, the queue is due.
        let clusters = target.record.clusters().collect();
        self.dead_letters.told_of(&queue.name, clusters);
        let to = target_of(&target.record, |cluster| self.fleet.members(cluster));
        Ok(Some(DeadLetters {
            queue: queue.queue,
            max_receives: u16::try_from(max_receives).expect("checked: at most 1,000"),
            to: to.map_err(untold)?,
        }))
    }

    async fn tell(
        &self,
        at: &At<QueueRecord>,
        decided: At<DeadLettersRecord>,
        which: impl Fn(&PartitionRecord) -> bool,
        until: Instant,
    ) -> Result<(), Problem> {
        let knows = |one: &PartitionRecord| decided.record.told.contains(&one.partition);
        let untold = at
            .record
            .partitions
            .iter()
            .filter(|one| which(one) && !knows(one));
        let untold: Vec<_> = untold.collect();
        let told = untold.iter().map(|one| {
            let instruction = decided.instruction(one.partition);
            self.instructor.execute(one.cluster, instruction, until)
        });
        let mut confirmed: Vec<PartitionId> = Vec::new();
        let mut failed = None;
        for (one, told) in untold.iter().zip(join_all(told).await) {
            match told {
                Ok(_) => confirmed.push(one.partition),
                Err(why) => failed = Some(why),
            }
        }
        if !confirmed.is_empty() {
            let record = decided.and_told(&confirmed, &at.record);
            self.write_told(at, Some(&decided), record).await?;
        }
        failed.map_or(Ok(()), |why| Err(not_told(&why)))
    }

    /// Only while the queue's record is as known: nothing is to be left of a queue that was deleted.
    async fn write_told(
        &self,
        at: &At<QueueRecord>,
        before: Option<&At<DeadLettersRecord>>,
        record: DeadLettersRecord,
    ) -> Result<At<DeadLettersRecord>, Problem> {
        let transaction = Transaction::new()
            .expect(at.record.key(), Some(at.revision))
            .expect(record.key(), before.map(|at| at.revision))
            .put(record.key(), record.encode());
        match self.store.commit(transaction).await {
            Ok(revision) => Ok(At { record, revision }),
            Err(CommitError::Store(error)) => Err(store_problem(&error)),
            Err(CommitError::Conflict { key }) => {
                Err(untold(format!("{key} was changed meanwhile")))
            }
        }
    }
}

fn untold(why: String) -> Problem {
    Problem::new(ErrorCode::Unavailable, why).applied(Applied::Unknown)
}

fn not_told(why: &InstructError) -> Problem {
    let code = match why {
        InstructError::Unavailable { .. } => ErrorCode::Unavailable,
        InstructError::Refused { refusal, .. } => refusal.code,
    };
    let detail = format!("where dead letters go: {why}");
    Problem::new(code, detail).applied(Applied::Unknown)
}
