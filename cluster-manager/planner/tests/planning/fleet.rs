//! A small fleet for tests: facts that can be told in a line, and a load that follows the plans.

use std::collections::BTreeMap;

use shoal_planner::facts::{
    Cluster, ClusterStage, Facts, Host, HostStage, Load, Partition, PartitionStage, Queue, Window,
    Windows,
};
use shoal_planner::limits::{LOADS_KEPT, SECOND, WINDOW, WINDOWS_KEPT};
use shoal_planner::{Action, Plan, Rules, plan};
use shoal_types::{ClusterId, Epoch, GroupRange, HostId, PartitionId, QueueId, Ts};

#[derive(Clone, Debug)]
pub(crate) struct Fleet {
    pub(crate) facts: Facts,
    pub(crate) rules: Rules,
    pub(crate) now: Ts,
    /// What is asked of each queue, in percent of what a cluster is to bear.
    pub(crate) percent: BTreeMap<QueueId, u64>,
    partitions: u64,
}

impl Fleet {
    /// Clusters c1, c2, … of three hosts in three zones; their hosts count on: h1 h2 h3 are c1's.
    pub(crate) fn of(clusters: u64) -> Self {
        let mut fleet = Self {
            facts: Facts::default(),
            rules: Rules::default(),
            now: Ts(1_000_000 * SECOND),
            percent: BTreeMap::new(),
            partitions: 0,
        };
        for id in 1..=clusters {
            fleet.add_cluster(id);
        }
        fleet
    }

    pub(crate) fn add_cluster(&mut self, id: u64) {
        let members: Vec<HostId> = (1..=3).map(|n| HostId((id - 1) * 3 + n)).collect();
        for (host, zone) in members.iter().zip(["a", "b", "c"]) {
            self.add_host(host.0, zone, HostStage::Member(ClusterId(id)));
        }
        let cluster = Cluster {
            stage: ClusterStage::Serving,
            members,
            changing: false,
            forwards_at_once: false,
            settled: Ts::ZERO,
            relieved: None,
            windows: Windows::default(),
            loads: Vec::new(),
        };
        self.facts.clusters.insert(ClusterId(id), cluster);
    }

    pub(crate) fn add_host(&mut self, id: u64, zone: &str, stage: HostStage) {
        let host = Host {
            zone: zone.to_owned(),
            pool: String::new(),
            capacity: 1,
            heard: self.now,
            known_since: Ts::ZERO,
            stage,
        };
        self.facts.hosts.insert(HostId(id), host);
    }

    pub(crate) fn add_spares(&mut self, zones: &str) {
        for (id, zone) in (900..).zip(zones.chars()) {
            self.add_host(id, &zone.to_string(), HostStage::Spare);
        }
    }

    /// Has these hosts be of a pool.
    pub(crate) fn in_pool(&mut self, pool: &str, hosts: impl IntoIterator<Item = u64>) {
        for id in hosts {
            let host = self.facts.hosts.get_mut(&HostId(id)).unwrap();
            pool.clone_into(&mut host.pool);
        }
    }

    /// A queue with one partition, which does so many percent of what a cluster is to bear.
    pub(crate) fn queue(&mut self, id: u64, cluster: u64, percent: u64) {
        self.queue_that(id, cluster, percent, false, false);
    }

    pub(crate) fn queue_that(
        &mut self,
        id: u64,
        cluster: u64,
        percent: u64,
        fifo: bool,
        auto: bool,
    ) {
        self.partitions += 1;
        let partition = Partition {
            partition: PartitionId(self.partitions),
            epoch: Epoch(0),
            cluster: ClusterId(cluster),
            stage: PartitionStage::Active,
            groups: GroupRange::ALL,
            since: Ts::ZERO,
        };
        self.percent.insert(QueueId(id), percent);
        let queue = QueueId(id);
        let resized = Ts::ZERO;
        self.facts.queues.put(Queue {
            queue,
            fifo,
            auto,
            resized,
            partitions: vec![partition],
        });
    }

    /// Has a queue that was in one piece be in several, of equal parts of its groups, one on each of these
    /// clusters.
    pub(crate) fn spread(&mut self, id: u64, clusters: &[u64]) {
        let mut queue = self.queue_facts(id).clone();
        let first = queue.partitions[0];
        let parts = first.groups.split(clusters.len());
        let spread = clusters.iter().zip(parts).map(|(cluster, groups)| {
            self.partitions += 1;
            Partition {
                partition: PartitionId(self.partitions),
                epoch: Epoch(queue.epoch().0 + 1),
                cluster: ClusterId(*cluster),
                groups,
                ..first
            }
        });
        queue.partitions = spread.collect();
        self.facts.queues.put(queue);
    }

