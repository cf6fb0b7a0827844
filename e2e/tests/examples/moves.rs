//! What clients notice of moves: FIFO and standard queues are moved back and forth between two clusters
//! under a steady load, while every message is accounted for and every group's order is watched.
//!
//! `cargo run -p shoal-e2e --example moves [MOVES]`

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use shoal_e2e::operator::Operator;
use shoal_e2e::{ensure_clean, moving, start_load, steady_plan};
use shoal_harness::{Bench, run_within};
use shoal_load_test::Plan;
use tokio::time::{Instant, sleep};

/// Load before the first move, so that there is something to compare with.
const QUIET: Duration = Duration::from_secs(10);

fn main() -> Result<()> {
    let moves: u64 = match std::env::args().nth(1) {
        Some(number) => number.parse().context("usage: moves [MOVES]")?,
        None => 1_000,
    };
    let bound = Duration::from_secs(300) + Duration::from_secs(1) * moves as u32;
    run_within(bound, async |bench| measure(bench, moves).await);
    Ok(())
}

async fn measure(bench: &Bench, moves: u64) -> Result<()> {
    let dev = bench.dev().clusters(2).processes().start().await?;
    let operator = Operator::of(&dev)?;
    let plan = Plan {
        warm_up: Duration::ZERO,
        rate: Some(250.0),
        ..steady_plan(Duration::from_secs(3_600))
    };
    let ordered = Plan {
        groups: 50,
        ..plan.clone()
    };
    let (fifo, standard) = (
        start_load(&dev, ordered).await?,
        start_load(&dev, plan).await?,
    );
    sleep(QUIET).await;
    let queues = [fifo.watch().queues(), standard.watch().queues()].concat();
    for watch in [fifo.watch(), standard.watch()] {
        println!("without moves: {:?}", watch.take_gaps());
    }
    let begun = Instant::now();
    let longest = moving::back_and_forth(&dev.endpoint(), &operator, &queues, moves).await?;
    let took = begun.elapsed();
    println!("{moves} moves in {took:.0?}, the longest {longest:.1?}");
    for (kind, load) in [("FIFO", fifo), ("standard", standard)] {
        let gaps = load.watch().take_gaps();
        load.stop_sending();
        let report = load.finish().await;
        println!("\n{kind}: longest pauses {gaps:?}\n{report}");
        ensure_clean(&report)?;
        ensure!(report.send.latency.max_ms < 1_000.0, "a send was paused");
    }
    Ok(())
}
