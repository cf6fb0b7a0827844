//! This host's vote on the next view: single-decree Paxos, one instance per view number.
//!
//! What must be on disk before what is sent:
//!
//! | before | durable |
//! |---|---|
//! | `Promise` | the ballot, the record of this host's view, and every entry that it seals |
//! | `Accepted` | the value and every entry that it seals |

use shoal_types::planted::{Bug, planted};
use shoal_types::{HostId, Incarnation, Mono, Ts, ViewNumber};

use crate::{Ballot, Engine, Message, Record, RecordNumber, View};

/// What this host has promised and accepted, and what it still owes an answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Acceptor {
    promised: Option<(ViewNumber, Ballot)>,
    accepted: Option<(Ballot, View)>,
    accepted_record: RecordNumber,
    /// An Accept that waits for entries that its value seals.
    interrupted: Option<(usize, Ballot, View)>,
    /// Answers that wait for the disk.
    deferred: Vec<(RecordNumber, Answer)>,
    /// Whose attempt this host takes part in, and when it was last heard of.
    pub(crate) proposer: Option<(usize, Mono)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    Promise {
        to: usize,
        view: ViewNumber,
        ballot: Ballot,
    },
    OwnAccepted {
        view: ViewNumber,
        ballot: Ballot,
    },
}

/// The content of a promise.
#[derive(Clone, Debug)]
pub(crate) struct Promise {
    pub(crate) accepted: Option<(Ballot, View)>,
    pub(crate) durable: Vec<u64>,
    pub(crate) held: Vec<u64>,
    pub(crate) clock: Ts,
    pub(crate) incarnation: Incarnation,
    pub(crate) wants_out: bool,
    pub(crate) hears: Vec<HostId>,
}

impl Acceptor {
    pub(crate) fn promised(&self) -> Option<(ViewNumber, Ballot)> {
        self.promised
    }

    /// The ballot promised for a view.
    pub(crate) fn promised_for(&self, view: ViewNumber) -> Option<Ballot> {
        let (about, ballot) = self.promised?;
        (about == view).then_some(ballot)
    }

    pub(crate) fn accepted(&self) -> Option<&(Ballot, View)> {
        self.accepted.as_ref()
    }

    /// Takes a promise, made now or in an earlier life.
    pub(crate) fn promise(&mut self, view: ViewNumber, ballot: Ballot) {
        self.promised = self.promised.max(Some((view, ballot)));
    }

    /// Takes an accepted value; the acceptance implies the promise.
    pub(crate) fn accept(&mut self, ballot: Ballot, value: View, record: RecordNumber) {
        self.promise(value.number, ballot);
        let known = self.accepted.as_ref();
        if known.is_none_or(|(b, v)| (v.number, *b) <= (value.number, ballot)) {
            self.accepted = Some((ballot, value));
            self.accepted_record = record;
        }
    }

    /// The end of the seal that an interrupted Accept waits for, and who has it.
    pub(crate) fn waits_for(&self) -> Option<(usize, &View)> {
        let (from, _, value) = self.interrupted.as_ref()?;
        Some((*from, value))
    }

    /// A view was installed: nothing about it is open any more.
    pub(crate) fn view_installed(&mut self) {
        self.interrupted = None;
        self.deferred.clear();
        self.proposer = None;
    }
}

impl Engine {
    pub(crate) fn on_prepare(&mut self, from: usize, view: ViewNumber, ballot: Ballot) {
        if !self.can_vote_on(from, view) || self.refuses(from, view, ballot) {
            return;
        }
        self.suspend_for(view, from);
        self.give_way_to(view, ballot);
        if self.acceptor.promised_for(view) != Some(ballot) {
            self.acceptor.promise(view, ballot);
            // What waits is about smaller ballots: it would not be sent any more.
            self.acceptor.deferred.clear();
            self.persist(Record::Ballot { view, ballot });
        }
        self.answer_when_durable(Answer::Promise {
            to: from,
            view,
            ballot,
        });
    }

