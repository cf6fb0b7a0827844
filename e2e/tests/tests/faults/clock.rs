//! Clocks that are wrong. libfaketime stands between one host and its wall clock; waiting and timeouts go
//! by another clock, which it leaves alone.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use shoal_api::manager::HostInfo;
use shoal_e2e::steady_plan;
use shoal_e2e::stories::under_load;
use shoal_harness::{Cluster as _, Processes, limits, run, skipped, wait};
use shoal_types::HostState;

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

/// The host's process from now on has a clock that is as far off as the file says, whenever it looks.
async fn restart_with(cluster: &mut Processes<'_>, clock: &Path, library: &str) -> Result<()> {
    cluster.kill(2).await?;
    cluster.clear_variables(2);
    cluster.set_variable(2, "LD_PRELOAD", library);
    cluster.set_variable(2, "FAKETIME_TIMESTAMP_FILE", &clock.to_string_lossy());
    cluster.set_variable(2, "FAKETIME_NO_CACHE", "1");
    cluster.set_variable(2, "FAKETIME_DONT_FAKE_MONOTONIC", "1");
    cluster.set_variable(2, "DONT_FAKE_MONOTONIC", "1");
    cluster.restart(2).await
}

/// At its own port and in the list of hosts.
async fn says_that_its_clock_is_off(cluster: &Processes<'_>) -> Result<()> {
    wait::until("the host to name its clock", limits::READY, async || {
        let why = cluster.is_ready(2).await.err().context("it is ready")?;
        let why = why.to_string();
        ensure!(why.starts_with("503") && why.contains("clock is"), "{why}");
        let hosts = cluster.fleet().hosts().await?;
        let trouble = |host: &HostInfo| host.trouble.clone().unwrap_or_default();
        let off: Vec<_> = hosts
            .iter()
            .filter(|host| trouble(host).contains("clock is"))
            .collect();
        ensure!(
            off.len() == 1 && off[0].state != HostState::Acting,
            "{hosts:?}"
        );
        ensure!(cluster.metric(2, "shoal_host_clock_off").await? == 1.0);
        Ok(())
    })
    .await
}

#[test]
fn a_host_whose_clock_is_an_hour_off_fails_no_operation() {
    run(async |bench| {
        let Some(library) = library("a clock that is far off") else {
            return Ok(());
        };
        let mut cluster = bench.processes().start().await?;
        let file = bench.folder().join("clock");
        let told = under_load(&mut cluster, steady_plan(Duration::ZERO), async |stage| {
            for clock in ["+1h", "-1h"] {
                std::fs::write(&file, clock)?;
                stage.begin();
                restart_with(stage.cluster, &file, library).await?;
                says_that_its_clock_is_off(stage.cluster).await?;
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

#[test]
fn a_host_whose_clock_is_off_takes_no_command_until_it_is_right() {
    run(async |bench| {
        let Some(library) = library("a clock that is set right") else {
            return Ok(());
        };
        let mut cluster = bench.processes().start().await?;
        let file = bench.folder().join("clock");
        let (http, queue) = (
            reqwest::Client::new(),
            format!("{}/v1/queues/orders", cluster.endpoint()),
        );
        let created = http.put(&queue).send().await?;
        ensure!(created.status().is_success(), "{created:?}");
        for clock in ["+1h", "-1h"] {
            std::fs::write(&file, clock)?;
            restart_with(&mut cluster, &file, library).await?;
            says_that_its_clock_is_off(&cluster).await?;

            // It is the only one that anybody can ask, though all three hear one another.
            cluster.cut_callers(0)?;
            cluster.cut_callers(1)?;
            let body = json!({ "body": clock });
            let send = || http.post(format!("{queue}/messages")).json(&body).send();
            let answer = send().await?;
            let (status, text) = (answer.status(), answer.text().await?);
            ensure!(!status.is_success(), "{clock}: a command was taken: {text}");
            ensure!(
                text.contains("\"retryable\":true"),
                "{clock}: {status} {text}"
            );

            std::fs::write(&file, "+0")?;
            cluster.ready(2).await?;
            let answer = send().await?;
            let (status, text) = (answer.status(), answer.text().await?);
            ensure!(status.is_success(), "{clock}: {status} {text}");
            cluster.heal().await?;
        }
        Ok(())
    });
}

#[test]
fn hosts_that_cannot_tell_whose_clock_is_right_go_on_when_it_is_set_right() {
    // One host is gone, the other two disagree by an hour: nobody can tell. They did not take over the right
    // time for as long as their processes ran, since a clock in use never jumps.
    run(async |bench| {
        let Some(library) = library("a clock nobody can vouch for") else {
            return Ok(());
        };
        let mut cluster = bench.processes().start().await?;
        let file = bench.folder().join("clock");
        std::fs::write(&file, "+1h")?;
        restart_with(&mut cluster, &file, library).await?;
        says_that_its_clock_is_off(&cluster).await?;
        cluster.kill(0).await?;
        wait::until("the others to be at a loss", limits::READY, async || {
            for host in [1, 2] {
                let why = cluster.is_ready(host).await.err().context("it is ready")?;
                ensure!(why.to_string().contains("cannot tell"), "{why}");
            }
            Ok(())
        })
        .await?;
        std::fs::write(&file, "+0")?;
        cluster.ready(1).await?;
        cluster.ready(2).await
    });
}
