//! What operators are shown.

use std::collections::HashSet;

use shoal_api::manager::{ChangeInfo, ChangeStep, ClusterInfo, ClusterState, HostInfo};
use shoal_types::{ClusterId, HostId, HostStatus, Mono, ViewSummary};

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
        let silent: HashSet<HostId> = hosts
            .iter()
            .filter(|host| !host.alive)
            .map(|host| host.host)
            .collect();
        let members = clusters
            .iter()
            .map(|cluster| (cluster.state, cluster.members.as_slice()));
        let missed = missed(&silent, members);
        for (label, count) in [("true", hosts.len() - silent.len()), ("false", missed)] {
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

/// How many silent hosts are members of clusters that need them. Hosts that were removed, that went with their
/// cluster or never had one are known for good, and nobody misses them.
fn missed<'a>(
    silent: &HashSet<HostId>,
    clusters: impl Iterator<Item = (ClusterState, &'a [HostId])>,
) -> usize {
    clusters
        .filter(|(state, _)| *state != ClusterState::Retired)
        .flat_map(|(_, members)| members)
        .filter(|member| silent.contains(member))
        .count()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Story: whoever had replaced a dead host was told for good that one is not alive.
    #[test]
    fn only_members_that_are_needed_are_missed() {
        let [up, dead, retired, replaced] = [1, 2, 3, 4].map(HostId);
        let silent = HashSet::from([dead, retired, replaced]);
        let members: [(_, &[HostId]); 2] = [
            (ClusterState::Serving, &[up, dead]),
            (ClusterState::Retired, &[retired]),
        ];
        assert_eq!(missed(&silent, members.into_iter()), 1);
        let members: [(_, &[HostId]); 1] = [(ClusterState::Unavailable, &[dead, retired])];
        assert_eq!(missed(&silent, members.into_iter()), 2);
    }
}
