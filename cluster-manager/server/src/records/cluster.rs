//! A cluster: who belongs to it, and whether all of them know.

use serde::{Deserialize, Serialize};
use shoal_types::{ClusterId, ClusterMember, ClusterRoute, ClusterSpec, Revision, Ts};

use super::{At, Record};
use crate::keys;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClusterRecord {
    pub(crate) cluster: ClusterId,
    pub(crate) stage: ClusterStage,
    /// Sorted by host; addresses as last heard.
    pub(crate) members: Vec<ClusterMember>,
    /// Why these hosts, in the planner's words.
    pub(crate) reason: String,
    /// When it was decided, by the manager's clock.
    pub(crate) created_at: Ts,
}

/// How far a cluster is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClusterStage {
    /// Decided; not all its hosts have confirmed yet.
    Forming,
    /// All have. Whether enough of them are alive is another question.
    Formed,
}

impl Record for ClusterRecord {
    fn key(&self) -> String {
        keys::cluster(self.cluster)
    }
}

impl ClusterRecord {
    /// What its hosts are told.
    pub(crate) fn spec(&self, revision: Revision) -> ClusterSpec {
        ClusterSpec {
            cluster: self.cluster,
            members: self.members.clone(),
            revision,
        }
    }
}

impl At<ClusterRecord> {
    /// What frontends are told.
    pub(crate) fn route(&self) -> ClusterRoute {
        ClusterRoute {
            cluster: self.record.cluster,
            members: self.record.members.clone(),
            revision: self.revision,
        }
    }
}
