//! The manager's settings.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shoal_types::limits::CLUSTER_HOSTS;

/// Settings of the manager; each can stand in a TOML file, the environment or a flag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ManagerConfig {
    /// Folder for the metadata. Made if it is missing.
    pub data: PathBuf,
    /// Where hosts, frontends and tools find the API. Port 0: any free one.
    pub listen: SocketAddr,
    /// Health, readiness and metrics.
    pub admin: SocketAddr,
    /// Hosts of a new cluster; 1 to 5. With 3 it survives the loss of one, with 5 of two.
    pub cluster_size: usize,
    /// Clusters are formed by themselves as unassigned hosts come. If not, only `shoal cluster form` does.
    pub form_clusters: bool,
    /// Milliseconds that unassigned hosts of too few zones wait for hosts of other zones to appear.
    pub form_patience_ms: u32,
    /// Bytes of the store's cache.
    pub store_cache_bytes: usize,
}

impl Default for ManagerConfig {
    fn default() -> Self {
        Self {
            data: PathBuf::from("shoal-data/manager"),
            listen: SocketAddr::from(([127, 0, 0, 1], 9325)),
            admin: SocketAddr::from(([127, 0, 0, 1], 9331)),
            cluster_size: 3,
            form_clusters: true,
            form_patience_ms: 2_000,
            store_cache_bytes: 64 << 20,
        }
    }
}

impl ManagerConfig {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// Names the setting, what it is and what it may be.
    pub fn validate(&self) -> Result<(), String> {
        if !CLUSTER_HOSTS.contains(&self.cluster_size) {
            let (min, max) = (CLUSTER_HOSTS.start(), CLUSTER_HOSTS.end());
            return Err(format!(
                "cluster_size: {} is not within {min} to {max}",
                self.cluster_size
            ));
        }
        if self.form_patience_ms > 600_000 {
            return Err(format!(
                "form_patience_ms: {} is not within 0 to 600000 (10 minutes)",
                self.form_patience_ms
            ));
        }
        Ok(())
    }

    pub(crate) fn form_patience(&self) -> Duration {
        Duration::from_millis(self.form_patience_ms.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_what_is_not_names_the_setting() {
        ManagerConfig::default().validate().unwrap();
        for (config, setting) in [
            (
                ManagerConfig {
                    cluster_size: 0,
                    ..Default::default()
                },
                "cluster_size: 0",
            ),
            (
                ManagerConfig {
                    cluster_size: 6,
                    ..Default::default()
                },
                "cluster_size: 6",
            ),
            (
                ManagerConfig {
                    form_patience_ms: 600_001,
                    ..Default::default()
                },
                "form_patience_ms",
            ),
        ] {
            assert!(config.validate().unwrap_err().starts_with(setting));
        }
    }
}
