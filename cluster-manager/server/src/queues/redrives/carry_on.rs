//! Tasks go on until each of their partitions is at its end.

use std::sync::Arc;

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use shoal_api::plan::EventKind;
use shoal_api::redrive::RedriveStatus;
use tokio::time::MissedTickBehavior;
use tracing::debug;

use crate::limits::{REDRIVE_CONCURRENCY, REDRIVE_INTERVAL};
use crate::queues::Queues;
use crate::records::{At, QueueStage, RedriveTask, RedrivesRecord};

impl Queues {
    /// Carries on all tasks, those that an earlier process began included. Runs until it is dropped.
    pub(crate) async fn carry_on_redrives(self: Arc<Self>) {
        let mut again = tokio::time::interval(REDRIVE_INTERVAL);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            again.tick().await;
            if !self.whole.is_whole() {
                continue;
            }
            stream::iter(self.redrives.all())
                .for_each_concurrent(REDRIVE_CONCURRENCY, |at| self.carry_on_redrive(at))
                .await;
        }
    }

    async fn carry_on_redrive(&self, at: At<RedrivesRecord>) {
        if let Err(why) = self.redrive_step(&at).await {
            debug!(queue = %at.record.name, why, "redrive waits");
        }
    }

    async fn redrive_step(&self, at: &At<RedrivesRecord>) -> Result<(), String> {
        let Some(task) = at.record.under_way() else {
            return Ok(());
        };
        let read = self.read(&at.record.name).await;
        let queue = read.map_err(|problem| problem.detail.to_string())?;
        let is_it =
            |stage: QueueStage, queue| queue == at.record.queue && stage != QueueStage::Deleting;
        let queue = queue.filter(|queue| is_it(queue.record.stage, queue.record.queue));
        let Some(queue) = queue else {
            // It ends with its queue, whose deletion removes the record.
            self.redrives.remove(at.record.queue);
            return Ok(());
        };
        let looks = task.parts.iter();
        let looks = looks.map(|part| self.look_at_part(&queue.record, at.revision, task, part));
        let mut heard = task.clone();
        let mut waits = None;
        for (part, look) in heard.parts.iter_mut().zip(join_all(looks).await) {
            *part = look.part;
            if let Some(why) = look.failed {
                heard.reason = why;
            }
            waits = look.waits.or(waits);
        }
        match heard.end() {
            Some(end) => self.end_redrive(at, heard, end).await,
            None => {
                self.redrives.heard(at, &heard);
                waits.map_or(Ok(()), Err)
            }
        }
    }

    async fn end_redrive(
        &self,
        at: &At<RedrivesRecord>,
        task: RedriveTask,
        end: RedriveStatus,
    ) -> Result<(), String> {
        let name = &at.record.name;
        let ended = RedriveTask {
            status: end,
            ..task
        };
        let info = ended.info(name);
        let (kind, how) = match end {
            RedriveStatus::Failed => (EventKind::Undone, format!("failed: {}", ended.reason)),
            other => (EventKind::Done, other.as_str().to_owned()),
        };
        let text = format!(
            "the redrive {} of {name} is {how}; {} of {} messages have moved",
            info.task, info.moved, info.to_move
        );
        let mut record = at.record.clone();
        record.tasks.pop();
        record.tasks.push(ended);
        record.forget_oldest();
        let written = self.write_redrives(Some(at), record, kind, text).await;
        written
            .map(drop)
            .map_err(|problem| problem.detail.to_string())
    }
}
