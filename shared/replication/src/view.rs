//! Views: whose lanes count, and where the lanes of the view before end.

use serde::{Deserialize, Serialize};
use shoal_types::{ClusterSpec, HostId, Incarnation, Origin, Ts, ViewNumber, ViewSummary};

/// A numbered configuration of the cluster. Each number has exactly one value, decided by the
/// members of the view before (view 1: written by formation).
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct View {
    /// From 1; 0 stands for "not formed".
    pub number: ViewNumber,
    /// All hosts of the cluster, sorted: the voters. At most one more or one less than in the view
    /// before.
    pub members: Vec<HostId>,
    /// The writers, sorted, at least one: their lanes and clocks gate the order.
    pub active: Vec<HostId>,
    /// The life of each writer that this view is about, sorted by host; a later life does not act in
    /// it. Empty in view 1: formation does not know them.
    pub incarnations: Vec<Origin>,
    /// The seal: index of the last entry of each lane of the view before, aligned with the members of
    /// that view, not with this one's. Empty in view 1.
    pub ends: Vec<u64>,
    /// Every entry of this view has a larger timestamp than every entry of the view before; the
    /// writers' clocks start here.
    pub start: Ts,
    /// The cluster as it is from this view on, if this view changes it: other members (one more or one
    /// less), or other addresses. Empty in view 1: hosts may be formed with different addresses.
    pub spec: Option<Box<ClusterSpec>>,
}

/// The number of an attempt to decide a view. Never used twice: a proposer has it on disk before
/// anyone hears of it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize,
)]
pub struct Ballot {
    /// Compared first.
    pub round: u64,
    /// Whose attempt.
    pub host: HostId,
}

impl View {
    /// The view that formation writes: everyone writes, nothing was before.
    #[must_use]
    pub(crate) fn first(spec: &ClusterSpec) -> Self {
        let members: Vec<HostId> = spec.members.iter().map(|m| m.host).collect();
        Self {
            number: ViewNumber(1),
            active: members.clone(),
            members,
            incarnations: Vec::new(),
            ends: Vec::new(),
            start: Ts(1),
            spec: None,
        }
    }

    /// The place of a member in `members`; vectors over lanes are aligned with it.
    #[must_use]
    pub fn slot(&self, host: HostId) -> Option<usize> {
        self.members.binary_search(&host).ok()
    }

    /// True if the host writes in this view.
    #[must_use]
    pub fn is_writer(&self, host: HostId) -> bool {
        self.active.binary_search(&host).is_ok()
    }

    /// The life of a writer that this view is about, if the view knows.
    #[must_use]
    pub fn incarnation_of(&self, host: HostId) -> Option<Incarnation> {
        let found = self.incarnations.iter().find(|o| o.host == host);
        found.map(|o| o.incarnation)
    }

    /// What others need to know of it.
    #[must_use]
    pub fn summary(&self) -> ViewSummary {
        ViewSummary {
            number: self.number,
            members: self.members.clone(),
            active: self.active.clone(),
        }
    }
}
