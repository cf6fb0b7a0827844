//! The members' side of a change: an order is taken, passed on, and becomes part of the next view's
//! value once the newcomer, if there is one, has caught up.
//!
//! An order is volatile: whoever gave it asks until it is carried out. What makes it safe is not here
//! but in the deciding of views; what is here keeps orders that could do harm from being proposed.

use std::collections::BTreeMap;

use shoal_types::planted::{Bug, planted};
use shoal_types::{ClusterId, ClusterSpec, HostId, Mono, Now, Revision, ViewNumber};

use super::{Standing, differing};
use crate::acceptor::Promise;
use crate::backoff::Backoff;
use crate::formation::is_list_of_members;
use crate::limits::NEWCOMER_LAG_ENTRIES;
use crate::quorum::Quorum;
use crate::timer::Timer;
use crate::{Engine, HostPhase, Message, View};

/// An order is given up after so many times the longest silence without a word from the newcomer, or
/// from whoever passed it on: 9 s, in which a process restarts.
const PATIENCE_SILENCES: u32 = 20;

/// An order that is not carried out yet.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) spec: ClusterSpec,
    /// It was given to this host, which passes it on; otherwise it was passed on to it.
    given_here: bool,
    /// When it was given or passed on last.
    at: Mono,
    /// Until it is over, the view is not changed for it.
    backoff: Backoff,
}

/// Why the members are not changed as ordered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// This host cannot see to it: it is no member itself. Another host may.
    #[error("the host is no member of a cluster")]
    NotMember,
    /// The order is meant for another cluster.
    #[error("the host belongs to cluster {0}")]
    OtherCluster(ClusterId),
    /// The list is empty, too long, not sorted, or names a host twice.
    #[error("a cluster has 1 to 5 members, sorted by id, each once")]
    BadList,
    /// A later order, or another one with the same revision, was carried out or taken before.
    #[error("the members are as of revision {0} or about to be")]
    Stale(Revision),
    /// The list differs from the members by more than one host.
    #[error("one member is added or removed at a time")]
    MoreThanOne,
    /// The newcomer was not heard of for too long. Trying again may help.
    #[error("the host to be added does not answer")]
    NewcomerSilent,
    /// Nothing came of it in time. Trying again may help.
    #[error("the members could not agree in time")]
    NotDecided,
}

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeState {
    /// The view with these members, or a later one, is installed here and at a quorum of them. A host
    /// that was removed may be switched off.
    Done,
    /// This host is at it.
    Pending,
    /// It is not pursued here any more. It may still come about if a member had voted for it.
    GivenUp(ChangeError),
}

impl Engine {
    /// Orders that the members be these: one more, one less, or the same with other addresses. The
    /// revision must be higher than that of the present list; the present list again is no change.
    ///
    /// `Ok` means that this member is at it; [`Engine::change_state`] tells what became of it. Whoever
    /// orders must ask again if this host restarts.
    ///
    /// # Errors
    /// If it cannot be done from here, or must not be done.
    pub fn change_members(&mut self, spec: &ClusterSpec, now: Now) -> Result<(), ChangeError> {
        self.begin_turn(now);
        if self.spec.as_ref() == Some(spec) && self.standing() == Standing::Member {
            return Ok(());
        }
        self.take_change(spec, true)?;
        self.push_change();
        self.settle();
        Ok(())
    }

    /// What became of an order given to [`Engine::change_members`].
    #[must_use]
    pub fn change_state(&self, spec: &ClusterSpec) -> ChangeState {
        if self.spec.as_ref() == Some(spec) {
            let done = self.is_established();
            return if done {
                ChangeState::Done
            } else {
                ChangeState::Pending
            };
        }
        let change = self.membership.change.as_ref();
        if change.is_some_and(|change| change.spec == *spec) {
            return ChangeState::Pending;
        }
        let given_up = self.membership.given_up.as_ref();
        let why = given_up.filter(|(revision, _)| *revision == spec.revision);
        let why = why.map(|(_, why)| why.clone());
        let why = why.or_else(|| self.check_change(spec).err());
        ChangeState::GivenUp(why.unwrap_or(ChangeError::NotDecided))
    }

    /// True if a quorum of the members acts in the view that made them the members, or in a later one.
    fn is_established(&self) -> bool {
        if self.is_removed() {
            return self.has_departed();
        }
        let since = self.membership.listed_since;
        let acted = |k: &usize| match self.peers[*k].acted {
            Some((_, view)) => view >= since,
            None => false,
        };
        let count = self.others().filter(acted).count();
        let here = self.records.durable() >= self.act_after;
        here && Quorum::of(self.view.members.len()).reached_by(count + 1)
    }

    /// Another member passes an order on.
    pub(crate) fn on_change(&mut self, spec: &ClusterSpec) {
        // One that this host must not take is none of its business: the sender may know more or less.
        let taken = self.take_change(spec, false).is_ok();
        if taken && self.timers.get(Timer::Change).is_none() {
            let again = self.after(self.config.timings.silence_min);
            self.timers.set(Timer::Change, again);
        }
    }

