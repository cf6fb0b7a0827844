//! The fleet: what it really does, and the facts that a manager would have of it.

use std::collections::{BTreeMap, BTreeSet};

use shoal_planner::facts::{
    Cluster, ClusterStage, Facts, Host, HostStage, Load, Partition, PartitionStage, Queue, Window,
    Windows,
};
use shoal_planner::limits::{LOADS_KEPT, SECOND, WINDOW};
use shoal_planner::{Decided, Ring, Rules, bound};
use shoal_types::{ClusterId, Epoch, GroupRange, HostId, PartitionId, QueueId, QueueName, Ts};

use crate::load::{self, ByRegion, Demand};
use crate::options::Options;
use crate::random::Random;

/// Zones of the fleet.
const ZONES: u64 = 4;
/// A queue that asks for more than this part of a cluster is set to `partitions: auto`. No placement
/// of whole queues could be even while one of them is much of a cluster's load.
const AUTO_ABOVE: f64 = 0.1;
/// Of each hundred queues so many are FIFO.
const FIFO_PERCENT: u64 = 20;
/// A cluster refuses what goes beyond so much of its target.
const FULL_AT: f64 = 1.3;
/// Rounds in which each cluster's busiest queues are looked for anew, besides when they change.
const LOADS_EVERY: u64 = 240;

/// Thrice as many as are reported: there are as many on each cluster, or hardly fewer.
const LOUD_PER_CLUSTER: u64 = 3 * LOADS_KEPT as u64;

pub(crate) struct World {
    pub(crate) facts: Facts,
    pub(crate) rules: Rules,
    pub(crate) ring: Ring,
    pub(crate) now: Ts,
    pub(crate) random: Random,
    /// Hosts that are dead.
    pub(crate) down: BTreeSet<HostId>,
    /// By queue, whose ids count from 1.
    demands: Vec<Demand>,
    /// What is asked of each cluster, over the day.
    asked: BTreeMap<ClusterId, ByRegion>,
    /// Clusters whose busiest queues may be others than in the facts.
    stale: BTreeSet<ClusterId>,
    /// Queues up to this rank can be among the busiest of their clusters, and those that are flooded.
    loud_ranks: u64,
    flooded: BTreeSet<QueueId>,
    rounds: u64,
    last_host: u64,
    last_cluster: u64,
    last_partition: u64,
    pub(crate) auto_queues: usize,
}

impl World {
    pub(crate) fn new(options: &Options) -> Self {
        let mut world = Self {
            facts: Facts::default(),
            rules: Rules::default(),
            ring: Ring::new(),
            now: Ts(1_000_000 * SECOND),
            random: Random::new(options.seed),
            down: BTreeSet::new(),
            demands: Vec::new(),
            asked: BTreeMap::new(),
            stale: BTreeSet::new(),
            loud_ranks: options.clusters * LOUD_PER_CLUSTER,
            flooded: BTreeSet::new(),
            rounds: 0,
            last_host: 0,
            last_cluster: 0,
            last_partition: 0,
            auto_queues: 0,
        };
        for _ in 0..options.clusters {
            world.add_cluster();
        }
        let target = world.rules.targets.operations as f64;
        let total = options.clusters as f64 * target * options.heat_percent as f64 / 100.0;
        let harmonic = load::harmonic(options.queues);
        for rank in 1..=options.queues {
            let demand = Demand::zipf(rank, total, harmonic, &mut world.random);
            world.add_queue(demand);
        }
        world
    }

    // ---- Hosts and clusters

    /// New spare hosts, one zone after the other.
    pub(crate) fn add_spares(&mut self, count: usize) -> Vec<HostId> {
        let mut added = Vec::new();
        for _ in 0..count {
            self.last_host += 1;
            let host = Host {
                zone: format!("zone-{}", self.last_host % ZONES),
                pool: String::new(),
                capacity: 1,
                heard: self.now,
                known_since: self.now,
                stage: HostStage::Spare,
            };
            self.facts.hosts.insert(HostId(self.last_host), host);
            added.push(HostId(self.last_host));
        }
        added
    }

    /// A new cluster of new hosts, at once.
    pub(crate) fn add_cluster(&mut self) -> ClusterId {
        let members = self.add_spares(self.rules.cluster_size);
        let cluster = self.form(members);
        self.serve(cluster);
        cluster
    }

