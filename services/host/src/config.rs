//! A host's settings.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use shoal_types::limits::{CAPACITY_MAX, ZONE_BYTES_MAX};

use crate::core::CheckpointPace;
use crate::limits;

/// Settings of one host; each can stand in a TOML file, the environment or a flag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostConfig {
    /// Folder for the log, the checkpoint and the identity. Made if it is missing.
    pub data: PathBuf,
    /// Where peers, frontends and the manager connect. Port 0: any free one.
    pub listen: SocketAddr,
    /// What others should dial, `name:port`; the listening address if not given.
    pub advertise: Option<String>,
    /// Health, readiness and metrics.
    pub admin: SocketAddr,
    /// The manager's API.
    pub manager: String,
    /// Where the host stands; a cluster's hosts are spread over as many zones as there are.
    pub zone: String,
    /// Which hosts it may be in a cluster with: those that say the same, at most 64 bytes.
    pub pool: String,
    /// How much it can do against an ordinary host, which has 1; at most 16. A cluster can do as much as the
    /// least of its hosts.
    pub capacity: u32,
    /// Bytes of one log segment; 1 MiB to 1 GiB.
    pub segment_bytes: u32,
    /// Bytes that the log may take, beside what the volume allows; at 90 % of it sends are refused.
    pub log_bytes_max: Option<u64>,
    /// Bytes of redb's cache for the checkpoint.
    pub checkpoint_cache_bytes: usize,
    /// Bytes of log after which a checkpoint is written; a minute after the last one at the latest.
    pub checkpoint_log_bytes: u64,
    /// Bytes of log kept for a member that is away. Beyond it gets a snapshot when it is back.
    pub catch_up_bytes: u64,
    /// Hours within which all that is kept is read again and checked; 1 to 8,760.
    pub scrub_hours: u64,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self {
            data: PathBuf::from("shoal-data/host"),
            listen: SocketAddr::from(([127, 0, 0, 1], 9400)),
            advertise: None,
            admin: SocketAddr::from(([127, 0, 0, 1], 9332)),
            manager: "http://127.0.0.1:9325".to_owned(),
            zone: "default".to_owned(),
            pool: String::new(),
            capacity: 1,
            segment_bytes: 64 << 20,
            log_bytes_max: None,
            checkpoint_cache_bytes: 32 << 20,
            checkpoint_log_bytes: CheckpointPace::default().log_bytes,
            catch_up_bytes: limits::CATCH_UP_LOG_BYTES_MAX,
            scrub_hours: 168,
        }
    }
}

impl HostConfig {
    /// Every setting, a line each, for the admin port.
    pub(crate) fn dump(&self) -> String {
        toml::to_string(self).expect("settings are plain values")
    }

    /// Checks what types cannot say.
    ///
    /// # Errors
    /// Names the setting, what it is and what it may be.
    pub fn validate(&self) -> Result<(), String> {
        if !(1 << 20..=1 << 30).contains(&self.segment_bytes) {
            return Err(format!(
                "segment_bytes: {} is not within 1 MiB to 1 GiB",
                self.segment_bytes
            ));
        }
        if self
            .log_bytes_max
            .is_some_and(|max| max < 8 * u64::from(self.segment_bytes))
        {
            return Err("log_bytes_max: room for at least 8 segments is needed".to_owned());
        }
        if !(1..=8_760).contains(&self.scrub_hours) {
            return Err(format!(
                "scrub_hours: {} is not within 1 to 8,760",
                self.scrub_hours
            ));
        }
        if !(1..=CAPACITY_MAX).contains(&self.capacity) {
            return Err(format!(
                "capacity: {} is not within 1 to {CAPACITY_MAX}",
                self.capacity
            ));
        }
        if !(1..=ZONE_BYTES_MAX).contains(&self.zone.len()) {
            return Err(format!(
                "zone: {:?} does not have 1 to {ZONE_BYTES_MAX} bytes",
                self.zone
            ));
        }
        if self.pool.len() > ZONE_BYTES_MAX {
            return Err(format!(
                "pool: {:?} has more than {ZONE_BYTES_MAX} bytes",
                self.pool
            ));
        }
        if !self.manager.starts_with("http://") && !self.manager.starts_with("https://") {
            return Err(format!(
                "manager: {:?} is no http:// or https:// address",
                self.manager
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_a_zone_or_pool_that_the_manager_would_refuse_is_refused_at_the_start() {
        let named = |zone: &str, pool: &str| HostConfig {
            zone: zone.to_owned(),
            pool: pool.to_owned(),
            ..HostConfig::default()
        };
        let (longest, longer) = ("x".repeat(64), "x".repeat(65));
        for config in [named("a", ""), named(&longest, &longest)] {
            config.validate().unwrap();
        }
        for (config, setting) in [
            (named("", ""), "zone:"),
            (named(&longer, ""), "zone:"),
            (named("a", &longer), "pool:"),
        ] {
            assert!(config.validate().unwrap_err().starts_with(setting));
        }
    }
}
