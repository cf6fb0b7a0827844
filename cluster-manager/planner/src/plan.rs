//! What is to be done, and why.

use shoal_types::{ClusterId, Epoch, HostId, Micros, PartitionId, QueueId};

use crate::{Heat, NewCluster, Reading};

/// What is to be done now, and what is not, with reasons. It leaves no choice to whoever carries it
/// out. Whatever of it is not done can be forgotten: the next round decides anew from the facts then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which they are to be begun.
    pub actions: Vec<Decided>,
    /// Overheated clusters for which nothing is begun, hottest first.
    pub not_helped: Vec<NotHelped>,
    /// Why something stays on clusters that are being drained, by cluster.
    pub not_emptied: Vec<NotEmptied>,
    /// What the fleet lacks. Somebody must start hosts.
    pub capacity_needed: Option<CapacityNeeded>,
}

/// An action with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// What.
    pub action: Action,
    /// Why.
    pub reason: Reason,
}

/// Something to do. An action about a queue names the highest epoch that the queue had when it was
/// decided: if it has a higher one by now, the action is out of date and must not be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A member that is dead gives its place to a spare.
    Replace {
        /// The cluster.
        cluster: ClusterId,
        /// The member that goes.
        dead: HostId,
        /// The host that comes.
        by: HostId,
    },
    /// Spare hosts become a cluster.
    Form(NewCluster),
    /// A cluster that has no partition any more ceases to be.
    Retire {
        /// The cluster.
        cluster: ClusterId,
    },
    /// A partition is sealed, and one on another cluster takes over.
    Move {
        /// Its queue.
        queue: QueueId,
        /// The partition.
        partition: PartitionId,
        /// The queue's highest epoch.
        epoch: Epoch,
        /// Where it is.
        from: ClusterId,
        /// Where its successor is to be.
        to: ClusterId,
        /// The heat that goes with it, as the new cluster will feel it.
        carries: Heat,
    },
    /// A queue gets more partitions. The one that is split is sealed, and its groups go to one successor on
    /// its own cluster and one on each of the others.
    Split {
        /// The queue.
        queue: QueueId,
        /// The partition that is too much for its cluster.
        partition: PartitionId,
        /// The queue's highest epoch.
        epoch: Epoch,
        /// Where that partition is.
        from: ClusterId,
        /// Where the new ones are to be.
        to: Vec<ClusterId>,
        /// The heat that each will carry.
        carries: Heat,
    },
    /// A queue gets one partition less. Two are sealed whose groups are neighbours, and these go to one
    /// successor where the second one is.
    Merge {
        /// The queue.
        queue: QueueId,
        /// The partition that goes.
        partition: PartitionId,
        /// The queue's highest epoch.
        epoch: Epoch,
        /// Where it is.
        from: ClusterId,
        /// The partition that it is merged with.
        with: PartitionId,
        /// Where that one is.
        to: ClusterId,
        /// The heat that goes with it.
        carries: Heat,
    },
    /// What nobody consumed from a sealed partition goes on to an heir.
    Forward {
        /// The queue.
        queue: QueueId,
        /// The sealed partition.
        partition: PartitionId,
        /// Where it is.
        from: ClusterId,
        /// Where its heir is to be.
        to: ClusterId,
    },
}

/// Why something is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A cluster is overheated.
    Overheated {
        /// Which.
        cluster: ClusterId,
        /// How much.
        reading: Reading,
        /// How much of it comes from this partition.
        carries: Heat,
        /// What is expected to be left.
        after: Heat,
    },
    /// A cluster is overheated, and the others have no room.
    NoRoom {
        /// Which.
        cluster: ClusterId,
        /// How much.
        reading: Reading,
    },
    /// A cluster has much more to do than others.
    Unbalanced {
        /// The heat of the one that gives.
        gives: Heat,
        /// The heat of the one that takes.
        takes: Heat,
        /// The mean of all.
        mean: Heat,
        /// How much goes from one to the other.
        carries: Heat,
    },
    /// An operator wants the cluster empty.
    Drained {
        /// Which.
        cluster: ClusterId,
        /// Partitions that it still has.
        left: usize,
    },
    /// The cluster is drained and empty.
    Empty,
    /// A queue has more partitions than its load needs.
    Cold {
        /// Active partitions that it has.
        partitions: usize,
        /// What the merged one will carry at most.
        after: Heat,
    },
    /// A queue has several partitions and is to have one.
    Several {
        /// Active partitions that it has.
        partitions: usize,
    },
    /// A member was not heard from.
    Dead {
        /// For how long.
        silent: Micros,
        /// The zone of the spare that comes.
        zone: String,
        /// Other members in that zone.
        shares_zone_with: usize,
    },
    /// Nobody consumes what a sealed partition holds.
    NotConsumed {
        /// Since when it is sealed.
        sealed_for: Micros,
    },
}

