//! Rebuilding the manager's store from what hosts report, for operators. Ids are text, as people write
//! them.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `POST /v1/rebuild` | [`RebuildRequest`] | 202 [`RebuildInfo`], of the same one if that is under way; 409 if another is |
//! | `GET /v1/rebuild` | | 200 [`RebuildInfo`] |

use serde::{Deserialize, Serialize};
use shoal_types::{ClusterId, HostId, Revision};

use crate::text;

/// Rebuilding.
pub const REBUILD_PATH: &str = "/v1/rebuild";

/// Findings of a report that are spelled out.
pub const FINDINGS_MAX: usize = 1_000;

/// What is to be rebuilt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RebuildRequest {
    /// Clusters that are given up: of whose hosts nobody answers and nobody will.
    #[serde(with = "text::list")]
    pub without: Vec<ClusterId>,
    /// Only say what would be done.
    pub look_only: bool,
}

impl RebuildRequest {
    /// The same request, written in one way: clusters ascending, each once.
    #[must_use]
    pub fn in_order(mut self) -> Self {
        self.without.sort_unstable();
        self.without.dedup();
        self
    }

    /// As a person gives it.
    #[must_use]
    pub fn command(&self) -> String {
        let look = if self.look_only { " --look" } else { "" };
        let without = self
            .without
            .iter()
            .map(|cluster| format!(" --without {cluster}"));
        format!("shoal manager rebuild{look}{}", without.collect::<String>())
    }
}

/// How far a rebuilding is, or how the last one of this process ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebuildInfo {
    /// What shows that the store lacks something, if it does: until it is rebuilt, nothing is decided.
    pub lacking: Option<String>,
    /// True while one is under way.
    pub running: bool,
    /// What was asked for, of the one that is under way or was the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<RebuildRequest>,
    /// Seconds since it was begun; 0 if none was.
    #[serde(default)]
    pub begun_s_ago: u64,
    /// How far it is; for people.
    pub progress: String,
    /// Why it ended without being done, if it did. It may be asked for again.
    pub failed: Option<String>,
    /// What was found and done.
    pub report: Option<RebuildReport>,
}

/// What a rebuilding found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebuildReport {
    /// True if it was only looked at what would be done.
    pub look_only: bool,
    /// Each cluster that was asked, by id.
    pub clusters: Vec<RebuiltCluster>,
    /// Queues that the store did not know.
    pub queues_added: u64,
    /// Queues of which the hosts knew something newer.
    pub queues_changed: u64,
    /// Queues that the store had right.
    pub queues_kept: u64,
    /// Queues of the store that no host has any more.
    pub queues_removed: u64,
    /// Moves that were picked up, and how they go on.
    pub moves: Vec<String>,
    /// What an operator should know; at most [`FINDINGS_MAX`].
    pub findings: Vec<String>,
    /// Findings beyond those.
    pub more_findings: u64,
    /// The store's revision then: above all that hosts and frontends know of.
    pub revision: Revision,
}

/// A cluster as its hosts told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebuiltCluster {
    /// Which.
    #[serde(with = "text")]
    pub cluster: ClusterId,
    /// Its members.
    #[serde(with = "text::list")]
    pub members: Vec<HostId>,
    /// Those of them that have not reported.
    #[serde(with = "text::list")]
    pub silent: Vec<HostId>,
    /// Its partitions.
    pub partitions: u64,
    /// True if the store did not know it.
    pub added: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_reads_as_it_is_given_and_is_the_same_in_any_order() {
        let asked = |without: &[u64], look_only| RebuildRequest {
            without: without.iter().copied().map(ClusterId).collect(),
            look_only,
        };
        let command = asked(&[], false).command();
        assert_eq!(command, "shoal manager rebuild");
        let two = asked(&[16, 3, 16], true).in_order();
        assert_eq!(
            two.command(),
            "shoal manager rebuild --look --without c3 --without c10"
        );
        assert_eq!(two, asked(&[3, 16], true));
    }
}
