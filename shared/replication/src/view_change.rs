//! Deciding the next view, from the proposer's side.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use shoal_types::planted::{Bug, planted};
use shoal_types::{HostId, Mono, Origin, ViewNumber};

use crate::acceptor::Promise;
use crate::limits::ENTRIES_BYTES_MAX;
use crate::quorum::Quorum;
use crate::timer::Timer;
use crate::{Ballot, Engine, Message, Reason, Record, RecordNumber, View};

/// This host's attempt to decide a view.
#[derive(Clone, Debug)]
pub(crate) struct Proposal {
    pub(crate) view: ViewNumber,
    pub(crate) ballot: Ballot,
    /// Nobody hears of the ballot before this is durable.
    ballot_record: RecordNumber,
    /// Writers that asked to be left out.
    leaving: Vec<HostId>,
    promises: BTreeMap<usize, Promise>,
    value: Option<View>,
    /// True once this host has everything that the value seals and has sent it out.
    proposed: bool,
    accepted_by: BTreeSet<HostId>,
    /// Until when late promises are awaited, once there is a quorum.
    late_until: Option<Mono>,
    resend_at: Mono,
    /// If nothing is decided by then, it failed: perhaps somebody is gone who alone had what the value
    /// seals.
    give_up_at: Mono,
}

impl Proposal {
    /// What it proposes, once that is chosen.
    pub(crate) fn value(&self) -> Option<&View> {
        self.value.as_ref()
    }
}

impl Engine {
    /// Starts an attempt with a ballot of its own.
    pub(crate) fn propose(&mut self, reason: &Reason) {
        let view = self.view.number.next();
        let known = self.acceptor.promised_for(view).map_or(0, |b| b.round);
        let ballot = Ballot {
            round: known.max(self.attempts.rival_round(view)) + 1,
            host: self.config.me,
        };
        self.suspend_for(view, self.me);
        self.acceptor.promise(view, ballot);
        let mut ballot_record = self.persist(Record::Ballot { view, ballot });
        if planted(Bug::PrepareBeforeSync) {
            ballot_record = RecordNumber::default();
        }
        let patience = self.config.timings.silence_max;
        let spread = self.jitter.below(self.step().as_micros() as u64);
        self.proposal = Some(Proposal {
            view,
            ballot,
            ballot_record,
            leaving: reason.leaving.clone(),
            promises: BTreeMap::new(),
            value: None,
            proposed: false,
            accepted_by: BTreeSet::new(),
            late_until: None,
            resend_at: self.after(self.step()),
            give_up_at: self.after(patience + Duration::from_micros(spread)),
        });
        for k in self.others() {
            self.send_after(ballot_record, k, Message::Prepare { view, ballot });
        }
        self.on_prepare(self.me, view, ballot);
        self.set_proposal_timer();
    }

    /// Ends the attempt without a result.
    pub(crate) fn abandon_proposal(&mut self) {
        self.proposal = None;
        self.timers.stop(Timer::Proposal);
    }

    pub(crate) fn on_promise(
        &mut self,
        from: usize,
        view: ViewNumber,
        ballot: Ballot,
        promise: Promise,
    ) {
        let members = self.view.members.len();
        if promise.durable.len() != members || promise.held.len() != members {
            return;
        }
        let Some(proposal) = &mut self.proposal else {
            return;
        };
        if proposal.view == view && proposal.ballot == ballot && proposal.value.is_none() {
            proposal.promises.insert(from, promise);
            self.choose_value();
        }
    }

    /// A higher ballot is about.
    pub(crate) fn on_refused(&mut self, view: ViewNumber, rival: Ballot) {
        self.attempts.saw_rival(view, rival.round);
        let own = self.proposal.as_ref();
        if own.is_some_and(|p| p.view == view && p.ballot < rival) {
            self.proposal_failed();
        }
    }

    /// Nothing came of it. A rival may be at work or long gone: a moment will show.
    fn proposal_failed(&mut self) {
        self.abandon_proposal();
        self.acceptor.proposer = None;
        self.attempt_failed();
    }

