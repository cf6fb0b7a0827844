//! Which message means what.

use crate::acceptor::Promise;
use crate::{Engine, Message};

impl Engine {
    pub(crate) fn receive(&mut self, from: usize, message: Message) {
        if !self.listens_to(from, &message) {
            return;
        }
        match message {
            Message::Append(entry) => self.on_append(from, entry),
            Message::Clock { view, announced } => {
                if !self.is_of_other_view(from, view) {
                    self.on_announced(from, announced);
                }
            }
            Message::Ack {
                view,
                announced,
                durable,
            } => {
                if !self.is_of_other_view(from, view) {
                    self.on_ack(from, view, &durable);
                    if let Some(announced) = announced {
                        self.on_announced(from, announced);
                    }
                }
            }
            Message::Heartbeat(heartbeat) if from < self.view.members.len() => {
                self.on_heartbeat(from, &heartbeat);
            }
            Message::Heartbeat(heartbeat) => self.on_heartbeat_from_outside(from, &heartbeat),
            Message::PreVote { view, reason } => self.on_pre_vote(from, view, reason),
            Message::PreVoted { view } => self.on_pre_voted(from, view),
            Message::Prepare { view, ballot } => self.on_prepare(from, view, ballot),
            Message::Promise {
                view,
                ballot,
                accepted,
                durable,
                held,
                clock,
                incarnation,
                wants_out,
                hears,
            } => {
                if self.peers[from]
                    .incarnation
                    .is_some_and(|known| known != incarnation)
                {
                    // Of a life that is over, or of one that has not introduced itself.
                    return;
                }
                let promise = Promise {
                    accepted,
                    durable,
                    held,
                    clock,
                    incarnation,
                    wants_out,
                    hears,
                };
                self.on_promise(from, view, ballot, promise);
            }
            Message::Refused { view, rival } => self.on_refused(view, rival),
            Message::Accept { ballot, value } => self.on_accept(from, ballot, value),
            Message::Accepted { view, ballot } => self.on_accepted(from, view, ballot),
            Message::Install(view) => self.on_install(from, view),
            Message::Fetch { view, have, first } => self.on_fetch(from, view, &have, first),
            Message::Entries(entries) => self.on_entries(from, entries),
            Message::Ask { view, asked } => {
                if !self.is_of_other_view(from, view) {
                    self.on_ask(from, asked);
                }
            }
            Message::Forgotten {
                incarnation,
                life,
                lacks,
            } => self.on_forgotten(self.host_at(from), incarnation, life, lacks),
            Message::Change { spec } => self.on_change(&spec),
            Message::Members { view, spec } => self.on_members(view, spec),
            Message::Gone { view } => self.on_gone(from, view),
            // The driver's own affair.
            Message::Snapshot(_) => {}
            Message::Aside(_) => {}
        }
    }

    /// Members tell each other everything. To and from a host outside goes what it takes to follow, and
    /// the one vote of a newcomer; whatever else it may say counts for nothing.
    fn listens_to(&self, from: usize, message: &Message) -> bool {
        let follows = matches!(
            message,
            Message::Heartbeat(_)
                | Message::Install(_)
                | Message::Entries(_)
                | Message::Members { .. }
                | Message::Gone { .. }
                | Message::Forgotten { .. }
        );
        // Decided views and entries are what they are, whoever repeats them; all else needs a life that
        // has shown that it is sound.
        if !follows && !self.is_introduced(from) {
            return false;
        }
        let from_member = from < self.view.members.len();
        match (self.is_outside(), from_member) {
            (false, true) => true,
            (false, false) => {
                follows
                    || matches!(
                        message,
                        Message::Fetch { .. } | Message::Accepted { .. } | Message::Refused { .. }
                    )
            }
            (true, true) => {
                follows
                    || matches!(
                        message,
                        Message::Append(_)
                            | Message::Clock { .. }
                            | Message::Ack { .. }
                            | Message::Accept { .. }
                    )
            }
            (true, false) => follows,
        }
    }
}
