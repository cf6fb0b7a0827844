//! One round of planning: what is known of every cluster, who can still take something, and the plan so
//! far. The steps of a round are modules of their own.

use std::collections::{BTreeMap, BTreeSet};

use shoal_types::{ClusterId, HostId, PartitionId, QueueId, Ts};

use crate::facts::{Cluster, ClusterStage, Facts, Forwarding, Load, Queue};
use crate::heat::{Measure, Rate, Reading, lasting};
use crate::limits::{
    ACTIONS_MAX, COOL, DRAINING_MAX, FORWARDS_MAX, IN_FLIGHT_MAX, RECEIVER_MAX, RECEIVERS_TRIED,
};
use crate::{Action, Decided, Heat, Plan, Reason, Rules};

/// The state of a round.
pub(crate) struct Round<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) rules: &'a Rules,
    pub(crate) now: Ts,
    /// Of all clusters that serve, by weight.
    pub(crate) mean: Heat,
    /// Every cluster that serves or is drained, and has a majority.
    pub(crate) able: BTreeMap<ClusterId, Able<'a>>,
    /// Those that can be given something, coolest first.
    receivers: BTreeSet<(Heat, ClusterId)>,
    /// The largest weight.
    heaviest: u32,
    /// Queues about which something is decided in this round.
    pub(crate) decided: BTreeSet<QueueId>,
    /// Spares that are taken in this round.
    pub(crate) taken: BTreeSet<HostId>,
    /// Sealed partitions that are forwarded from this round on.
    pub(crate) forwarded: BTreeSet<PartitionId>,
    pub(crate) plan: Plan,
    in_flight: usize,
    /// Of those that are in flight.
    forwards: usize,
    /// Sealed partitions that wait for consumers.
    draining: usize,
}

/// A cluster from which partitions can be moved.
pub(crate) struct Able<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) weight: u32,
    /// Since load last came or went; `None` while too little was measured since.
    pub(crate) settled: Option<Reading>,
    /// Whenever it was measured.
    pub(crate) any: Option<Reading>,
    /// Takes part in something that has not settled, or that is decided in this round.
    pub(crate) busy: bool,
}

/// A partition that could be moved away.
#[derive(Clone, Copy)]
pub(crate) struct Candidate {
    pub(crate) load: Load,
    /// The heat of its cluster that comes from it.
    pub(crate) carries: Heat,
    /// The heat that it would bring to a cluster of weight 1.
    pub(crate) brings: Heat,
}

/// A cluster that can take something.
#[derive(Clone, Copy)]
pub(crate) struct Receiver {
    pub(crate) cluster: ClusterId,
    /// Its heat at present.
    pub(crate) before: Heat,
    /// Its heat with what it takes.
    pub(crate) after: Heat,
}

impl<'a> Round<'a> {
    pub(crate) fn new(facts: &'a Facts, rules: &'a Rules, now: Ts) -> Self {
        let unsettled = facts.changes.values().filter(|change| change.unsettles());
        let busy: BTreeSet<ClusterId> = unsettled
            .flat_map(|change| change.to.iter().chain([&change.from]).copied())
            .collect();
        let mut able = BTreeMap::new();
        let mut receivers = BTreeSet::new();
        for (&id, cluster) in &facts.clusters {
            let works = cluster.stage != ClusterStage::Forming
                && facts.has_majority(cluster, rules.silence, now);
            if !works {
                continue;
            }
            let weight = facts.weight(cluster);
            let settled = lasting(&cluster.windows, cluster.settled, &rules.targets, weight);
            let any = lasting(&cluster.windows, Ts::ZERO, &rules.targets, weight);
            let busy = busy.contains(&id);
            if let Some(reading) = settled
                && !busy
                && cluster.stage == ClusterStage::Serving
            {
                receivers.insert((reading.heat, id));
            }
            able.insert(
                id,
                Able {
                    cluster,
                    weight,
                    settled,
                    any,
                    busy,
                },
            );
        }
        let draining = facts.changes.values().filter(|change| change.drains());
        let draining = draining.count();
        let forwards = facts.changes.values();
        let forwards = forwards.filter(|change| change.forwarding == Forwarding::UnderWay);
        let mean = mean(&able);
        let heaviest = able
            .values()
            .map(|able: &Able| able.weight)
            .max()
            .unwrap_or(1);
        Self {
            facts,
            rules,
            now,
            mean,
            able,
            receivers,
            heaviest,
            decided: BTreeSet::new(),
            taken: BTreeSet::new(),
            forwarded: BTreeSet::new(),
            plan: Plan::default(),
            in_flight: facts.changes.len() - draining + facts.clearing,
            forwards: forwards.count(),
            draining,
        }
    }

