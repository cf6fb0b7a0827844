//! What [`super::Fleet`] guards.

use std::collections::BTreeMap;

use shoal_planner::{ClusterFacts, Ring};
use shoal_types::{ClusterId, HostId, HostState, HostStatus, Micros, Mono};

use super::window::Gathered;
use crate::records::{At, ClusterRecord, ClusterStage, HostRecord};

/// Every cluster counts the same for now.
const WEIGHT: u32 = 1;

#[derive(Default)]
pub(super) struct State {
    pub(super) hosts: BTreeMap<HostId, Host>,
    pub(super) clusters: BTreeMap<ClusterId, Cluster>,
    /// All clusters that take new queues.
    pub(super) ring: Ring,
    /// A host that was not heard from for so long counts as gone.
    pub(super) silence: Micros,
}

pub(super) struct Host {
    pub(super) at: At<HostRecord>,
    /// Its last heartbeat to this process.
    pub(super) status: Option<HostStatus>,
    pub(super) heard: Mono,
    /// Since when this process knows it.
    pub(super) known_since: Mono,
    /// What it reported during the current window.
    pub(super) gathered: Gathered,
}

pub(super) struct Cluster {
    pub(super) at: At<ClusterRecord>,
    /// Partitions placed there, in whatever stage.
    pub(super) queues: u64,
    /// How far its change is, for people.
    pub(super) progress: String,
}

impl Host {
    pub(super) fn is_alive(&self, now: Mono, silence: Micros) -> bool {
        now.since(self.heard) <= silence
    }

    /// True if it can become a member of a cluster.
    pub(super) fn is_free(&self) -> bool {
        let record = &self.at.record;
        record.cluster.is_none() && record.state == HostState::Unassigned
    }

    pub(super) fn is_acting(&self, now: Mono, silence: Micros) -> bool {
        self.is_alive(now, silence) && self.at.record.state == HostState::Acting
    }
}

impl State {
    /// True if the record is news.
    pub(super) fn put_host(&mut self, at: At<HostRecord>, now: Mono) -> bool {
        match self.hosts.get_mut(&at.record.host) {
            Some(host) if host.at.revision >= at.revision => false,
            Some(host) => {
                host.at = at;
                true
            }
            None => {
                let host = Host {
                    at,
                    status: None,
                    heard: now,
                    known_since: now,
                    gathered: Gathered::default(),
                };
                self.hosts.insert(host.at.record.host, host);
                true
            }
        }
    }

    /// True if the record is news.
    pub(super) fn put_cluster(&mut self, at: At<ClusterRecord>) -> bool {
        let id = at.record.cluster;
        let (queues, progress) = match self.clusters.remove(&id) {
            Some(cluster) if cluster.at.revision >= at.revision => {
                self.clusters.insert(id, cluster);
                return false;
            }
            Some(cluster) => (cluster.queues, cluster.progress),
            None => (0, String::new()),
        };
        if at.record.stage == ClusterStage::Formed {
            self.ring.set(id, WEIGHT);
        } else {
            self.ring.set(id, 0);
        }
        let cluster = Cluster {
            at,
            queues,
            progress,
        };
        self.clusters.insert(id, cluster);
        true
    }

    /// Members of the cluster that take commands, as far as is known.
    pub(super) fn acting(&self, cluster: &Cluster, now: Mono) -> usize {
        let members = cluster.at.record.members.iter();
        let hosts = members.filter_map(|member| self.hosts.get(&member.host));
        let silence = self.silence;
        hosts.filter(|host| host.is_acting(now, silence)).count()
    }

    /// True if the cluster has queues or may get some, and a majority of its hosts acts.
    pub(super) fn serves(&self, cluster: &Cluster, now: Mono) -> bool {
        let record = &cluster.at.record;
        record.stage.has_queues() && self.acting(cluster, now) > record.members.len() / 2
    }

    /// True if nobody counts on the host any more.
    pub(super) fn is_out(&self, host: &HostRecord) -> bool {
        let retired = |cluster: ClusterId| {
            let cluster = self.clusters.get(&cluster);
            cluster.is_some_and(|cluster| cluster.at.record.stage == ClusterStage::Retired)
        };
        matches!(host.state, HostState::Removed | HostState::Forgotten)
            || host.cluster.is_some_and(retired)
    }

    /// True if one of its hosts has reported to this process.
    pub(super) fn is_heard(&self, cluster: &Cluster) -> bool {
        let mut members = cluster.at.record.members.iter();
        members.any(|member| {
            let host = self.hosts.get(&member.host);
            host.is_some_and(|host| host.status.is_some())
        })
    }

    pub(super) fn cluster_facts(&self, now: Mono) -> BTreeMap<ClusterId, ClusterFacts> {
        let facts = |cluster: &Cluster| ClusterFacts {
            serving: cluster.at.record.stage == ClusterStage::Formed
                && self.serves(cluster, now)
                && self.is_heard(cluster),
            queues: cluster.queues,
        };
        self.clusters
            .iter()
            .map(|(id, cluster)| (*id, facts(cluster)))
            .collect()
    }

    pub(super) fn count_queue(&mut self, cluster: ClusterId, change: i64) {
        if let Some(cluster) = self.clusters.get_mut(&cluster) {
            cluster.queues = cluster
                .queues
                .checked_add_signed(change)
                .expect("a queue is counted once before it is gone");
        }
    }
}
