//! How an engine is, for health checks and metrics.

use shoal_types::{HostId, Incarnation, Position, Ts, ViewNumber, ViewSummary};

use crate::{Engine, Standing};

/// A look at an engine from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Which life of the process this is.
    pub incarnation: Incarnation,
    /// What it is to its cluster.
    pub standing: Standing,
    /// The view installed last.
    pub view: ViewSummary,
    /// True if the host acts in its view: it acknowledges and executes.
    pub acting: bool,
    /// True if it acts and writes, so that `submit` is taken unless the host is busy.
    pub taking_commands: bool,
    /// True if the host knows of no view later than its own and lacks no entry it has heard of.
    pub caught_up: bool,
    /// True if `leave` was called and no lane of this host gates the order any more, or all others
    /// leave too: it can stop without anyone noticing.
    pub sealed_out: bool,
    /// Its clock.
    pub clock: Ts,
    /// The entry executed last.
    pub executed: Position,
    /// Members that are suspected at the moment.
    pub suspected: Vec<HostId>,
    /// The highest view number anyone has shown.
    pub view_seen: ViewNumber,
    /// The lanes of the current view.
    pub lanes: Vec<LaneStatus>,
}

/// How far one lane is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneStatus {
    /// Whose lane.
    pub host: HostId,
    /// Index of the last entry this host has.
    pub held: u64,
    /// Index of the last entry that is durable here.
    pub durable: u64,
    /// Index of the last entry executed here.
    pub executed: u64,
}

impl Engine {
    /// How it is.
    #[must_use]
    pub fn status(&self) -> Status {
        let host = |k: usize| self.view.members[k];
        let lanes = self.lanes.iter().enumerate();
        Status {
            incarnation: self.incarnation,
            standing: self.standing(),
            view: self.view.summary(),
            acting: self.acting(),
            taking_commands: self.takes_commands(),
            caught_up: !self.is_behind() && self.catch_up.lag(&self.lanes) == 0,
            sealed_out: self.may_stop(),
            clock: self.clock.value(),
            executed: self.executed,
            suspected: self
                .others()
                .filter(|&k| self.suspects(k))
                .map(host)
                .collect(),
            view_seen: self.view_seen(),
            lanes: lanes
                .map(|(k, lane)| LaneStatus {
                    host: host(k),
                    held: lane.last(),
                    durable: self.acks.own()[k],
                    executed: lane.executed(),
                })
                .collect(),
        }
    }
}
