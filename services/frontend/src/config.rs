//! A frontend's settings.

use std::net::SocketAddr;

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
}
