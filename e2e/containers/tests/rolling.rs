//! Every container of a system is stopped and started again, one after the other, and some are lost at once,
//! while clients go on.

use std::time::Duration;

use anyhow::{Result, ensure};
use shoal_containers::{Containers, Node, Shape, engine};
use shoal_e2e::changes::Changes;
use shoal_e2e::stories::{LASTS, SETTLE, Stage, under_load};
use shoal_e2e::{ensure_clean, steady_plan};
use shoal_harness::{Cluster as _, run_within, skipped};
use tokio::time::sleep;

/// Building the image and starting nine containers comes on top of restarting each.
const BOUND: Duration = Duration::from_secs(240);
/// Two of everything of which there may be two.
const SHAPE: Shape = Shape {
    frontends: 2,
    clusters: 2,
    hosts: 3,
};

#[test]
fn containers_restarted_in_turn_and_one_of_each_kind_lost_at_once_fail_no_operation() {
    run_within(BOUND, async |bench| -> Result<()> {
        if let Some(why) = engine().await? {
            skipped("restarting all containers", &why);
            return Ok(());
        }
        let mut system = Containers::start(bench, SHAPE).await?;
        let changes = Changes::start(&system.endpoint())?;
        let told = under_load(&mut system, steady_plan(Duration::ZERO), async |stage| {
            restart_all(stage, &changes).await?;
            lose_one_of_each(stage).await
        });
        let (report, pauses) = told.await?;
        drop(changes);
        for pause in &pauses {
            println!("{pause}");
        }
        ensure_clean(&report)?;
        system.fleet().same_state().await
    });
}

/// As a person does it, or an orchestrator: the next one once the last one is ready. Queues are made and deleted
/// all along too, which nobody but the manager can do.
async fn restart_all(stage: &mut Stage<'_, Containers>, changes: &Changes) -> Result<()> {
    for node in stage.cluster.nodes() {
        stage.begin();
        let _ = changes.take();
        stage.cluster.stop(node).await?;
        stage.cluster.start_again(node).await?;
        Containers::ready(stage.cluster, node).await?;
        sleep(SETTLE).await;
        stage.note(format!("restart {node}"));
        let seen = changes.take();
        println!("restart {node}: {seen}");
        let is_known = |answer: &String| answer.starts_with("manager_unavailable");
        ensure!(seen.refused.keys().all(is_known), "restart {node}: {seen}");
    }
    Ok(())
}

/// The manager and one host of each cluster are killed, stand still, or are off the network, all at once. A
/// frontend cannot be lost in that way without its clients seeing that what they had asked of it broke.
async fn lose_one_of_each(stage: &mut Stage<'_, Containers>) -> Result<()> {
    for (nth, how) in ["kill", "pause", "disconnect"].into_iter().enumerate() {
        let second = Node::Host(SHAPE.hosts + nth);
        let nodes = [Node::Manager, Node::Host(nth), second];
        stage.begin();
        for node in nodes {
            let system = &mut *stage.cluster;
            match how {
                "kill" => Containers::kill(system, node).await?,
                "pause" => system.pause(node).await?,
                _ => system.disconnect(node).await?,
            }
        }
        sleep(LASTS).await;
        stage.note(format!("{how} one of each"));
        for node in nodes {
            match how {
                "kill" => stage.cluster.start_again(node).await?,
                "pause" => stage.cluster.unpause(node).await?,
                _ => stage.cluster.heal().await?,
            }
        }
        for node in nodes {
            Containers::ready(stage.cluster, node).await?;
        }
        sleep(SETTLE).await;
    }
    Ok(())
}
