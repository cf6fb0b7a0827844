//! The manager is not on a message's path.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use shoal_api::plan::MoveRequest;
use shoal_e2e::operator::Operator;
use shoal_e2e::{ensure_clean, start_load, steady_plan};
use shoal_harness::{Bench, Dev, Role, run, wait};

use crate::support::{answer, create, http, send, success, take};

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

/// Runs `shoal manager rebuild` as an operator does; what it printed.
async fn rebuild(bench: &Bench, manager: &Role) -> Result<String> {
    let address = format!("--manager=http://{}", manager.listen()?);
    let words = ["manager", "rebuild", "--wait=60", &address];
    let mut command = bench.shoal(words.map(str::to_owned).to_vec())?;
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let (printed, said) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    ensure!(output.status.success(), "{printed}{said}");
    Ok(printed)
}

/// A queue as the frontend shows it, without how full it is.
async fn shown(dev: &Dev, queue: &str) -> Result<Value> {
    let mut shown = success(http().get(dev.queue(queue))).await?;
    shown
        .as_object_mut()
        .context("an object")?
        .retain(|field, _| field != "counts");
    Ok(shown)
}

fn partitions(shown: &Value) -> Vec<Value> {
    shown["partitions"].as_array().cloned().unwrap_or_default()
}

fn epochs(shown: &Value) -> Vec<u64> {
    let epoch = |partition: &Value| partition["epoch"].as_u64();
    partitions(shown).iter().filter_map(epoch).collect()
}

/// Moves a queue to the other one of two clusters, and waits until sends go there.
async fn move_away(dev: &Dev, operator: &Operator, queue: &str) -> Result<()> {
    let from = partitions(&shown(dev, queue).await?)[0]["cluster"].clone();
    let clusters = operator.clusters().await?;
    let mut others = clusters.iter().map(|info| info.cluster);
    let to = others.find(|cluster| from != cluster.to_string());
    let asked = MoveRequest {
        queue: queue.parse()?,
        to: to.context("there is another cluster")?,
        partition: None,
    };
    let moved = asked.to.to_string();
    wait::until("the move to begin", Duration::from_secs(20), async || {
        operator
            .start_move(&asked)
            .await?
            .map_err(anyhow::Error::msg)
    })
    .await?;
    wait::until("the move", Duration::from_secs(20), async || {
        let shown = shown(dev, queue).await?;
        let is_there = |one: &Value| one["cluster"] == moved.as_str() && one["state"] == "active";
        ensure!(partitions(&shown).iter().any(is_there), "{shown}");
        Ok(())
    })
    .await
}

async fn until_one_partition(dev: &Dev, queue: &str) -> Result<()> {
    wait::until("the move to be over", Duration::from_secs(20), async || {
        let shown = shown(dev, queue).await?;
        ensure!(partitions(&shown).len() == 1, "{shown}");
        Ok(())
    })
    .await
}

/// Asks until the answer has this status.
async fn until_status(request: impl Fn() -> RequestBuilder, status: StatusCode) -> Result<Value> {
    wait::until("the answer", Duration::from_secs(20), async || {
        let (is, body) = answer(request()).await?;
        ensure!(is == status, "{is}: {body}");
        Ok(body)
    })
    .await
}

#[test]
fn a_manager_that_lost_its_folder_is_rebuilt_under_load_and_no_operation_fails() {
    run(async |bench| {
        let dev = bench.dev().clusters(2).processes().start().await?;
        let operator = Operator::of(&dev)?;
        let tagged = json!({ "delay_s": 0, "tags": { "team": "shop" } });
        success(http().put(dev.queue("tagged")).json(&tagged)).await?;
        let fifo = json!({ "fifo": true, "content_deduplication": true });
        success(http().put(dev.queue("orders.fifo")).json(&fifo)).await?;
        for n in 0..20 {
            create(&dev, &format!("queue-{n}")).await?;
        }
        success(http().delete(dev.queue("queue-7"))).await?;
        send(&dev, "tagged", "before").await?;
        // A move that goes on as long as nobody takes what was sent before it.
        create(&dev, "moved").await?;
        send(&dev, "moved", "1").await?;
        move_away(&dev, &operator, "moved").await?;
        send(&dev, "moved", "2").await?;
        let names = (0..20).filter(|n| *n != 7).map(|n| format!("queue-{n}"));
        let names = names.chain(["tagged", "orders.fifo", "moved"].map(str::to_owned));
        let names: Vec<String> = names.collect();
        let mut before = Vec::new();
        for name in &names {
            before.push(shown(&dev, name).await?);
        }

        let load = start_load(&dev, steady_plan(Duration::from_secs(3_600))).await?;
        let manager = dev.role("manager")?;
        manager.kill9().await?;
        let folder = manager.data()?;
        std::fs::remove_dir_all(folder).with_context(|| folder.to_owned())?;
        let mut manager = manager.start_again(bench)?;
        manager.ready().await?;
        let problem = until_status(
            || http().put(dev.queue("later")),
            StatusCode::SERVICE_UNAVAILABLE,
        )
        .await?;
        let detail = problem["detail"].as_str().unwrap_or_default();
        ensure!(detail.contains("shoal manager rebuild"), "{problem}");
        // A queue that exists is not made a second time, and goes on.
        send(&dev, "tagged", "meanwhile").await?;
        ensure!(take(&dev, "tagged").await? == "before");

        let printed = rebuild(bench, &manager.role).await?;
        ensure!(printed.contains("rebuilt, at revision"), "{printed}");
        ensure!(!printed.contains("note:"), "{printed}");
        for (name, before) in names.iter().zip(before) {
            let after = shown(&dev, name).await?;
            ensure!(after == before, "{name} was {before} and is {after}");
        }
        ensure!(take(&dev, "tagged").await? == "meanwhile");
        let page = format!("{}/v1/queues?limit=1000", dev.endpoint());
        let listed = success(http().get(&page)).await?;
        let count = listed["queues"].as_array().map_or(0, Vec::len);
        // With those of the load.
        ensure!(count == names.len() + 4, "{count} queues are listed");

        ensure!(take(&dev, "moved").await? == "1" && take(&dev, "moved").await? == "2");
        until_one_partition(&dev, "moved").await?;
        move_away(&dev, &operator, "moved").await?;
        let epochs = epochs(&shown(&dev, "moved").await?);
        ensure!(
            epochs.iter().max() == Some(&2),
            "an epoch of its own: {epochs:?}"
        );

        create(&dev, "later").await?;
        send(&dev, "later", "new").await?;
        ensure!(take(&dev, "later").await? == "new");
        success(http().delete(dev.queue("queue-3"))).await?;
        let (status, _) = answer(http().get(dev.queue("queue-3"))).await?;
        ensure!(status == StatusCode::NOT_FOUND, "{status}");
        create(&dev, "queue-3").await?;
        load.stop_sending();
        ensure_clean(&load.finish().await)
    });
}
