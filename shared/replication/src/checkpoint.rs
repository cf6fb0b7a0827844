//! What of an engine must be kept beside the executed state, and what of the log still matters.

use serde::{Deserialize, Serialize};
use shoal_types::{ClusterMember, ClusterSpec, HostId, Incarnation, Position, Ts, ViewNumber};

use crate::lane::Lane;
use crate::{Ballot, Engine, RecordNumber, View};

/// An engine's part of a checkpoint. It belongs to exactly the state that executing every
/// [`crate::Output::Execute`] polled before [`crate::Engine::checkpoint`] gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineCheckpoint {
    /// The life of the process that wrote it.
    pub incarnation: Incarnation,
    /// The cluster, once formed or joined.
    pub spec: Option<ClusterSpec>,
    /// The cluster that this host is to become a member of.
    pub learning: Option<ClusterSpec>,
    /// A view without this host, if it was told that it was removed and has not installed it.
    pub removed_in: Option<ViewNumber>,
    /// Hosts that were removed while this one was a member, the last ones.
    pub parted: Vec<ClusterMember>,
    /// The current view last; before it those that a member may still ask for.
    pub views: Vec<View>,
    /// Some before those, for newcomers.
    pub past_views: Vec<View>,
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
            learning: self.membership.learning.clone(),
            removed_in: self.membership.removed_in,
            parted: self.membership.parted.clone(),
            views: self.views.values().cloned().collect(),
            past_views: self.past_views.values().cloned().collect(),
            executed: self.executed,
            executed_in_lanes: self.lanes.iter().map(Lane::executed).collect(),
            clock: self.clock.value(),
            promised: self.acceptor.promised(),
            accepted: self.acceptor.accepted().cloned(),
            after: self.records.last(),
            replay_from: heads.min().unwrap_or_else(|| self.records.last().next()),
        }
    }

    /// What of the log this host, any member or a newcomer may still need; `None` before the first view.
    #[must_use]
    pub fn needed_from(&self) -> Option<NeededFrom> {
        let earliest = self.views.keys().next().copied()?;
        let first = self.past_views.keys().next().copied().unwrap_or(earliest);
        let own: Vec<u64> = self.lanes.iter().map(Lane::executed).collect();
        let mut least = (self.view.number, own);
        let members = self.members_to_keep_for().map(|k| (k, earliest));
        let newcomers = self.newcomers().into_iter().map(|k| (k, first));
        for (k, earliest) in members.chain(newcomers) {
            let shown = self.peers[k].durable.clone();
            let (view, vector) = shown.unwrap_or((earliest, Vec::new()));
            if view < least.0 {
                least = (view, vector);
            } else if view == least.0 {
                // One that has shown nothing yet may need everything.
                let has = vector.into_iter().chain(std::iter::repeat(0));
                for (least, has) in least.1.iter_mut().zip(has) {
                    *least = (*least).min(has);
                }
            }
        }
        let (view, has) = least;
        let members = self.members_of(view).unwrap_or_default();
        let first = has
            .into_iter()
            .chain(std::iter::repeat(0))
            .map(|has| has + 1);
        let lanes = members.iter().copied().zip(first).collect();
        Some(NeededFrom { view, lanes })
    }
}
