//! What of an engine must be kept beside the executed state, and what of the log still matters.

use serde::{Deserialize, Serialize};
use shoal_types::{ClusterSpec, HostId, Incarnation, Position, Ts, ViewNumber};

use crate::lane::Lane;
use crate::{Ballot, Engine, RecordNumber, View};

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

impl Engine {
    /// What belongs into a checkpoint beside the state executed so far. Poll all outputs before.
    #[must_use]
    pub fn checkpoint(&self) -> EngineCheckpoint {
        assert!(
            self.outputs.is_empty(),
            "a checkpoint belongs to the state after all outputs are carried out"
        );
        let heads = self.lanes.iter().filter_map(Lane::head_record);
        EngineCheckpoint {
            incarnation: self.incarnation,
            spec: self.spec.clone(),
            views: self.views.values().cloned().collect(),
            executed: self.executed,
            executed_in_lanes: self.lanes.iter().map(Lane::executed).collect(),
            clock: self.clock.value(),
            promised: self.acceptor.promised(),
            accepted: self.acceptor.accepted().cloned(),
            after: self.records.last(),
            replay_from: heads.min().unwrap_or_else(|| self.records.last().next()),
        }
    }

    /// What of the log this host or any member may still need; `None` before formation.
    #[must_use]
    pub fn needed_from(&self) -> Option<NeededFrom> {
        let earliest = self.views.keys().next().copied()?;
        let zeros = vec![0; self.view.members.len()];
        let own: Vec<u64> = self.lanes.iter().map(Lane::executed).collect();
        let mut least = (self.view.number, own);
        for k in self.others() {
            let shown = self.peers[k].durable.clone();
            let (view, vector) = shown.unwrap_or_else(|| (earliest, zeros.clone()));
            if view < least.0 {
                least = (view, vector);
            } else if view == least.0 {
                for (least, has) in least.1.iter_mut().zip(vector) {
                    *least = (*least).min(has);
                }
            }
        }
        let members = self.view.members.iter().copied();
        Some(NeededFrom {
            view: least.0,
            lanes: members
                .zip(least.1.into_iter().map(|has| has + 1))
                .collect(),
        })
    }
}
