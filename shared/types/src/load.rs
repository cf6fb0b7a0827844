//! What a host did lately, as it tells the manager.
//!
//! Each host counts what it did as a coordinator, so that what a cluster did is the sum over its hosts.
//! What all of them bear alike (processor time, how long a commit takes, messages kept, disk) is not
//! added up: of that the largest counts. Messages and disk stand in [`crate::HostStatus`] itself.

use serde::{Deserialize, Serialize};

use crate::{Micros, PartitionId};

/// What one host did as a coordinator during about one second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadReport {
    /// Counts the reports of one start of the process, from 1; 0 if nothing was measured yet. A report
    /// that comes in two heartbeats is the same one.
    pub number: u64,
    /// How much the host can do, as its operator said; 1 is an ordinary host, at most
    /// [`crate::limits::CAPACITY_MAX`].
    pub capacity: u32,
    /// Messages sent, received or acknowledged in a second. A command about none counts as one.
    pub operations: u64,
    /// Bytes of messages sent in a second.
    pub bytes: u64,
    /// Messages sent, received or acknowledged that were refused in a second because there was too much
    /// to do already.
    pub refusals: u64,
    /// Processor time of the process, in percent of all processors of the machine.
    pub cpu_percent: u8,
    /// From an entry's append until it was executed, 99th percentile, in microseconds; 0 if there was none.
    pub commit: Micros,
    /// Those that did most, at most [`crate::limits::LOADS_TOLD_MAX`], in any order.
    pub partitions: Vec<PartitionLoad>,
}

/// What was done about one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionLoad {
    /// The partition.
    pub partition: PartitionId,
    /// As [`LoadReport::operations`].
    pub operations: u64,
    /// As [`LoadReport::bytes`].
    pub bytes: u64,
}

impl Default for LoadReport {
    /// Of an ordinary host that has measured nothing.
    fn default() -> Self {
        Self {
            number: 0,
            capacity: 1,
            operations: 0,
            bytes: 0,
            refusals: 0,
            cpu_percent: 0,
            commit: 0,
            partitions: Vec::new(),
        }
    }
}
