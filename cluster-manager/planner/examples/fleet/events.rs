//! What happens to the fleet in its eventful hours, and how long it takes to get over it.

use std::collections::BTreeMap;

use shoal_planner::limits::SECOND;
use shoal_types::{ClusterId, HostId, QueueId, Ts};

use crate::world::World;

/// Between floods.
const FLOOD_EVERY: u64 = 15 * MINUTE;
const FLOOD_LASTS: u64 = 60 * MINUTE;
/// What a flood adds, in parts of what a cluster is to bear. A queue that may be split gets more than any
/// cluster can take.
const FLOOD_AUTO: f64 = 2.5;
const FLOOD_WHOLE: f64 = 0.5;
/// Between deaths of single hosts. They never come back.
const HOST_DIES_EVERY: u64 = 30 * MINUTE;
const CLUSTER_LOST_FOR: u64 = 30 * MINUTE;
const MINUTE: u64 = 60 * SECOND;

/// Things that happen, and those that are watched.
pub(crate) struct Events {
    began: Ts,
    due: BTreeMap<(u64, u64), Event>,
    pub(crate) floods: Vec<Flood>,
    /// Hosts that died, with their clusters.
    died: Vec<(HostId, ClusterId)>,
    pub(crate) grown: Option<Watch>,
    pub(crate) drained: Option<Watch>,
}

enum Event {
    Flood { auto: bool },
    FloodEnds { queue: QueueId, less: f64 },
    HostDies,
    ClusterIsLost,
    Return(Vec<HostId>),
    Grow,
    Drain,
}

/// A flooded queue.
pub(crate) struct Flood {
    queue: QueueId,
    pub(crate) auto: bool,
    began: Ts,
    /// Where it was then.
    cluster: ClusterId,
    /// Until that cluster, and all that took some of it, had no more than they are to bear.
    pub(crate) over_after_s: Option<u64>,
}

/// Clusters on their way to something.
pub(crate) struct Watch {
    pub(crate) clusters: Vec<ClusterId>,
    began: Ts,
    pub(crate) done_after_s: Option<u64>,
}

impl Events {
    /// What happens within so many hours from now.
    pub(crate) fn new(world: &World, hours: f64) -> Self {
        let end = (hours * 3_600.0) as u64 * SECOND;
        let mut due = BTreeMap::new();
        let mut number = 0;
        let mut add = |at: u64, event: Event| {
            number += 1;
            due.insert((at, number), event);
        };
        for (n, at) in (FLOOD_EVERY..end.saturating_sub(FLOOD_LASTS))
            .step_by(FLOOD_EVERY as usize)
            .enumerate()
        {
            add(at, Event::Flood { auto: n % 2 == 0 });
        }
        for at in (10 * MINUTE..end).step_by(HOST_DIES_EVERY as usize) {
            add(at, Event::HostDies);
        }
        add(end / 8, Event::ClusterIsLost);
        add(end / 4, Event::Grow);
        add(end / 2, Event::Drain);
        Self {
            began: world.now,
            due,
            floods: Vec::new(),
            died: Vec::new(),
            grown: None,
            drained: None,
        }
    }

    /// Lets happen what is due by now, and looks at what is watched.
    pub(crate) fn go_on(&mut self, world: &mut World) {
        let elapsed = world.now.since(self.began);
        while let Some(first) = self.due.first_entry() {
            if first.key().0 > elapsed {
                break;
            }
            let event = first.remove();
            self.happens(world, elapsed, event);
        }
        self.look(world);
    }

