//! What hosts say of themselves, whatever the store has: for a store that lacks something.

use std::collections::BTreeMap;

use shoal_types::{ClusterId, HostId, HostState};

use super::{Fleet, Target};

impl Fleet {
    /// True if the store has any cluster.
    pub(crate) fn has_clusters(&self) -> bool {
        !self.state().clusters.is_empty()
    }

    /// True if every host has reported to this process that the store knows and counts on, and there is a
    /// cluster at all.
    pub(crate) fn all_reported(&self) -> bool {
        let state = self.state();
        let mut hosts = state.hosts.values();
        !state.clusters.is_empty()
            && hosts.all(|host| host.status.is_some() || state.is_out(&host.at.record))
    }

    /// The hosts that reported lately, by the cluster of which they say that they are members; those first
    /// that act.
    pub(crate) fn reporting(&self) -> BTreeMap<ClusterId, Vec<Target>> {
        let now = self.clock.now().mono;
        let state = self.state();
        let mut reporting: BTreeMap<ClusterId, Vec<Target>> = BTreeMap::new();
        let alive = state
            .hosts
            .values()
            .filter(|host| host.is_alive(now, state.silence));
        for status in alive.filter_map(|host| host.status.as_ref()) {
            let acting = status.state == HostState::Acting;
            let is_member =
                acting || matches!(status.state, HostState::Joining | HostState::NeedsSnapshot);
            if let Some(cluster) = status.cluster.filter(|_| is_member) {
                reporting.entry(cluster).or_default().push(Target {
                    host: status.host,
                    address: status.address.clone(),
                    acting,
                });
            }
        }
        for hosts in reporting.values_mut() {
            hosts.sort_by_key(|host| !host.acting);
        }
        reporting
    }

    /// True if this host reported lately.
    pub(crate) fn is_reporting(&self, host: HostId) -> bool {
        let now = self.clock.now().mono;
        let state = self.state();
        let host = state.hosts.get(&host);
        host.is_some_and(|host| host.status.is_some() && host.is_alive(now, state.silence))
    }

    /// True if one of the cluster's hosts has reported to this process: nothing is decided about what is
    /// there before it could say that the store lacks something.
    pub(crate) fn is_heard(&self, cluster: ClusterId) -> bool {
        let state = self.state();
        let cluster = state.clusters.get(&cluster);
        cluster.is_some_and(|cluster| state.is_heard(cluster))
    }
}
