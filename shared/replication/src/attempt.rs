//! Whether and when this host tries to change the view, and the vote about it that binds nobody.
//!
//! Only writers start a change; others ask one ([`crate::Asked`]). Where no writer works any more, or a
//! proposer fell silent, any member starts. Attempts are staggered by rank so that they seldom meet,
//! and each is preceded by a pre-vote: a member agrees only if it sees the same need, so that a host
//! that hears badly cannot keep suspending the rest.

use std::collections::BTreeSet;
use std::time::Duration;

use shoal_types::planted::{Bug, planted};
use shoal_types::{HostId, Micros, Mono, ViewNumber};

use crate::quorum::Quorum;
use crate::timer::Timer;
use crate::{Asked, Engine, HostPhase, Message, Reason};

/// This host's wish to change the view.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempts {
    /// Why, and since when for this reason.
    wish: Option<(Wish, Mono)>,
    /// Attempts that failed since the view was installed.
    failed: u32,
    /// Drawn after each of them.
    delay: Micros,
    /// The pre-vote under way.
    pre_vote: Option<PreVote>,
    /// The highest round seen, and of which view.
    rival: (ViewNumber, u64),
}

#[derive(Clone, Debug)]
struct PreVote {
    view: ViewNumber,
    reason: Reason,
    agreed: BTreeSet<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// An acting writer sees a writer missing, or was asked.
    AsWriter,
    /// The proposer that suspended this host is gone or silent.
    ProposerSilent,
    /// No writer of the view works.
    NoWriter,
    /// A writer was asked and did nothing.
    Unheeded,
}

impl Attempts {
    /// A view was installed.
    pub(crate) fn view_installed(&mut self) {
        *self = Self {
            rival: self.rival,
            ..Self::default()
        };
    }

    pub(crate) fn saw_rival(&mut self, view: ViewNumber, round: u64) {
        self.rival = self.rival.max((view, round));
    }

    pub(crate) fn rival_round(&self, view: ViewNumber) -> u64 {
        if self.rival.0 == view {
            self.rival.1
        } else {
            0
        }
    }
}

impl Engine {
    /// Starts a pre-vote if the view should be changed and it is this host's turn.
    pub(crate) fn consider_changing_the_view(&mut self) {
        if self.proposal.is_some() || self.attempts.pre_vote.is_some() {
            self.timers.stop(Timer::Attempt);
            return;
        }
        let Some(wish) = self.wish() else {
            self.attempts.wish = None;
            match self.wish_may_come_at() {
                Some(at) => self.timers.set(Timer::Attempt, at),
                None => self.timers.stop(Timer::Attempt),
            }
            return;
        };
        let now = self.now.mono;
        let since = match self.attempts.wish {
            Some((known, since)) if known == wish => since,
            _ => now,
        };
        self.attempts.wish = Some((wish, since));
        let rank = u32::try_from(self.rank(wish)).expect("at most five members");
        let delay = Duration::from_micros(self.attempts.delay);
        let at = since + self.step() * rank + delay;
        if at <= now {
            self.timers.stop(Timer::Attempt);
            self.start_pre_vote();
        } else {
            self.timers.set(Timer::Attempt, at);
        }
    }

    fn wish(&self) -> Option<Wish> {
        if self.is_behind() || self.proposer_is_active() {
            return None;
        }
        let no_writer = || self.working_writers().is_empty();
        match self.phase() {
            HostPhase::Entering | HostPhase::Learning | HostPhase::Stranded => None,
            HostPhase::Acting if self.i_write() => {
                (!self.reason().is_empty()).then_some(Wish::AsWriter)
            }
            HostPhase::Suspended => Some(Wish::ProposerSilent),
            HostPhase::Acting | HostPhase::Barred if no_writer() => Some(Wish::NoWriter),
            HostPhase::Acting | HostPhase::Barred => self.asked_in_vain().then_some(Wish::Unheeded),
        }
    }

    /// When a wish may come up by time alone.
    fn wish_may_come_at(&self) -> Option<Mono> {
        let (_, heard_at) = self.acceptor.proposer?;
        Some(heard_at + self.config.timings.silence_min).filter(|at| *at > self.now.mono)
    }

    /// True if somebody is at deciding the next view: it would only be disturbed.
    fn proposer_is_active(&self) -> bool {
        self.acceptor.proposer.is_some_and(|(k, heard_at)| {
            !self.suspects(k) && self.now.mono < heard_at + self.config.timings.silence_min
        })
    }

    /// Why this host would change the view.
    pub(crate) fn reason(&self) -> Reason {
        let host = |k: usize| self.view.members[k];
        let mut missing = self.other_writers();
        missing.retain(|&k| self.is_missing(k));
        let asked = |k: &usize, what: Asked| self.asked_lately(*k) == Some(what);
        let joining = self
            .others()
            .filter(|k| asked(k, Asked::Join) && self.may_let_in(*k));
        let writers = self.other_writers().into_iter();
        let someone_stays = self.someone_stays();
        let leaving = writers.filter(|k| someone_stays && asked(k, Asked::Leave));
        let mut joining: Vec<HostId> = joining.map(host).collect();
        if self.wants_in() {
            joining.push(self.config.me);
        }
        Reason {
            missing: missing.into_iter().map(host).collect(),
            joining,
            leaving: leaving.map(host).collect(),
            deaf: self
                .others()
                .filter(|&k| self.is_deaf(k))
                .map(host)
                .collect(),
            changing: self.change_due(),
        }
    }

