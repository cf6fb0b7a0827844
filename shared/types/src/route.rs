//! Where queues are: what frontends know and follow.

use serde::{Deserialize, Serialize};

use crate::{
    ClusterId, ClusterMember, Epoch, GroupRange, PartitionId, QueueId, QueueName, QueueSettings,
    Revision,
};

/// A queue, its settings and its partitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueRoute {
    /// The name users know.
    pub name: QueueName,
    /// This life of the name.
    pub queue: QueueId,
    /// The settings.
    pub settings: QueueSettings,
    /// Oldest epoch first; receives serve them in this order.
    pub partitions: Vec<PartitionRoute>,
    /// The store's revision of this record.
    pub revision: Revision,
    /// When the queue was created, microseconds since 1970 by the manager's clock.
    pub created_at: crate::Ts,
    /// When its settings were last changed, likewise; when it was created if they never were. 0: a manager
    /// of an earlier release does not say.
    #[serde(default)]
    pub changed_at: crate::Ts,
}

/// One partition and its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionRoute {
    /// The partition.
    pub partition: PartitionId,
    /// Its generation.
    pub epoch: Epoch,
    /// Where it lives.
    pub cluster: ClusterId,
    /// What it takes.
    pub state: PartitionState,
    /// The message groups that are sent there. Not said: all.
    #[serde(default)]
    pub groups: GroupRange,
}

/// What a partition takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartitionState {
    /// Sends and receives.
    Active,
    /// Being created or deleted: nothing yet, or nothing any more.
    Pending,
    /// Created to follow others and not open yet: no sends, and nothing to receive.
    Held,
    /// Sealed: receives go on until it is empty, sends go to its successors.
    Draining,
}

/// A cluster and how to reach its hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRoute {
    /// The cluster.
    pub cluster: ClusterId,
    /// Its hosts with their addresses as last heard.
    pub members: Vec<ClusterMember>,
    /// The store's revision of this record.
    pub revision: Revision,
}