    /// Chooses the value once a quorum has promised and nobody is worth waiting for.
    fn choose_value(&mut self) {
        let late_until = self.after(self.step());
        let Some(proposal) = &mut self.proposal else {
            return;
        };
        let quorum = Quorum::of(self.view.members.len());
        if proposal.value.is_some() || !quorum.reached_by(proposal.promises.len()) {
            return;
        }
        let late_until = *proposal.late_until.get_or_insert(late_until);
        let promised: Vec<usize> = proposal.promises.keys().copied().collect();
        let waits = self
            .others()
            .any(|k| !promised.contains(&k) && self.may_answer(k));
        if waits && self.now.mono < late_until {
            return self.set_proposal_timer();
        }
        let value = self.value_of_promises();
        let proposal = self.proposal.as_mut().expect("looked at above");
        proposal.value = Some(value);
        self.continue_proposal();
    }

    /// True if a member could hear this host's question and answer it.
    fn may_answer(&self, k: usize) -> bool {
        self.peers[k].reachable() && !self.suspects(k) && !self.misses(k, self.me)
    }

    /// The value that the promises allow: the one accepted under the highest ballot, since it may be
    /// decided already; else the seal that covers everything durable anywhere among them.
    fn value_of_promises(&self) -> View {
        let proposal = self.proposal.as_ref().expect("only a proposer chooses");
        let promises = &proposal.promises;
        let accepted = promises.values().filter_map(|p| p.accepted.as_ref());
        let accepted = accepted.max_by_key(|(ballot, _)| *ballot);
        if let Some((_, value)) = accepted.filter(|_| !planted(Bug::AcceptedValueForgotten)) {
            return value.clone();
        }
        let lanes = 0..self.view.members.len();
        let ends: Vec<u64> = lanes
            .map(|lane| {
                let durable = promises.values().map(|p| p.durable[lane]);
                if planted(Bug::SealBelowAcknowledged) {
                    return durable.min();
                }
                durable.max()
            })
            .map(|end| end.expect("a quorum is never empty"))
            .collect();
        let spec = self.change_allowed_by(promises);
        let members = match &spec {
            Some(spec) => spec.members.iter().map(|m| m.host).collect(),
            None => self.view.members.clone(),
        };
        let writers = self.choose_writers(promises, &ends, &proposal.leaving, &members);
        let wanted = spec.as_ref().or(self.spec.as_ref()).and_then(|s| s.only);
        let writers = self.only_if_it_can(writers, wanted);
        let host = |slot: usize| self.view.members[slot];
        let latest = promises.values().map(|p| p.clock).max();
        View {
            number: proposal.view,
            members,
            active: writers.iter().map(|&k| host(k)).collect(),
            incarnations: writers
                .iter()
                .map(|&k| Origin {
                    host: host(k),
                    incarnation: promises[&k].incarnation,
                })
                .collect(),
            ends,
            start: latest.expect("a quorum is never empty").after(1),
            spec: spec.map(Box::new),
        }
    }

    /// Sends the value out once this host has everything that it seals.
    pub(crate) fn continue_proposal(&mut self) {
        let Some(proposal) = &self.proposal else {
            return;
        };
        let Some(value) = proposal.value.clone() else {
            return;
        };
        if proposal.proposed || !self.holds(&value.ends) {
            return self.set_proposal_timer();
        }
        let ballot = proposal.ballot;
        self.renew_slots();
        let Some(proposal) = &self.proposal else {
            return;
        };
        let lacking: Vec<(usize, Vec<u64>)> = proposal
            .promises
            .iter()
            .map(|(k, p)| (*k, p.held.clone()))
            .collect();
        for (k, held) in lacking {
            self.send_sealed(k, &held, &value.ends);
        }
        for k in self.voters_on(&value) {
            let value = value.clone();
            self.send(k, Message::Accept { ballot, value });
        }
        let proposal = self.proposal.as_mut().expect("looked at above");
        proposal.proposed = true;
        self.on_accept(self.me, ballot, value);
        self.set_proposal_timer();
    }

