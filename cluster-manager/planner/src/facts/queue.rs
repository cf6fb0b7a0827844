//! A queue and its partitions, as the planner sees them.

use shoal_types::{ClusterId, Epoch, GroupRange, PartitionId, QueueId, Ts};

use crate::limits::BEHIND_MAX;

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Which.
    pub queue: QueueId,
    /// Its groups are kept in order.
    pub fifo: bool,
    /// `partitions: auto`: it may be split, and more than one partition is no reason to merge it. If not,
    /// it is to have one partition that takes sends.
    pub auto: bool,
    /// When it was last split or merged.
    pub resized: Ts,
    /// Those that exist, oldest epoch first.
    pub partitions: Vec<Partition>,
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
    /// The message groups that are sent there. Those of the active ones are all groups, each once.
    pub groups: GroupRange,
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

    /// The oldest partition that has to be empty before this one can be: of a FIFO queue groups that have
    /// messages in the one are held back in the other.
    #[must_use]
    pub fn held_back_by(&self, later: &Partition) -> Option<&Partition> {
        let mut all = self.partitions.iter().filter(|_| self.fifo);
        all.find(|older| older.epoch < later.epoch && overlap(older.groups, later.groups))
    }

    /// True if one more of its partitions can be followed, though others are not empty yet: always of a
    /// standard queue; of a FIFO queue if nothing is between being sealed and being followed, and not too
    /// many wait.
    #[must_use]
    pub fn may_be_followed_again(&self) -> bool {
        let drains = |one: &&Partition| one.stage == PartitionStage::Draining;
        let behind = self.partitions.iter().filter(drains);
        !self.fifo || !self.is_between() && behind.count() < BEHIND_MAX
    }

    /// True if one of its partitions waits to take over from others, or the whole queue to be created or
    /// changed.
    #[must_use]
    pub fn is_between(&self) -> bool {
        let mut all = self.partitions.iter();
        all.any(|one| one.stage == PartitionStage::Held)
    }

    /// True if nothing of it is on its way from one partition to another.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.active().count() == self.partitions.len()
    }
}

fn overlap(one: GroupRange, other: GroupRange) -> bool {
    one.first <= other.last && other.first <= one.last
}
