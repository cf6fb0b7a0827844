//! The unit of `docker/systemd` and the machines' files of settings, read as systemd would.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// Where the unit expects the binary.
const BINARY: &str = "/usr/local/bin/shoal";
/// Where the unit expects the settings of the role `%i`.
const SETTINGS: &str = "/etc/shoal/%i.env";

pub(super) struct Unit {
    exec_start: String,
}

impl Unit {
    pub(super) fn read() -> Result<Self> {
        let text = text("shoal@.service")?;
        let value = |key: &str| {
            let mut values = text
                .lines()
                .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            let value = values
                .next()
                .with_context(|| format!("no {key} in the unit"));
            ensure!(values.next().is_none(), "the unit says {key} twice");
            value
        };
        ensure!(
            value("EnvironmentFile")? == SETTINGS,
            "other settings: {text}"
        );
        let exec_start = value("ExecStart")?.to_owned();
        Ok(Self { exec_start })
    }

    /// The unit with the binary at another place.
    pub(super) fn text_for(binary: &Path) -> Result<String> {
        Ok(text("shoal@.service")?.replace(BINARY, &binary.display().to_string()))
    }

    /// What it runs for a role, without the binary.
    pub(super) fn words(&self, role: &str) -> Result<Vec<String>> {
        let line = self.exec_start.replace("%i", role);
        let mut words = line.split_whitespace().map(str::to_owned);
        ensure!(
            words.next().as_deref() == Some(BINARY),
            "another binary: {line}"
        );
        Ok(words.collect())
    }

    /// The variables of a role on a machine.
    pub(super) fn settings(&self, machine: usize, role: &str) -> Result<BTreeMap<String, String>> {
        let text = text(&format!("machine-{machine}/{role}.env"))?;
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let variable = |line: &str| {
            let (name, value) = line.split_once('=').with_context(|| format!("{line:?}"))?;
            Ok((name.to_owned(), value.to_owned()))
        };
        lines.map(variable).collect()
    }
}

fn text(name: &str) -> Result<String> {
    let path =
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docker/systemd")).join(name);
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}
