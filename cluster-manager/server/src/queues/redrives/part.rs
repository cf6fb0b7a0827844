//! What a task does at one partition: begun there, asked about, ended.

use shoal_api::redrive::RedriveStatus;
use shoal_types::limits::MOVE_PARTS_MAX;
use shoal_types::{
    Command, ErrorCode, MoveProgress, MoveStatus, MoveTask, MoveTo, Query, QueryReply, QueueName,
    Revision, Target,
};
use tokio::time::Instant;

use crate::executor::InstructError;
use crate::limits::MOVE_STEP_TIMEOUT;
use crate::queues::Queues;
use crate::queues::dead_letters::target_of;
use crate::records::{QueueRecord, RedrivePart, RedriveTask};

/// What was seen of a partition.
pub(super) struct Look {
    pub(super) part: RedrivePart,
    /// Why it cannot go on, if so.
    pub(super) failed: Option<String>,
    /// What it waits for, if something is in the way.
    pub(super) waits: Option<String>,
}

/// Why a task does not begin at a partition.
enum NotBegun {
    /// It may yet.
    Waits(String),
    /// It never will.
    Failed(String),
}

impl From<String> for NotBegun {
    fn from(why: String) -> Self {
        Self::Waits(why)
    }
}

impl Queues {
    /// Carries a task one step on at a partition. `revision` is that of the record, which fences a cancellation.
    pub(super) async fn look_at_part(
        &self,
        queue: &QueueRecord,
        revision: Revision,
        task: &RedriveTask,
        part: &RedrivePart,
    ) -> Look {
        let mut look = Look {
            part: *part,
            failed: None,
            waits: None,
        };
        if !part.status.is_under_way() {
            return look;
        }
        if queue.partition(part.partition).is_none() {
            look.partition_is_gone();
            return look;
        }
        match self.part_step(queue, revision, task, part).await {
            Ok(progress) => look.take_in(progress),
            Err(NotBegun::Waits(why)) => look.waits = Some(why),
            Err(NotBegun::Failed(why)) => look.fail(why),
        }
        look
    }

    async fn part_step(
        &self,
        queue: &QueueRecord,
        revision: Revision,
        task: &RedriveTask,
        part: &RedrivePart,
    ) -> Result<Option<MoveProgress>, NotBegun> {
        let known = self.last_task_of(part).await?;
        let is_to_end = task.status == RedriveStatus::Cancelling;
        match known {
            Some(known) if known.task == task.task => {
                if is_to_end && known.status == MoveStatus::Running {
                    self.cancel_at(part, task.task, revision).await?;
                }
                Ok(Some(known))
            }
            Some(later) if later.task > task.task => Err(NotBegun::Failed(format!(
                "{} went on to another redrive, of which this store knows nothing",
                part.partition
            ))),
            // Of a store that was lost: nobody else would end it.
            Some(other) if is_unfinished(other.status) => {
                self.cancel_at(part, other.task, Revision(task.task))
                    .await?;
                let (partition, other) = (part.partition, other.task);
                Err(NotBegun::Waits(format!(
                    "{partition} is to end the redrive {other} first, of which this store knows nothing"
                )))
            }
            _ => {
                self.begin_at(queue, task, part).await?;
                // At once: it would go on until the next look.
                if is_to_end {
                    self.cancel_at(part, task.task, revision).await?;
                }
                Ok(None)
            }
        }
    }

    async fn last_task_of(&self, part: &RedrivePart) -> Result<Option<MoveProgress>, String> {
        let query = Query::Outbox {
            partition: part.partition,
        };
        let until = Instant::now() + MOVE_STEP_TIMEOUT;
        match self.instructor.query(part.cluster, query, until).await {
            Ok(QueryReply::Outbox(outbox)) => Ok(outbox.task),
            Ok(_) => Err(format!("{} answered something else", part.cluster)),
            Err(why) => Err(why.to_string()),
        }
    }