    pub(crate) fn on_accept(&mut self, from: usize, ballot: Ballot, value: View) {
        let view = value.number;
        if !self.can_vote_on(from, view) || self.refuses(from, view, ballot) {
            return;
        }
        if self.is_outside() && value.slot(self.config.me).is_none() {
            return;
        }
        // First of all: entries that come for this value must never count in the view they are of.
        self.suspend_for(view, from);
        self.give_way_to(view, ballot);
        if !self.holds(&value.ends) {
            self.catch_up.prefer(from);
            self.acceptor.interrupted = Some((from, ballot, value));
            return;
        }
        self.acceptor.interrupted = None;
        match self.acceptor.accepted.clone() {
            Some((known, same)) if known == ballot && same.number == view => assert!(
                same == value,
                "ballot {ballot:?} proposes two values for view {view}: {same:?} and {value:?}"
            ),
            _ => {
                let record = Record::Accepted {
                    ballot,
                    value: value.clone(),
                };
                let number = self.persist(record);
                self.acceptor.accept(ballot, value, number);
                self.renew_slots();
            }
        }
        if from == self.me {
            self.answer_when_durable(Answer::OwnAccepted { view, ballot });
        } else {
            let mut after = self.acceptor.accepted_record;
            if planted(Bug::AcceptedBeforeSync) {
                after = RecordNumber::default();
            }
            self.send_after(after, from, Message::Accepted { view, ballot });
        }
    }

    /// Goes on with an Accept whose entries may have come.
    pub(crate) fn continue_accept(&mut self) {
        if let Some((from, ballot, value)) = self.acceptor.interrupted.take() {
            self.on_accept(from, ballot, value);
        }
    }

    /// Gives the answers that waited for the disk.
    pub(crate) fn release_deferred(&mut self) {
        let durable = self.records.durable();
        let deferred = std::mem::take(&mut self.acceptor.deferred);
        for (after, answer) in deferred {
            if after <= durable {
                self.answer(answer);
            } else {
                self.acceptor.deferred.push((after, answer));
            }
        }
    }

    /// From here on nothing is acknowledged, executed or counted in this host's view.
    pub(crate) fn suspend_for(&mut self, view: ViewNumber, proposer: usize) {
        if !planted(Bug::ActsAfterPromise) {
            self.suspended_for = self.suspended_for.max(view);
        }
        self.acceptor.proposer = Some((proposer, self.now.mono));
    }

    fn answer_when_durable(&mut self, answer: Answer) {
        // Everything written so far: also the record of the own view and what it seals.
        let after = self.records.last();
        if after <= self.records.durable() || planted(Bug::PromiseBeforeSync) {
            self.answer(answer);
        } else if !self.acceptor.deferred.iter().any(|(_, a)| *a == answer) {
            self.acceptor.deferred.push((after, answer));
        }
    }

    fn answer(&mut self, answer: Answer) {
        match answer {
            Answer::Promise { to, view, ballot } => {
                let current = self.acceptor.promised_for(view) == Some(ballot);
                let next = self.view.number.next() == view;
                if current && (next || planted(Bug::PromiseWhileBehind)) {
                    self.send_promise(to, view, ballot);
                }
            }
            Answer::OwnAccepted { view, ballot } => self.on_accepted(self.me, view, ballot),
        }
    }

    fn send_promise(&mut self, to: usize, view: ViewNumber, ballot: Ballot) {
        let accepted = self.acceptor.accepted.clone();
        let promise = Promise {
            accepted: accepted.filter(|(_, value)| value.number == view),
            // Taken now and not when the Prepare came: it covers every Ack that was ever sent.
            durable: self.acks.own().to_vec(),
            held: self.held(),
            clock: self.clock.value(),
            incarnation: self.incarnation,
            wants_out: self.leaving || self.state_lost,
            hears: self.heard_members(),
        };
        if to == self.me {
            return self.on_promise(to, view, ballot, promise);
        }
        let message = Message::Promise {
            view,
            ballot,
            accepted: promise.accepted,
            durable: promise.durable,
            held: promise.held,
            clock: promise.clock,
            incarnation: promise.incarnation,
            wants_out: promise.wants_out,
            hears: promise.hears,
        };
        self.send(to, message);
    }

    /// False if this host cannot vote on the view now: it has installed it, or lacks the one before.
    fn can_vote_on(&mut self, from: usize, view: ViewNumber) -> bool {
        self.view.number.next() == view
            || self.view.number < view && planted(Bug::PromiseWhileBehind)
            || !self.is_of_other_view(from, ViewNumber(view.0.saturating_sub(1)))
    }

    fn refuses(&mut self, from: usize, view: ViewNumber, ballot: Ballot) -> bool {
        let rival = self.acceptor.promised_for(view).filter(|p| *p > ballot);
        if let Some(rival) = rival
            && from != self.me
        {
            self.send(from, Message::Refused { view, rival });
        }
        rival.is_some()
    }

    /// A higher ballot ends this host's own attempt.
    fn give_way_to(&mut self, view: ViewNumber, ballot: Ballot) {
        let own = self.proposal.as_ref();
        if own.is_some_and(|p| p.view == view && p.ballot < ballot) {
            self.abandon_proposal();
        }
    }
}
