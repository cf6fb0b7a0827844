//! A host, as it was last heard of. Stored when something changes, not at every heartbeat.

use serde::{Deserialize, Serialize};
use shoal_types::{ClusterId, HostId, HostState, HostStatus, Incarnation};

use super::Record;
use crate::keys;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HostRecord {
    pub(crate) host: HostId,
    /// What others dial.
    pub(crate) address: String,
    pub(crate) zone: String,
    /// Which hosts it may be in a cluster with; empty: the pool without a name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) pool: String,
    pub(crate) incarnation: Incarnation,
    /// What it said of itself last.
    pub(crate) state: HostState,
    /// The cluster it was chosen for; or, where nobody here knows why, the one it says it belongs to.
    pub(crate) cluster: Option<ClusterId>,
}

impl HostRecord {
    /// The record after a heartbeat. A host is assigned by the manager; only one that nobody assigned
    /// is believed that it belongs to a cluster. One that was removed belongs to none any more.
    pub(crate) fn after(before: Option<&Self>, status: &HostStatus) -> Self {
        let assigned = before.and_then(|before| before.cluster).or(status.cluster);
        Self {
            host: status.host,
            address: status.address.clone(),
            zone: status.zone.clone(),
            pool: status.pool.clone(),
            incarnation: status.incarnation,
            state: status.state,
            cluster: assigned.filter(|_| status.state != HostState::Removed),
        }
    }
}

impl Record for HostRecord {
    fn key(&self) -> String {
        keys::host(self.host)
    }
}
