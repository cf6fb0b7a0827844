//! What the members tell one another of the state that they execute on. The engine carries it in
//! heartbeats and judges nothing of it.

use serde::{Deserialize, Serialize};
use shoal_types::{HostId, MachineVersion, Position};

use crate::Engine;

/// What a host says of its executed state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StateReport {
    /// By which rules its commands are executed now; 0 if nothing was said yet.
    pub version: MachineVersion,
    /// The newest rules that its release knows; 0 if nothing was said yet.
    pub supports: MachineVersion,
    /// The newest place of the order at which hosts compare their states.
    pub mark: Option<StateMark>,
}

/// A hash over everything executed up to a place that all hosts choose alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateMark {
    /// The last entry that it covers.
    pub position: Position,
    /// The same on all hosts that executed the same.
    pub hash: u64,
}

impl Engine {
    /// What this host says of its state from now on, with every heartbeat.
    pub fn set_state_report(&mut self, report: StateReport) {
        self.state = report;
    }

    /// What the other members have said last, as far as they were heard in this view: the latest life
    /// of each that is known, and nothing of earlier ones.
    pub fn state_reports(&self) -> impl Iterator<Item = (HostId, StateReport)> {
        self.others().filter_map(|k| {
            let (heard_in, report) = self.peers[k].state?;
            (heard_in == self.view.number).then_some((self.view.members[k], report))
        })
    }
}