    fn happens(&mut self, world: &mut World, elapsed: u64, event: Event) {
        let mut later = |wait: u64, event: Event| {
            let number = self.due.len() as u64;
            self.due.insert((elapsed + wait, u64::MAX - number), event);
        };
        match event {
            Event::Flood { auto } => {
                let (queue, cluster) = any_small_queue(world, auto);
                let heat = if auto { FLOOD_AUTO } else { FLOOD_WHOLE };
                let more = heat * world.rules.targets.operations as f64;
                world.flood(queue, more);
                later(FLOOD_LASTS, Event::FloodEnds { queue, less: more });
                let began = world.now;
                self.floods.push(Flood {
                    queue,
                    auto,
                    began,
                    cluster,
                    over_after_s: None,
                });
            }
            Event::FloodEnds { queue, less } => world.flood(queue, -less),
            Event::HostDies => {
                let cluster = any_whole_cluster(world);
                let host = world.facts.clusters[&cluster].members[0];
                world.down.insert(host);
                self.died.push((host, cluster));
            }
            Event::ClusterIsLost => {
                let cluster = any_whole_cluster(world);
                let hosts = world.facts.clusters[&cluster].members.clone();
                world.down.extend(&hosts);
                later(CLUSTER_LOST_FOR, Event::Return(hosts));
            }
            Event::Return(hosts) => world.down.retain(|host| !hosts.contains(host)),
            Event::Grow => {
                let count = (world.facts.clusters.len() / 100).max(1);
                let clusters = (0..count).map(|_| world.add_cluster()).collect();
                self.grown = Some(Watch {
                    clusters,
                    began: world.now,
                    done_after_s: None,
                });
            }
            Event::Drain => {
                let cluster = any_whole_cluster(world);
                world.drain(cluster);
                self.drained = Some(Watch {
                    clusters: vec![cluster],
                    began: world.now,
                    done_after_s: None,
                });
            }
        }
    }

    fn look(&mut self, world: &World) {
        let seconds = |began: Ts| world.now.since(began) / SECOND;
        for flood in self
            .floods
            .iter_mut()
            .filter(|flood| flood.over_after_s.is_none())
        {
            let queue = world.facts.queues.get(flood.queue).expect("a queue");
            let mut clusters = queue
                .active()
                .map(|partition| partition.cluster)
                .chain([flood.cluster]);
            if clusters.all(|cluster| world.heat(cluster) <= 1.0) {
                flood.over_after_s = Some(seconds(flood.began));
            }
        }
        let heats = world.heats();
        let mean = heats.iter().sum::<f64>() / heats.len() as f64;
        let share = |cluster: &ClusterId| world.heat(*cluster) >= 0.8 * mean;
        if let Some(grown) = &mut self.grown
            && grown.done_after_s.is_none()
            && grown.clusters.iter().all(share)
        {
            grown.done_after_s = Some(seconds(grown.began));
        }
        let gone = |cluster: &ClusterId| !world.facts.clusters.contains_key(cluster);
        if let Some(drained) = &mut self.drained
            && drained.done_after_s.is_none()
            && drained.clusters.iter().all(gone)
        {
            drained.done_after_s = Some(seconds(drained.began));
        }
    }

    /// How many hosts died, and in how many clusters another one took the place.
    pub(crate) fn replaced(&self, world: &World) -> (usize, usize) {
        let gone = |(host, cluster): &&(HostId, ClusterId)| {
            let cluster = world.facts.clusters.get(cluster);
            cluster.is_none_or(|cluster| !cluster.members.contains(host))
        };
        (self.died.len(), self.died.iter().filter(gone).count())
    }
}

fn any_whole_cluster(world: &mut World) -> ClusterId {
    let whole = world.facts.clusters.iter().filter(|(_, cluster)| {
        cluster.stage == shoal_planner::facts::ClusterStage::Serving
            && cluster
                .members
                .iter()
                .all(|host| !world.down.contains(host))
    });
    let whole: Vec<ClusterId> = whole.map(|(id, _)| *id).collect();
    whole[world.random.below(whole.len() as u64) as usize]
}

/// A queue in one piece that does little, and where it is.
fn any_small_queue(world: &mut World, auto: bool) -> (QueueId, ClusterId) {
    loop {
        let queue = QueueId(1 + world.random.below(world.facts.queues.len() as u64));
        let known = world.facts.queues.get(queue).expect("ids count from 1");
        let small = world.demand(queue).operations < 0.05 * world.rules.targets.operations as f64;
        if small && !known.auto && known.partitions.len() == 1 {
            let cluster = known.partitions[0].cluster;
            if auto {
                let known = shoal_planner::facts::Queue {
                    auto: true,
                    fifo: false,
                    ..known.clone()
                };
                world.facts.queues.put(known);
            }
            return (queue, cluster);
        }
    }
}