    pub(crate) fn form(&mut self, members: Vec<HostId>) -> ClusterId {
        self.last_cluster += 1;
        let id = ClusterId(self.last_cluster);
        for host in &members {
            self.set_stage(*host, HostStage::Member(id));
        }
        let cluster = Cluster {
            stage: ClusterStage::Forming,
            members,
            changing: false,
            forwards_at_once: false,
            settled: self.now,
            relieved: None,
            windows: Windows::default(),
            loads: Vec::new(),
        };
        self.facts.clusters.insert(id, cluster);
        self.asked.insert(id, ByRegion::default());
        id
    }

    pub(crate) fn serve(&mut self, cluster: ClusterId) {
        self.cluster(cluster).stage = ClusterStage::Serving;
        self.ring.set(cluster, 1);
    }

    pub(crate) fn drain(&mut self, cluster: ClusterId) {
        self.cluster(cluster).stage = ClusterStage::Draining;
        self.ring.set(cluster, 0);
    }

    pub(crate) fn retire(&mut self, cluster: ClusterId) {
        let retired = self.facts.clusters.remove(&cluster);
        for host in retired.into_iter().flat_map(|cluster| cluster.members) {
            self.set_stage(host, HostStage::Spare);
        }
        self.asked.remove(&cluster);
    }

    pub(crate) fn replace(&mut self, cluster: ClusterId, dead: HostId, by: HostId) {
        self.set_stage(dead, HostStage::Out);
        let cluster = self.cluster(cluster);
        cluster.members.retain(|member| *member != dead);
        cluster.members.push(by);
        cluster.changing = false;
    }

    pub(crate) fn set_stage(&mut self, host: HostId, stage: HostStage) {
        self.facts.hosts.get_mut(&host).expect("a known host").stage = stage;
    }

    pub(crate) fn cluster(&mut self, cluster: ClusterId) -> &mut Cluster {
        self.facts
            .clusters
            .get_mut(&cluster)
            .expect("a known cluster")
    }

    /// True if a majority of its hosts is up.
    pub(crate) fn is_up(&self, cluster: &Cluster) -> bool {
        let up = cluster
            .members
            .iter()
            .filter(|host| !self.down.contains(host))
            .count();
        up > cluster.members.len() / 2
    }

    // ---- Queues

    pub(crate) fn new_partition(&mut self) -> PartitionId {
        self.last_partition += 1;
        PartitionId(self.last_partition)
    }

    fn add_queue(&mut self, demand: Demand) {
        let id = QueueId(self.demands.len() as u64 + 1);
        let fifo = self.random.below(100) < FIFO_PERCENT;
        let auto = demand.operations > AUTO_ABOVE * self.rules.targets.operations as f64;
        self.auto_queues += usize::from(auto);
        let partition = Partition {
            partition: self.new_partition(),
            epoch: Epoch(0),
            cluster: self.first_choice(id),
            stage: PartitionStage::Active,
            groups: GroupRange::ALL,
            since: self.now,
        };
        let queue = Queue {
            queue: id,
            fifo: fifo && !auto,
            auto,
            resized: Ts::ZERO,
            partitions: vec![partition],
        };
        self.demands.push(demand);
        self.facts.queues.put(queue);
        self.count(id, 1.0);
    }

    /// As [`shoal_planner::place`] decides, without adding up all clusters for each of a million queues.
    fn first_choice(&self, queue: QueueId) -> ClusterId {
        let name: QueueName = format!("queue-{}", queue.0).parse().expect("a name");
        let total = self.facts.queues.len() as u64;
        let bound = bound(total, 1, self.facts.clusters.len() as u64);
        let mut preference = self.ring.preference(&name);
        let below =
            preference.find(|cluster| (self.facts.queues.count_on(*cluster) as u64) < bound);
        below.expect("one of them is below its bound")
    }

    pub(crate) fn demand(&self, queue: QueueId) -> Demand {
        self.demands[queue.0 as usize - 1]
    }

    /// Changes what is known of a queue, and what is asked of clusters with it.
    pub(crate) fn with_queue<T>(
        &mut self,
        queue: QueueId,
        change: impl FnOnce(&mut Self) -> T,
    ) -> T {
        self.count(queue, -1.0);
        let result = change(self);
        self.count(queue, 1.0);
        result
    }

    pub(crate) fn flood(&mut self, queue: QueueId, more: f64) {
        self.flooded.insert(queue);
        self.with_queue(queue, |world| {
            world.demands[queue.0 as usize - 1].operations += more
        });
    }

    /// Notes in the facts that a change of a queue begins. False if it does not fit them.
    pub(crate) fn begin(&mut self, decided: &Decided) -> bool {
        let last = &mut self.last_partition;
        self.facts.begin(decided, self.now, || {
            *last += 1;
            PartitionId(*last)
        })
    }

