//! Members come and go: one at a time, through the value of a view change.
//!
//! A change has two sides. The members decide it ([`change`]): the next view's value names other
//! members, and it needs a quorum of the members before and one of those after. The host that comes
//! follows as a *learner* until then ([`learner`]): it counts for nothing. The host that goes learns
//! of it one way or another and falls silent for good ([`removal`]).

mod change;
mod learner;
mod removal;
mod slots;

use std::collections::BTreeSet;

use shoal_types::{ClusterMember, ClusterSpec, HostId, Mono, Revision, ViewNumber};

use crate::limits::PARTED_MAX;
use crate::{Engine, View};

pub use change::{ChangeError, ChangeState};
pub use learner::LearnError;

/// What a host knows of its cluster's members beyond the view it has installed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Membership {
    /// Hosts outside that this one talks with; their slots come after the members'.
    outside: Vec<HostId>,
    /// The cluster that this host is to become a member of.
    pub(crate) learning: Option<ClusterSpec>,
    /// A view without this host, if it was told so and has not installed it.
    pub(crate) removed_in: Option<ViewNumber>,
    /// The members as of a view later than this host's.
    heard_of: Option<(ViewNumber, ClusterSpec)>,
    /// What this member wants decided.
    change: Option<change::Change>,
    /// What it gave up last.
    given_up: Option<(Revision, ChangeError)>,
    /// Hosts that were removed while this one was a member, the last ones, with their addresses.
    pub(crate) parted: Vec<ClusterMember>,
    /// Of a removed host: those that said they are in the view that removed it.
    taken_over_by: BTreeSet<HostId>,
    /// The first view with the present list of members.
    listed_since: ViewNumber,
    /// When a host outside was told the members last.
    told_at: Option<Mono>,
    /// Counts the changes of [`Engine::neighbours`].
    version: u64,
}

/// What a host is to the cluster it knows of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It belongs to none.
    None,
    /// It is to become a member and catches up. It takes no commands and counts for nothing.
    Learner,
    /// It is a member of the view it has installed.
    Member,
    /// What it lacks is in no log of those it can ask: it needs a snapshot.
    NeedsSnapshot,
    /// It was a member and is none any more. It does nothing; its data folder is of no use to anyone.
    Removed,
    /// Others remember more of it than it knows: its data folder was lost or set back. It does nothing.
    Forgotten,
}

impl Engine {
    /// What this host is to its cluster.
    #[must_use]
    pub fn standing(&self) -> Standing {
        if self.forgotten.is_some() {
            Standing::Forgotten
        } else if !self.belongs_somewhere() {
            Standing::None
        } else if self.is_removed() {
            Standing::Removed
        } else if self.needs_snapshot() {
            Standing::NeedsSnapshot
        } else if self.is_outside() {
            Standing::Learner
        } else {
            Standing::Member
        }
    }

    /// True if this host has or had a view, or is to get one.
    pub(crate) fn belongs_somewhere(&self) -> bool {
        self.view.number > ViewNumber::NOT_FORMED || self.membership.learning.is_some()
    }

    /// True if this host is no member of the view it has installed.
    pub(crate) fn is_outside(&self) -> bool {
        self.me >= self.view.members.len()
    }

    /// True if this host knows that it was removed.
    pub(crate) fn is_removed(&self) -> bool {
        let installed = self.view.number > ViewNumber::NOT_FORMED;
        let learns = self.membership.learning.is_some();
        self.membership.removed_in.is_some() || installed && self.is_outside() && !learns
    }

