//! All queues, found by id and by cluster.

use std::collections::{BTreeMap, BTreeSet};

use shoal_types::{ClusterId, PartitionId, QueueId};

use super::Queue;

/// All queues. A queue that changes is put again, which costs the logarithm of their number.
#[derive(Clone, Debug, Default)]
pub struct Queues {
    by_id: BTreeMap<QueueId, Queue>,
    by_cluster: BTreeMap<ClusterId, BTreeMap<PartitionId, QueueId>>,
    /// Those with more than one active partition.
    split: BTreeSet<QueueId>,
}

impl Queues {
    /// Adds a queue, or replaces what was known of it.
    pub fn put(&mut self, queue: Queue) {
        self.remove(queue.queue);
        for partition in &queue.partitions {
            let on = self.by_cluster.entry(partition.cluster).or_default();
            on.insert(partition.partition, queue.queue);
        }
        if queue.active().count() > 1 {
            self.split.insert(queue.queue);
        }
        self.by_id.insert(queue.queue, queue);
    }

    /// Forgets a queue, and says what was known of it.
    pub fn remove(&mut self, queue: QueueId) -> Option<Queue> {
        let known = self.by_id.remove(&queue)?;
        self.split.remove(&queue);
        for partition in &known.partitions {
            if let Some(on) = self.by_cluster.get_mut(&partition.cluster) {
                on.remove(&partition.partition);
                if on.is_empty() {
                    self.by_cluster.remove(&partition.cluster);
                }
            }
        }
        Some(known)
    }

    /// A queue.
    #[must_use]
    pub fn get(&self, queue: QueueId) -> Option<&Queue> {
        self.by_id.get(&queue)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// How many partitions, in whatever stage, are on a cluster.
    #[must_use]
    pub fn count_on(&self, cluster: ClusterId) -> usize {
        self.by_cluster.get(&cluster).map_or(0, BTreeMap::len)
    }

    /// The partitions on a cluster, in whatever stage, with their queues; by id.
    pub fn on(&self, cluster: ClusterId) -> impl Iterator<Item = (PartitionId, QueueId)> {
        let partitions = self.by_cluster.get(&cluster).into_iter().flatten();
        partitions.map(|(partition, queue)| (*partition, *queue))
    }

    /// The queue of a partition that is on this cluster.
    #[must_use]
    pub fn of(&self, cluster: ClusterId, partition: PartitionId) -> Option<QueueId> {
        self.by_cluster.get(&cluster)?.get(&partition).copied()
    }

    /// Queues with more than one active partition, by id.
    pub fn split(&self) -> impl Iterator<Item = &Queue> {
        self.split.iter().map(|queue| &self.by_id[queue])
    }
}
