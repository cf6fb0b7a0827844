//! Networks that carry less than they should.

use std::time::Duration;

use anyhow::ensure;
use shoal_e2e::stories::under_load;
use shoal_e2e::{ensure_clean, steady_plan};
use shoal_harness::{Cluster as _, run};
use shoal_load_test::Plan;

use crate::support::ensure_unnoticed;

#[test]
fn a_host_cut_off_from_everybody_fails_no_operation() {
    run(async |bench| {
        let mut cluster = bench.processes().start().await?;
        let told = under_load(&mut cluster, steady_plan(Duration::ZERO), async |stage| {
            stage.isolate_each().await
        });
        ensure_unnoticed(told.await?)
    });
}

#[test]
fn links_cut_in_one_direction_and_links_that_flap_fail_no_operation() {
    run(async |bench| {
        let mut cluster = bench.processes().start().await?;
        let told = under_load(&mut cluster, steady_plan(Duration::ZERO), async |stage| {
            stage.one_way_cuts().await?;
            stage.flapping_link(6, Duration::from_millis(500)).await
        });
        ensure_unnoticed(told.await?)
    });
}

#[test]
fn a_link_that_is_slow_makes_commands_slow_and_fails_none() {
    const LATE: Duration = Duration::from_millis(30);
    run(async |bench| {
        let mut cluster = bench.processes().start().await?;
        for (from, to) in [(0, 1), (1, 0)] {
            cluster.delay(from, to, LATE)?;
        }
        // Slow enough for eight producers to keep up.
        let plan = Plan {
            rate: Some(50.0),
            ..steady_plan(Duration::ZERO)
        };
        let told = under_load(&mut cluster, plan, async |stage| {
            stage.begin();
            stage.end("slow link", 0).await;
            Ok(())
        });
        let (report, _) = told.await?;
        ensure_clean(&report)?;
        // Neither may host 0 or 1 be sure of a position without hearing from the other.
        let slowest = Duration::from_secs_f64(report.send.latency.p99_ms / 1e3);
        ensure!(slowest >= LATE, "nothing was slow:\n{report}");
        cluster.heal().await
    });
}