    /// True if more may be decided about queues.
    pub(crate) fn has_room(&self) -> bool {
        self.plan.actions.len() < ACTIONS_MAX
            && self.in_flight < IN_FLIGHT_MAX
            && !self.waits_for_consumers()
    }

    /// True if as many sealed partitions wait for consumers as may.
    pub(crate) fn waits_for_consumers(&self) -> bool {
        self.draining >= DRAINING_MAX
    }

    /// True if one more sealed partition may be forwarded.
    pub(crate) fn may_forward(&self) -> bool {
        self.plan.actions.len() < ACTIONS_MAX
            && self.in_flight < IN_FLIGHT_MAX
            && self.forwards < FORWARDS_MAX
    }

    /// What a partition carries of a cluster's heat: its share of what the hottest measure follows. What
    /// it would bring to another one: only of measures that grow with load evenly, which latency and full
    /// disks do not.
    pub(crate) fn candidate(&self, able: &Able, reading: Reading, load: Load) -> Candidate {
        let targets = &self.rules.targets;
        let window = able.cluster.windows.last().copied().unwrap_or_default();
        let share = |heat: Heat, part: u64, whole: u64| heat.times(part.min(whole), whole);
        let by_operations = |heat| share(heat, load.operations, window.operations);
        let carries = match reading.measure.follows() {
            Rate::Operations => by_operations(reading.heat),
            Rate::Bytes => share(reading.heat, load.bytes, window.bytes),
        };
        let of = |measure: Measure| {
            measure
                .heat(&window, targets, able.weight)
                .times(able.weight.into(), 1)
        };
        let brings = Heat::of(load.operations, targets.operations)
            .max(Heat::of(load.bytes, targets.bytes))
            .max(by_operations(of(Measure::Cpu)))
            .max(by_operations(of(Measure::Refusals)));
        Candidate {
            load,
            carries,
            brings,
        }
    }

    /// All partitions whose load is known, the one that carries most first.
    pub(crate) fn candidates(&self, able: &Able, reading: Reading) -> Vec<Candidate> {
        let loads = able.cluster.loads.iter();
        let mut candidates: Vec<_> = loads
            .map(|load| self.candidate(able, reading, *load))
            .collect();
        candidates.sort_unstable_by_key(|candidate| {
            (
                std::cmp::Reverse(candidate.carries),
                candidate.load.partition,
            )
        });
        candidates
    }

    /// Clusters that have nothing of a queue, are cooler than `cooler_than`, and would have at most
    /// `at_most` with what the queue brings; coolest first.
    pub(crate) fn receivers_for(
        &self,
        queue: &Queue,
        brings: Heat,
        cooler_than: Heat,
        at_most: Heat,
    ) -> impl Iterator<Item = Receiver> {
        let has_nothing = |cluster| !queue.is_on(cluster);
        self.receivers_that(has_nothing, brings, cooler_than, at_most)
    }

    /// The same, of those clusters that suit.
    pub(crate) fn receivers_that(
        &self,
        suits: impl Fn(ClusterId) -> bool,
        brings: Heat,
        cooler_than: Heat,
        at_most: Heat,
    ) -> impl Iterator<Item = Receiver> {
        // What the heaviest would feel of it nobody can escape.
        let least = brings.times(1, self.heaviest.into());
        let receivers = self.receivers.iter().take(RECEIVERS_TRIED);
        let cool = receivers
            .take_while(move |(before, _)| *before < cooler_than && before.plus(least) <= at_most);
        let free = cool.filter(move |(_, cluster)| suits(*cluster));
        let with = free.map(move |&(before, cluster)| {
            let weight = self.able[&cluster].weight;
            let after = before.plus(brings.times(1, weight.into()));
            Receiver {
                cluster,
                before,
                after,
            }
        });
        with.filter(move |receiver| receiver.after <= at_most)
    }

