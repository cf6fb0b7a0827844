//! One setting from one place: a line of the file, a variable, a flag.

use std::fmt;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

use super::{ConfigError, Known, PROFILE};

/// What the names of our variables begin with.
pub(super) const PREFIX: &str = "SHOAL_";

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody said anything.
    Default,
    /// A TOML file.
    File(PathBuf),
    /// A variable, by its full name.
    Environment(String),
    /// A flag, with its dashes.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// A value for a key.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// `http.idle_s`; empty for the table of all.
    pub(super) key: String,
    pub(super) value: Value,
    /// What a variable really said, while `value` is a guess at what it means.
    pub(super) text: Option<String>,
    pub(super) source: Source,
}

impl Provider for Setting {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source.to_string())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let dict = if self.key.is_empty() {
            self.value.clone()
        } else {
            figment::util::nest(&self.key, self.value.clone())
        };
        Ok(PROFILE.collect(dict.into_dict().expect("a nested value is a table")))
    }
}

/// Every leaf of a file.
pub(super) fn read_file(path: &Path, known: &Known) -> Result<Vec<Setting>, ConfigError> {
    let read = std::fs::read_to_string(path);
    let text = read.map_err(|source| ConfigError::ReadFile {
        path: path.to_owned(),
        source,
    })?;
    let table: toml::Table = toml::from_str(&text).map_err(|source| ConfigError::ParseFile {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    let table = Value::serialize(table).expect("TOML's values are figment's");
    let mut settings = Vec::new();
    leaves("", table, known, &mut |key, value| {
        let source = Source::File(path.to_owned());
        settings.push(Setting {
            key,
            value,
            text: None,
            source,
        });
    });
    Ok(settings)
}

fn leaves(above: &str, value: Value, known: &Known, take: &mut impl FnMut(String, Value)) {
    match value {
        Value::Dict(_, dict) if !known.is_below_open(above) => {
            for (name, value) in dict {
                leaves(&join(above, &name), value, known, take);
            }
        }
        leaf => take(above.to_owned(), leaf),
    }
}

/// A variable: `SHOAL_HTTP__IDLE_S=75` for `http.idle_s`. The default's type says how to read it.
pub(super) fn variable(name: &str, text: &str, known: &Known) -> Setting {
    let key = name[PREFIX.len()..].to_lowercase().replace("__", ".");
    let source = Source::Environment(name.to_owned());
    let parsed = || text.parse::<Value>().expect("what is nothing else is text");
    let (value, text) = match known.default_of(&key) {
        Some(Value::String(..)) => (text.into(), None),
        _ => (parsed(), Some(text.to_owned())),
    };
    Setting {
        key,
        value,
        text,
        source,
    }
}

pub(super) fn flag(key: &str, value: Value) -> Setting {
    let source = Source::Flag(flag_name(key));
    Setting {
        key: key.to_owned(),
        value,
        text: None,
        source,
    }
}

pub(super) fn variable_name(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"))
}

pub(super) fn flag_name(key: &str) -> String {
    format!("--{}", key.replace(['.', '_'], "-"))
}

pub(super) fn join(above: &str, name: &str) -> String {
    if above.is_empty() {
        name.to_owned()
    } else {
        format!("{above}.{name}")
    }
}
