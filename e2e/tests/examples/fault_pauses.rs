//! How long clients notice a fault: under a steady 500 messages a second on one cluster of three hosts,
//! each host in turn is killed, frozen, cut off, not heard by its neighbour, asked to end, and a link
//! flaps. Prints the longest time without a success of each kind of operation, on the worst queue, for
//! each fault, and the medians.
//!
//! `cargo run -p shoal-e2e --example fault_pauses [ROUNDS [FAULT …]]`; with 4 rounds, each fault happens
//! twelve times. Without the names of faults, all of them happen. Hosts reach each other through proxies
//! here; the example `kill_pause` measures a kill without them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use shoal_e2e::stories::{Pause, Stage, under_load};
use shoal_e2e::{ensure_clean, steady_plan};
use shoal_harness::{Bench, Cluster, run_within};
use shoal_load_test::Operation;

/// One round takes about a minute and a half.
const ROUND: Duration = Duration::from_secs(240);

const FAULTS: [&str; 6] = [
    "kill",
    "freeze",
    "isolate",
    "one-way-cut",
    "restart",
    "flapping-link",
];

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let usage = || format!("usage: fault_pauses [ROUNDS [FAULT …]], of {FAULTS:?}");
    let rounds: u32 = match args.next() {
        Some(number) => number.parse().with_context(usage)?,
        None => 1,
    };
    let mut faults: Vec<String> = args.collect();
    let known = |fault: &String| FAULTS.contains(&fault.as_str());
    ensure!(faults.iter().all(known), usage());
    if faults.is_empty() {
        faults = FAULTS.map(str::to_owned).to_vec();
    }
    run_within(ROUND * (rounds + 1), async |bench| {
        measure(bench, rounds, &faults).await
    });
    Ok(())
}

async fn measure(bench: &Bench, rounds: u32, faults: &[String]) -> Result<()> {
    let mut cluster = bench.processes().start().await?;
    let told = under_load(&mut cluster, steady_plan(Duration::ZERO), async |stage| {
        stage.begin();
        stage.end("quiet", 0).await;
        for _ in 0..rounds {
            for fault in faults {
                inflict(fault, stage).await?;
            }
        }
        Ok(())
    });
    let (report, pauses) = told.await?;
    for pause in &pauses {
        println!("{pause}");
    }
    println!(
        "\n{:<14}{:>7}{:>12}{:>12}",
        "fault", "times", "median", "longest"
    );
    for (fault, mut longest) in by_fault(&pauses) {
        longest.sort_unstable();
        println!(
            "{fault:<14}{:>7}{:>12}{:>12}",
            longest.len(),
            format!("{:.0?}", longest[longest.len() / 2]),
            format!("{:.0?}", longest[longest.len() - 1])
        );
    }
    println!("\n{report}");
    ensure_clean(&report)
}

async fn inflict<C: Cluster>(fault: &str, stage: &mut Stage<'_, C>) -> Result<()> {
    match fault {
        "kill" => stage.kill_each().await,
        "freeze" => stage.freeze_each().await,
        "isolate" => stage.isolate_each().await,
        "one-way-cut" => stage.one_way_cuts().await,
        "restart" => stage.restart_each().await,
        _ => stage.flapping_link(5, Duration::from_millis(500)).await,
    }
}

/// The longest gap of any operation, by fault.
fn by_fault(pauses: &[Pause]) -> BTreeMap<&str, Vec<Duration>> {
    let mut by_fault: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for pause in pauses {
        let (fault, _host) = pause.fault.rsplit_once(' ').unwrap_or((&pause.fault, ""));
        let of = [Operation::Send, Operation::Receive, Operation::Acknowledge]
            .map(|operation| pause.gaps.of(operation));
        let longest = of.into_iter().max().unwrap_or_default();
        by_fault.entry(fault).or_default().push(longest);
    }
    by_fault
}
