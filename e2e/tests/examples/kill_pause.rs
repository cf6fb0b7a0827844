//! How long clients notice the loss of a host: under a steady load, kills one host with -9, starts it
//! again, and repeats that with the next one. Prints the longest time without a success of each kind
//! of operation, on the worst queue, for each kill, and the median over all kills.
//!
//! `cargo run -p shoal-e2e --example kill_pause [KILLS]`

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use shoal_e2e::{clusters_under_load, ensure_clean, start_load, steady_plan};
use shoal_harness::{Bench, run_within};
use shoal_load_test::{Gaps, Operation};
use tokio::time::sleep;

/// Between a kill and the look at what it did: longer than any suspicion and view change.
const AFTERMATH: Duration = Duration::from_secs(3);
/// Between a host's return and the next kill.
const SETTLE: Duration = Duration::from_secs(1);

fn main() -> Result<()> {
    let kills: usize = match std::env::args().nth(1) {
        Some(number) => number.parse().context("usage: kill_pause [KILLS]")?,
        None => 10,
    };
    let bound = Duration::from_secs(120) + (AFTERMATH + SETTLE) * 4 * kills as u32;
    run_within(bound, async |bench| measure(bench, kills).await);
    Ok(())
}

async fn measure(bench: &Bench, kills: usize) -> Result<()> {
    ensure!(kills > 0, "nothing to measure");
    let dev = bench.dev().clusters(2).processes().start().await?;
    let hosts: Vec<_> = dev.roles().iter().filter(|role| role.is_host()).collect();
    let load = start_load(&dev, steady_plan(Duration::from_secs(3_600))).await?;
    let watch = load.watch();
    let clusters = clusters_under_load(&dev, &watch).await?;
    ensure!(
        clusters == 2,
        "the load is on {clusters} clusters, so half of the kills show nothing"
    );
    sleep(AFTERMATH + SETTLE).await;
    // Nobody was killed yet: what a look without a kill shows.
    print_line("quiet", &watch.take_gaps());

    let mut pauses = Vec::new();
    let mut back = Vec::new();
    for kill in 0..kills {
        let at = kill % hosts.len();
        // From the second round on it is a process that this program started.
        let started_again = back.iter().rposition(|(which, _)| *which == at);
        watch.take_gaps();
        match started_again.map(|position| back.remove(position)) {
            Some((_, process)) => drop(process),
            None => hosts[at].kill9_now()?,
        }
        sleep(AFTERMATH).await;
        let gaps = watch.take_gaps();
        print_line(&hosts[at].name, &gaps);
        pauses.push(gaps);
        let mut host = hosts[at].start_again(bench)?;
        host.ready().await?;
        back.push((at, host));
        sleep(SETTLE).await;
    }
    for operation in [Operation::Send, Operation::Receive, Operation::Acknowledge] {
        let mut of_kind: Vec<Duration> = pauses.iter().map(|gaps| gaps.of(operation)).collect();
        of_kind.sort_unstable();
        let median = of_kind[of_kind.len() / 2];
        println!("{operation:?}: median {median:.0?} of {kills} kills");
    }
    load.stop_sending();
    let report = load.finish().await;
    println!("\n{report}");
    ensure_clean(&report)
}

fn print_line(who: &str, gaps: &Gaps) {
    let of = |operation| format!("{:.0?}", gaps.of(operation));
    println!(
        "{who:<6} send {:>8}   receive {:>8}   acknowledge {:>8}",
        of(Operation::Send),
        of(Operation::Receive),
        of(Operation::Acknowledge)
    );
}
