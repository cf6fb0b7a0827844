//! How much may happen in a world.

use std::time::Duration;

use shoal_replication::Timings;

use crate::world::HOSTS;

/// How much of each sort of event there may be. A search tries every order of them.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Batches that clients submit at each host.
    pub batches: [u8; HOSTS],
    /// What the network does to letters.
    pub network: Network,
    /// Letters that get lost on an ordered network.
    pub losses: u8,
    /// Where a sync is a step of its own. Elsewhere it is complete before anything else happens.
    pub slow_disks: [bool; HOSTS],
    /// Hosts that crash before anything else happens and never come back.
    pub gone: [bool; HOSTS],
    /// How often each host crashes.
    pub crashes: [u8; HOSTS],
    /// How often each starts again.
    pub restarts: [u8; HOSTS],
    /// Links that break once although both hosts are well: who notices, and whom it suspects then.
    pub breaks: Vec<(usize, usize)>,
    /// Timers that fire at each host.
    pub timeouts: [u8; HOSTS],
    /// Which hosts are told to leave.
    pub leaving: [bool; HOSTS],
    /// States beyond this view are not looked at.
    pub last_view: u64,
    /// How far each host's wall clock is ahead, in microseconds.
    pub ahead: [u64; HOSTS],
    /// What the driver does.
    pub driver: Driver,
}

/// What becomes of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// From one host to another letters arrive in the order in which they were sent, each once; those of
    /// an earlier life not after a later one has shown itself. This is what connections do.
    Ordered,
    /// A letter may arrive at any time from when it was sent on, any number of times, or never: also
    /// after its sender or its receiver has crashed and started again.
    Free,
}

/// A driver that keeps its contract with the engine, or one that breaks it: to show that the search
/// sees what comes of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// Does what [`shoal_replication::Output`] says.
    Honest,
    /// Reports records as durable that a crash can still take.
    ReportsTooEarly,
    /// A restart finds an empty folder, and is formed again under the same identity.
    ComesBackEmpty,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            batches: [0; HOSTS],
            network: Network::Ordered,
            losses: 0,
            slow_disks: [false; HOSTS],
            gone: [false; HOSTS],
            crashes: [0; HOSTS],
            restarts: [0; HOSTS],
            breaks: Vec::new(),
            timeouts: [0; HOSTS],
            leaving: [false; HOSTS],
            last_view: 1,
            ahead: [0; HOSTS],
            driver: Driver::Honest,
        }
    }
}

/// How long a broken link stays unsuspicious: so short that no other timer passes with it.
pub(crate) const RECONNECT: Duration = Duration::from_micros(1);

/// Of the usual order, but silence is suspicious after one more timer than a heartbeat.
pub(crate) fn timings() -> Timings {
    let silence = Duration::from_millis(30);
    Timings {
        silence_min: silence,
        silence_max: silence,
        reconnect: RECONNECT,
        ..Timings::default()
    }
}
