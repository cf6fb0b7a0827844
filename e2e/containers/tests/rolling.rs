//! Every container of a system is stopped and started again, one after the other, while clients go on.

use std::time::Duration;

use anyhow::Result;
use shoal_containers::{Containers, Shape, engine};
use shoal_e2e::stories::{SETTLE, Stage, under_load};
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
fn every_container_is_restarted_one_after_the_other_and_no_operation_fails() {
    run_within(BOUND, async |bench| -> Result<()> {
        if let Some(why) = engine().await? {
            skipped("restarting all containers", &why);
            return Ok(());
        }
        let mut system = Containers::start(bench, SHAPE).await?;
        let told = under_load(&mut system, steady_plan(Duration::ZERO), restart_all);
        let (report, pauses) = told.await?;
        for pause in &pauses {
            println!("{pause}");
        }
        ensure_clean(&report)?;
        system.fleet().same_state().await
    });
}

/// As a person does it, or an orchestrator: the next one once the last one is ready.
async fn restart_all(stage: &mut Stage<'_, Containers>) -> Result<()> {
    for node in stage.cluster.nodes() {
        stage.begin();
        stage.cluster.stop(node).await?;
        stage.cluster.start_again(node).await?;
        Containers::ready(stage.cluster, node).await?;
        sleep(SETTLE).await;
        stage.note(format!("restart {node}"));
    }
    Ok(())
}
