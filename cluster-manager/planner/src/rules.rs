//! What an operator may set.

use shoal_types::Micros;

use crate::limits::SECOND;

/// How the fleet is to be looked after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Hosts of a cluster.
    pub cluster_size: usize,
    /// Spare hosts of each pool that are kept for replacing dead ones and never made a cluster of.
    pub spares_kept: usize,
    /// A host that was not heard from for so long is not counted on (microseconds).
    pub silence: Micros,
    /// A member that was not heard from for so long is replaced (microseconds).
    pub replace_after: Micros,
    /// A sealed partition that still has messages after so long is forwarded (microseconds).
    pub drain_patience: Micros,
    /// What a cluster is to bear.
    pub targets: Targets,
}

/// What a cluster of ordinary hosts is to bear. A cluster of weight 2 bears twice the rates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    /// Messages sent, received or acknowledged in a second.
    pub operations: u64,
    /// Bytes sent in a second.
    pub bytes: u64,
    /// Busiest host, in percent of its processors.
    pub cpu_percent: u32,
    /// 99th percentile of a commit, in microseconds.
    pub commit: Micros,
    /// Operations refused as too many, in a second.
    pub refusals: u64,
    /// Messages that wait.
    pub backlog: u64,
    /// Fullest disk, in percent.
    pub disk_percent: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            cluster_size: 3,
            spares_kept: 0,
            // Heartbeats come every second, and three may get lost.
            silence: 4 * SECOND,
            // Longer than a reboot, shorter than a second loss is likely.
            replace_after: 15 * 60 * SECOND,
            drain_patience: 30 * 60 * SECOND,
            targets: Targets::default(),
        }
    }
}

impl Default for Targets {
    /// For hosts of four cores with a disk that syncs within 5 ms. Where hosts are weaker, processor
    /// time and commit latency say so before the rates do.
    fn default() -> Self {
        Self {
            operations: 30_000,
            bytes: 60_000_000,
            cpu_percent: 75,
            commit: 50_000,
            refusals: 50,
            // A billion bytes of index at about a hundred bytes for each.
            backlog: 10_000_000,
            // Compaction and snapshots need room.
            disk_percent: 80,
        }
    }
}
