//! Compares hosts with each other while they execute. The first host that executes a step defines it;
//! every other one, and the same one in each later life, has to execute exactly the same.
//!
//! Judges the hosts' side of [`Checker::C0`] (one order, one outcome), [`Checker::C13`] (equal state at
//! equal positions) and [`Checker::C14`] (nothing goes back), and keeps the one order for the rest.

mod hashes;
mod limits;
mod log;
mod progress;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use shoal_types::{HostId, Position, ViewNumber};

pub use log::{Logged, OrderLog};

use crate::checkers::{Checker, CheckerSet, Violation};
use crate::history::{Executed, SimTime, StateHash};
use hashes::Hashes;
use limits::VIOLATIONS_MAX;
use progress::Progress;

/// See the module.
#[derive(Debug)]
pub struct Auditor {
    on: CheckerSet,
    log: OrderLog,
    hosts: BTreeMap<HostId, Progress>,
    hashes: Hashes,
    violations: Vec<Violation>,
}

impl Auditor {
    /// Nothing was executed yet. Only what checkers that are on notice is a violation.
    #[must_use]
    pub fn new(on: CheckerSet) -> Self {
        Self {
            on,
            log: OrderLog::default(),
            hosts: BTreeMap::new(),
            hashes: Hashes::default(),
            violations: Vec::new(),
        }
    }

    /// A host executed a step.
    pub fn executed(&mut self, executed: Executed) {
        let Executed {
            at,
            host,
            life,
            step,
        } = executed;
        let step = log::comparable(step);
        let progress = self.hosts.entry(host).or_default();
        let mut found = Vec::new();
        let place = progress.place(life, &step, &self.log, &mut found);
        match place {
            Some(place) if place < self.log.len() => {
                let defined = self.log.get(place);
                if defined.step != step {
                    found.push((
                        Checker::C0,
                        format!(
                            "step {place} of the order is {:?} as {} executed it, and {step:?} here",
                            defined.step, defined.by
                        ),
                    ));
                    progress.lose();
                }
            }
            Some(_) => {
                let logged = Logged { at, by: host, step };
                if let Err(why_not) = self.log.append(logged) {
                    found.push(why_not);
                    progress.lose();
                }
            }
            None => {}
        }
        for (checker, what) in found {
            self.note(checker, at, format!("{host} in life {life}: {what}"));
        }
    }

    /// A host goes on from another one's state, at this place: it need not execute what comes before.
    pub fn went_on_from(&mut self, host: HostId, executed: Position, view: ViewNumber) {
        let next = self.log.after(executed, view);
        self.hosts.entry(host).or_default().may_begin_at(next);
    }

    /// A fingerprint of a host's state was taken.
    pub fn state_hash(&mut self, hash: StateHash) {
        let progress = self.hosts.entry(hash.host).or_default();
        let mut found = Vec::new();
        progress.fingerprint(hash.incarnation, hash.executed, &mut found);
        if let Some(what) = self.hashes.compare(hash) {
            found.push((Checker::C13, what));
        }
        let at = self
            .log
            .last()
            .map_or_else(SimTime::default, |last| last.at);
        for (checker, what) in found {
            self.note(checker, at, format!("{}: {what}", hash.host));
        }
    }

    /// What was noticed so far; the first few, one is enough.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// The one order, as executed.
    #[must_use]
    pub fn log(&self) -> &OrderLog {
        &self.log
    }

    /// How many steps of the order a host has executed in its newest life.
    #[must_use]
    pub fn executed_by(&self, host: HostId) -> usize {
        self.hosts.get(&host).map_or(0, Progress::executed)
    }

    fn note(&mut self, checker: Checker, at: SimTime, what: String) {
        if self.on.has(checker) && self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(Violation { checker, at, what });
        }
    }
}
