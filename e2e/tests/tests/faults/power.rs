//! Power failures: what was not synced is gone, on every host at once.

use std::time::Duration;

use anyhow::{Result, ensure};
use shoal_e2e::stories::under_load;
use shoal_e2e::{ensure_clean, ensure_kept, steady_plan};
use shoal_harness::{Bench, Cluster as _, LoopDisk, run, skipped};
use shoal_load_test::Plan;
use tokio::time::sleep;

/// A host's disk: room for a minute of load with its segments, twice over.
const DISK_BYTES: u64 = 512 << 20;
const ROUNDS: usize = 3;
const ACKNOWLEDGED_MIN: u64 = 30_000;

fn runs(bench: &Bench, test: &str) -> bool {
    let available = LoopDisk::available(bench.folder());
    if let Err(why) = &available {
        skipped(test, why);
    }
    available.is_ok()
}

#[test]
fn nothing_acknowledged_is_lost_when_all_hosts_lose_their_power_three_times() {
    run(async |bench| {
        if !runs(bench, "power loss of all hosts") {
            return Ok(());
        }
        let mut cluster = bench.processes().disks_of(DISK_BYTES).start().await?;
        let plan = Plan {
            batch: 10,
            rate: Some(3_000.0),
            ..steady_plan(Duration::ZERO)
        };
        let told = under_load(&mut cluster, plan, async |stage| {
            for _ in 0..ROUNDS {
                sleep(Duration::from_secs(4)).await;
                stage.cluster.lose_power(&[0, 1, 2]).await?;
                for host in 0..3 {
                    stage.cluster.restart(host).await?;
                }
                stage.cluster.serving().await?;
            }
            sleep(Duration::from_secs(4)).await;
            Ok(())
        });
        let (report, _) = told.await?;
        println!("{report}");
        let accepted = report.verdict.accepted;
        ensure!(
            accepted >= ACKNOWLEDGED_MIN,
            "too few to show it:\n{report}"
        );
        ensure_kept(&report)
    });
}

#[test]
fn one_host_that_loses_its_power_fails_no_operation() {
    run(async |bench| {
        if !runs(bench, "power loss of one host") {
            return Ok(());
        }
        let mut cluster = bench.processes().disks_of(DISK_BYTES).start().await?;
        let told = under_load(&mut cluster, steady_plan(Duration::ZERO), lose_each);
        let (report, _) = told.await?;
        ensure_clean(&report)
    });
}

async fn lose_each(
    stage: &mut shoal_e2e::stories::Stage<'_, shoal_harness::Processes<'_>>,
) -> Result<()> {
    for host in 0..3 {
        stage.begin();
        stage.cluster.lose_power(&[host]).await?;
        stage.end("power loss", host).await;
        stage.cluster.restart(host).await?;
        stage.cluster.ready(host).await?;
    }
    Ok(())
}
