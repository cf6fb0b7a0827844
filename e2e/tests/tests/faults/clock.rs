//! Clocks that are wrong. libfaketime stands between one host and its wall clock; waiting and timeouts go
//! by another clock, which it leaves alone.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use shoal_e2e::steady_plan;
use shoal_e2e::stories::under_load;
use shoal_harness::{Cluster as _, Processes, run, skipped};

use crate::support::ensure_unnoticed;

/// Where Debian has it.
const LIBRARIES: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
];

fn library(test: &str) -> Option<&'static str> {
    let found = LIBRARIES.into_iter().find(|path| Path::new(path).exists());
    if found.is_none() {
        skipped(test, "libfaketime is not installed");
    }
    found
}

async fn restart_with(cluster: &mut Processes<'_>, clock: &str, library: &str) -> Result<()> {
    cluster.kill(2).await?;
    cluster.clear_variables(2);
    cluster.set_variable(2, "LD_PRELOAD", library);
    cluster.set_variable(2, "FAKETIME", clock);
    cluster.set_variable(2, "FAKETIME_DONT_FAKE_MONOTONIC", "1");
    cluster.set_variable(2, "DONT_FAKE_MONOTONIC", "1");
    cluster.restart(2).await
}

#[test]
fn a_host_whose_clock_is_an_hour_off_fails_no_operation() {
    run(async |bench| {
        let Some(library) = library("a clock that is far off") else {
            return Ok(());
        };
        let mut cluster = bench.processes().start().await?;
        let told = under_load(&mut cluster, steady_plan(Duration::ZERO), async |stage| {
            for clock in ["+1h", "-1h"] {
                stage.begin();
                restart_with(stage.cluster, clock, library).await?;
                stage.end(clock, 2).await;
            }
            stage.cluster.kill(2).await?;
            stage.cluster.clear_variables(2);
            stage.cluster.restart(2).await?;
            stage.cluster.ready(2).await
        });
        ensure_unnoticed(told.await?)
    });
}
