//! What of an engine must be kept beside the executed state, and what of the log still matters.

use serde::{Deserialize, Serialize};
use shoal_types::{ClusterMember, ClusterSpec, HostId, Incarnation, Position, Ts, ViewNumber};

use crate::lane::Lane;
use crate::{Ballot, Engine, HostPhase, RecordNumber, View};

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
    /// The latest view in which each other host is known to have acted: one that comes back knowing less
    /// has lost what it had on disk.
    pub shown: Vec<(HostId, ViewNumber)>,
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
            shown: self.shown(),
            after: self.records.last(),
            replay_from: heads.min().unwrap_or_else(|| self.records.last().next()),
        }
    }

    /// What of the log this host, any member or a newcomer may still need; `None` before the first view.
    #[must_use]
    pub fn needed_from(&self) -> Option<NeededFrom> {
        if self.views.is_empty() {
            return None;
        }
        let own: Vec<u64> = self.lanes.iter().map(Lane::executed).collect();
        let mut least = (self.view.number, own);
        let kept_for = self.kept_for_others();
        let kept_for = kept_for.filter(|(k, _)| !self.let_behind.contains(&self.host_at(*k)));
        let mut shown: Vec<(ViewNumber, Vec<u64>)> = kept_for.map(|(_, shown)| shown).collect();
        shown.extend(self.kept_from.as_ref().map(|held| {
            let has = held.lanes.iter().map(|(_, first)| first - 1);
            (held.view, has.collect())
        }));
        for (view, vector) in shown {
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
        Some(self.needed_after(least))
    }

    /// What whoever has shown this may still need.
    pub(crate) fn needed_after(&self, (view, has): (ViewNumber, Vec<u64>)) -> NeededFrom {
        let members = self.members_of(view).unwrap_or_default();
        let first = has
            .into_iter()
            .chain(std::iter::repeat(0))
            .map(|has| has + 1);
        let lanes = members.iter().copied().zip(first).collect();
        NeededFrom { view, lanes }
    }

    /// The slots of the other members and of newcomers, with what they have shown to have: a view and how
    /// much of its lanes. One that has said that it needs a snapshot needs nothing of the log.
    pub(crate) fn kept_for_others(
        &self,
    ) -> impl Iterator<Item = (usize, (ViewNumber, Vec<u64>))> + '_ {
        let earliest = self.views.keys().next().copied().unwrap_or_default();
        let first = self.past_views.keys().next().copied().unwrap_or(earliest);
        let members = self.members_to_keep_for().map(move |k| (k, earliest));
        let newcomers = self.newcomers().into_iter().map(move |k| (k, first));
        let stranded = |k: usize| matches!(self.peers[k].phase, Some((_, HostPhase::Stranded)));
        let all = members.chain(newcomers.filter(move |(k, _)| !stranded(*k)));
        all.map(|(k, earliest)| {
            let shown = self.peers[k].durable.clone();
            (k, shown.unwrap_or((earliest, Vec::new())))
        })
    }

    /// The latest view in which each other host acted, by what it showed to this life or an earlier one.
    fn shown(&self) -> Vec<(HostId, ViewNumber)> {
        let mut shown = self.shown_before.clone();
        for k in self.others() {
            if let Some((_, view)) = self.peers[k].acted {
                let known = shown.entry(self.host_at(k)).or_default();
                *known = view.max(*known);
            }
        }
        shown.retain(|host, _| self.view.slot(*host).is_some());
        shown.into_iter().collect()
    }

    /// True if a member is known to have acted in a later view than this.
    pub(crate) fn acted_after(&self, k: usize, view: ViewNumber) -> bool {
        let acted = self.peers[k].acted.map(|(_, view)| view);
        let before = self.shown_before.get(&self.host_at(k)).copied();
        acted.max(before) > Some(view)
    }
}
