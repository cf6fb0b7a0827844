//! Two releases side by side: a cluster goes over to the next one host by host, half-way, back and on, and
//! nobody notices. The next release is a build of this source whose rules, wire and formats on disk are one
//! version further (`services/host/src/next_release.rs`).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use shoal_e2e::stories::{Stage, under_load};
use shoal_e2e::{ensure_clean, steady_plan};
use shoal_harness::{Bench, Cluster as _, Processes, Release, limits, run_within, wait};

use crate::support::ensure_unnoticed;

/// The next release is built first, which takes minutes where nothing of it is there yet.
const BOUND: Duration = Duration::from_secs(900);
/// How long the rest of the load goes on once everything is upgraded.
const AFTERWARDS: Duration = Duration::from_secs(5);
/// Checkpoints every few seconds of load, so that they are written in every state of the upgrade; and a log
/// so short that a member that is new gets a snapshot.
const SETTINGS: [(&str, &str); 2] = [
    ("SHOAL_CHECKPOINT_LOG_BYTES", "4194304"),
    ("SHOAL_CATCH_UP_BYTES", "16777216"),
];
/// Formats on disk by the release that writes them: of segments, and of `checkpoint.head`.
const FORMATS_OF_THIS: (u8, u8) = (1, 2);
const FORMATS_OF_NEXT: (u8, u8) = (2, 3);

type Upgrade<'s, 'b> = Stage<'s, Processes<'b>>;

#[test]
fn an_upgrade_given_up_half_way_and_then_carried_through_fails_no_operation() {
    run_within(BOUND, async |bench| {
        let mut cluster = start(bench, Release::This).await?;
        let old_rules = version_in_force(&cluster, 0).await?;
        let told = under_load(&mut cluster, steady_plan(Duration::ZERO), async |stage| {
            for host in [0, 1] {
                go_over(stage, host, Release::Next).await?;
            }
            all_go_by(stage.cluster, old_rules).await?;
            for host in [1, 0] {
                go_over(stage, host, Release::This).await?;
            }
            for host in [2, 0, 1] {
                nothing_is_newer(stage.cluster)?;
                go_over(stage, host, Release::Next).await?;
            }
            all_go_by(stage.cluster, old_rules + 1.0).await?;
            stage.cluster.restart_manager(Release::Next).await?;
            everything_is_newer(stage.cluster).await
        });
        ensure_unnoticed(told.await?)?;
        cluster.fleet().same_state().await?;
        the_old_release_is_refused(&mut cluster, 0).await?;
        cluster.restart_frontend(Release::Next).await?;
        cluster.restart_manager(Release::This).await?;
        serves_as_before(&mut cluster).await
    });
}

#[test]
fn old_and_new_hosts_die_and_are_replaced_side_by_side_and_no_operation_fails() {
    run_within(BOUND, async |bench| {
        let mut cluster = start(bench, Release::Next).await?;
        let old_rules = version_in_force(&cluster, 0).await?;
        let told = under_load(&mut cluster, steady_plan(Duration::ZERO), async |stage| {
            go_over(stage, 0, Release::Next).await?;
            stage.kill_each().await?;
            // An old host gets the state from new ones, then a new one from old ones.
            go_over(stage, 2, Release::Next).await?;
            replaced_by_snapshot(stage, 1).await?;
            go_over(stage, 2, Release::This).await?;
            replaced_by_snapshot(stage, 0).await?;
            all_go_by(stage.cluster, old_rules).await?;
            nothing_is_newer(stage.cluster)?;
            for host in [1, 2] {
                go_over(stage, host, Release::Next).await?;
            }
            all_go_by(stage.cluster, old_rules + 1.0).await?;
            stage.kill_each().await?;
            replaced_by_snapshot(stage, 2).await?;
            everything_is_newer(stage.cluster).await
        });
        ensure_unnoticed(told.await?)?;
        cluster.fleet().same_state().await
    });
}

/// Both releases are built before anything starts.
async fn start(bench: &Bench, edge: Release) -> Result<Processes<'_>> {
    bench.binary_of(Release::Next)?;
    let mut cluster = bench.processes().edge(edge).start().await?;
    for host in 0..cluster.hosts() {
        for (name, value) in SETTINGS {
            cluster.set_variable(host, name, value);
        }
        cluster.terminate(host).await?;
        cluster.restart(host).await?;
        cluster.ready(host).await?;
    }
    Ok(cluster)
}

/// Ends a host in good order and starts another release on its folder.
async fn go_over(stage: &mut Upgrade<'_, '_>, host: usize, to: Release) -> Result<()> {
    stage.begin();
    stage.cluster.terminate(host).await?;
    stage.cluster.install(host, to);
    stage.cluster.restart(host).await?;
    stage.cluster.ready(host).await?;
    stage.end(&format!("to {to:?}"), host).await;
    Ok(())
}