    /// Sends a member the sealed entries that it lacks, as far as one message goes; it fetches the rest.
    fn send_sealed(&mut self, to: usize, held: &[u64], ends: &[u64]) {
        let mut entries = Vec::new();
        let mut bytes = 0;
        for (lane, (&has, &end)) in self.lanes.iter().zip(held.iter().zip(ends)) {
            if has < lane.base() {
                continue;
            }
            for entry in lane.after(has).take_while(|e| e.index <= end) {
                bytes += entry.payload.len();
                if bytes <= ENTRIES_BYTES_MAX {
                    entries.push(entry.clone());
                }
            }
        }
        if to != self.me && !entries.is_empty() {
            self.send(to, Message::entries(entries));
        }
    }

    pub(crate) fn on_accepted(&mut self, from: usize, view: ViewNumber, ballot: Ballot) {
        let from = self.host_at(from);
        let Some(proposal) = &mut self.proposal else {
            return;
        };
        if proposal.view != view || proposal.ballot != ballot {
            return;
        }
        proposal.accepted_by.insert(from);
        let value = proposal.value.clone();
        let value = value.unwrap_or_else(|| {
            panic!("{from} accepted ballot {ballot:?} for view {view}, which was never proposed")
        });
        // Of the members before and of those after: a host counts among those to which it belongs.
        let accepted = |members: &[HostId]| {
            let count = members.iter().filter(|m| proposal.accepted_by.contains(m));
            Quorum::of(members.len()).reached_by(count.count())
        };
        if accepted(&self.view.members) && accepted(&value.members) {
            for k in self.voters_on(&value) {
                self.send(k, Message::Install(value.clone()));
            }
            self.install(value, None);
        }
    }

    /// Time passed: late promises are no longer awaited, messages are sent again, or it failed.
    pub(crate) fn push_proposal(&mut self) {
        self.choose_value();
        let resend_at = self.after(self.step());
        let Some(proposal) = &mut self.proposal else {
            return;
        };
        let now = self.now.mono;
        if now >= proposal.give_up_at {
            return self.proposal_failed();
        }
        if now >= proposal.resend_at {
            proposal.resend_at = resend_at;
            self.repeat_proposal();
        }
        self.set_proposal_timer();
    }

    fn repeat_proposal(&mut self) {
        let Some(proposal) = &self.proposal else {
            return;
        };
        let (view, ballot) = (proposal.view, proposal.ballot);
        let silent: Vec<usize> = match &proposal.value {
            Some(value) => {
                let mut silent = self.voters_on(value);
                silent.retain(|&k| !proposal.accepted_by.contains(&self.host_at(k)));
                silent
            }
            None => {
                let silent = |k: &usize| !proposal.promises.contains_key(k);
                self.others().filter(silent).collect()
            }
        };
        let after = proposal.ballot_record;
        let accept = proposal.value.clone().filter(|_| proposal.proposed);
        let waiting_for_entries = proposal.value.is_some() && !proposal.proposed;
        for k in silent {
            match &accept {
                Some(value) => {
                    let value = value.clone();
                    self.send(k, Message::Accept { ballot, value });
                }
                None if waiting_for_entries => {}
                None => self.send_after(after, k, Message::Prepare { view, ballot }),
            }
        }
    }

    fn set_proposal_timer(&mut self) {
        let Some(proposal) = &self.proposal else {
            return;
        };
        let late = proposal.late_until.filter(|_| proposal.value.is_none());
        let late = late.filter(|at| *at > self.now.mono);
        let times = [Some(proposal.resend_at), Some(proposal.give_up_at), late];
        let next = times.into_iter().flatten().min();
        self.timers
            .set(Timer::Proposal, next.expect("two are always there"));
    }

    /// The seal that this host's own proposal needs before it can be sent.
    pub(crate) fn proposal_waits_for(&self) -> Option<&View> {
        let proposal = self.proposal.as_ref()?;
        proposal.value.as_ref().filter(|_| !proposal.proposed)
    }
}
