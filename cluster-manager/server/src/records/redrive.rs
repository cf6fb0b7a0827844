//! Tasks that move a queue's messages to other queues: the one that runs, and the last ones that are over.
//!
//! ```text
//!          POST                each partition was seen at its end
//!  (none) ─────► under way ─────────────────────────────────────► over, one of the last ten
//!                    │ cancel: each partition is told to end      ▲
//!                    └────────────────────────────────────────────┘
//! ```
//! All tasks of a queue are one record. A task's number is the revision at which it was written down, so it is
//! another one than those of all tasks that ever were, also on a store that was rebuilt; and it is the fence of
//! the instruction to begin.

use serde::{Deserialize, Serialize};
use shoal_api::redrive::{RedriveInfo, RedriveStatus};
use shoal_types::{ClusterId, MoveProgress, MoveStatus, PartitionId, QueueId, QueueName, Ts};

use super::{At, Record};
use crate::keys;
use crate::limits::REDRIVES_KEPT_MAX;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RedrivesRecord {
    /// The queue whose messages go.
    pub(crate) name: QueueName,
    pub(crate) queue: QueueId,
    /// Oldest first; at most [`REDRIVES_KEPT_MAX`] that are over, and only the last one may be under way.
    pub(crate) tasks: Vec<RedriveTask>,
}

/// One task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RedriveTask {
    /// 0: the record's revision, since it was not written again since the task was decided.
    pub(crate) task: u64,
    /// Where to; if missing, each message to the queue in which it died.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<QueueName>,
    /// Messages a second, of all partitions together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_per_second: Option<u16>,
    pub(crate) status: RedriveStatus,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) reason: String,
    /// The partitions that there were when it was asked for, with what they told last.
    pub(crate) parts: Vec<RedrivePart>,
    /// By the manager's clock.
    pub(crate) started_at: Ts,
}

/// What a task does at one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RedrivePart {
    pub(crate) partition: PartitionId,
    pub(crate) cluster: ClusterId,
    pub(crate) status: RedriveStatus,
    pub(crate) to_move: u64,
    pub(crate) moved: u64,
    pub(crate) failed: u64,
}

impl RedrivePart {
    /// As its cluster tells.
    pub(crate) fn take_in(&mut self, progress: MoveProgress) {
        self.status = match progress.status {
            MoveStatus::Running => RedriveStatus::Running,
            MoveStatus::Completed => RedriveStatus::Completed,
            MoveStatus::Cancelling => RedriveStatus::Cancelling,
            MoveStatus::Cancelled => RedriveStatus::Cancelled,
            MoveStatus::Failed => RedriveStatus::Failed,
        };
        (self.to_move, self.moved, self.failed) =
            (progress.to_move, progress.moved, progress.failed);
    }
}

impl RedriveTask {
    /// What became of it once all its partitions are at their end; `None` before.
    pub(crate) fn end(&self) -> Option<RedriveStatus> {
        if self.parts.iter().any(|part| part.status.is_under_way()) {
            return None;
        }
        let has = |status| self.parts.iter().any(|part| part.status == status);
        let worst = [RedriveStatus::Failed, RedriveStatus::Cancelled];
        let worst = worst.into_iter().find(|status| has(*status));
        Some(worst.unwrap_or(RedriveStatus::Completed))
    }

    /// What people are shown.
    pub(crate) fn info(&self, queue: &QueueName) -> RedriveInfo {
        let sum = |of: fn(&RedrivePart) -> u64| self.parts.iter().map(of).sum();
        RedriveInfo {
            task: self.task,
            queue: queue.clone(),
            to: self.to.clone(),
            max_per_second: self.max_per_second,
            status: self.status,
            to_move: sum(|part| part.to_move),
            moved: sum(|part| part.moved),
            failed: sum(|part| part.failed),
            started_at: self.started_at,
            reason: self.reason.clone(),
        }
    }
}

impl Record for RedrivesRecord {
    fn key(&self) -> String {
        keys::redrives(self.queue)
    }
}

impl RedrivesRecord {
    /// The task that is under way.
    pub(crate) fn under_way(&self) -> Option<&RedriveTask> {
        self.tasks.last().filter(|last| last.status.is_under_way())
    }

    /// The oldest of those that are over are forgotten.
    pub(crate) fn forget_oldest(&mut self) {
        let kept = REDRIVES_KEPT_MAX + usize::from(self.under_way().is_some());
        let too_many = self.tasks.len().saturating_sub(kept);
        self.tasks.drain(..too_many);
    }
}

impl At<RedrivesRecord> {
    /// The record with the number of the task that was written down with it.
    pub(crate) fn numbered(mut self) -> Self {
        for task in self.record.tasks.iter_mut().filter(|one| one.task == 0) {
            task.task = self.revision.0;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::Revision;

    use super::*;

    fn part(status: RedriveStatus) -> RedrivePart {
        RedrivePart {
            partition: PartitionId(1),
            cluster: ClusterId(1),
            status,
            to_move: 5,
            moved: 3,
            failed: 1,
        }
    }

    fn task(task: u64, parts: &[RedriveStatus]) -> RedriveTask {
        let parts: Vec<_> = parts.iter().copied().map(part).collect();
        RedriveTask {
            task,
            to: None,
            max_per_second: None,
            status: RedriveStatus::Running,
            reason: String::new(),
            parts,
            started_at: Ts(0),
        }
    }

    #[test]
    fn a_task_is_over_when_all_its_partitions_are_and_sums_what_they_did() {
        use RedriveStatus::{Cancelled, Cancelling, Completed, Failed, Running};
        for (parts, end) in [
            ([Completed, Running], None),
            ([Failed, Cancelling], None),
            ([Completed, Completed], Some(Completed)),
            ([Completed, Cancelled], Some(Cancelled)),
            ([Failed, Cancelled], Some(Failed)),
        ] {
            assert_eq!(task(1, &parts).end(), end, "{parts:?}");
        }
        let info = task(9, &[Completed, Running]).info(&"dead".parse().unwrap());
        assert_eq!(
            (info.task, info.to_move, info.moved, info.failed),
            (9, 10, 6, 2)
        );
    }

    #[test]
    fn a_task_has_the_number_of_the_write_that_began_it() {
        let record = RedrivesRecord {
            name: "dead".parse().unwrap(),
            queue: QueueId(1),
            tasks: vec![task(7, &[]), task(0, &[])],
        };
        let at = At {
            record,
            revision: Revision(12),
        };
        let numbers: Vec<u64> = at
            .numbered()
            .record
            .tasks
            .iter()
            .map(|one| one.task)
            .collect();
        assert_eq!(numbers, [7, 12]);
    }

    #[test]
    fn the_last_ten_that_are_over_are_kept() {
        let over = |n| RedriveTask {
            status: RedriveStatus::Completed,
            ..task(n, &[])
        };
        let mut record = RedrivesRecord {
            name: "dead".parse().unwrap(),
            queue: QueueId(1),
            tasks: (1..=12).map(over).chain([task(13, &[])]).collect(),
        };
        record.forget_oldest();
        assert_eq!(record.tasks.len(), REDRIVES_KEPT_MAX + 1);
        assert_eq!(record.under_way().unwrap().task, 13);
        record.tasks.last_mut().unwrap().status = RedriveStatus::Failed;
        record.forget_oldest();
        assert_eq!(record.tasks.len(), REDRIVES_KEPT_MAX);
    }
}
