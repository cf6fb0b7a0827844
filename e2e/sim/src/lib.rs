//! A whole cluster in one thread, and a judge.
//!
//! The hosts are the host's own `Core` (engine, queues, log) over disks in memory; the network, the
//! clocks, the clients and the faults are simulated. Everything a run does follows from its seed.

pub mod actions;
pub mod auditor;
pub mod checkers;
pub mod faults;
pub mod history;
mod limits;
pub mod members;
pub mod options;
#[cfg(feature = "planted")]
pub mod planted;
pub mod random;
pub mod releases;
pub mod report;
pub mod runner;
pub mod scenarios;
pub mod sometimes;
pub mod trace;
pub mod workload;
pub mod world;
