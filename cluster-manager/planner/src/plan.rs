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
    /// What nobody consumed from a sealed partition is sent on to its successor.
    Forward {
        /// The queue.
        queue: QueueId,
        /// The sealed partition.
        partition: PartitionId,
        /// Where it is.
        cluster: ClusterId,
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
    /// No cluster is cool enough to take anything.
    NoneCool,
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
