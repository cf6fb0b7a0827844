//! New settings for a queue.

use std::sync::Arc;

use shoal_api::Problem;
use shoal_types::{ErrorCode, QueueName, QueueRoute, QueueSettings};
use tokio::time::Instant;

use super::Queues;
use super::settle::changed_meanwhile;
use crate::problem::queue_not_found;
use crate::records::{QueueRecord, QueueStage};

impl Queues {
    /// Gives a queue new settings, all of them. Whether it is FIFO cannot change: the name says it.
    pub(crate) async fn change(
        self: &Arc<Self>,
        name: &QueueName,
        settings: QueueSettings,
    ) -> Result<QueueRoute, Problem> {
        settings
            .validate(name)
            .map_err(|error| Problem::invalid(error.field, error.why))?;
        self.alone(name, |this, name, until| async move {
            this.change_alone(&name, settings, until).await
        })
        .await
    }

    async fn change_alone(
        &self,
        name: &QueueName,
        settings: QueueSettings,
        until: Instant,
    ) -> Result<QueueRoute, Problem> {
        let Some(at) = self
            .read(name)
            .await?
            .filter(|at| at.record.stage != QueueStage::Deleting)
        else {
            return Err(queue_not_found(name));
        };
        let at = self
            .settle(at, until)
            .await?
            .ok_or_else(|| queue_not_found(name))?;
        if at.record.settings == settings {
            return Ok(at.route());
        }
        // One that is gone meanwhile is no reason to refuse other changes.
        if at.record.settings.dead_letter_queue != settings.dead_letter_queue {
            self.check_dead_letter_queue(name, &settings).await?;
        }
        if at.record.is_moving() {
            let why = format!("{name} is being moved, which takes a moment");
            return Err(Problem::new(ErrorCode::Busy, why));
        }
        // What is no business of the clusters is still noted down there.
        let record = QueueRecord {
            settings,
            changed_at: self.clock.now().wall,
            stage: QueueStage::Configuring,
            ..at.record.clone()
        };
        let Some(at) = self.write(Some(&at), record).await? else {
            return Err(changed_meanwhile(name));
        };
        let at = self.settle(at, until).await?;
        Ok(at.expect("a changed queue is there").route())
    }
}
