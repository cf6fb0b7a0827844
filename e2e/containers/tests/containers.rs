//! The stories of `shoal_e2e::stories`, told to containers from the image that users get.

use std::time::Duration;

use anyhow::Result;
use shoal_containers::{Containers, Shape, engine};
use shoal_e2e::stories::under_load;
use shoal_e2e::{ensure_clean, ensure_gaps_within, steady_plan};
use shoal_harness::{Cluster as _, Fault, run_within, skipped};

/// What a pause may take in a test, on whatever machine it runs.
const PAUSE: Duration = Duration::from_secs(3);
/// Building the image and starting five containers comes on top of the stories.
const BOUND: Duration = Duration::from_secs(300);

/// One test for all, since starting a cluster of containers takes longer than a story.
#[test]
fn containers_killed_paused_disconnected_restarted_and_replaced_fail_no_operation() {
    run_within(BOUND, async |bench| -> Result<()> {
        if let Some(why) = engine().await? {
            skipped("containers", &why);
            return Ok(());
        }
        let mut cluster = Containers::start(bench, Shape::default()).await?;
        let told = under_load(&mut cluster, steady_plan(Duration::ZERO), async |stage| {
            stage.kill_each().await?;
            stage.freeze_each().await?;
            stage.isolate_each().await?;
            match stage.cluster.can(Fault::Cut) {
                Ok(()) => stage.one_way_cuts().await?,
                Err(why) => skipped("containers not heard by one other", &why),
            }
            stage.restart_each().await?;
            stage.replace_each().await
        });
        let (report, pauses) = told.await?;
        for pause in &pauses {
            println!("{pause}");
        }
        ensure_clean(&report)?;
        ensure_gaps_within(&report, PAUSE)?;
        cluster.fleet().same_state().await
    });
}
