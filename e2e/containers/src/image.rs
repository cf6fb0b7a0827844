//! The image, built by the repository's own script around the binary that the other end-to-end tests
//! use.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use shoal_harness::Bench;

/// What tests use; a user's own `shoal:latest` is left alone.
const TAG: &str = "e2e";

/// Builds it (what did not change, the engine has cached), and gives its tag.
pub(crate) fn build(bench: &Bench) -> Result<String> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("this crate is e2e/containers");
    let mut build = Command::new(repository.join("docker/build"));
    build.arg("--binary").arg(bench.binary()?);
    build.arg(format!("shoal:{TAG}")).current_dir(repository);
    let output = build.output().context("docker/build cannot be started")?;
    ensure!(
        output.status.success(),
        "docker/build ended with {}:\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(TAG.to_owned())
}