/// An overheated cluster for which nothing is begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotHelped {
    /// Which.
    pub cluster: ClusterId,
    /// How hot.
    pub reading: Reading,
    /// Why not.
    pub why: WhyNot,
}

/// Why nothing is begun for an overheated cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyNot {
    /// A move from it or to it has just begun.
    InFlight,
    /// Load came or went so lately that too few windows speak of now.
    Measuring,
    /// It has lost its majority: nothing on it can be sealed.
    NoMajority,
    /// So much is in flight in the whole fleet that this has to wait.
    FleetBusy,
    /// So many sealed partitions wait for consumers in the whole fleet that this has to wait.
    ManyDrain,
    /// One partition is the heat, and its queue may not be split.
    OnePartition {
        /// The queue.
        queue: QueueId,
        /// What it carries.
        carries: Heat,
    },
    /// One partition is the heat, and all of it has one hash: it is one message group.
    OneGroup {
        /// The queue.
        queue: QueueId,
        /// What it carries.
        carries: Heat,
    },
    /// There is no other cluster that takes queues.
    NoOther,
    /// No cluster is cool enough to take anything.
    NoneCool {
        /// The coolest one.
        coolest: ClusterId,
        /// How hot that is.
        reading: Reading,
        /// Only clusters cooler than this are given something.
        below: Heat,
    },
    /// There are cool clusters, and all would become too hot with it.
    TooLarge {
        /// The queue that carries most of it.
        queue: QueueId,
        /// What it carries.
        carries: Heat,
    },
    /// Those that are cool enough take something already.
    CoolOnesBusy,
    /// It is being drained, which takes everything off it anyway.
    Draining,
    /// All of its partitions that carry enough to matter moved lately or are moving.
    AllMovedLately,
    /// No partition carries enough to matter: its load is many small queues.
    ManySmall,
    /// Hosts become a cluster that will take some.
    ClusterForming,
}

impl WhyNot {
    /// The queue that it is about, if it is about one.
    #[must_use]
    pub fn queue(&self) -> Option<QueueId> {
        match self {
            Self::OnePartition { queue, .. }
            | Self::OneGroup { queue, .. }
            | Self::TooLarge { queue, .. } => Some(*queue),
            _ => None,
        }
    }
}

/// Something that stays on a cluster that is being drained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotEmptied {
    /// The cluster.
    pub cluster: ClusterId,
    /// So many partitions stay there for this reason.
    pub partitions: usize,
    /// The queue of one of them.
    pub queue: QueueId,
    /// Why.
    pub why: WhyStays,
}

/// Why a partition stays on a cluster that is being drained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyStays {
    /// It is sealed and being consumed.
    Consumed {
        /// If it still is not empty then, what is left is forwarded (microseconds).
        forwarded_in: Micros,
    },
    /// It keeps its order: what was sent before it is elsewhere and has to be consumed first.
    HeldBack {
        /// Where that is.
        on: ClusterId,
    },
    /// It keeps its order, and so many of its partitions wait to be emptied that no more are made.
    ManyBehind,
    /// So many partitions of it wait to be emptied that no more are made.
    ManyPartitions,
    /// Its queue is created or changed, or has another move that has not opened yet.
    Changing,
    /// A move of it was undone lately.
    LeftAlone {
        /// For so long (microseconds).
        again_in: Micros,
        /// Why it was undone, in words.
        why: String,
    },
    /// Forwarding it was given up lately.
    ForwardingGivenUp {
        /// For so long (microseconds). `None`: until what is left of the last attempts is deleted.
        again_in: Option<Micros>,
        /// Where it was to go.
        at: ClusterId,
    },
    /// As much is in flight as may be, or as many sealed partitions wait for consumers.
    FleetBusy,
    /// Its cluster has lost its majority.
    NoMajority,
    /// There is no other cluster that takes queues.
    NoOther,
    /// No other cluster has room for it.
    NoRoom,
}

/// Hosts that are missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapacityNeeded {
    /// Clusters that would bring the mean heat to the goal of relief.
    pub clusters: usize,
    /// Dead members without a spare to replace them.
    pub replacements: usize,
    /// Hosts that both come to.
    pub hosts: usize,
}
