//! What a run leaves.

use std::collections::BTreeMap;

use crate::checkers::Violation;
use crate::faults::FaultKind;
use crate::history::SimTime;
use crate::sometimes::Reached;

/// Figures of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Simulated time, to the end.
    pub ended_at: SimTime,
    /// Events.
    pub events: u64,
    /// Turns of hosts.
    pub turns: u64,
    /// Messages between hosts.
    pub messages: u64,
    /// Starts of processes.
    pub starts: u64,
    /// Calls of clients.
    pub calls: u64,
    /// Calls that were answered with an outcome.
    pub answered: u64,
    /// Calls with which hosts told successors what they follow.
    pub tellings: u64,
    /// Pieces that hosts brought to heirs.
    pub carriages: u64,
    /// Faults by kind.
    pub faults: BTreeMap<FaultKind, u64>,
}

/// What a run came to.
#[derive(Debug)]
pub struct Ended {
    /// What must not be, first things first.
    pub violations: Vec<Violation>,
    /// Rare events.
    pub reached: Reached,
    /// Figures.
    pub summary: Summary,
    /// One number for the whole course.
    pub hash: u64,
    /// The course in lines, if they were asked for.
    pub lines: String,
}