    pub(crate) fn cluster(&mut self, id: u64) -> &mut Cluster {
        self.facts.clusters.get_mut(&ClusterId(id)).unwrap()
    }

    pub(crate) fn queue_facts(&self, id: u64) -> &Queue {
        self.facts.queues.get(QueueId(id)).unwrap()
    }

    /// What its queues ask of a cluster, in percent.
    pub(crate) fn asked(&self, cluster: ClusterId) -> u64 {
        self.operations(cluster) * 100 / self.rules.targets.operations
    }

    /// What its queues ask of a cluster, a second.
    pub(crate) fn operations(&self, cluster: ClusterId) -> u64 {
        self.loads(cluster).iter().map(|load| load.operations).sum()
    }

    fn loads(&self, cluster: ClusterId) -> Vec<Load> {
        let mut loads = Vec::new();
        for (partition, id) in self.facts.queues.on(cluster) {
            let queue = self.facts.queues.get(id).unwrap();
            let mut active = queue.active();
            if let Some(active) = active.find(|active| active.partition == partition) {
                let asked = self.percent[&id] * self.rules.targets.operations / 100;
                // Groups are many and alike.
                let hashes = u64::from(active.groups.last - active.groups.first) + 1;
                let operations = (asked * hashes) >> 32;
                loads.push(Load {
                    queue: id,
                    partition,
                    operations,
                    bytes: operations,
                });
            }
        }
        loads
    }

    /// Time passes, and everybody who is not silent reports.
    pub(crate) fn pass(&mut self, windows: usize) {
        let silence = self.rules.silence;
        for _ in 0..windows {
            let (began, alive_at) = (self.now, self.now);
            self.now = self.now.after(WINDOW);
            for host in self.facts.hosts.values_mut() {
                if alive_at.since(host.heard) <= silence {
                    host.heard = self.now;
                }
            }
            for id in self.facts.clusters.keys().copied().collect::<Vec<_>>() {
                let mut loads = self.loads(id);
                let operations = loads.iter().map(|load| load.operations).sum();
                loads.sort_by_key(|load| std::cmp::Reverse(load.operations));
                loads.truncate(LOADS_KEPT);
                let cluster = self.facts.clusters.get_mut(&id).unwrap();
                cluster.windows.push(Window {
                    began,
                    operations,
                    bytes: operations,
                    ..Window::default()
                });
                cluster.loads = loads;
            }
        }
    }

    /// A host falls silent.
    pub(crate) fn dies(&mut self, host: u64) {
        self.facts.hosts.get_mut(&HostId(host)).unwrap().heard = Ts(self.now.0 - 5 * SECOND);
    }

    pub(crate) fn plan(&self) -> Plan {
        plan(&self.facts, &self.rules, self.now)
    }

    /// The plan after enough windows to judge everything by.
    pub(crate) fn settled_plan(&mut self) -> Plan {
        self.pass(WINDOWS_KEPT);
        self.plan()
    }

    /// Begins everything in a plan that is about queues.
    pub(crate) fn begin(&mut self, plan: &Plan) -> Vec<PartitionId> {
        let mut begun = Vec::new();
        for decided in &plan.actions {
            let (Action::Move { partition, .. }
            | Action::Split { partition, .. }
            | Action::Merge { partition, .. }) = decided.action
            else {
                continue;
            };
            let last = &mut self.partitions;
            let fits = self.facts.begin(decided, self.now, || {
                *last += 1;
                PartitionId(*last)
            });
            assert!(fits, "{decided}");
            begun.push(partition);
        }
        begun
    }

    /// The change of a partition comes to its end.
    pub(crate) fn ends(&mut self, partition: PartitionId) {
        self.facts.opened(partition, self.now);
        for sealed in self.facts.changes[&partition].seals.clone() {
            self.facts.drained(sealed);
        }
    }

    /// Carries out everything in a plan that is about queues, at once and to the end.
    pub(crate) fn carry_out(&mut self, plan: &Plan) {
        for partition in self.begin(plan) {
            self.ends(partition);
        }
        for decided in &plan.actions {
            if let Action::Retire { cluster } = decided.action {
                self.facts.clusters.remove(&cluster);
            }
        }
    }
}

/// The plan's actions as a person reads them, without reasons.
pub(crate) fn actions(plan: &Plan) -> Vec<String> {
    plan.actions
        .iter()
        .map(|decided| decided.action.to_string())
        .collect()
}

/// Why nothing is done for the overheated clusters.
pub(crate) fn not_helped(plan: &Plan) -> Vec<String> {
    plan.not_helped.iter().map(ToString::to_string).collect()
}

/// What stays on the clusters that are drained, and why.
pub(crate) fn not_emptied(plan: &Plan) -> Vec<String> {
    plan.not_emptied.iter().map(ToString::to_string).collect()
}
