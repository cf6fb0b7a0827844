//! Two releases side by side, in containers from two images: every container goes over to the next one on
//! its own volume, half-way, back and on. What is told to processes of the same in `e2e/tests/tests/faults`.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use shoal_containers::{Containers, Image, Node, Shape, engine};
use shoal_e2e::stories::{Stage, under_load};
use shoal_e2e::{ensure_clean, ensure_gaps_within, steady_plan};
use shoal_harness::{Bench, Cluster as _, Release, limits, run_within, skipped, wait};

/// The next release is built first, which takes minutes where nothing of it is there yet; then two images,
/// and five containers.
const BOUND: Duration = Duration::from_secs(900);
/// What a pause may take in a test, on whatever machine it runs.
const PAUSE: Duration = Duration::from_secs(3);

#[test]
fn containers_upgraded_half_way_and_back_and_on_fail_no_operation() {
    run_within(BOUND, async |bench| -> Result<()> {
        if let Some(why) = engine().await? {
            skipped("upgrade of containers", &why);
            return Ok(());
        }
        let (this, next) = images(bench)?;
        let mut system = Containers::start_from(&this, Shape::default()).await?;
        let old_rules = rules(&system, 0).await?;
        let told = under_load(&mut system, steady_plan(Duration::ZERO), async |stage| {
            for host in [0, 1] {
                go_over(stage, host, &next).await?;
            }
            all_go_by(stage.cluster, old_rules).await?;
            for host in [1, 0] {
                go_over(stage, host, &this).await?;
            }
            stage.cluster.upgrade(Node::Manager, &next).await?;
            Containers::ready(stage.cluster, Node::Manager).await?;
            for host in [2, 1, 0] {
                go_over(stage, host, &next).await?;
            }
            all_go_by(stage.cluster, old_rules + 1).await?;
            stage.kill_each().await
        });
        let (report, pauses) = told.await?;
        for pause in &pauses {
            println!("{pause}");
        }
        ensure_clean(&report)?;
        ensure_gaps_within(&report, PAUSE)?;
        system.fleet().same_state().await
    });
}

fn images(bench: &Bench) -> Result<(Image, Image)> {
    let next = Image::around(bench.binary_of(Release::Next)?, "shoal:e2e-next-release")?;
    Ok((Image::under_test(bench)?, next))
}

async fn go_over(stage: &mut Stage<'_, Containers>, host: usize, to: &Image) -> Result<()> {
    stage.begin();
    stage.cluster.upgrade(Node::Host(host), to).await?;
    stage.cluster.ready(host).await?;
    stage.end("upgrade", host).await;
    Ok(())
}

/// Which rules a host executes by.
async fn rules(system: &Containers, host: usize) -> Result<u16> {
    let url = format!("{}/metrics", system.admin(Node::Host(host)).await?);
    let metrics = reqwest::get(url).await?.text().await?;
    let mut lines = metrics.lines();
    let line = lines.find(|line| line.starts_with("shoal_host_machine_version{"));
    let version = line.and_then(|line| line.rsplit(' ').next());
    Ok(version.context("no version in force")?.parse()?)
}

async fn all_go_by(system: &Containers, version: u16) -> Result<()> {
    for host in 0..system.hosts() {
        let what = format!("h{host} to go by version {version}");
        wait::until(&what, limits::READY, async || {
            let found = rules(system, host).await?;
            ensure!(found == version, "it goes by {found}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}