    fn take_change(&mut self, spec: &ClusterSpec, given_here: bool) -> Result<(), ChangeError> {
        self.check_change(spec)?;
        let at = self.now.mono;
        match &mut self.membership.change {
            Some(known) if known.spec == *spec => {
                known.at = at;
                known.given_here |= given_here;
                return Ok(());
            }
            Some(known) if known.spec.revision >= spec.revision => {
                return Err(ChangeError::Stale(known.spec.revision));
            }
            _ => {}
        }
        self.membership.change = Some(Change {
            spec: spec.clone(),
            given_here,
            at,
            backoff: Backoff::default(),
        });
        self.renew_slots();
        Ok(())
    }

    /// Whether an order may be carried out, going by the view of this host.
    fn check_change(&self, spec: &ClusterSpec) -> Result<(), ChangeError> {
        let present = match &self.spec {
            Some(present) if !self.is_outside() && !self.is_removed() => present,
            _ => return Err(ChangeError::NotMember),
        };
        if present.cluster != spec.cluster {
            return Err(ChangeError::OtherCluster(present.cluster));
        }
        if !is_list_of_members(spec) {
            return Err(ChangeError::BadList);
        }
        if spec.revision <= present.revision && !planted(Bug::RevisionNotFenced) {
            return Err(ChangeError::Stale(present.revision));
        }
        if differing(&self.view.members, &hosts(spec)) > 1 {
            return Err(ChangeError::MoreThanOne);
        }
        Ok(())
    }

    /// A view was entered: the order may be carried out, or impossible now.
    pub(super) fn review_change(&mut self) {
        if let Some(change) = &self.membership.change
            && let Err(why) = self.check_change(&change.spec)
        {
            self.give_up_change(why);
        }
    }

    fn give_up_change(&mut self, why: ChangeError) {
        if let Some(change) = self.membership.change.take() {
            self.membership.given_up = Some((change.spec.revision, why));
        }
        self.timers.stop(Timer::Change);
        self.renew_slots();
    }

    /// Passes the order on, or gives it up if nothing comes of it.
    pub(crate) fn push_change(&mut self) {
        let Some(change) = &self.membership.change else {
            return;
        };
        if let Some(why) = self.is_hopeless(change) {
            return self.give_up_change(why);
        }
        if change.given_here {
            let spec = change.spec.clone();
            for k in self.reachable_others() {
                let spec = spec.clone();
                self.send(k, Message::Change { spec });
            }
        }
        let again = self.after(self.config.timings.silence_min);
        self.timers.set(Timer::Change, again);
    }

    /// Why an order should not be pursued any longer.
    fn is_hopeless(&self, change: &Change) -> Option<ChangeError> {
        let patience = self.config.timings.silence_max * PATIENCE_SILENCES;
        let newcomer = self.newcomer_of(&change.spec);
        let newcomer = newcomer.and_then(|host| self.slot_of(host));
        if !change.given_here {
            let passed_on_until = change.at + patience;
            return (self.now.mono >= passed_on_until).then_some(ChangeError::NotDecided);
        }
        let Some(peer) = newcomer.map(|k| &self.peers[k]) else {
            return (self.now.mono >= change.at + patience).then_some(ChangeError::NotDecided);
        };
        let silent = self.now.mono >= change.at.max(peer.heard_at) + patience;
        silent.then_some(ChangeError::NewcomerSilent)
    }

    // ---- the newcomer ----

    /// The host that a list adds to this view's members.
    fn newcomer_of(&self, spec: &ClusterSpec) -> Option<HostId> {
        let mut hosts = spec.members.iter().map(|m| m.host);
        hosts.find(|host| self.view.slot(*host).is_none())
    }

    /// The slots of the hosts that are about to become members as far as this one knows: those that are
    /// given what they lack, and for whom the log is kept.
    pub(crate) fn newcomers(&self) -> Vec<usize> {
        if self.is_outside() || self.is_removed() {
            return Vec::new();
        }
        let wanted = self.membership.change.as_ref().map(|change| &change.spec);
        let voted_on = self
            .values_voted_on()
            .filter_map(|value| value.spec.as_deref());
        let lists = wanted.into_iter().chain(voted_on);
        let hosts = lists.filter_map(|spec| self.newcomer_of(spec));
        let mut slots: Vec<usize> = hosts.filter_map(|host| self.slot_of(host)).collect();
        slots.dedup();
        slots
    }

    /// True if a host is given what it lacks: a member, or about to become one.
    pub(crate) fn serves(&self, k: usize) -> bool {
        k < self.view.members.len() || self.newcomers().contains(&k)
    }

    /// The newcomer that is to get new entries at once, since it is in this view.
    pub(crate) fn follower(&self) -> Option<usize> {
        let change = self.membership.change.as_ref()?;
        let k = self.slot_of(self.newcomer_of(&change.spec)?)?;
        let follows = self.peers[k].phase == Some((self.view.number, HostPhase::Learning));
        (follows && self.peers[k].reachable()).then_some(k)
    }

