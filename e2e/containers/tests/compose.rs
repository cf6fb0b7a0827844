//! `docker/compose.yaml` as users have it: up, used through both published ports, hurt, and down again.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use shoal_containers::{Compose, compose_tool, engine};
use shoal_harness::{Bench, run_within, skipped};

/// Building the image, nine containers, and a wait for ten seconds of `HEALTHCHECK`.
const BOUND: Duration = Duration::from_secs(360);
/// A manager, two frontends, two clusters of three hosts.
const CONTAINERS: usize = 9;
/// What the image may have: it is fetched by every machine of a large system.
const IMAGE_BYTES_MAX: u64 = 60_000_000;

#[test]
fn compose_comes_up_serves_loses_a_host_of_each_cluster_and_leaves_nothing() {
    run_within(BOUND, async |bench| -> Result<()> {
        const NAME: &str = "docker/compose.yaml";
        if let Some(why) = engine().await? {
            skipped(NAME, &why);
            return Ok(());
        }
        let tool = match compose_tool() {
            Ok(tool) => tool,
            Err(why) => {
                skipped(NAME, &why);
                return Ok(());
            }
        };
        let compose = Compose::new(bench, tool)?;
        let bytes: u64 = of_image(&compose, "{{.Size}}")?.parse()?;
        ensure!(bytes <= IMAGE_BYTES_MAX, "the image has {bytes} bytes");

        compose.run("up --detach")?;
        compose.healthy(CONTAINERS).await?;
        smoke(bench, &compose)?;

        compose.run("kill c1-h1 c2-h2")?;
        smoke(bench, &compose)?;
        compose.healthy(CONTAINERS - 2).await?;
        compose.run("up --detach")?;
        compose.healthy(CONTAINERS).await?;

        compose.run("down --volumes")?;
        let left = compose.left()?;
        ensure!(left.is_empty(), "after its end: {left:?}");
        Ok(())
    });
}

/// REST and SQS through each published port.
fn smoke(bench: &Bench, compose: &Compose) -> Result<()> {
    for endpoint in compose.endpoints() {
        let output = bench
            .shoal(["smoke", "--require-sqs", "--endpoint", &endpoint])?
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{endpoint}: {said}{complaint}");
    }
    Ok(())
}

fn of_image(compose: &Compose, format: &str) -> Result<String> {
    let mut inspect = std::process::Command::new("docker");
    inspect.args(["image", "inspect", "--format", format, &compose.image()]);
    let output = inspect.output().context("docker cannot be started")?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
