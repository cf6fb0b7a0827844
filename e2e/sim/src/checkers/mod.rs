//! The judge: what a run left is held against what the queues promise (see `docs/queue.md`).
//!
//! Each checker judges one promise and can be turned off; the others then still have to notice what
//! goes wrong. Most judge from what clients asked and were told alone. [`Checker::C0`] replays the
//! order in which hosts executed through the reference model; the auditor compares hosts as they go.

mod availability;
mod dead_letters;
mod exclusive_lease;
mod facts;
mod final_counts;
mod findings;
mod groups;
mod intact;
mod leases;
mod liveness;
mod no_loss;
mod no_return;
mod numbers;
mod once;
mod receipts;
mod receive_counts;
mod replies;
mod search;
mod set;
#[cfg(test)]
mod tale;
mod times;
mod witness;
mod words;

use std::collections::BTreeMap;

use shoal_types::{HostId, Micros, PartitionCounts, PartitionId};

pub use set::{Checker, CheckerSet, UnknownChecker};

use crate::auditor::Auditor;
use crate::history::{Call, SimTime};
use facts::Facts;
use findings::Findings;

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Who noticed.
    pub checker: Checker,
    /// About when it happened.
    pub at: SimTime,
    /// What, with the calls or steps that do not go together.
    pub what: String,
}

/// Each host's counts of each partition at the end of a run.
pub type CountsByHost = BTreeMap<HostId, BTreeMap<PartitionId, PartitionCounts>>;

/// What a run left.
#[derive(Clone, Copy)]
pub struct Evidence<'a> {
    /// What clients asked and were told, by call id.
    pub calls: &'a [Call],
    /// What hosts executed.
    pub auditor: &'a Auditor,
    /// When the last fault ended.
    pub healed_at: SimTime,
    /// When the run ended.
    pub ended_at: SimTime,
    /// All hosts act and have executed the same.
    pub settled: bool,
    /// The workload's drain is done.
    pub drained: bool,
    /// Of all hosts that run.
    pub counts: &'a CountsByHost,
    /// By how much cluster time may run ahead of or behind simulated time within the run.
    pub skew_bound: Micros,
}

/// Judges a run, with the checkers that are on. What the auditor noticed comes on top.
#[must_use]
pub fn judge(evidence: &Evidence<'_>, on: &CheckerSet) -> Vec<Violation> {
    let mut findings = Findings::new(on);
    let facts = Facts::new(evidence.calls);
    for check in CLIENTS_SIDE {
        check(&facts, evidence, &mut findings);
    }
    if on.has(Checker::C0) || on.has(Checker::C16) {
        let log = evidence.auditor.log();
        let replayed = witness::replay(log, &mut findings);
        witness::check(&facts, log, &mut findings);
        final_counts::check(evidence, &replayed, &mut findings);
    }
    findings.into_violations()
}

type Check = fn(&Facts<'_>, &Evidence<'_>, &mut Findings<'_>);

/// All that judge from what clients saw.
const CLIENTS_SIDE: &[Check] = &[
    no_loss::check,
    intact::check,
    no_return::check,
    exclusive_lease::check,
    receipts::check,
    numbers::check_gaps,
    numbers::check_real_time,
    groups::check,
    once::check,
    availability::check,
    times::check,
    dead_letters::check,
    receive_counts::check,
    replies::check,
    liveness::check,
    search::check,
];
