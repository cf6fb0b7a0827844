//! A queue and its partitions, as the planner sees them.

use shoal_types::{ClusterId, Epoch, PartitionId, QueueId, Ts};

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Which.
    pub queue: QueueId,
    /// Its groups are kept in order.
    pub fifo: bool,
    /// Whether and how it may be split.
    pub splitting: Splitting,
    /// When it was last split or merged.
    pub resized: Ts,
    /// Those that exist, oldest epoch first.
    pub partitions: Vec<Partition>,
}

/// Whether and how a queue may be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Splitting {
    /// One partition, as users set it or as the default has it.
    Never,
    /// `partitions: auto`: any message may go to any partition.
    ByMessage,
    /// `partitions: auto` of a FIFO queue whose deduplication is by group: each group to one partition.
    ByGroup,
}

/// A queue's part on one cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Which.
    pub partition: PartitionId,
    /// Its generation.
    pub epoch: Epoch,
    /// Where it is.
    pub cluster: ClusterId,
    /// What it takes.
    pub stage: PartitionStage,
    /// When it was opened.
    pub since: Ts,
}

/// What a partition takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionStage {
    /// Sends and receives.
    Active,
    /// Sealed: receives until it is empty.
    Draining,
    /// Created and closed: opens when the one before it is sealed.
    Held,
}

impl Queue {
    /// Those that take sends.
    pub fn active(&self) -> impl Iterator<Item = &Partition> {
        let active = |partition: &&Partition| partition.stage == PartitionStage::Active;
        self.partitions.iter().filter(active)
    }

    /// The partition, if the queue has it.
    #[must_use]
    pub fn partition(&self, partition: PartitionId) -> Option<&Partition> {
        self.partitions
            .iter()
            .find(|other| other.partition == partition)
    }

    /// The highest epoch that the queue ever had: whatever comes next gets a higher one.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        let epochs = self.partitions.iter().map(|partition| partition.epoch);
        epochs.max().unwrap_or_default()
    }

    /// True if a partition of it is on the cluster, in whatever stage.
    #[must_use]
    pub fn is_on(&self, cluster: ClusterId) -> bool {
        self.partitions
            .iter()
            .any(|partition| partition.cluster == cluster)
    }

    /// True if nothing of it is on its way from one partition to another.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.active().count() == self.partitions.len()
    }
}
