//! What can be wrong with settings, said so that a person can mend it.

use std::path::PathBuf;

use super::Known;
use super::source::{Setting, Source, flag_name, variable_name};

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read settings file {}", path.display())]
    ReadFile {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no TOML.
    #[error("settings file {} is not TOML", path.display())]
    ParseFile {
        /// Which.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A key that nothing reads.
    #[error("unknown setting {key} ({from}){}", nearest.as_ref().map(|n| format!("; the nearest known one is {n}")).unwrap_or_default())]
    UnknownKey {
        /// As written where it came from.
        key: String,
        /// Where it came from.
        from: Source,
        /// What may have been meant, written as there.
        nearest: Option<String>,
    },
    /// A value that does not fit its key.
    #[error("setting {key} ({from}): {why}")]
    Value {
        /// Which.
        key: String,
        /// Where it came from.
        from: Source,
        /// What it is and what it should be.
        why: String,
    },
}

impl ConfigError {
    pub(super) fn unknown(setting: &Setting, known: &Known) -> Self {
        let as_written: fn(&str) -> String = match setting.source {
            Source::Environment(_) => variable_name,
            Source::Flag(_) => flag_name,
            Source::Default | Source::File(_) => str::to_owned,
        };
        Self::UnknownKey {
            key: as_written(&setting.key),
            from: setting.source.clone(),
            nearest: known.nearest(&setting.key).map(as_written),
        }
    }

    /// What figment says, without its own words for where.
    pub(super) fn value(error: &figment::Error, given: &[Setting]) -> Self {
        let key = error.path.join(".");
        // The error may lie deeper than the setting (in an array, say) or above it.
        let concerns = |s: &&Setting| key.starts_with(&s.key) || s.key.starts_with(&key);
        let culprit = given.iter().rev().find(concerns);
        Self::Value {
            from: culprit.map_or(Source::Default, |s| s.source.clone()),
            key: if key.is_empty() {
                culprit.map_or_else(String::new, |s| s.key.clone())
            } else {
                key
            },
            why: error.kind.to_string(),
        }
    }
}
