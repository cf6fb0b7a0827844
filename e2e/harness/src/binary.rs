//! The `shoal` binary under test, built from this source.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, ensure};

/// The workspace this harness was compiled in.
fn workspace() -> &'static Path {
    let harness = Path::new(env!("CARGO_MANIFEST_DIR"));
    harness
        .ancestors()
        .nth(2)
        .expect("the harness is e2e/harness")
}

/// The binary's path. The first call of a process has cargo build it (or find that nothing changed);
/// cargo's own lock makes several test processes take turns.
pub(crate) fn shoal() -> Result<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build().map_err(|e| format!("{e:#}")));
    match built {
        Ok(path) => Ok(path),
        Err(why) => anyhow::bail!("cannot build shoal: {why}"),
    }
}

fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--profile", "e2e", "-p", "shoal", "--bin", "shoal"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(workspace())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
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
