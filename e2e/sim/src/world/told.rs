//! What hosts told one another and must not forget: votes and acknowledgements. Held against what the
//! next life of the process finds on its disk.

use shoal_replication::{Ballot, Engine, Message};
use shoal_types::{HostId, ViewNumber};

use super::World;
use crate::actions::Action;
use crate::checkers::Checker;
use crate::history::SimTime;
use crate::sometimes::Sometimes;

/// What one host has told others, in all its lives.
#[derive(Debug, Default)]
pub(super) struct Told {
    promised: Option<(ViewNumber, Ballot)>,
    accepted: Option<(ViewNumber, Ballot)>,
    acknowledged: (ViewNumber, Vec<u64>),
}

impl Told {
    /// True if it is a vote, without which another view could be decided.
    fn note(&mut self, message: &Message) -> bool {
        match message {
            Message::Prepare { view, ballot } => {
                self.promised = self.promised.max(Some((*view, *ballot)));
            }
            Message::Promise {
                view,
                ballot,
                durable,
                ..
            } => {
                self.promised = self.promised.max(Some((*view, *ballot)));
                self.note_durable(ViewNumber(view.0 - 1), durable);
            }
            Message::Accepted { view, ballot } => {
                self.accepted = self.accepted.max(Some((*view, *ballot)));
            }
            Message::Ack { view, durable, .. } => {
                self.note_durable(*view, durable);
                return false;
            }
            _ => return false,
        }
        true
    }

    fn note_durable(&mut self, view: ViewNumber, durable: &[u64]) {
        if view > self.acknowledged.0 {
            self.acknowledged = (view, durable.to_vec());
        } else if view == self.acknowledged.0 {
            for (known, shown) in self.acknowledged.1.iter_mut().zip(durable) {
                *known = (*known).max(*shown);
            }
        }
    }

    /// What of it an engine does not know, just recovered from its disk.
    fn unknown_to(&self, engine: &Engine) -> Option<String> {
        let view = engine.view().number;
        let open = |told: Option<(ViewNumber, Ballot)>| told.filter(|(about, _)| *about > view);
        if let Some((about, ballot)) = open(self.promised)
            && engine.promised(about) < Some(ballot)
        {
            return Some(format!("its promise of {ballot:?} for view {about}"));
        }
        if let Some((about, ballot)) = open(self.accepted)
            && engine.accepted(about) < Some(ballot)
        {
            return Some(format!("that it accepted {ballot:?} for view {about}"));
        }
        let (acknowledged_in, durable) = &self.acknowledged;
        if *acknowledged_in > view {
            return Some(format!("view {acknowledged_in}, in which it acknowledged"));
        }
        let mut lanes = durable.iter().zip(engine.durable());
        if *acknowledged_in == view && lanes.any(|(told, has)| told > has) {
            return Some(format!(
                "all that it acknowledged in view {view}: {durable:?}, of which it has {:?}",
                engine.durable()
            ));
        }
        None
    }
}

impl World {
    /// A host says this to another one. With the power about to go, a vote is the last thing it says.
    pub(super) fn note_told(&mut self, from: HostId, messages: &[Message]) {
        let host = self.host(from);
        let votes = messages.iter().filter(|message| host.told.note(message));
        if votes.count() > 0
            && let Some(lasts) = host.power_off_at_vote.take()
        {
            self.reached.note(Sometimes::PowerLostAfterVote);
            let soon = SimTime(self.now.0 + 1);
            self.plan(soon, Action::PowerOff(from));
            self.plan(SimTime(soon.0 + lasts), Action::Start(from));
        }
    }

    /// A host's new life has read its disk. Excused is only who lacks something in a way that no disk can
    /// tell: other damage is to be noticed, and mended or refused.
    pub(super) fn check_memory(&mut self, id: HostId) {
        let host = &self.hosts[&id];
        let lost = host.tail_lost || host.set_back;
        let Some(process) = host.process.as_ref().filter(|_| !lost) else {
            return;
        };
        if let Some(what) = host.told.unknown_to(process.core.engine()) {
            self.violation(Checker::Memory, format!("{id} has forgotten {what}"));
        }
    }
}
