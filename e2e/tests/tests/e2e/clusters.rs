//! Clusters come and go, and with them the manager, while a load runs: nobody notices.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use shoal_api::manager::ClusterState;
use shoal_client::Client;
use shoal_e2e::operator::Operator;
use shoal_e2e::{ensure_clean, moving, start_load, steady_plan};
use shoal_harness::{Bench, Dev, Process, limits, run, wait};
use shoal_load_test::{Plan, Rest, Watch};
use shoal_types::ClusterId;
use tokio::time::sleep;

/// For all queues of a cluster to be moved and read to their ends: rounds of planning come every 5 s.
const EMPTIED_WITHIN: Duration = Duration::from_secs(60);

#[test]
fn a_cluster_that_is_drained_under_load_ends_empty_and_retired() {
    run(async |bench| {
        let dev = bench.dev().clusters(2).processes().start().await?;
        let operator = Operator::of(&dev)?;
        let (fifo, standard) = (
            start_load(&dev, ordered(endless())).await?,
            start_load(&dev, endless()).await?,
        );
        let c1 = ClusterId(1);
        sleep(Duration::from_secs(3)).await;
        operator.drain(c1).await?;
        operator
            .until(c1, ClusterState::Retired, EMPTIED_WITHIN)
            .await?;
        for load in [fifo, standard] {
            let clusters = clusters_of(&dev, &load.watch()).await?;
            ensure!(!clusters.contains(&c1), "{clusters:?}");
            load.stop_sending();
            ensure_clean(&load.finish().await)?;
        }
        Ok(())
    });
}

#[test]
fn a_cluster_that_is_added_under_load_takes_the_place_of_one_that_goes() {
    run(async |bench| {
        let dev = bench.dev().processes().start().await?;
        let operator = Operator::of(&dev)?;
        let load = start_load(&dev, endless()).await?;
        let _spares = spares(bench, &dev)?;
        let c1 = ClusterId(1);
        // The manager makes a cluster of them by itself.
        let added = wait::until("spares to be a cluster", limits::START, async || {
            let clusters = operator.clusters().await?;
            let new = clusters.iter().find(|info| info.cluster != c1);
            Ok(new.with_context(|| format!("{clusters:?}"))?.cluster)
        })
        .await?;
        operator
            .until(added, ClusterState::Serving, limits::START)
            .await?;
        operator.drain(c1).await?;
        operator
            .until(c1, ClusterState::Retired, EMPTIED_WITHIN)
            .await?;
        let clusters = clusters_of(&dev, &load.watch()).await?;
        ensure!(clusters == [added; 4], "{clusters:?}");
        load.stop_sending();
        ensure_clean(&load.finish().await)
    });
}

#[test]
fn a_cluster_that_is_added_to_an_overheated_one_takes_its_share() {
    run(async |bench| {
        let dev = bench.dev().processes().start().await?;
        let load = start_load(&dev, endless()).await?;
        // The load is 600 operations a second: half as many again as one cluster is to bear.
        let mut role = dev.role("manager")?.clone();
        role.kill9().await?;
        role.command_line = format!("env SHOAL_TARGET_OPERATIONS=400 {}", role.command_line);
        let mut manager = role.start_again(bench)?;
        manager.ready().await?;
        let _spares = spares(bench, &dev)?;
        let c1 = ClusterId(1);
        let shares = wait::until("queues to be elsewhere", EMPTIED_WITHIN, async || {
            let clusters = clusters_of(&dev, &load.watch()).await?;
            let elsewhere = clusters.iter().filter(|cluster| **cluster != c1).count();
            ensure!(clusters.len() == 4 && elsewhere > 0, "{clusters:?}");
            Ok((elsewhere, clusters.len()))
        })
        .await?;
        println!("{} of {} queues are on the new cluster", shares.0, shares.1);
        load.stop_sending();
        ensure_clean(&load.finish().await)
    });
}

#[test]
fn a_manager_that_is_killed_again_and_again_finishes_the_moves_that_it_began() {
    run(async |bench| {
        let dev = bench.dev().clusters(2).processes().start().await?;
        let operator = Operator::of(&dev)?;
        let load = start_load(&dev, ordered(endless())).await?;
        let queues = load.watch().queues().to_vec();
        let endpoint = dev.endpoint();
        let moves = moving::back_and_forth(&endpoint, &operator, &queues, 16);
        let kills = async {
            let mut role = dev.role("manager")?.clone();
            let mut manager = None;
            // At moments that have nothing to do with what it is doing.
            for wait_ms in [211, 97, 31, 153, 61, 7, 119, 43] {
                sleep(Duration::from_millis(wait_ms)).await;
                role.kill9().await?;
                let mut again = role.start_again(bench)?;
                again.ready().await?;
                role = again.role.clone();
                manager = Some(again);
            }
            anyhow::Ok(manager)
        };
        let (moved, manager) = tokio::join!(moves, kills);
        let _manager = manager?;
        moved?;
        load.stop_sending();
        ensure_clean(&load.finish().await)
    });
}

/// Goes on until it is told to stop.
fn endless() -> Plan {
    Plan {
        rate: Some(200.0),
        warm_up: Duration::ZERO,
        ..steady_plan(Duration::from_secs(3_600))
    }
}

fn ordered(plan: Plan) -> Plan {
    Plan { groups: 20, ..plan }
}

/// Three hosts that belong to no cluster.
fn spares(bench: &Bench, dev: &Dev) -> Result<Vec<Process>> {
    let manager = format!("--manager=http://{}", dev.role("manager")?.listen()?);
    let spare = |n: usize| {
        let name = format!("spare{n}");
        let words = [
            "host".to_owned(),
            format!("--data={}", bench.folder().join(&name).display()),
            "--listen=127.0.0.1:0".to_owned(),
            "--admin=127.0.0.1:0".to_owned(),
            manager.clone(),
            format!("--zone={name}"),
        ];
        bench.start(&name, words)
    };
    (0..3).map(spare).collect()
}

/// Where each of the load's queues takes messages.
async fn clusters_of(dev: &Dev, load: &Watch<Rest>) -> Result<Vec<ClusterId>> {
    let client = Client::new(&dev.endpoint())?;
    let mut clusters = Vec::new();
    for queue in load.queues() {
        let info = client.queue(queue).info().await?;
        clusters.extend(info.partitions.iter().map(|partition| partition.cluster));
    }
    Ok(clusters)
}
