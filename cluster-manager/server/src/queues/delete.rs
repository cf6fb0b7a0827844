//! The end of a queue.

use std::sync::Arc;

use shoal_api::Problem;
use shoal_types::QueueName;
use tokio::time::Instant;

use super::Queues;
use super::settle::changed_meanwhile;
use crate::problem::queue_not_found;
use crate::records::QueueStage;

impl Queues {
    /// Deletes a queue with all its messages. The name can be used again at once, for another queue.
    pub(crate) async fn delete(self: &Arc<Self>, name: &QueueName) -> Result<(), Problem> {
        self.alone(name, |this, name, until| async move {
            this.delete_alone(&name, until).await
        })
        .await
    }

    async fn delete_alone(&self, name: &QueueName, until: Instant) -> Result<(), Problem> {
        let at = self
            .read(name)
            .await?
            .ok_or_else(|| queue_not_found(name))?;
        let at = if at.record.stage == QueueStage::Deleting {
            at
        } else {
            // Whatever the cluster has not carried out yet, it never will: the deletion is fenced above.
            let record = at.record.in_stage(QueueStage::Deleting);
            let written = self.write(Some(&at), record).await?;
            written.ok_or_else(|| changed_meanwhile(name))?
        };
        self.settle(at, until).await.map(drop)
    }
}
