//! Calls with which hosts tell successors what they have to know. All partitions are on one cluster here,
//! so hosts call one another, or themselves, as they would call strangers.

use std::sync::Arc;

use shoal_host::core::{Telling, Told};
use shoal_types::{HostId, HostReply, Outcome, Refusal, Successor};

use super::host::{Caller, Input};
use super::{Event, World};
use crate::history::SimTime;
use crate::limits::SECOND;

/// How long a caller waits for its answer.
const PATIENCE: u64 = SECOND;

/// A call that is on its way.
#[derive(Clone, Debug)]
pub(super) struct Said {
    number: u64,
    by: HostId,
    /// Of its process.
    life: u64,
    to: HostId,
    telling: Arc<Telling>,
}

impl World {
    pub(super) fn tell_successor(&mut self, by: HostId, telling: Telling) {
        let Some(process) = &self.hosts[&by].process else {
            return;
        };
        let life = process.life;
        let to = self.any_member();
        self.summary.tellings += 1;
        let number = self.summary.tellings;
        self.tellings.insert(number);
        let said = Box::new(Said {
            number,
            by,
            life,
            to,
            telling: Arc::new(telling),
        });
        let lost = SimTime(self.now.0 + PATIENCE);
        self.schedule.at(lost, Event::TellingFails(said.clone()));
        if !self.network.is_cut(by, to) {
            let arrives = SimTime(self.now.0 + self.network.client_latency());
            self.schedule.at(arrives, Event::TellingArrives(said));
        }
    }

    pub(super) fn telling_arrives(&mut self, said: Said) {
        let host = &self.hosts[&said.to];
        if !host.powered || host.process.is_none() {
            return;
        }
        let to = said.to;
        let request = Box::new(said.telling.request.clone());
        let operation = self.next_operation();
        self.give(
            to,
            Input::Call {
                operation,
                caller: Caller::Successor(Box::new(said)),
                request,
                bodies: Vec::new(),
            },
        );
    }

    pub(super) fn telling_answered(&mut self, said: Said, result: Result<HostReply, Refusal>) {
        if self.network.is_cut(said.to, said.by) {
            return;
        }
        let answer = match result {
            Ok(HostReply::Outcome(outcome)) => Ok(outcome),
            Ok(other) => unreachable!("{other:?} answers a command"),
            Err(refusal) if refusal.code.retryable() => Err(refusal.to_string()),
            Err(refusal) => Ok(Outcome::Refused(refusal)),
        };
        let told = Box::new(said.telling.told(answer));
        let at = SimTime(self.now.0 + self.network.client_latency());
        let said = Box::new(said);
        self.schedule.at(at, Event::Told { said, told });
    }

    /// Its time is over.
    pub(super) fn telling_fails(&mut self, said: &Said) {
        let told = said.telling.told(Err("no answer in time".to_owned()));
        self.successor_told(said, told);
    }

    /// What comes first counts: the answer, or that there is none.
    pub(super) fn successor_told(&mut self, said: &Said, told: Told) {
        let host = self.hosts.get_mut(&said.by).expect("one of ours");
        if self.tellings.remove(&said.number) && host.life(said.life).is_some() {
            self.give(said.by, Input::Told(told));
        }
    }

    /// A successor that was not told that what it follows is empty, as these hosts know; there must be none
    /// once all queues are.
    pub(super) fn untold(&self, hosts: &[HostId]) -> Option<String> {
        let processes = hosts
            .iter()
            .filter_map(|id| self.hosts[id].process.as_ref());
        let mut machines = processes.map(|process| process.core.machine());
        machines.find_map(|machine| {
            let mut sealed = machine.sealed();
            sealed.find_map(|id| {
                let (seal, told) = machine.seal_of(id)?;
                // Who was itself followed and emptied meanwhile, and is gone, need not hear of it.
                let is_there = |one: &Successor| machine.succession(one.partition).is_some();
                let mut waits = seal.successors.iter().filter(|one| is_there(one));
                let waits = waits.any(|one| !told.contains(&one.partition));
                let drained = machine.is_drained(id);
                waits
                    .then(|| format!("the successors of {id} (drained: {drained}) wait to be told"))
            })
        })
    }
}
