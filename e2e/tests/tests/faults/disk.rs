//! Disks that fail, are slow or full.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use shoal_e2e::stories::under_load;
use shoal_e2e::{ensure_clean, ensure_gaps_within, steady_plan};
use shoal_harness::{Cluster, Fault, LoopDisk, Processes, limits, run, skipped, wait};
use shoal_load_test::Plan;
use tokio::time::sleep;

use crate::support::PAUSE;

/// Room enough, at 96 %, for what is on its way when everybody learns of it. (ext4 keeps 2 % of a disk of
/// this size to itself.)
const DISK_BYTES: u64 = 768 << 20;

/// A disk on which the log's free segments and the checkpoint are a large part.
const SMALL_DISK_BYTES: u64 = 128 << 20;

#[test]
fn a_host_whose_sync_fails_ends_at_once_and_says_why() {
    run(async |bench| {
        let mut cluster = bench.processes().start().await?;
        if let Err(why) = cluster.can(Fault::Sync) {
            skipped("a sync that fails", &why);
            return Ok(());
        }
        let told = under_load(&mut cluster, steady_plan(Duration::ZERO), async |stage| {
            stage.begin();
            stage.cluster.fail_sync(1).await?;
            let status = stage.cluster.ended(1).await?;
            ensure!(!status.success(), "it ended as if all were well: {status}");
            let log = stage.cluster.log(1).await?;
            ensure!(log.contains("os error 5"), "it does not say why:\n{log}");
            stage.end("failed sync", 1).await;
            stage.cluster.restart(1).await?;
            stage.cluster.ready(1).await
        });
        let (report, _) = told.await?;
        ensure_clean(&report)?;
        ensure_gaps_within(&report, PAUSE)
    });
}

#[test]
fn a_host_whose_syncs_are_slow_fails_no_operation() {
    run(async |bench| {
        let mut cluster = bench.processes().start().await?;
        if let Err(why) = cluster.can(Fault::Sync) {
            skipped("syncs that are slow", &why);
            return Ok(());
        }
        let told = under_load(&mut cluster, steady_plan(Duration::ZERO), async |stage| {
            stage.begin();
            stage.cluster.slow_sync(2, 200).await?;
            stage.end("slow syncs", 2).await;
            stage.cluster.kill(2).await?;
            stage.cluster.restart(2).await?;
            stage.cluster.ready(2).await
        });
        let (report, _) = told.await?;
        ensure_clean(&report)?;
        ensure_gaps_within(&report, PAUSE)
    });
}

#[test]
fn slow_syncs_on_all_hosts_make_commands_slow_and_fail_none() {
    const LATE_MS: u32 = 50;
    run(async |bench| {
        let mut cluster = bench.processes().start().await?;
        if let Err(why) = cluster.can(Fault::Sync) {
            skipped("syncs that are slow everywhere", &why);
            return Ok(());
        }
        // Slow enough for eight producers to keep up.
        let plan = Plan {
            rate: Some(20.0),
            ..steady_plan(Duration::ZERO)
        };
        for host in 0..cluster.hosts() {
            cluster.slow_sync(host, LATE_MS).await?;
        }
        let told = under_load(&mut cluster, plan, async |stage| {
            stage.begin();
            stage.end("slow syncs", 0).await;
            Ok(())
        });
        let (report, _) = told.await?;
        ensure_clean(&report)?;
        ensure!(
            report.send.latency.p50_ms >= f64::from(LATE_MS),
            "nothing was slow:\n{report}"
        );
        Ok(())
    });
}

/// Levels as operators know them: at 90 % no sends, at 95 % no receives either, acknowledgements always.
#[test]
fn a_disk_that_fills_up_stops_sends_then_receives_and_service_resumes_by_itself() {
    run(async |bench| {
        if let Err(why) = LoopDisk::available(bench.folder()) {
            skipped("a full disk", &why);
            return Ok(());
        }
        let mut cluster = bench.processes().disks_of(DISK_BYTES).start().await?;
        let queue = Queue::create(&cluster).await?;
        queue.send().await?;
        let (_, taken) = queue.receive().await?;

        cluster.fill_disk(1, 92).await?;
        let what = "sends to be refused";
        wait::until(what, limits::READY, async || {
            let (status, problem) = queue.send().await?;
            ensure!(problem["code"] == "disk_full", "{status} {problem}");
            ensure!(problem["applied"] == "no" && problem["retryable"] == true);
            Ok(())
        })
        .await?;
        let (status, answer) = queue.receive().await?;
        ensure!(status == 200, "receives are refused: {answer}");
        cluster.free_disk(1).await?;

        cluster.fill_disk(1, 96).await?;
        let what = "receives to be refused";
        wait::until(what, limits::READY, async || {
            let (status, problem) = queue.receive().await?;
            ensure!(problem["code"] == "disk_full", "{status} {problem}");
            Ok(())
        })
        .await?;
        let (status, answer) = queue.acknowledge(&taken).await?;
        ensure!(answer["receipts"][0]["ok"] == true, "{status} {answer}");

        cluster.free_disk(1).await?;
        let what = "service to resume";
        wait::until(what, limits::READY, async || {
            let (status, answer) = queue.send().await?;
            ensure!(status == 201, "{status} {answer}");
            Ok(())
        })
        .await?;
        let (status, answer) = queue.receive().await?;
        ensure!(
            status == 200 && answer["messages"][0].is_object(),
            "{answer}"
        );
        for host in 0..cluster.hosts() {
            cluster.ready(host).await?;
        }
        Ok(())
    });
}

