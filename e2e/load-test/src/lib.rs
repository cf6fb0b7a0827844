//! The ledgered load: producers and consumers that account for every message.
//!
//! A [`Plan`] says how much of what; a [`Load`] carries it out against a [`Service`] and writes every
//! id, lease and deletion into a ledger; its [`Report`] has rates, latencies measured from the
//! *intended* send time, the server's CPU per message, and a verdict: was anything lost, returned
//! after its delete, numbered with a gap, handed to two receivers, altered? Tests and
//! `shoal load-test` use the same code.
//!
//! The load never retries an operation: what a user would see fail counts as failed.

mod arrival;
mod backlog;
mod body;
mod cli;
mod consumer;
mod cpu;
mod groups;
mod ledger;
pub mod limits;
mod load;
mod meter;
mod plan;
mod producer;
mod report;
mod rest;
mod service;
mod timeline;
mod verdict;

pub use cli::{Args, run};
pub use load::{Load, Progress, Running, Watch};
pub use meter::{Gaps, Operation};
pub use plan::{Plan, PlanError};
pub use report::{CpuReport, Latency, OperationReport, Report};
pub use rest::Rest;
pub use service::{Failure, Outgoing, Received, SendAnswer, Service};
pub use verdict::{Kind, Verdict, Violations};