    /// How many members come before this one: those that are likely to see the same need.
    fn rank(&self, wish: Wish) -> usize {
        // Whom somebody does not hear would have to do without that one's promise.
        let place = |k: usize| (self.is_unheard(k), k);
        let before = self.others().filter(|&k| place(k) < place(self.me));
        let before = before.filter(|&k| match wish {
            Wish::AsWriter => {
                self.view.is_writer(self.view.members[k])
                    && !self.is_missing(k)
                    && !self.is_deaf(k)
                    && self.asked_lately(k) != Some(Asked::Leave)
            }
            _ => !self.suspects(k),
        });
        before.count()
    }

    fn start_pre_vote(&mut self) {
        let view = self.view.number.next();
        let reason = self.reason();
        for k in self.reachable_others() {
            let reason = reason.clone();
            self.send(k, Message::PreVote { view, reason });
        }
        let agreed = BTreeSet::from([self.me]);
        self.attempts.pre_vote = Some(PreVote {
            view,
            reason,
            agreed,
        });
        // Longer each time: the network may be slower than the disks let assume.
        let patience = self.step() * (2 << self.attempts.failed.min(4));
        self.timers.set(Timer::PreVote, self.after(patience));
        self.count_pre_votes();
    }

    pub(crate) fn on_pre_voted(&mut self, from: usize, view: ViewNumber) {
        if let Some(pre_vote) = &mut self.attempts.pre_vote
            && pre_vote.view == view
        {
            pre_vote.agreed.insert(from);
            self.count_pre_votes();
        }
    }

    fn count_pre_votes(&mut self) {
        let quorum = Quorum::of(self.view.members.len());
        let agreed = self.attempts.pre_vote.as_ref().map(|p| p.agreed.len());
        if agreed.is_some_and(|count| quorum.reached_by(count)) {
            let pre_vote = self.attempts.pre_vote.take().expect("counted above");
            self.timers.stop(Timer::PreVote);
            if pre_vote.view == self.view.number.next() && !self.is_behind() {
                self.propose(&pre_vote.reason);
            }
        }
    }

    /// Too few agreed in time.
    pub(crate) fn pre_vote_failed(&mut self) {
        self.attempts.pre_vote = None;
        self.attempt_failed();
    }

    /// The next attempt waits some random time more, longer each time.
    pub(crate) fn attempt_failed(&mut self) {
        self.attempts.failed += 1;
        let step = self.step().as_micros() as u64;
        let spread = step << self.attempts.failed.min(4);
        self.attempts.delay = step + self.jitter.below(spread);
        if let Some((_, since)) = &mut self.attempts.wish {
            *since = self.now.mono;
        }
    }

    // ---- the others' pre-votes ----

    pub(crate) fn on_pre_vote(&mut self, from: usize, view: ViewNumber, reason: Reason) {
        let before = ViewNumber(view.0.saturating_sub(1));
        if self.is_of_other_view(from, before) {
            return;
        }
        if self.agrees(from, &reason) {
            self.send(from, Message::PreVoted { view });
        } else {
            // What the sender saw may reach this host a moment later.
            self.peers[from].pre_vote = Some((view, reason, self.now.mono));
        }
    }

    /// Agrees to pre-votes that came a moment too early.
    pub(crate) fn answer_kept_pre_votes(&mut self) {
        for k in self.others() {
            let Some((view, reason, at)) = self.peers[k].pre_vote.take() else {
                continue;
            };
            let current = view == self.view.number.next() && self.now.mono < at + self.step() * 2;
            if current && self.agrees(k, &reason) {
                self.send(k, Message::PreVoted { view });
            } else if current {
                self.peers[k].pre_vote = Some((view, reason, at));
            }
        }
    }

    fn agrees(&self, from: usize, reason: &Reason) -> bool {
        let others = |hosts: &[HostId]| -> Vec<usize> {
            let slots = hosts.iter().filter_map(|h| self.view.slot(*h));
            slots.filter(|k| *k != self.me).collect()
        };
        let writes = |k: usize| self.view.is_writer(self.view.members[k]);
        let is_missing = |k: &usize| writes(*k) && self.is_missing(*k);
        if planted(Bug::PreVoteAlwaysAgrees) {
            return true;
        }
        if self.proposer_is_active() {
            return self.acceptor.proposer.is_some_and(|(k, _)| k == from);
        }
        !self.acting()
            || others(&reason.missing).iter().any(is_missing)
            || is_missing(&from)
            || self.is_stuck(from)
            || others(&reason.joining).iter().any(|k| self.may_let_in(*k))
            || others(&reason.leaving).iter().any(|k| writes(*k))
            || others(&reason.deaf).iter().any(|k| self.is_deaf(*k))
            || reason.deaf.contains(&self.config.me) && !self.hears_all_writers()
            || reason.changing.is_some_and(|r| self.wants_change(r))
    }
}
