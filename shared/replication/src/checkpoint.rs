//! What of an engine must be kept beside the executed state, and what of the log still matters.

use serde::{Deserialize, Serialize};
use shoal_types::{ClusterSpec, HostId, Incarnation, Position, Ts, ViewNumber};

use crate::{Ballot, RecordNumber, View};

/// An engine's part of a checkpoint. It belongs to exactly the state that executing every
/// [`crate::Output::Execute`] polled before [`crate::Engine::checkpoint`] gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineCheckpoint {
    /// The life of the process that wrote it.
    pub incarnation: Incarnation,
    /// The cluster, once formed.
    pub spec: Option<ClusterSpec>,
    /// The current view last; before it those that a member may still ask for.
    pub views: Vec<View>,
    /// The entry executed last.
    pub executed: Position,
    /// Index of the last executed entry of each lane of the current view.
    pub executed_in_lanes: Vec<u64>,
    /// The clock; only for a smooth start, correctness does not need it.
    pub clock: Ts,
    /// The ballot promised last, with the view it is about.
    pub promised: Option<(ViewNumber, Ballot)>,
    /// The value accepted last, with its ballot.
    pub accepted: Option<(Ballot, View)>,
    /// The checkpoint may be made durable only when all records up to this one are.
    #[serde(skip)]
    pub after: RecordNumber,
    /// Replay after a restart starts at this record or any earlier one.
    #[serde(skip)]
    pub replay_from: RecordNumber,
}

/// What of the log may still be needed, apart from replay: entries of views after `view`, and of its
/// lanes from these indices on. Everything before may go once a checkpoint covers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeededFrom {
    /// The earliest view of which anyone may still need an entry.
    pub view: ViewNumber,
    /// The first index in each of its lanes.
    pub lanes: Vec<(HostId, u64)>,
}
