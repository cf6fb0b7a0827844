//! Losing a host of a cluster: nobody notices but for a pause.

use std::time::Duration;

use anyhow::{Result, ensure};
use shoal_e2e::{clusters_under_load, ensure_clean, ensure_gaps_within, start_load, steady_plan};
use shoal_harness::{Role, limits, run};
use tokio::time::sleep;

use crate::support::{create, send, take};

/// What a pause may take in a test, on whatever machine it runs. What it really takes is measured by
/// the example `kill_pause`.
const PAUSE: Duration = Duration::from_secs(3);

#[test]
fn losing_one_host_of_each_cluster_fails_no_operation() {
    run(async |bench| {
        let dev = bench.dev().clusters(2).processes().start().await?;
        let mut victims = Vec::new();
        for cluster in dev.hosts_by_cluster().await? {
            ensure!(cluster.len() == 3, "a cluster has {} hosts", cluster.len());
            victims.push(cluster[1].clone());
        }
        ensure!(victims.len() == 2, "there are {} clusters", victims.len());

        let load = start_load(&dev, steady_plan(Duration::from_secs(18))).await?;
        let clusters = clusters_under_load(&dev, &load.watch()).await?;
        ensure!(clusters == 2, "the load is on {clusters} clusters");
        sleep(Duration::from_secs(5)).await;
        for victim in &victims {
            victim.kill9_now()?;
        }
        sleep(Duration::from_secs(4)).await;
        let mut back = Vec::new();
        for victim in &victims {
            victim.gone().await?;
            back.push(victim.start_again(bench)?);
        }
        for host in &mut back {
            host.ready().await?;
        }
        let report = load.finish().await;
        ensure_clean(&report)?;
        ensure_gaps_within(&report, PAUSE)
    });
}

#[test]
fn a_host_that_came_back_carries_its_share() {
    run(async |bench| {
        let dev = bench.dev().processes().start().await?;
        create(&dev, "orders").await?;
        let hosts: Vec<&Role> = dev.roles().iter().filter(|role| role.is_host()).collect();

        hosts[0].kill9().await?;
        send(&dev, "orders", "while the first is away").await?;
        let mut first = hosts[0].start_again(bench)?;
        first.ready().await?;

        // Now the first has to make up the majority, and must have what it missed.
        hosts[1].kill9().await?;
        send(&dev, "orders", "while the second is away").await?;
        ensure!(take(&dev, "orders").await? == "while the first is away");
        ensure!(take(&dev, "orders").await? == "while the second is away");
        Ok(())
    });
}

#[test]
fn a_frozen_host_fails_no_operation_and_comes_back_when_it_thaws() {
    run(async |bench| {
        let dev = bench.dev().processes().start().await?;
        let host = dev.role("h2")?;
        let load = start_load(&dev, steady_plan(Duration::from_secs(12))).await?;
        sleep(Duration::from_secs(4)).await;
        host.freeze()?;
        sleep(Duration::from_secs(3)).await;
        host.thaw()?;
        host.ready_within(limits::READY).await?;
        let report = load.finish().await;
        ensure_clean(&report)?;
        ensure_gaps_within(&report, PAUSE)
    });
}

#[test]
fn without_a_majority_nothing_is_taken_and_nothing_is_lost() {
    run(async |bench| {
        let dev = bench.dev().processes().start().await?;
        create(&dev, "orders").await?;
        send(&dev, "orders", "before").await?;
        let (h1, h2) = (dev.role("h1")?, dev.role("h2")?);
        h1.kill9().await?;
        h2.kill9().await?;
        let refused = send(&dev, "orders", "without a majority").await;
        ensure!(refused.is_err(), "one host of three took a message");
        let text = refused.unwrap_err().to_string();
        ensure!(text.contains("\"retryable\":true"), "{text}");

        let mut back = [h1.start_again(bench)?, h2.start_again(bench)?];
        for host in &mut back {
            host.ready().await?;
        }
        send(&dev, "orders", "after").await?;
        ensure!(take(&dev, "orders").await? == "before");
        wait_for_body(&dev, "after").await
    });
}

/// The message that was refused may have been kept all the same, if its answer said "unknown".
async fn wait_for_body(dev: &shoal_harness::Dev, body: &str) -> Result<()> {
    while take(dev, "orders").await? != body {}
    Ok(())
}