    /// The hosts that this one needs links to, itself left out: the members and who is about to become
    /// one, and those that may not know yet that they are none any more. Changes whenever
    /// [`Engine::neighbours_version`] does.
    #[must_use]
    pub fn neighbours(&self) -> Vec<ClusterMember> {
        if self.forgotten.is_some() || self.is_removed() && self.has_departed() {
            return Vec::new();
        }
        let membership = &self.membership;
        let mut known: Vec<(Revision, &ClusterMember)> = Vec::new();
        known.extend(membership.parted.iter().map(|m| (Revision(0), m)));
        for spec in self.specs_known() {
            known.extend(spec.members.iter().map(|m| (spec.revision, m)));
        }
        // Of a host that is listed more than once, the latest address.
        known.sort_by_key(|(revision, member)| (member.host, std::cmp::Reverse(*revision)));
        known.dedup_by_key(|(_, member)| member.host);
        let others = known.into_iter().filter(|(_, m)| m.host != self.config.me);
        others.map(|(_, member)| member.clone()).collect()
    }

    /// Grows with each change of [`Engine::neighbours`].
    #[must_use]
    pub fn neighbours_version(&self) -> u64 {
        self.membership.version
    }

    /// All lists of members that matter at the moment.
    fn specs_known(&self) -> impl Iterator<Item = &ClusterSpec> {
        let membership = &self.membership;
        let heard_of = membership.heard_of.as_ref().map(|(_, spec)| spec);
        let wanted = membership.change.as_ref().map(|change| &change.spec);
        let lists = [
            self.spec.as_ref(),
            membership.learning.as_ref(),
            heard_of,
            wanted,
        ];
        let voted_on = self.values_voted_on().filter_map(|v| v.spec.as_deref());
        lists.into_iter().flatten().chain(voted_on)
    }

    /// The values for the next view that this host has accepted or proposes.
    fn values_voted_on(&self) -> impl Iterator<Item = &View> {
        let accepted = self.acceptor.accepted().map(|(_, value)| value);
        let proposed = self.proposal.as_ref().and_then(|p| p.value());
        let next = self.view.number.next();
        let values = accepted.into_iter().chain(proposed);
        values.filter(move |value| value.number == next)
    }

    /// True if a view may come after this host's as far as its members go: at most one more or one
    /// less, and as its list says.
    pub(crate) fn members_may_become(&self, next: &View) -> bool {
        let is_first = self.view.number == ViewNumber::NOT_FORMED;
        let same = next.members == self.view.members;
        let listed = match &next.spec {
            Some(spec) => spec
                .members
                .iter()
                .map(|m| m.host)
                .eq(next.members.iter().copied()),
            None => same,
        };
        let all_members = next.active.iter().all(|host| next.slot(*host).is_some());
        all_members && (is_first || listed && differing(&self.view.members, &next.members) <= 1)
    }

    /// A view is about to be installed: takes note of what it says about the members.
    pub(crate) fn note_members(&mut self, before: &View, after: &View) {
        let Some(spec) = &after.spec else { return };
        let me = self.config.me;
        let concerned = before.slot(me).is_some() || after.slot(me).is_some();
        if concerned {
            // What was to come is now, or is overtaken.
            let revision = spec.revision;
            self.membership.learning.take_if(|l| l.revision <= revision);
        }
        self.membership.listed_since = after.number;
        let old = self.spec.replace(ClusterSpec::clone(spec));
        let gone = old.into_iter().flat_map(|old| old.members);
        let parted = &mut self.membership.parted;
        parted
            .extend(gone.filter(|m| before.slot(m.host).is_some() && after.slot(m.host).is_none()));
        parted.retain(|m| after.slot(m.host).is_none());
        let too_many = parted.len().saturating_sub(PARTED_MAX);
        parted.drain(..too_many);
    }

    /// A view was entered: what this host wanted may have come about, or be impossible now.
    pub(crate) fn view_changes_members(&mut self) {
        let number = self.view.number;
        self.membership
            .heard_of
            .take_if(|(view, _)| *view <= number);
        self.review_change();
        self.renew_slots();
    }
}

/// How many hosts are in one list only.
fn differing(a: &[HostId], b: &[HostId]) -> usize {
    let only = |a: &[HostId], b: &[HostId]| a.iter().filter(|host| !b.contains(host)).count();
    only(a, b) + only(b, a)
}
