//! The manager's settings.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shoal_planner::limits::{SECOND, WINDOW};
use shoal_planner::{Rules, Targets};
use shoal_types::Micros;
use shoal_types::limits::CLUSTER_HOSTS;

use crate::limits::HOSTS_MAX;

/// Microseconds.
const MILLISECOND: Micros = 1_000;

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
    /// Milliseconds that a manager listens at its start to hosts and frontends, which may know more than its
    /// store, before it decides anything; at most 120,000. Never less than `silence_ms`, whatever this says: a
    /// host that is up may be silent for so long. But 0: not at all, for systems that are made anew each time.
    pub first_look_ms: u32,
    /// Free hosts of each pool that are kept for replacing dead ones: no cluster is formed of the last so
    /// many, unless an operator asks for it.
    pub spares_kept: usize,
    /// Milliseconds after which a host that was not heard from is not counted on; 1,500 to 60,000.
    pub silence_ms: u32,
    /// Seconds after which a member that was not heard from is replaced by a free host; 1 to 604,800.
    pub replace_after_s: u32,
    /// Seconds after which what nobody consumes from a sealed partition is sent on; 10 to 604,800.
    pub drain_patience_s: u32,
    /// Queues are moved, split and merged by themselves, and off clusters that are drained. If not, what
    /// would be done is planned and shown only, and moved is what an operator orders.
    pub move_queues: bool,
    /// Milliseconds between rounds of planning, which is also how long a window of measures is; 100 to
    /// 60,000.
    pub round_ms: u32,
    /// Messages sent, received or acknowledged in a second that a cluster of ordinary hosts is to bear.
    pub target_operations: u64,
    /// Bytes sent in a second that a cluster of ordinary hosts is to bear.
    pub target_bytes: u64,
    /// Percent of its processors that the busiest host of a cluster is to use; 1 to 100.
    pub target_cpu_percent: u32,
    /// Microseconds within which 99 of 100 commits of a cluster are to be done.
    pub target_commit_us: u64,
    /// Messages refused in a second, as too many, that a cluster of ordinary hosts may have.
    pub target_refusals: u64,
    /// Messages that may wait in a cluster of ordinary hosts.
    pub target_backlog: u64,
    /// Percent of the fullest disk of a cluster; 1 to 100.
    pub target_disk_percent: u32,
    /// Bytes of the store's cache.
    pub store_cache_bytes: usize,
}

