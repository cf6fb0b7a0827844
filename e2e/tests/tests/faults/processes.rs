//! Hosts that die, stand still or are asked to end.

use std::time::Duration;

use shoal_e2e::steady_plan;
use shoal_e2e::stories::under_load;
use shoal_harness::{Cluster as _, run};

use crate::support::ensure_unnoticed;

#[test]
fn hosts_that_die_and_freeze_one_after_the_other_fail_no_operation() {
    run(async |bench| {
        let mut cluster = bench.processes().start().await?;
        let told = under_load(&mut cluster, steady_plan(Duration::ZERO), async |stage| {
            stage.kill_each().await?;
            stage.freeze_each().await
        });
        ensure_unnoticed(told.await?)
    });
}

#[test]
fn hosts_that_are_asked_to_end_one_after_the_other_fail_no_operation() {
    run(async |bench| {
        let mut cluster = bench.processes().start().await?;
        let told = under_load(&mut cluster, steady_plan(Duration::ZERO), async |stage| {
            stage.restart_each().await
        });
        ensure_unnoticed(told.await?)
    });
}

#[test]
fn hosts_that_are_replaced_one_after_the_other_fail_no_operation_and_end_in_one_state() {
    run(async |bench| {
        let mut cluster = bench.processes().start().await?;
        let told = under_load(&mut cluster, steady_plan(Duration::ZERO), async |stage| {
            stage.replace_each().await
        });
        ensure_unnoticed(told.await?)?;
        cluster.fleet().same_state().await
    });
}