    fn count(&mut self, queue: QueueId, sign: f64) {
        let demand = self.demand(queue);
        let Some(queue) = self.facts.queues.get(queue) else {
            return;
        };
        for partition in queue.active() {
            if let Some(asked) = self.asked.get_mut(&partition.cluster) {
                asked[demand.region] += sign * demand.operations * share(partition.groups);
            }
            self.stale.insert(partition.cluster);
        }
    }

    // ---- Measuring

    /// What is asked of a cluster now, over what it is to bear.
    pub(crate) fn heat(&self, cluster: ClusterId) -> f64 {
        self.heat_in(cluster, &load::day(self.seconds()))
    }

    fn heat_in(&self, cluster: ClusterId, day: &ByRegion) -> f64 {
        let asked = self
            .asked
            .get(&cluster)
            .map_or(0.0, |asked| load::at(day, asked));
        asked / self.rules.targets.operations as f64
    }

    fn seconds(&self) -> f64 {
        (self.now.0 / SECOND % 86_400) as f64
    }

    /// The heats of all clusters that serve.
    pub(crate) fn heats(&self) -> Vec<f64> {
        let day = load::day(self.seconds());
        let serving = self.facts.clusters.iter();
        let serving = serving.filter(|(_, cluster)| cluster.stage == ClusterStage::Serving);
        serving.map(|(id, _)| self.heat_in(*id, &day)).collect()
    }

    /// One window passes, and everybody who is alive reports.
    pub(crate) fn pass_a_window(&mut self) {
        let began = self.now;
        self.now = self.now.after(WINDOW);
        self.rounds += 1;
        for (id, host) in &mut self.facts.hosts {
            if !self.down.contains(id) {
                host.heard = self.now;
            }
        }
        let day = load::day(self.seconds());
        let ids: Vec<ClusterId> = self.facts.clusters.keys().copied().collect();
        for id in ids {
            let due = id.0 % LOADS_EVERY == self.rounds % LOADS_EVERY;
            if self.stale.remove(&id) || due {
                self.cluster(id).loads = self.busiest(id, &day);
            }
            let facts = &self.facts.clusters[&id];
            if facts.stage == ClusterStage::Forming || !self.is_up(facts) {
                continue;
            }
            let asked = self.heat_in(id, &day) * self.random.within(0.97, 1.03);
            let window = self.window(began, asked);
            self.cluster(id).windows.push(window);
        }
    }

    fn window(&self, began: Ts, asked: f64) -> Window {
        let target = self.rules.targets.operations as f64;
        let served = asked.min(FULL_AT);
        Window {
            began,
            operations: (served * target) as u64,
            bytes: (served * target * 896.0) as u64,
            cpu_percent: (served * 70.0) as u32,
            commit: (5_000.0 * (1.0 + 4.0 * served * served)) as u64,
            refusals: ((asked - served) * target) as u64,
            backlog: 10_000,
            disk_percent: 30,
        }
    }

    fn busiest(&self, cluster: ClusterId, day: &ByRegion) -> Vec<Load> {
        // A full cluster serves everybody less.
        let served = (FULL_AT / self.heat_in(cluster, day)).min(1.0);
        let mut loads = Vec::new();
        let loud = |queue: &QueueId| queue.0 <= self.loud_ranks || self.flooded.contains(queue);
        for (partition, queue) in self
            .facts
            .queues
            .on(cluster)
            .filter(|(_, queue)| loud(queue))
        {
            let queue = self.facts.queues.get(queue).expect("a queue");
            let mut active = queue.active();
            if let Some(active) = active.find(|active| active.partition == partition) {
                let demand = self.demand(queue.queue);
                let of_queue = demand.operations * share(active.groups);
                let each = of_queue * day[demand.region] * served;
                let load = Load {
                    queue: queue.queue,
                    partition,
                    operations: each as u64,
                    bytes: (each * demand.message_bytes) as u64,
                };
                loads.push(load);
            }
        }
        if loads.len() > LOADS_KEPT {
            loads.select_nth_unstable_by_key(LOADS_KEPT, |load| {
                (std::cmp::Reverse(load.operations), load.partition)
            });
            loads.truncate(LOADS_KEPT);
        }
        loads
    }
}

/// What comes of a queue to a partition with these groups: they are many and alike.
fn share(groups: GroupRange) -> f64 {
    (f64::from(groups.last) - f64::from(groups.first) + 1.0) / 2.0_f64.powi(32)
}
