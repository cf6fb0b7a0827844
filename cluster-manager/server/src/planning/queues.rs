//! What the planner is told of queues: kept as they change, and brought into the facts before a round.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use shoal_planner::facts::{Facts, Partition, PartitionStage, Queue, Splitting};
use shoal_types::{QueueId, QueueName};

use crate::records::{QueueRecord, QueueStage};

/// Queues that changed since the last round, as they are now; `None`: gone. Bounded by the queues.
#[derive(Default)]
pub(crate) struct QueueNews(Mutex<BTreeMap<QueueId, Option<QueueRecord>>>);

impl QueueNews {
    /// A queue is new or has changed.
    pub(crate) fn changed(&self, record: &QueueRecord) {
        self.put(record.queue, Some(record.clone()));
    }

    /// A queue is gone.
    pub(crate) fn gone(&self, queue: QueueId) {
        self.put(queue, None);
    }

    fn put(&self, queue: QueueId, record: Option<QueueRecord>) {
        let mut news = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        news.insert(queue, record);
    }

    fn take(&self) -> BTreeMap<QueueId, Option<QueueRecord>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Brings the facts up to date.
    pub(super) fn tell(&self, facts: &mut Facts, names: &mut Names) {
        for (queue, record) in self.take() {
            match record {
                Some(record) => {
                    facts.queues.put(facts_of(&record));
                    names.insert(queue, record.name);
                }
                None => {
                    facts.queues.remove(queue);
                    names.remove(&queue);
                }
            }
        }
    }
}

/// The planner knows queues by their ids alone.
pub(super) type Names = BTreeMap<QueueId, QueueName>;

fn facts_of(record: &QueueRecord) -> Queue {
    let partition = Partition {
        partition: record.partition.partition,
        epoch: record.partition.epoch,
        cluster: record.partition.cluster,
        // What is being created or deleted stays where it is.
        stage: match record.stage {
            QueueStage::Active | QueueStage::Configuring => PartitionStage::Active,
            QueueStage::Creating | QueueStage::Deleting => PartitionStage::Held,
        },
        since: record.created_at,
    };
    Queue {
        queue: record.queue,
        fifo: record.settings.fifo,
        splitting: Splitting::Never,
        resized: record.created_at,
        partitions: vec![partition],
    }
}
