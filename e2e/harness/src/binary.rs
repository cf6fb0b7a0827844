//! The `shoal` binaries under test, built from this source: this release, and the rehearsal of the next.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, ensure};

/// A release of `shoal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Release {
    /// What this source is.
    This,
    /// The one after it, as `services/host/src/next_release.rs` rehearses it.
    Next,
}

impl Release {
    /// The binary's path. The first call of a process has cargo build it (or find that nothing changed);
    /// test processes take turns. Only tests that ask for the next release wait for that build.
    pub(crate) fn binary(self) -> Result<&'static Path> {
        static BUILT: [OnceLock<Result<PathBuf, String>>; 2] = [OnceLock::new(), OnceLock::new()];
        let built = &BUILT[self as usize];
        match built.get_or_init(|| prepare(self).map_err(|e| format!("{e:#}"))) {
            Ok(path) => Ok(path),
            Err(why) => anyhow::bail!("cannot build {self:?} release: {why}"),
        }
    }

    fn file_name(self) -> &'static str {
        match self {
            Self::This => "shoal-under-test",
            Self::Next => "shoal-next-release",
        }
    }
}

/// The workspace this harness was compiled in.
fn workspace() -> &'static Path {
    let harness = Path::new(env!("CARGO_MANIFEST_DIR"));
    harness
        .ancestors()
        .nth(2)
        .expect("the harness is e2e/harness")
}

/// Both are built into one folder, so that they share everything that does not differ; cargo gives both the
/// same name there, the one that was built last. So each gets a name of its own beside it.
fn prepare(release: Release) -> Result<PathBuf> {
    let this = build(Release::This)?;
    let turn = File::create(this.with_file_name("shoal-under-test.lock"))?;
    turn.lock().context("cannot wait for other tests' builds")?;
    let built = build(release)?;
    let own = this.with_file_name(release.file_name());
    let new = this.with_file_name(format!("shoal-new-{}", std::process::id()));
    // A link is made at once, and what runs already keeps the file that it was started from. A rename
    // between two names of one file does nothing, so that the first one may still be there.
    fs::hard_link(&built, &new).context("cannot give the binary a name of its own")?;
    fs::rename(&new, &own)?;
    if new.exists() {
        fs::remove_file(&new)?;
    }
    if release != Release::This {
        // Whoever looks for cargo's own name finds this release there.
        build(Release::This)?;
    }
    Ok(own)
}

fn build(release: Release) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--profile", "e2e", "-p", "shoal", "--bin", "shoal"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(workspace())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    if release == Release::Next {
        // Nobody builds it by accident, see services/shoal/src/main.rs.
        command
            .args(["--features", "next-release"])
            .env("REHEARSE_NEXT_RELEASE", "yes");
    }
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(describes_this_test) {
            command.env_remove(name);
        }
    }
    let output = command.output().context("cargo cannot be started")?;
    ensure!(
        output.status.success(),
        "cargo build ended with {}",
        output.status
    );
    let messages = String::from_utf8(output.stdout).context("cargo's messages")?;
    messages
        .lines()
        .find_map(executable_of)
        .context("cargo named no executable")
}

/// Variables that cargo sets for the test that runs. Passed on, they would make build scripts that
/// look at them, and all that depends on these, build again each time.
fn describes_this_test(variable: &str) -> bool {
    [
        "CARGO_PKG_",
        "CARGO_MANIFEST_",
        "CARGO_BIN_",
        "CARGO_CRATE_",
        "CARGO_PRIMARY_",
    ]
    .iter()
    .any(|prefix| variable.starts_with(prefix))
}

/// The path in cargo's message about the finished binary.
fn executable_of(message: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let is_ours = message["reason"] == "compiler-artifact" && message["target"]["name"] == "shoal";
    let path = message["executable"].as_str()?;
    is_ours.then(|| path.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_finished_binary_counts() {
        let message = |name: &str, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"name":"{name}"}},"executable":{executable}}}"#
            )
        };
        assert_eq!(executable_of(&message("shoal", "null")), None);
        assert_eq!(executable_of(&message("other", r#""/x""#)), None);
        assert_eq!(executable_of("not json"), None);
        let path = executable_of(&message("shoal", r#""/t/e2e/shoal""#));
        assert_eq!(path, Some("/t/e2e/shoal".into()));
    }
}
