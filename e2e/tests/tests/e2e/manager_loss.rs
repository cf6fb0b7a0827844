//! The manager is not on a message's path.

use std::time::Duration;

use anyhow::ensure;
use reqwest::StatusCode;
use shoal_e2e::{ensure_clean, start_load, steady_plan};
use shoal_harness::run;

use crate::support::{answer, create, http, send, take};

#[test]
fn without_the_manager_messages_flow_and_creating_a_queue_says_when_to_come_back() {
    run(async |bench| {
        let dev = bench.dev().processes().start().await?;
        create(&dev, "orders").await?;
        let load = start_load(&dev, steady_plan(Duration::from_secs(6))).await?;
        let manager = dev.role("manager")?;
        manager.kill9().await?;

        let (status, problem) = answer(http().put(dev.queue("later"))).await?;
        ensure!(
            status == StatusCode::SERVICE_UNAVAILABLE,
            "{status}: {problem}"
        );
        ensure!(problem["code"] == "manager_unavailable", "{problem}");
        ensure!(problem["retryable"] == true, "{problem}");
        send(&dev, "orders", "no manager needed").await?;
        ensure!(take(&dev, "orders").await? == "no manager needed");

        // The queues of the load are dropped at its end, for which the manager has to be back.
        let watch = load.watch();
        let acknowledged = watch.progress().acknowledged;
        tokio::time::sleep(Duration::from_secs(4)).await;
        let progress = watch.progress();
        ensure!(progress.failed == 0, "{progress}");
        ensure!(progress.acknowledged >= acknowledged + 1_000, "{progress}");

        let mut manager = manager.start_again(bench)?;
        manager.ready().await?;
        create(&dev, "later").await?;
        ensure_clean(&load.finish().await)
    });
}