impl Default for ManagerConfig {
    fn default() -> Self {
        let rules = Rules::default();
        let targets = rules.targets;
        Self {
            data: PathBuf::from("shoal-data/manager"),
            listen: SocketAddr::from(([127, 0, 0, 1], 9325)),
            admin: SocketAddr::from(([127, 0, 0, 1], 9331)),
            cluster_size: 3,
            form_clusters: true,
            form_patience_ms: 2_000,
            first_look_ms: 4_000,
            spares_kept: rules.spares_kept,
            silence_ms: (rules.silence / MILLISECOND) as u32,
            replace_after_s: (rules.replace_after / SECOND) as u32,
            drain_patience_s: (rules.drain_patience / SECOND) as u32,
            move_queues: true,
            round_ms: (WINDOW / MILLISECOND) as u32,
            target_operations: targets.operations,
            target_bytes: targets.bytes,
            target_cpu_percent: targets.cpu_percent,
            target_commit_us: targets.commit,
            target_refusals: targets.refusals,
            target_backlog: targets.backlog,
            target_disk_percent: targets.disk_percent,
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
        let within = |setting, value: u64, range: std::ops::RangeInclusive<u64>| {
            if range.contains(&value) {
                return Ok(());
            }
            let (min, max) = (range.start(), range.end());
            Err(format!("{setting}: {value} is not within {min} to {max}"))
        };
        // Ten minutes.
        within(
            "form_patience_ms",
            self.form_patience_ms.into(),
            0..=600_000,
        )?;
        within("spares_kept", self.spares_kept as u64, 0..=HOSTS_MAX as u64)?;
        // Heartbeats come every second: less would take sound hosts for silent ones.
        within("silence_ms", self.silence_ms.into(), 1_500..=60_000)?;
        within("first_look_ms", self.first_look_ms.into(), 0..=120_000)?;
        const WEEK_S: u64 = 7 * 24 * 60 * 60;
        within("replace_after_s", self.replace_after_s.into(), 1..=WEEK_S)?;
        within(
            "drain_patience_s",
            self.drain_patience_s.into(),
            10..=WEEK_S,
        )?;
        within("round_ms", self.round_ms.into(), 100..=60_000)?;
        // Nothing is above its target if that is as large as a number can be.
        within("target_operations", self.target_operations, 1..=u64::MAX)?;
        within("target_bytes", self.target_bytes, 1..=u64::MAX)?;
        within(
            "target_cpu_percent",
            self.target_cpu_percent.into(),
            1..=100,
        )?;
        within("target_commit_us", self.target_commit_us, 1..=u64::MAX)?;
        within("target_refusals", self.target_refusals, 1..=u64::MAX)?;
        within("target_backlog", self.target_backlog, 1..=u64::MAX)?;
        within(
            "target_disk_percent",
            self.target_disk_percent.into(),
            1..=100,
        )?;
        Ok(())
    }

    /// How the planner is to look after the fleet.
    pub(crate) fn rules(&self) -> Rules {
        Rules {
            cluster_size: self.cluster_size,
            spares_kept: self.spares_kept,
            silence: Micros::from(self.silence_ms) * MILLISECOND,
            replace_after: Micros::from(self.replace_after_s) * SECOND,
            drain_patience: Micros::from(self.drain_patience_s) * SECOND,
            targets: Targets {
                operations: self.target_operations,
                bytes: self.target_bytes,
                cpu_percent: self.target_cpu_percent,
                commit: self.target_commit_us,
                refusals: self.target_refusals,
                backlog: self.target_backlog,
                disk_percent: self.target_disk_percent,
            },
        }
    }

    pub(crate) fn round(&self) -> Duration {
        Duration::from_millis(self.round_ms.into())
    }

    /// How long the manager listens before it decides anything.
    pub(crate) fn first_look(&self) -> Duration {
        let millis = match self.first_look_ms {
            0 => 0,
            wanted => wanted.max(self.silence_ms),
        };
        Duration::from_millis(millis.into())
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
        assert_eq!(ManagerConfig::default().rules(), Rules::default());
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
            (
                ManagerConfig {
                    first_look_ms: 120_001,
                    ..Default::default()
                },
                "first_look_ms: 120001 is not within 0 to 120000",
            ),
            (
                ManagerConfig {
                    silence_ms: 1_000,
                    ..Default::default()
                },
                "silence_ms: 1000 is not within 1500 to 60000",
            ),
            (
                ManagerConfig {
                    replace_after_s: 0,
                    ..Default::default()
                },
                "replace_after_s: 0",
            ),
            (
                ManagerConfig {
                    round_ms: 60_001,
                    ..Default::default()
                },
                "round_ms",
            ),
            (
                ManagerConfig {
                    target_operations: 0,
                    ..Default::default()
                },
                "target_operations: 0",
            ),
            (
                ManagerConfig {
                    target_disk_percent: 101,
                    ..Default::default()
                },
                "target_disk_percent: 101",
            ),
        ] {
            assert!(config.validate().unwrap_err().starts_with(setting));
        }
    }

    /// It listened for 1.5 s, and a host that is up may be silent for 4: an old copy of the store was taken
    /// for the newest before those had reported that knew better.
    #[test]
    fn a_manager_listens_for_as_long_as_a_host_that_is_up_may_be_silent() {
        let config = |silence_ms, first_look_ms| ManagerConfig {
            silence_ms,
            first_look_ms,
            ..Default::default()
        };
        for (silence, first_look, listens_ms) in [
            (4_000, 1_500, 4_000),
            (10_000, 4_000, 10_000),
            (2_000, 2_000, 2_000),
            (2_000, 3_000, 3_000),
            (2_000, 0, 0),
        ] {
            let config = config(silence, first_look);
            config.validate().unwrap();
            assert_eq!(config.first_look(), Duration::from_millis(listens_ms));
        }
    }
}