#[test]
fn hosts_whose_disks_were_all_full_lose_nothing() {
    run(async |bench| {
        if let Err(why) = LoopDisk::available(bench.folder()) {
            skipped("full disks", &why);
            return Ok(());
        }
        let mut cluster = bench.processes().disks_of(DISK_BYTES).start().await?;
        let told = under_load(&mut cluster, steady_plan(Duration::ZERO), fill_all);
        let (report, _) = told.await?;
        // Refused is what they should be, and nothing else.
        let codes = [&report.send, &report.receive, &report.acknowledge];
        let others = codes
            .iter()
            .flat_map(|operation| operation.failed.keys())
            .find(|code| *code != "disk_full");
        ensure!(others.is_none(), "something else failed:\n{report}");
        ensure!(
            report.failed_operations() > 0,
            "no disk was full?\n{report}"
        );
        shoal_e2e::ensure_kept(&report)
    });
}

/// A checkpoint finds no room any more, and no segment goes without one: the host has to find some. Sends
/// have to end before they have used up what acknowledging needs: a host that looked at its disk once a
/// second only was too late for segments that fill in a quarter of one.
#[test]
fn hosts_whose_small_disks_are_full_to_the_last_block_go_on_and_resume_by_themselves() {
    run(async |bench| {
        if let Err(why) = LoopDisk::available(bench.folder()) {
            skipped("small disks full to the last block", &why);
            return Ok(());
        }
        let mut cluster = bench.processes().disks_of(SMALL_DISK_BYTES).start().await?;
        let queue = Queue::create(&cluster).await?;
        queue.send().await?;
        let (_, taken) = queue.receive().await?;
        let told = under_load(&mut cluster, steady_plan(Duration::ZERO), async |stage| {
            for host in 0..3 {
                stage.cluster.fill_disk(host, 100).await?;
            }
            // Long enough for checkpoints, which are due every five seconds now.
            sleep(Duration::from_secs(12)).await;
            let (status, answer) = queue.acknowledge(&taken).await?;
            ensure!(answer["receipts"][0]["ok"] == true, "{status} {answer}");
            for host in 0..3 {
                let ended = stage.cluster.has_ended(host)?;
                ensure!(!ended, "host {host}: {}", stage.cluster.log(host).await?);
                stage.cluster.free_disk(host).await?;
            }
            let what = "service to resume";
            wait::until(what, limits::READY, async || {
                let (status, answer) = queue.send().await?;
                ensure!(status == 201, "{status} {answer}");
                Ok(())
            })
            .await
        });
        let (report, _) = told.await?;
        ensure!(
            report.failed_operations() > 0,
            "no disk was full?\n{report}"
        );
        shoal_e2e::ensure_kept(&report)
    });
}

async fn fill_all(stage: &mut shoal_e2e::stories::Stage<'_, Processes<'_>>) -> Result<()> {
    for host in 0..3 {
        stage.cluster.fill_disk(host, 96).await?;
    }
    sleep(Duration::from_secs(3)).await;
    for host in 0..3 {
        stage.cluster.free_disk(host).await?;
    }
    sleep(Duration::from_secs(3)).await;
    Ok(())
}

/// One queue, over REST.
struct Queue {
    url: String,
    http: reqwest::Client,
}

impl Queue {
    async fn create(cluster: &Processes<'_>) -> Result<Self> {
        let url = format!("{}/v1/queues/orders", cluster.endpoint());
        let http = reqwest::Client::new();
        http.put(&url).send().await?.error_for_status()?;
        Ok(Self { url, http })
    }

    async fn send(&self) -> Result<(u16, Value)> {
        self.post("messages", json!({ "body": "x" })).await
    }

    async fn receive(&self) -> Result<(u16, Value)> {
        self.post("messages/receive", json!({ "wait_s": 0 })).await
    }

    /// What [`Queue::receive`] answered.
    async fn acknowledge(&self, received: &Value) -> Result<(u16, Value)> {
        let receipts = json!({ "receipts": [received["messages"][0]["receipt"]] });
        self.post("messages/ack", receipts).await
    }

    async fn post(&self, path: &str, body: Value) -> Result<(u16, Value)> {
        let url = format!("{}/{path}", self.url);
        let answer = self.http.post(url).json(&body).send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }
}
