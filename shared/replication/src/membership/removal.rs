//! A removed host's side: once it knows, it takes no part any more.
//!
//! It knows from the view that removes it, or, if it was away then, from any member that tells it the
//! members of a later view. Until then it is a member of an old view, in which nothing can be decided
//! without those that have left it.
//!
//! One duty is left to a host that installed the view that removes it. The others may not know yet that
//! this view is decided, and without the removed host they may be no quorum of the members before. So it
//! repeats the view, and nothing else, until a quorum of the members says that they are in it.

use shoal_types::{HostId, ViewNumber};

use crate::limits::HINT_INTERVAL;
use crate::quorum::Quorum;
use crate::timer::{Timer, Timers};
use crate::{Engine, Message, Output, Record};

impl Engine {
    /// A member showed a later view in which this host is none.
    pub(crate) fn learn_of_removal(&mut self, view: ViewNumber) {
        if !self.is_removed() {
            self.persist(Record::Removed { view });
            self.membership.removed_in = Some(view);
            self.retire();
        }
    }

    pub(crate) fn replay_removed(&mut self, view: ViewNumber) {
        if view > self.view.number && !self.is_outside() {
            self.membership.removed_in = Some(view);
        }
    }

    /// From here on nothing is voted on, acknowledged or executed.
    pub(crate) fn retire(&mut self) {
        self.abandon_proposal();
        self.review_change();
        self.timers = Timers::default();
        self.tickets.clear();
        self.renew_slots();
        self.outputs.push_back(Output::Removed);
        self.hand_view_on();
    }

    /// True if nobody needs this removed host any more to learn the view that removed it.
    pub(crate) fn has_departed(&self) -> bool {
        let members = &self.view.members;
        let told = &self.membership.taken_over_by;
        let count = members.iter().filter(|host| told.contains(host)).count();
        self.membership.removed_in.is_some() || Quorum::of(members.len()).reached_by(count)
    }

    /// Repeats the view that removed this host to those that have not said that they are in it.
    pub(crate) fn hand_view_on(&mut self) {
        if self.has_departed() {
            return;
        }
        for host in self.view.members.clone() {
            self.hand_view_to(host);
        }
        let again = self.after(self.config.timings.silence_min);
        self.timers.set(Timer::Change, again);
    }

    pub(crate) fn hand_view_to(&mut self, to: HostId) {
        let knows = self.membership.taken_over_by.contains(&to);
        if !knows && !self.is_silent() && !self.has_departed() {
            let message = Message::Install(self.view.clone());
            self.outputs.push_back(Output::Send { to, message });
        }
    }

    /// What a removed host still listens to.
    pub(crate) fn hear_after_removal(&mut self, from: HostId, message: &Message) {
        let Some(slot) = self.view.slot(from) else {
            return;
        };
        match message {
            Message::Members { view, .. } if *view >= self.view.number => {
                self.membership.taken_over_by.insert(from);
                if self.has_departed() {
                    self.timers = Timers::default();
                    self.renew_slots();
                }
            }
            // It takes this host for a member.
            _ => {
                // Left without an answer it would go on asking, instead of getting the state elsewhere.
                if let Message::Fetch { view, .. } = *message
                    && !self.is_silent()
                {
                    let message = Message::Gone { view };
                    self.outputs.push_back(Output::Send { to: from, message });
                }
                let now = self.now.mono;
                let lately = self.peers[slot].hinted_at;
                if lately.is_none_or(|at| now >= at + HINT_INTERVAL) {
                    self.peers[slot].hinted_at = Some(now);
                    self.hand_view_to(from);
                }
            }
        }
    }
}