    /// Only clusters cooler than this are given something of an overheated one. In a fleet that is busy
    /// but even none may be cool; then those below the mean have to help.
    pub(crate) fn helps_below(&self) -> Heat {
        COOL.max(self.mean)
    }

    /// True if a cluster that could help is only waiting for its last change to settle.
    pub(crate) fn helper_is_busy(&self) -> bool {
        let waits = |able: &&Able| able.busy || able.settled.is_none();
        let serving = |able: &&Able| able.cluster.stage == ClusterStage::Serving;
        let waiting = self.able.values().filter(waits).filter(serving);
        let mut heats = waiting.map(|able| {
            able.settled
                .or(able.any)
                .map_or(Heat::ZERO, |reading| reading.heat)
        });
        heats.any(|heat| heat < self.helps_below())
    }

    /// Only clusters cooler than this have room for anything.
    pub(crate) fn cool_below(&self) -> Heat {
        self.helps_below().min(RECEIVER_MAX)
    }

    /// Of the other clusters that take queues the coolest that was measured. `None` if there is none.
    pub(crate) fn coolest_besides(&self, cluster: ClusterId) -> Option<(Reading, ClusterId)> {
        let serving = |able: &Able| able.cluster.stage == ClusterStage::Serving;
        let others = self.able.iter();
        let others = others.filter(|(id, able)| **id != cluster && serving(able));
        let readings = others.filter_map(|(id, able)| Some((able.settled.or(able.any)?, *id)));
        readings.min_by_key(|(reading, id)| (reading.heat, *id))
    }

    /// The coolest cluster that can be given something.
    pub(crate) fn coolest(&self) -> Option<(Heat, ClusterId)> {
        self.receivers.first().copied()
    }

    /// Takes an action on a queue into the plan. Clusters between which it brings much wait from here on
    /// until they are measured anew.
    pub(crate) fn decide(
        &mut self,
        queue: QueueId,
        action: Action,
        reason: Reason,
        unsettles: &[ClusterId],
    ) {
        self.decided.insert(queue);
        self.in_flight += 1;
        for cluster in unsettles {
            self.set_busy(*cluster);
        }
        self.plan.actions.push(Decided { action, reason });
    }

    /// Takes into the plan that what is left in a sealed partition goes on to another cluster.
    pub(crate) fn forward(&mut self, partition: PartitionId, decided: Decided) {
        self.in_flight += 1;
        self.forwards += 1;
        self.forwarded.insert(partition);
        self.plan.actions.push(decided);
    }

    fn set_busy(&mut self, cluster: ClusterId) {
        if let Some(able) = self.able.get_mut(&cluster) {
            able.busy = true;
            if let Some(reading) = able.settled {
                self.receivers.remove(&(reading.heat, cluster));
            }
        }
    }

    /// Has a cluster count as hotter for the rest of the round, since it is given a little.
    pub(crate) fn warm(&mut self, receiver: Receiver) {
        self.receivers.remove(&(receiver.before, receiver.cluster));
        self.receivers.insert((receiver.after, receiver.cluster));
        if let Some(reading) = self
            .able
            .get_mut(&receiver.cluster)
            .and_then(|able| able.settled.as_mut())
        {
            reading.heat = receiver.after;
        }
    }
}

/// The mean heat of the clusters that serve and were measured, by weight.
fn mean(able: &BTreeMap<ClusterId, Able>) -> Heat {
    let (mut heat, mut weights) = (Heat::ZERO, 0);
    for able in able
        .values()
        .filter(|able| able.cluster.stage == ClusterStage::Serving)
    {
        if let Some(reading) = able.settled.or(able.any) {
            heat = heat.plus(reading.heat.times(able.weight.into(), 1));
            weights += u64::from(able.weight);
        }
    }
    heat.times(1, weights)
}
