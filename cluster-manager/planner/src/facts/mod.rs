//! What the planner is told. Facts are kept and changed as news comes in, never built anew for a round:
//! a million queues would take longer to copy than to plan for.

mod cluster;
mod follow;
mod host;
mod queue;
mod queues;

use std::collections::{BTreeMap, VecDeque};

use shoal_types::{ClusterId, HostId, Micros, PartitionId, QueueId, Ts};

pub use cluster::{Cluster, ClusterStage, Load, Window, Windows};
pub use follow::{Change, Forwarding};
pub use host::{Host, HostStage};
pub use queue::{Partition, PartitionStage, Queue};
pub use queues::Queues;

use crate::ClusterFacts;

/// The fleet. All times are by one clock: the manager's.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Every host that is known.
    pub hosts: BTreeMap<HostId, Host>,
    /// Every cluster that is not retired.
    pub clusters: BTreeMap<ClusterId, Cluster>,
    /// Every queue.
    pub queues: Queues,
    /// What was decided about queues and is not finished, by the partition that it is about.
    pub changes: BTreeMap<PartitionId, Change>,
    /// Moves of which only partitions are left that have to be deleted.
    pub clearing: usize,
    /// Queues about which nothing is decided for a while.
    pub left_alone: BTreeMap<QueueId, LeftAlone>,
    /// When moves for balance began, oldest first; of the last hour at least.
    pub balanced: VecDeque<Ts>,
}

/// Until when a queue is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftAlone {
    /// From then on it may be moved again.
    pub until: Ts,
    /// Why, in words.
    pub why: String,
}

impl Facts {
    /// Why a queue is left alone at present, if it is.
    #[must_use]
    pub fn leaves_alone(&self, queue: QueueId, now: Ts) -> Option<&LeftAlone> {
        let left = self.left_alone.get(&queue);
        left.filter(|left| now < left.until)
    }

    /// True if the host was heard from lately.
    #[must_use]
    pub fn is_alive(&self, host: HostId, silence: Micros, now: Ts) -> bool {
        let host = self.hosts.get(&host);
        host.is_some_and(|host| host.stage != HostStage::Out && now.since(host.heard) <= silence)
    }

    /// True if a majority of the cluster's members was heard from lately.
    #[must_use]
    pub fn has_majority(&self, cluster: &Cluster, silence: Micros, now: Ts) -> bool {
        let members = cluster.members.iter();
        let alive = members
            .filter(|host| self.is_alive(**host, silence, now))
            .count();
        alive > cluster.members.len() / 2
    }

    /// A cluster can do as much as the weakest of its members.
    #[must_use]
    pub fn weight(&self, cluster: &Cluster) -> u32 {
        let hosts = cluster
            .members
            .iter()
            .filter_map(|host| self.hosts.get(host));
        hosts.map(|host| host.capacity).min().unwrap_or(1).max(1)
    }

    /// What [`crate::place`] must know to give a new queue its cluster.
    #[must_use]
    pub fn for_placing(&self, silence: Micros, now: Ts) -> BTreeMap<ClusterId, ClusterFacts> {
        let facts = |(id, cluster): (&ClusterId, &Cluster)| {
            let serving =
                cluster.stage == ClusterStage::Serving && self.has_majority(cluster, silence, now);
            let queues = self.queues.count_on(*id) as u64;
            (*id, ClusterFacts { serving, queues })
        };
        self.clusters.iter().map(facts).collect()
    }
}
