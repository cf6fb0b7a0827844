//! A frontend's settings.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits;

/// Settings of one frontend; each can stand in a TOML file, the environment or a flag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FrontendConfig {
    /// Where clients connect. Port 0: any free one.
    pub listen: SocketAddr,
    /// Health, readiness and metrics.
    pub admin: SocketAddr,
    /// The manager's API.
    pub manager: String,
    /// Requests being answered at once, waiting receives not counted; more are refused as `busy`.
    pub in_flight_max: usize,
    /// Bytes of request bodies in memory; more are refused as `busy`.
    pub request_bytes_max: usize,
    /// Receives that wait at once; more are answered at once.
    pub long_polls_max: usize,
    /// Whose requests of SQS are taken.
    pub credentials: Credentials,
    /// What SQS's queue URLs begin with, `https://mq.example.com`; empty: as the client came, by `http`.
    pub public_url: String,
    /// Seconds for which SQS's `PurgeQueue` refuses to purge a queue again; 0: it never does.
    pub purge_pause_s: u32,
    /// How long a frontend that is told to stop still serves, while it asks clients to go elsewhere; at most
    /// [`limits::DRAIN_MAX`].
    pub drain_ms: u32,
}

/// Whose requests of SQS are taken: `"none"`, `"any"`, or the path of a key file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Credentials {
    /// Nobody's.
    #[default]
    None,
    /// Anybody's: an access key of twelve digits is an account, any other means the default one.
    Any,
    /// Those signed with one of the keys in this file.
    File(PathBuf),
}

impl From<String> for Credentials {
    fn from(text: String) -> Self {
        match text.as_str() {
            "" | "none" => Self::None,
            "any" => Self::Any,
            path => Self::File(path.into()),
        }
    }
}

impl From<Credentials> for String {
    fn from(credentials: Credentials) -> Self {
        match credentials {
            Credentials::None => "none".to_owned(),
            Credentials::Any => "any".to_owned(),
            Credentials::File(path) => path.display().to_string(),
        }
    }
}

impl Default for FrontendConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9324)),
            admin: SocketAddr::from(([127, 0, 0, 1], 9330)),
            manager: "http://127.0.0.1:9325".to_owned(),
            in_flight_max: limits::IN_FLIGHT_MAX,
            request_bytes_max: limits::REQUEST_BYTES_MAX,
            long_polls_max: limits::LONG_POLLS_MAX,
            credentials: Credentials::None,
            public_url: String::new(),
            purge_pause_s: limits::PURGE_PAUSE_S,
            drain_ms: limits::DRAIN_MS,
        }
    }
}

impl FrontendConfig {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// Names the setting, what it is and what it may be.
    pub fn validate(&self) -> Result<(), String> {
        if !self.manager.starts_with("http://") && !self.manager.starts_with("https://") {
            return Err(format!(
                "manager: {:?} is no http:// or https:// address",
                self.manager
            ));
        }
        let url = &self.public_url;
        let is_base = |rest: &str| !rest.is_empty() && !rest.contains(['/', '?', '#', ' ']);
        let rest = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"));
        if !url.is_empty() && !rest.is_some_and(is_base) {
            return Err(format!(
                "public_url: {url:?} is no http:// or https:// address without a path"
            ));
        }
        if self.drain() > limits::DRAIN_MAX {
            let most = limits::DRAIN_MAX.as_millis();
            return Err(format!(
                "drain_ms: {} is not within 0 to {most}",
                self.drain_ms
            ));
        }
        if self.in_flight_max == 0 {
            return Err("in_flight_max: must be at least 1".to_owned());
        }
        if self.request_bytes_max < limits::MESSAGES_BODY_BYTES_MAX {
            let least = limits::MESSAGES_BODY_BYTES_MAX;
            return Err(format!(
                "request_bytes_max: must be at least {least}, one full batch"
            ));
        }
        Ok(())
    }

    pub(crate) fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_has_a_bound() {
        let config = |drain_ms| FrontendConfig {
            drain_ms,
            ..FrontendConfig::default()
        };
        assert_eq!(config(0).validate(), Ok(()));
        assert_eq!(config(60_000).validate(), Ok(()));
        let refused = config(60_001).validate().unwrap_err();
        assert_eq!(refused, "drain_ms: 60001 is not within 0 to 60000");
    }
}
