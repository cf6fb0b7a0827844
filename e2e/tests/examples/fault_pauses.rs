//! How long clients notice a fault: under a steady 500 messages a second on one cluster of three hosts,
//! each host in turn is killed, frozen, cut off, not heard by its neighbour, asked to end, and a link
//! flaps. Prints the longest time without a success of each kind of operation, on the worst queue, for
//! each fault, and the medians beside what they are meant to be. Fails if any operation did.
//!
//! `cargo run -p shoal-e2e --example fault_pauses [ROUNDS] [FAULT…]`; with 4 rounds, each fault happens
//! twelve times. Without a word all faults, otherwise those of `kill`, `freeze`, `isolate`, `one-way`,
//! `restart` and `flap`. Hosts reach each other through proxies here; the example `kill_pause` measures a
//! kill without them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use shoal_e2e::stories::{Pause, under_load};
use shoal_e2e::{ensure_clean, steady_plan};
use shoal_harness::{Bench, run_within};
use shoal_load_test::Operation;

/// One round takes about a minute and a half.
const ROUND: Duration = Duration::from_secs(240);
const FAULTS: [&str; 6] = ["kill", "freeze", "isolate", "one-way", "restart", "flap"];
/// What the median pause of a fault is to be at most, where something was promised.
const PROMISED: [(&str, Duration); 3] = [
    ("kill", Duration::from_millis(100)),
    ("freeze", Duration::from_millis(600)),
    ("isolate", Duration::from_millis(600)),
];

fn main() -> Result<()> {
    const USAGE: &str = "usage: fault_pauses [ROUNDS] [FAULT…]";
    let mut words = std::env::args().skip(1);
    let rounds: u32 = match words.next() {
        Some(number) => number.parse().context(USAGE)?,
        None => 1,
    };
    let chosen: Vec<String> = words.collect();
    for word in &chosen {
        ensure!(FAULTS.contains(&word.as_str()), "{word}: {USAGE}");
    }
    let is_chosen = |fault: &str| chosen.is_empty() || chosen.iter().any(|word| word == fault);
    run_within(ROUND * (rounds + 1), async |bench| {
        measure(bench, rounds, is_chosen).await
    });
    Ok(())
}

async fn measure(bench: &Bench, rounds: u32, is_chosen: impl Fn(&str) -> bool) -> Result<()> {
    let mut cluster = bench.processes().start().await?;
    let told = under_load(&mut cluster, steady_plan(Duration::ZERO), async |stage| {
        stage.begin();
        stage.end("quiet", 0).await;
        for _ in 0..rounds {
            for fault in FAULTS.into_iter().filter(|fault| is_chosen(fault)) {
                match fault {
                    "kill" => stage.kill_each().await?,
                    "freeze" => stage.freeze_each().await?,
                    "isolate" => stage.isolate_each().await?,
                    "one-way" => stage.one_way_cuts().await?,
                    "restart" => stage.restart_each().await?,
                    _ => stage.flapping_link(5, Duration::from_millis(500)).await?,
                }
            }
        }
        Ok(())
    });
    let (report, pauses) = told.await?;
    for pause in &pauses {
        println!("{pause}");
    }
    println!(
        "\n{:<14}{:>7}{:>12}{:>12}   promised",
        "fault", "times", "median", "longest"
    );
    for (fault, mut longest) in by_fault(&pauses) {
        longest.sort_unstable();
        let median = longest[longest.len() / 2];
        let promised = PROMISED.iter().find(|(of, _)| *of == fault);
        let kept = promised.map(|(_, bound)| match median <= *bound {
            true => format!("{bound:?} kept"),
            false => format!("{bound:?} MISSED"),
        });
        println!(
            "{fault:<14}{:>7}{:>12}{:>12}   {}",
            longest.len(),
            format!("{median:.0?}"),
            format!("{:.0?}", longest[longest.len() - 1]),
            kept.unwrap_or_default()
        );
    }
    println!("\n{report}");
    ensure_clean(&report)
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