    /// True if a newcomer knows the view, and has on disk nearly everything that this host knows of it.
    fn has_caught_up(&self, k: usize) -> bool {
        let peer = &self.peers[k];
        let follows = peer.phase == Some((self.view.number, HostPhase::Learning));
        let durable = match &peer.durable {
            Some((view, durable)) if *view == self.view.number => durable,
            _ => return false,
        };
        let mut lanes = self.lanes.iter().zip(durable);
        let lags = lanes.clone();
        let lag: u64 = lags
            .map(|(lane, has)| lane.last().saturating_sub(*has))
            .sum();
        // What it lacks is at hand: further back it may be in no log any more.
        let at_hand = lanes.all(|(lane, has)| *has >= lane.base());
        follows && !self.suspects(k) && at_hand && lag <= NEWCOMER_LAG_ENTRIES
    }

    // ---- deciding ----

    /// The revision of the order that could be carried out now.
    pub(crate) fn change_due(&self) -> Option<Revision> {
        let change = self.membership.change.as_ref()?;
        if !change.backoff.is_over(self.now.mono) {
            return None;
        }
        let hears = |k: &usize| *k == self.me || !self.suspects(*k);
        let members: Vec<usize> = (0..self.view.members.len()).filter(hears).collect();
        self.is_due(&change.spec, &members)
            .then_some(change.spec.revision)
    }

    /// True if this host wants the same change.
    pub(crate) fn wants_change(&self, revision: Revision) -> bool {
        let change = self.membership.change.as_ref();
        change.is_some_and(|change| {
            change.spec.revision == revision && change.backoff.is_over(self.now.mono)
        })
    }

    /// A view was installed without the change that it could have brought: somebody whose vote it needs
    /// is too slow. For that the view must not change again and again.
    pub(crate) fn change_came_to_nothing(&mut self, due: Revision) {
        let (now, timings) = (self.now.mono, &self.config.timings);
        let change = self.membership.change.as_mut();
        if let Some(change) = change.filter(|change| change.spec.revision == due) {
            change.backoff.wait_longer(now, timings);
        }
    }

    /// True if the newcomer has caught up, and these members with it are a quorum of those to come. To
    /// vote for a list whose hosts cannot decide it would stop the cluster.
    fn is_due(&self, spec: &ClusterSpec, members: &[usize]) -> bool {
        let newcomer = match self.newcomer_of(spec) {
            None => None,
            Some(host) => match self.slot_of(host).filter(|&k| self.has_caught_up(k)) {
                Some(k) => Some(k),
                None => return false,
            },
        };
        let there = members.iter().copied().chain(newcomer);
        let hosts = hosts(spec);
        let count = there.filter(|&k| hosts.contains(&self.host_at(k))).count();
        Quorum::of(hosts.len()).reached_by(count)
    }

    /// The members to propose, if they are to change and those that promised allow it.
    pub(crate) fn change_allowed_by(
        &self,
        promises: &BTreeMap<usize, Promise>,
    ) -> Option<ClusterSpec> {
        let change = self.membership.change.as_ref()?;
        let promised: Vec<usize> = promises.keys().copied().collect();
        let allowed =
            self.check_change(&change.spec).is_ok() && self.is_due(&change.spec, &promised);
        allowed.then(|| change.spec.clone())
    }

    /// Who is asked to accept a value: the members, and the newcomer if it adds one.
    pub(crate) fn voters_on(&self, value: &View) -> Vec<usize> {
        let newcomers = value
            .members
            .iter()
            .filter(|host| self.view.slot(**host).is_none());
        let newcomers = newcomers.filter_map(|host| self.slot_of(*host));
        self.others().chain(newcomers).collect()
    }

    /// The members whose shown positions say how much of the log must be kept.
    pub(crate) fn members_to_keep_for(&self) -> impl Iterator<Item = usize> + use<> {
        let nobody = self.is_outside() || self.is_removed();
        self.others().filter(move |_| !nobody)
    }

    /// Tells a host that is up and not heard, now and then: it may be behind, and nobody that it knows of
    /// may be left.
    pub(crate) fn remind_of_members(&mut self, k: usize) {
        let (now, pause) = (self.now.mono, self.config.timings.silence_min);
        let lately = self.peers[k].hinted_at.is_some_and(|at| now < at + pause);
        if self.suspects(k) && !lately {
            self.peers[k].hinted_at = Some(now);
            self.tell_members(self.host_at(k));
        }
    }

    /// Tells a host the members as of this view, unless it is the first.
    pub(crate) fn tell_members(&mut self, to: HostId) {
        let knows = !self.is_outside() && !self.is_silent();
        if let Some(spec) = self.spec.clone()
            && knows
            && self.view.number > ViewNumber(1)
        {
            let view = self.view.number;
            let message = Message::Members { view, spec };
            self.outputs.push_back(crate::Output::Send { to, message });
        }
    }
}

fn hosts(spec: &ClusterSpec) -> Vec<HostId> {
    spec.members.iter().map(|m| m.host).collect()
}