/// A host is lost with its disk; another one, of the same release, gets the state from whichever it asks.
async fn replaced_by_snapshot(stage: &mut Upgrade<'_, '_>, host: usize) -> Result<()> {
    stage.begin();
    stage.cluster.replace(host).await?;
    stage.end("replace", host).await;
    let received = stage
        .cluster
        .metric(host, "shoal_host_snapshots_received_total");
    ensure!(received.await? >= 1.0, "it caught up from logs alone");
    Ok(())
}

async fn version_in_force(cluster: &Processes<'_>, host: usize) -> Result<f64> {
    cluster.metric(host, "shoal_host_machine_version").await
}

/// Waits until all hosts execute by these rules.
async fn all_go_by(cluster: &Processes<'_>, version: f64) -> Result<()> {
    for host in 0..cluster.hosts() {
        let what = format!("h{host} to go by version {version}");
        wait::until(&what, limits::READY, async || {
            let found = version_in_force(cluster, host).await?;
            ensure!(found == version, "it goes by {found}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// The newest formats in a host's folder, of segments and of the checkpoint, if it has one.
fn formats(data: &Path) -> Result<(u8, u8)> {
    let (mut segment, mut checkpoint) = (0, 0);
    for entry in fs::read_dir(data)? {
        let path = entry?.path();
        let newest = match path.extension().and_then(|extension| extension.to_str()) {
            Some("segment") => &mut segment,
            Some("head") => &mut checkpoint,
            _ => continue,
        };
        // Behind the magic, little endian. A file may go while it is looked for.
        if let Ok(bytes) = fs::read(&path) {
            *newest = bytes[8].max(*newest);
        }
    }
    Ok((segment, checkpoint))
}

/// Whoever runs, the old release can read every folder.
fn nothing_is_newer(cluster: &Processes<'_>) -> Result<()> {
    for host in 0..cluster.hosts() {
        let (segment, checkpoint) = formats(cluster.data(host))?;
        let (of_segments, of_checkpoints) = FORMATS_OF_THIS;
        ensure!(
            segment == of_segments && checkpoint <= of_checkpoints,
            "h{host} has a segment of format {segment} and a checkpoint of {checkpoint}"
        );
    }
    Ok(())
}

/// Waits until every host has written a segment and a checkpoint in the new formats.
async fn everything_is_newer(cluster: &Processes<'_>) -> Result<()> {
    for host in 0..cluster.hosts() {
        let what = format!("h{host} to write the new formats");
        wait::until(&what, limits::BACK, async || {
            let found = formats(cluster.data(host))?;
            ensure!(found == FORMATS_OF_NEXT, "it has {found:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Started on what the next release wrote, this one says what it met, ends, and has changed nothing.
async fn the_old_release_is_refused(cluster: &mut Processes<'_>, host: usize) -> Result<()> {
    cluster.terminate(host).await?;
    let before = everything(cluster.data(host))?;
    cluster.install(host, Release::This);
    cluster.forget_log(host)?;
    cluster.restart(host).await?;
    let status = cluster.ended(host).await?;
    let said = cluster.log(host).await?;
    ensure!(!status.success(), "it ended with {status}");
    let words = [
        "cannot be used: it has",
        "format version 3, this release reads 2",
        "use the release that wrote it",
    ];
    for words in words {
        ensure!(said.contains(words), "it does not say {words:?}:\n{said}");
    }
    ensure!(
        everything(cluster.data(host))? == before,
        "it changed something"
    );
    cluster.install(host, Release::Next);
    cluster.restart(host).await?;
    cluster.ready(host).await
}

/// What a folder holds, but for the lock, which says who had it last.
fn everything(data: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(data)? {
        let path = entry?.path();
        let name = path.file_name().context("a file has a name")?;
        if name != "lock" {
            files.insert(name.to_string_lossy().into_owned(), fs::read(&path)?);
        }
    }
    Ok(files)
}

/// Another load, through whatever stands at the edge by now.
async fn serves_as_before(cluster: &mut Processes<'_>) -> Result<()> {
    let url = format!("{}/v1/queues/probe", cluster.endpoint());
    wait::until("a queue to be created", limits::READY, async || {
        let made = reqwest::Client::new().put(&url).send().await?;
        made.error_for_status()?;
        Ok(())
    })
    .await?;
    let told = under_load(cluster, steady_plan(Duration::ZERO), async |_| {
        tokio::time::sleep(AFTERWARDS).await;
        Ok(())
    });
    ensure_clean(&told.await?.0)?;
    cluster.fleet().same_state().await
}
