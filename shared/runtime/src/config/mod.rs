//! Settings: default < TOML file < `SHOAL_…` environment < flag.
//!
//! A settings type is a struct with serde's derives and a `Default`; its fields are the known keys,
//! nested structs give keys like `http.idle_s`. The environment says `SHOAL_HTTP__IDLE_S` for that,
//! a flag `--http-idle-s`. A key that is in none of these forms known is an error that names where it
//! came from and the nearest known one: a setting that is silently ignored is worse than a refusal.
//! (A field that is an empty map by default takes any keys.)

mod dump;
mod error;
mod source;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Value};
use figment::{Figment, Profile};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use error::ConfigError;
use source::Setting;
pub use source::Source;

/// Variables with our prefix that are no settings.
pub const RESERVED_VARIABLES: &[&str] = &[
    // The log's filter, see `telemetry`.
    "SHOAL_LOG",
    // The process to die with, see `parent`.
    "SHOAL_DEV_PARENT",
    // Which system the commands for daily use talk to.
    "SHOAL_ENDPOINT",
];

/// Where settings may come from besides the defaults.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    file: Option<PathBuf>,
    environment: Vec<(String, String)>,
    flags: Vec<(String, Value)>,
}

/// Settings and where each came from.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// The settings.
    pub settings: T,
    /// What `--dump-config` prints and `/debug/config` shows: one `key = value  # from …` a line,
    /// valid TOML. Values of keys that end in `_secret`, `_token` or `_password` are left out.
    pub dump: String,
}

impl Sources {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A TOML file. It must exist, since somebody named it.
    #[must_use]
    pub fn file(mut self, path: Option<&Path>) -> Self {
        self.file = path.map(Path::to_owned);
        self
    }

    /// Variables, usually `std::env::vars_os()`; those without our prefix are passed over.
    #[must_use]
    pub fn environment<K, V>(mut self, variables: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<std::ffi::OsString>,
        V: Into<std::ffi::OsString>,
    {
        for (name, value) in variables {
            let (Ok(name), value) = (name.into().into_string(), value.into()) else {
                continue;
            };
            if name.starts_with(source::PREFIX) && !RESERVED_VARIABLES.contains(&name.as_str()) {
                self.environment
                    .push((name, value.to_string_lossy().into_owned()));
            }
        }
        self
    }

    /// A flag, if it was given. `key` is the setting's key, `http.idle_s`.
    ///
    /// # Panics
    /// If the value cannot be serialised.
    #[must_use]
    pub fn flag<V: Serialize>(mut self, key: &str, value: Option<V>) -> Self {
        if let Some(value) = value {
            let value = Value::serialize(value).expect("flags are plain values");
            self.flags.push((key.to_owned(), value));
        }
        self
    }

    /// Puts it all together.
    ///
    /// # Errors
    /// If the file cannot be read, a key is unknown or a value has the wrong type.
    ///
    /// # Panics
    /// If `T`'s defaults do not serialise as a table.
    pub fn load<T>(&self) -> Result<Loaded<T>, ConfigError>
    where
        T: Serialize + DeserializeOwned + Default,
    {
        let defaults = Value::serialize(T::default()).expect("defaults are plain values");
        let defaults = defaults.into_dict().expect("settings are a struct");
        let known = Known::of(&defaults);
        let mut given = self.given(&known)?;
        loop {
            let figment = merged(&defaults, &given);
            match figment.extract::<T>() {
                Ok(settings) => {
                    let dump = dump::dump(&known, &figment);
                    return Ok(Loaded { settings, dump });
                }
                Err(error) => {
                    // A number where text is wanted: `SHOAL_ZONE=1`. Only the type behind an unset
                    // option can tell, so it is asked, once per value.
                    let path = error.path.join(".");
                    let guess = given.iter_mut().rev().find(|s| s.key == path);
                    match guess.and_then(|setting| setting.text.take().map(|text| (setting, text)))
                    {
                        Some((setting, text)) => setting.value = text.into(),
                        None => return Err(ConfigError::value(&error, &given)),
                    }
                }
            }
        }
    }

    /// What was given, weakest first, every key known.
    fn given(&self, known: &Known) -> Result<Vec<Setting>, ConfigError> {
        let mut given = Vec::new();
        if let Some(path) = &self.file {
            given.extend(source::read_file(path, known)?);
        }
        for (name, value) in &self.environment {
            given.push(source::variable(name, value, known));
        }
        for (key, value) in &self.flags {
            given.push(source::flag(key, value.clone()));
        }
        match given.iter().find(|setting| !known.takes(&setting.key)) {
            Some(setting) => Err(ConfigError::unknown(setting, known)),
            None => Ok(given),
        }
    }
}

/// One provider per value, so that figment knows of each where it came from.
fn merged(defaults: &Dict, given: &[Setting]) -> Figment {
    let defaults = Setting {
        key: String::new(),
        value: defaults.clone().into(),
        text: None,
        source: Source::Default,
    };
    given
        .iter()
        .fold(Figment::from(defaults), |figment, setting| {
            figment.merge(setting.clone())
        })
}

/// The keys of a settings type, as its defaults show them.
struct Known {
    /// Leaves, with the default.
    keys: std::collections::BTreeMap<String, Value>,
    /// Maps that are empty by default: any key below them is fine.
    open: BTreeSet<String>,
}

impl Known {
    fn of(defaults: &Dict) -> Self {
        let mut known = Self {
            keys: Default::default(),
            open: BTreeSet::new(),
        };
        known.add("", defaults);
        known
    }

    fn add(&mut self, above: &str, dict: &Dict) {
        for (name, value) in dict {
            let key = source::join(above, name);
            match value {
                Value::Dict(_, inner) if inner.is_empty() => _ = self.open.insert(key),
                Value::Dict(_, inner) => self.add(&key, inner),
                leaf => _ = self.keys.insert(key, leaf.clone()),
            }
        }
    }

    fn takes(&self, key: &str) -> bool {
        self.keys.contains_key(key) || self.is_below_open(key)
    }

    fn is_below_open(&self, key: &str) -> bool {
        self.open.iter().any(|open| {
            key.strip_prefix(open.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }

    /// The default of a key, if it is a known leaf.
    fn default_of(&self, key: &str) -> Option<&Value> {
        self.keys.get(key)
    }

    /// The known key most like this one, if any is at all like it.
    fn nearest(&self, key: &str) -> Option<&str> {
        let like = |known: &&str| strsim::jaro_winkler(known, key);
        let keys = self.keys.keys().chain(&self.open).map(String::as_str);
        keys.max_by(|a, b| like(a).total_cmp(&like(b)))
            .filter(|best| like(best) > 0.7)
    }
}

/// The profile that everything is in; figment has them, we do not use them.
const PROFILE: Profile = Profile::Default;
