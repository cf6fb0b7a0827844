//! The image, built by the repository's own script around a binary.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use shoal_harness::Bench;

/// What tests use unless they say otherwise; a user's own `shoal:latest` is left alone.
const TAG: &str = "shoal:e2e";

/// An image that the engine has, by its id: a tag may be given to another one at any time, by a test of
/// another copy of this source for instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    id: String,
}

impl Image {
    /// Around the binary that the other end-to-end tests use.
    ///
    /// # Errors
    /// If it cannot be built.
    pub fn under_test(bench: &Bench) -> Result<Self> {
        Self::around(bench.binary()?, TAG)
    }

    /// Around any `shoal`, with what cargo leaves beside it (`image/`); what did not change, the engine has
    /// cached. The tag, `shoal:…`, stays with the engine.
    ///
    /// # Errors
    /// If it cannot be built.
    pub fn around(binary: &Path, tag: &str) -> Result<Self> {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .nth(2)
            .expect("this crate is e2e/containers");
        let mut build = Command::new(repository.join("docker/build"));
        build.arg("--binary").arg(binary).arg(tag);
        said_by(build.current_dir(repository))?;
        let mut inspect = Command::new("docker");
        inspect.args(["image", "inspect", "--format", "{{.Id}}", tag]);
        let id = said_by(&mut inspect)?.trim().to_owned();
        Ok(Self { id })
    }

    /// `sha256:…`
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// What a command that succeeds prints.
fn said_by(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("{command:?} cannot be started"))?;
    ensure!(
        output.status.success(),
        "{command:?} ended with {}:\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}
