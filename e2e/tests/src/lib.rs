//! What the end-to-end tests and measurements share: the load that the promises are stated for.
//!
//! The tests are in `tests/e2e`, one file per promise; measurements that take longer than a test may
//! are in `examples`.

pub mod changes;
pub mod kills;
pub mod long_polls;
pub mod moving;
pub mod operator;
pub mod stories;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use shoal_client::Client;
use shoal_harness::Dev;
use shoal_load_test::{Load, Plan, Report, Rest, Running, Watch};

/// 500 messages a second from 8 producers to 8 consumers. Four queues are enough for the manager to
/// place some on each of two clusters, and few enough that each sees a message every 8 ms: a pause
/// shows to within that.
#[must_use]
pub fn steady_plan(duration: Duration) -> Plan {
    Plan {
        queues: 4,
        producers: 8,
        consumers: 8,
        rate: Some(500.0),
        warm_up: Duration::from_secs(2),
        duration,
        visibility: Duration::from_secs(10),
        ..Plan::default()
    }
}

/// So many messages, sent as fast as it goes, to wait in four queues for whoever comes later.
#[must_use]
pub fn waiting_plan(messages: u64, body_bytes: usize) -> Plan {
    Plan {
        queues: 4,
        rate: None,
        batch: 100,
        receive_batch: 100,
        body_bytes,
        messages_max: messages,
        warm_up: Duration::ZERO,
        duration: Duration::from_secs(3_600),
        ..Plan::default()
    }
}

/// Starts a load on a system, with the processor time of all its processes measured along.
///
/// # Errors
/// If the queues cannot be made.
pub async fn start_load(dev: &Dev, plan: Plan) -> Result<Running<Rest>> {
    let load = prepare_load(&dev.endpoint(), plan).await?;
    Ok(load.start(&[dev.process().pid()]))
}

/// A load on whatever serves there.
///
/// # Errors
/// If the queues cannot be made.
pub async fn prepare_load(endpoint: &str, plan: Plan) -> Result<Load<Rest>> {
    let load = Load::prepare(plan, Rest::new(endpoint)?).await;
    load.context("the load cannot start")
}

/// How many clusters the load's queues are on.
///
/// # Errors
/// If the frontend does not say where they are.
pub async fn clusters_under_load(dev: &Dev, load: &Watch<Rest>) -> Result<usize> {
    let client = Client::new(&dev.endpoint())?;
    let mut clusters = BTreeSet::new();
    for queue in load.queues() {
        let info = client.queue(queue).info().await?;
        clusters.extend(info.partitions.iter().map(|partition| partition.cluster));
    }
    Ok(clusters.len())
}

/// Every promise was kept.
///
/// # Errors
/// With the whole report, if not.
pub fn ensure_kept(report: &Report) -> Result<()> {
    ensure!(report.verdict.ok, "promises broken:\n{report}");
    Ok(())
}

/// Every promise was kept, no operation failed, every send that was due was sent.
///
/// # Errors
/// With the whole report, if not.
pub fn ensure_clean(report: &Report) -> Result<()> {
    ensure_kept(report)?;
    ensure!(
        report.failed_operations() == 0 && report.unsent == 0,
        "operations failed:\n{report}"
    );
    Ok(())
}

/// No kind of operation was without a success for longer than this, on any queue.
///
/// # Errors
/// With the whole report, if one was.
pub fn ensure_gaps_within(report: &Report, bound: Duration) -> Result<()> {
    for operation in [&report.send, &report.receive, &report.acknowledge] {
        let gap = Duration::from_secs_f64(operation.longest_gap_ms / 1e3);
        ensure!(
            gap <= bound,
            "a pause of {gap:?} is over {bound:?}:\n{report}"
        );
    }
    Ok(())
}
