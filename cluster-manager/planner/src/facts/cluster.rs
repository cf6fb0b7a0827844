//! A cluster, as the planner sees it.

use std::collections::VecDeque;

use shoal_types::{HostId, Micros, PartitionId, QueueId, Ts};

use crate::limits::WINDOWS_KEPT;

/// A cluster that is not retired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// How far it is.
    pub stage: ClusterStage,
    /// Its hosts, alive or not.
    pub members: Vec<HostId>,
    /// A change of its members is under way.
    pub changing: bool,
    /// Draining: what nobody consumes there is forwarded at once.
    pub forwards_at_once: bool,
    /// When load last came or went by a decision. Windows that began before say nothing about now.
    pub settled: Ts,
    /// When something was last decided because it was overheated.
    pub relieved: Option<Ts>,
    /// What was measured lately.
    pub windows: Windows,
    /// What its busiest partitions did in the last window, in any order; hosts report the top 50.
    pub loads: Vec<Load>,
}

/// How far a cluster is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterStage {
    /// Decided; not all its hosts have confirmed.
    Forming,
    /// Takes queues.
    Serving,
    /// Gives its queues away, and will be retired.
    Draining,
}

/// What a cluster did during one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// When it began.
    pub began: Ts,
    /// Messages sent, received or acknowledged, a second.
    pub operations: u64,
    /// Bytes sent, a second.
    pub bytes: u64,
    /// Processor time of the busiest host, in percent.
    pub cpu_percent: u32,
    /// 99th percentile of a commit at the slowest host, in microseconds.
    pub commit: Micros,
    /// Operations refused as too many, a second.
    pub refusals: u64,
    /// Messages that wait.
    pub backlog: u64,
    /// The fullest disk, in percent.
    pub disk_percent: u32,
}

/// What one partition did during the last window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// The queue.
    pub queue: QueueId,
    /// Its partition here.
    pub partition: PartitionId,
    /// Messages sent, received or acknowledged, a second.
    pub operations: u64,
    /// Bytes sent, a second.
    pub bytes: u64,
}

/// The last windows, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Windows(VecDeque<Window>);

impl Windows {
    /// Adds the newest; the oldest goes when there are more than [`WINDOWS_KEPT`].
    pub fn push(&mut self, window: Window) {
        if self.0.len() == WINDOWS_KEPT {
            self.0.pop_front();
        }
        self.0.push_back(window);
    }

    /// Oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Window> {
        self.0.iter()
    }

    /// The newest.
    #[must_use]
    pub fn last(&self) -> Option<&Window> {
        self.0.back()
    }
}
