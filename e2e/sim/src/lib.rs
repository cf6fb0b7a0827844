//! A whole cluster in one thread, and a judge.
//!
//! The hosts are the host's own `Core` (engine, queues, log) over disks in memory; the network, the
//! clocks, the clients and the faults are simulated. Everything a run does follows from its seed.

pub mod auditor;
pub mod checkers;
pub mod history;
pub mod random;
pub mod workload;
