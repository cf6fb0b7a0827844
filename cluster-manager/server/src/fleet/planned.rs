//! What the planner is told of hosts and clusters.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use shoal_planner::facts::{self, Facts, HostStage, Load, Window, Windows};
use shoal_planner::limits::LOADS_KEPT;
use shoal_types::{ClusterId, HostId, HostState, Now, PartitionId, PartitionLoad, Ts};

use super::Fleet;
use super::state::{Cluster, Host, State};
use super::window::HostWindow;
use crate::records::ClusterStage;

impl Fleet {
    /// Brings hosts and clusters of the facts up to date, and ends the window that `began` then.
    pub(crate) fn tell(&self, facts: &mut Facts, began: Ts) {
        let now = self.clock.now();
        let mut state = self.state();
        let windows: BTreeMap<HostId, HostWindow> = state
            .hosts
            .iter_mut()
            .filter_map(|(id, host)| Some((*id, host.gathered.close()?)))
            .collect();
        let hosts = state.hosts.iter();
        facts.hosts = hosts
            .map(|(id, host)| (*id, host_facts(&state, host, now)))
            .collect();
        facts
            .clusters
            .retain(|id, _| state.clusters.contains_key(id));
        for (&id, cluster) in &state.clusters {
            let Some(stage) = stage(cluster) else {
                facts.clusters.remove(&id);
                continue;
            };
            let known = facts
                .clusters
                .entry(id)
                .or_insert_with(|| new_cluster(stage, now.wall));
            known.stage = stage;
            known.forwards_at_once = cluster.at.record.forward;
            known.members = members(cluster);
            known.changing = cluster.at.record.change.is_some();
            let measured = measured(&state, &known.members, &windows, began);
            if let Some((window, by_partition)) = measured {
                known.windows.push(window);
                known.loads = loads(id, by_partition, &facts.queues);
            }
        }
    }
}

fn host_facts(state: &State, host: &Host, now: Now) -> facts::Host {
    let ago = |at| Ts(now.wall.0.saturating_sub(now.mono.since(at)));
    let status = host.status.as_ref();
    facts::Host {
        zone: host.at.record.zone.clone(),
        pool: host.at.record.pool.clone(),
        capacity: status.map_or(1, |status| status.load.capacity),
        heard: ago(host.heard),
        known_since: ago(host.known_since),
        stage: host_stage(state, host),
    }
}

fn host_stage(state: &State, host: &Host) -> HostStage {
    let record = &host.at.record;
    let retired = |cluster: ClusterId| {
        let cluster = state.clusters.get(&cluster);
        cluster.is_some_and(|cluster| cluster.at.record.stage == ClusterStage::Retired)
    };
    match record.cluster {
        _ if matches!(record.state, HostState::Removed | HostState::Forgotten) => HostStage::Out,
        Some(cluster) if retired(cluster) => HostStage::Out,
        Some(cluster) => HostStage::Member(cluster),
        None if host.is_free() => HostStage::Spare,
        None => HostStage::Out,
    }
}

/// `None` if the planner has nothing to do with it any more.
fn stage(cluster: &Cluster) -> Option<facts::ClusterStage> {
    match cluster.at.record.stage {
        ClusterStage::Forming => Some(facts::ClusterStage::Forming),
        ClusterStage::Formed => Some(facts::ClusterStage::Serving),
        ClusterStage::Draining => Some(facts::ClusterStage::Draining),
        ClusterStage::Retired => None,
    }
}

fn new_cluster(stage: facts::ClusterStage, now: Ts) -> facts::Cluster {
    facts::Cluster {
        stage,
        members: Vec::new(),
        changing: false,
        forwards_at_once: false,
        settled: now,
        relieved: None,
        windows: Windows::default(),
        loads: Vec::new(),
    }
}

fn members(cluster: &Cluster) -> Vec<HostId> {
    let members = cluster.at.record.members.iter();
    members.map(|member| member.host).collect()
}

/// What the members did together: sums of what each did as a coordinator, and the largest of what all
/// bear alike. `None` if none of them reported.
fn measured(
    state: &State,
    members: &[HostId],
    windows: &BTreeMap<HostId, HostWindow>,
    began: Ts,
) -> Option<(Window, BTreeMap<PartitionId, PartitionLoad>)> {
    let mut all = Window {
        began,
        ..Window::default()
    };
    let mut by_partition: BTreeMap<PartitionId, PartitionLoad> = BTreeMap::new();
    let mut reported = false;
    for host in members {
        let Some(window) = windows.get(host) else {
            continue;
        };
        reported = true;
        all.operations = all.operations.saturating_add(window.operations);
        all.bytes = all.bytes.saturating_add(window.bytes);
        all.refusals = all.refusals.saturating_add(window.refusals);
        all.cpu_percent = all.cpu_percent.max(window.cpu_percent as u32);
        all.commit = all.commit.max(window.commit);
        for load in &window.partitions {
            let known = by_partition.entry(load.partition).or_default();
            known.operations = known.operations.saturating_add(load.operations);
            known.bytes = known.bytes.saturating_add(load.bytes);
        }
        let status = state.hosts.get(host).and_then(|host| host.status.as_ref());
        if let Some(status) = status {
            all.backlog = all.backlog.max(status.messages);
            all.disk_percent = all.disk_percent.max(status.disk_used_percent.into());
        }
    }
    reported.then_some((all, by_partition))
}

/// The busiest of them, with their queues. What belongs to no queue is gone by now.
fn loads(
    cluster: ClusterId,
    by_partition: BTreeMap<PartitionId, PartitionLoad>,
    queues: &facts::Queues,
) -> Vec<Load> {
    let load = |(partition, load): (PartitionId, PartitionLoad)| {
        Some(Load {
            queue: queues.of(cluster, partition)?,
            partition,
            operations: load.operations,
            bytes: load.bytes,
        })
    };
    let mut loads: Vec<Load> = by_partition.into_iter().filter_map(load).collect();
    let all = loads.iter().fold((1, 1), |(operations, bytes), load| {
        (
            operations + u128::from(load.operations),
            bytes + u128::from(load.bytes),
        )
    });
    let share = |load: &Load| {
        let of_operations = u128::from(load.operations).saturating_mul(all.1);
        of_operations.max(u128::from(load.bytes).saturating_mul(all.0))
    };
    loads.sort_by_key(|load| (Reverse(share(load)), load.partition));
    loads.truncate(LOADS_KEPT);
    loads
}