    async fn begin_at(
        &self,
        queue: &QueueRecord,
        task: &RedriveTask,
        part: &RedrivePart,
    ) -> Result<(), NotBegun> {
        let shared_by = u16::try_from(task.parts.len()).unwrap_or(u16::MAX);
        let told = MoveTask {
            task: task.task,
            to: self.goes_where(queue, task).await?,
            per_second: task.max_per_second.map(|rate| (rate / shared_by).max(1)),
        };
        let begin = Command::StartMove {
            partition: part.partition,
            task: Box::new(told),
            revision: Revision(task.task),
        };
        let until = Instant::now() + MOVE_STEP_TIMEOUT;
        match self.instructor.execute(part.cluster, begin, until).await {
            Ok(_) => Ok(()),
            Err(InstructError::Refused { refusal, .. }) if refusal.code == ErrorCode::Fenced => {
                Err(NotBegun::Failed(format!(
                    "{} has had a later instruction than this redrive",
                    part.partition
                )))
            }
            Err(why) => Err(NotBegun::Waits(why.to_string())),
        }
    }

    /// Where messages go, as things are when the task begins; hosts follow what moves later.
    async fn goes_where(
        &self,
        queue: &QueueRecord,
        task: &RedriveTask,
    ) -> Result<MoveTo, NotBegun> {
        if let Some(to) = &task.to {
            let target = self.target_named(to).await?;
            let gone = || NotBegun::Failed(format!("there is no queue {to} any more"));
            return target.map(MoveTo::One).ok_or_else(gone);
        }
        let mut targets = Vec::new();
        for source in self.dead_letters.sources(&queue.name) {
            targets.extend(self.target_named(&source).await?);
        }
        let parts: usize = targets.iter().map(|target| target.parts.len()).sum();
        let why = match parts {
            0 => format!(
                "{} is the dead-letter queue of no queue any more",
                queue.name
            ),
            1..=MOVE_PARTS_MAX => return Ok(MoveTo::Origins(targets)),
            _ => format!(
                "the queues that messages go back to have {parts} partitions; {MOVE_PARTS_MAX} is the most that may \
                 be named: name one queue"
            ),
        };
        Err(NotBegun::Failed(why))
    }

    /// `None` if there is no such queue.
    async fn target_named(&self, name: &QueueName) -> Result<Option<Target>, String> {
        let read = self.read(name).await;
        let at = read.map_err(|problem| problem.detail.to_string())?;
        let at = at.filter(|at| at.record.is_visible());
        at.map(|at| target_of(&at.record, |cluster| self.fleet.members(cluster)))
            .transpose()
    }

    async fn cancel_at(
        &self,
        part: &RedrivePart,
        task: u64,
        revision: Revision,
    ) -> Result<(), String> {
        let cancel = Command::CancelMove {
            partition: part.partition,
            task,
            revision,
        };
        let until = Instant::now() + MOVE_STEP_TIMEOUT;
        let told = self.instructor.execute(part.cluster, cancel, until).await;
        told.map(drop).map_err(|why| why.to_string())
    }
}

impl Look {
    fn take_in(&mut self, progress: Option<MoveProgress>) {
        let Some(progress) = progress else {
            return;
        };
        self.part.take_in(progress);
        if self.part.status == RedriveStatus::Failed {
            let partition = self.part.partition;
            self.failed = Some(format!(
                "a queue that messages of {partition} were to go to is gone, or they go on to another cluster; what \
                 has not moved stays: start another redrive"
            ));
        }
    }

    /// It is deleted once it is empty.
    fn partition_is_gone(&mut self) {
        let part = &mut self.part;
        if part.moved + part.failed >= part.to_move {
            part.status = RedriveStatus::Completed;
        } else {
            let partition = part.partition;
            self.fail(format!(
                "what was left in {partition} was received by others, or went on to another cluster"
            ));
        }
    }

    fn fail(&mut self, why: String) {
        self.part.status = RedriveStatus::Failed;
        self.failed = Some(why);
    }
}

fn is_unfinished(status: MoveStatus) -> bool {
    matches!(status, MoveStatus::Running | MoveStatus::Cancelling)
}
