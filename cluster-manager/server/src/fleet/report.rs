//! What operators are shown.

use shoal_api::manager::{ChangeInfo, ChangeStep, ClusterInfo, ClusterState, HostInfo};
use shoal_types::{ClusterId, HostStatus, Mono, ViewSummary};

use super::Fleet;
use super::state::{Cluster, Host, State};
use crate::metric_names;
use crate::records::{ClusterStage, Step};

impl Fleet {
    /// All hosts, by id.
    pub(crate) fn host_infos(&self) -> Vec<HostInfo> {
        let now = self.clock.now().mono;
        let state = self.state();
        let hosts = state.hosts.values();
        hosts.map(|host| host_info(&state, host, now)).collect()
    }

    /// All clusters, by id.
    pub(crate) fn cluster_infos(&self) -> Vec<ClusterInfo> {
        let now = self.clock.now().mono;
        let state = self.state();
        state
            .clusters
            .values()
            .map(|cluster| cluster_info(&state, cluster, now))
            .collect()
    }

    /// One cluster.
    pub(crate) fn cluster_info(&self, cluster: ClusterId) -> Option<ClusterInfo> {
        let now = self.clock.now().mono;
        let state = self.state();
        let known = state.clusters.get(&cluster)?;
        Some(cluster_info(&state, known, now))
    }

    /// Sets the gauges.
    pub(crate) fn measure(&self) {
        let (hosts, clusters) = (self.host_infos(), self.cluster_infos());
        let alive = hosts.iter().filter(|host| host.alive).count();
        for (label, count) in [("true", alive), ("false", hosts.len() - alive)] {
            metrics::gauge!(metric_names::HOSTS, "alive" => label).set(count as f64);
        }
        for (label, state) in [
            ("forming", ClusterState::Forming),
            ("serving", ClusterState::Serving),
            ("unavailable", ClusterState::Unavailable),
            ("draining", ClusterState::Draining),
            ("retired", ClusterState::Retired),
        ] {
            let count = clusters
                .iter()
                .filter(|cluster| cluster.state == state)
                .count();
            metrics::gauge!(metric_names::CLUSTERS, "state" => label).set(count as f64);
        }
        metrics::gauge!(metric_names::QUEUES).set(self.queue_count() as f64);
    }
}

fn host_info(state: &State, host: &Host, now: Mono) -> HostInfo {
    let record = &host.at.record;
    let status = host.status.as_ref();
    let number = |number: fn(&HostStatus) -> u64| status.map_or(0, number);
    HostInfo {
        host: record.host,
        address: record.address.clone(),
        zone: record.zone.clone(),
        pool: record.pool.clone(),
        cluster: record.cluster,
        state: record.state,
        alive: host.is_alive(now, state.silence),
        heard_ms_ago: now.since(host.heard) / 1_000,
        incarnation: record.incarnation,
        view: status.map_or_else(Default::default, |status| status.view.number),
        messages: number(|status| status.messages),
        message_bytes: number(|status| status.message_bytes),
        disk_used_percent: status.map_or(0, |status| status.disk_used_percent),
        executed: status
            .map_or_else(Default::default, |status| status.executed)
            .to_string(),
        state_hash: format!("{:016x}", number(|status| status.state_hash)),
        trouble: status.and_then(|status| status.trouble.clone()),
    }
}

fn cluster_info(state: &State, cluster: &Cluster, now: Mono) -> ClusterInfo {
    let record = &cluster.at.record;
    let members = record.members.iter().map(|member| member.host);
    let statuses: Vec<&HostStatus> = members
        .clone()
        .filter_map(|host| state.hosts.get(&host)?.status.as_ref())
        .collect();
    let newest = statuses
        .iter()
        .map(|status| &status.view)
        .max_by_key(|view| view.number);
    let view = newest.cloned().unwrap_or_else(ViewSummary::default);
    ClusterInfo {
        cluster: record.cluster,
        state: match record.stage {
            ClusterStage::Forming => ClusterState::Forming,
            ClusterStage::Retired => ClusterState::Retired,
            _ if !state.serves(cluster, now) => ClusterState::Unavailable,
            ClusterStage::Formed => ClusterState::Serving,
            ClusterStage::Draining => ClusterState::Draining,
        },
        view: view.number,
        members: members.collect(),
        active: view.active,
        queues: cluster.queues,
        // Hosts may lag behind each other; the one that has executed most knows best.
        messages: statuses
            .iter()
            .map(|status| status.messages)
            .max()
            .unwrap_or(0),
        only: record.only,
        change: record.change.as_ref().map(|change| ChangeInfo {
            steps: change.steps.iter().map(step_info).collect(),
            progress: cluster.progress.clone(),
            asked_at: change.asked_at,
        }),
    }
}

fn step_info(step: &Step) -> ChangeStep {
    match step {
        Step::Add(member) => ChangeStep::Add(member.host),
        Step::Remove(host) => ChangeStep::Remove(*host),
        Step::Only(Some(host)) => ChangeStep::Only(*host),
        Step::Only(None) => ChangeStep::All,
    }
}
