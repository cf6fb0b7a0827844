//! A move, split or merge that is under way: which partitions follow which, and how far it is.
//!
//! ```text
//!              all successors exist     all are sealed        all successors are open
//!  Creating ─────────────────────► Sealing ────────► Opening ────────────────────────► Draining ──► (gone)
//!     │ a target cannot be reached                                      those that are empty are deleted
//!     └──────────────────────────► Undoing ──► (gone)
//!                                     successors are deleted
//! ```
//! Each arrow is one transaction, which changes the queue's record too. In each stage clusters have
//! instructions to carry out, fenced by the revision at which this record was written: repeating them
//! changes nothing, so whoever finds the record goes on from its stage.

use serde::{Deserialize, Serialize};
use shoal_types::{ClusterId, PartitionId, QueueId, QueueName, Ts};

use super::{PartitionRecord, Record};
use crate::keys;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MoveRecord {
    /// The first partition that it opens: names the move.
    pub(crate) id: PartitionId,
    pub(crate) name: QueueName,
    pub(crate) queue: QueueId,
    pub(crate) kind: MoveKind,
    pub(crate) stage: MoveStage,
    /// What is followed and not empty yet.
    pub(crate) seals: Vec<PartitionRecord>,
    /// What follows.
    pub(crate) opens: Vec<PartitionRecord>,
    /// Partitions that are in nobody's route any more and are still to be deleted at their clusters.
    pub(crate) clears: Vec<PartitionRecord>,
    /// Those of `seals` whose messages go on to heirs, while they do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) forwards: Vec<ForwardRecord>,
    /// Those of `seals` that took over the messages of others before them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) heirs: Vec<PartitionId>,
    /// In millionths of a cluster's heat, what goes with it.
    pub(crate) carries: u64,
    /// What and why, in words.
    pub(crate) text: String,
    /// By the manager's clock.
    pub(crate) begun_at: Ts,
    /// When the last of `seals` was sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sealed_at: Option<Ts>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MoveKind {
    Move,
    Split,
    Merge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MoveStage {
    /// The successors are being created.
    Creating,
    /// Those that they follow are being sealed; there is no way back.
    Sealing,
    /// The successors are being shown the seals.
    Opening,
    /// Sends go to the successors; what they follow is consumed until it is empty.
    Draining,
    /// A target could not be reached before anything was sealed: the successors are deleted.
    Undoing,
}

/// What nobody consumes from a sealed partition goes on to an heir.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ForwardRecord {
    /// The sealed partition.
    pub(crate) from: PartitionId,
    /// The partition that takes its messages over.
    pub(crate) heir: PartitionRecord,
    pub(crate) stage: ForwardStage,
    /// What and why, in words.
    pub(crate) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ForwardStage {
    /// The heir is being created.
    Creating,
    /// The messages go over, until nothing is left.
    Passing,
}

impl Record for MoveRecord {
    fn key(&self) -> String {
        keys::moving(self.id)
    }
}

impl MoveRecord {
    /// One of those that are followed and not empty yet.
    pub(crate) fn sealed(&self, partition: PartitionId) -> Option<&PartitionRecord> {
        let mut seals = self.seals.iter();
        seals.find(|sealed| sealed.partition == partition)
    }

    /// Where the messages of a sealed partition go on to, while they do.
    pub(crate) fn forward_of(&self, sealed: PartitionId) -> Option<&ForwardRecord> {
        let mut forwards = self.forwards.iter();
        forwards.find(|forward| forward.from == sealed)
    }

    /// Clusters that take part, each once.
    pub(crate) fn clusters(&self) -> Vec<ClusterId> {
        let all = [&self.seals, &self.opens, &self.clears];
        let heirs = self.forwards.iter().map(|forward| &forward.heir);
        let all = all.into_iter().flatten().chain(heirs);
        let mut clusters: Vec<_> = all.map(|one| one.cluster).collect();
        clusters.sort_unstable();
        clusters.dedup();
        clusters
    }

    /// True if nothing is left to do.
    pub(crate) fn is_over(&self) -> bool {
        let drains = self.stage != MoveStage::Undoing && !self.seals.is_empty();
        !drains && self.clears.is_empty()
    }
}
