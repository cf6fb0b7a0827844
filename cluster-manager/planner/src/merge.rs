//! Taking splits back: of queues whose load is gone, and of those that are to have one partition.
//!
//! Only neighbours can be merged: two active partitions whose groups are one range together.

use std::cmp::Reverse;

use shoal_types::ClusterId;

use crate::facts::{ClusterStage, Partition, Queue};
use crate::limits::{LOADS_KEPT, MERGE_BELOW, MERGE_COOL_DOWN, MERGES_PER_ROUND, RECEIVER_MAX};
use crate::round::{Able, Round};
use crate::{Action, Heat, Reason};

/// Merges two partitions each of a few queues that would do with fewer, or are to.
pub(crate) fn merge_what_may_be(round: &mut Round) {
    let facts = round.facts;
    let mut merges = 0;
    for queue in facts.queues.split() {
        if merges == MERGES_PER_ROUND || !round.has_room() {
            return;
        }
        if queue.auto && round.now.since(queue.resized) < MERGE_COOL_DOWN {
            continue;
        }
        let Some(merge) = coldest_pair(round, queue) else {
            continue;
        };
        let clusters = [merge.goes.cluster, merge.stays.cluster];
        let (action, reason) = merge.action(queue);
        round.decide(queue.queue, action, reason, &clusters);
        merges += 1;
    }
}

/// The partition that could be merged with this one and lies on a cluster that takes queues, first the one
/// with the lower groups. Neither is about to be followed by another one.
pub(crate) fn neighbour<'a>(
    round: &Round,
    queue: &'a Queue,
    of: &Partition,
) -> Option<&'a Partition> {
    let waits = |partition: &Partition| round.facts.changes.contains_key(&partition.partition);
    if waits(of) {
        return None;
    }
    let mut neighbours: Vec<&Partition> = queue
        .active()
        .filter(|other| of.groups.joined(other.groups).is_some() && !waits(other))
        .filter(|other| takes_queues(round, other.cluster))
        .collect();
    neighbours.sort_by_key(|neighbour| neighbour.groups.first);
    neighbours.first().copied()
}

fn takes_queues(round: &Round, cluster: ClusterId) -> bool {
    let able = round.able.get(&cluster);
    able.is_some_and(|able| able.cluster.stage == ClusterStage::Serving)
}

/// Two partitions that can be merged.
struct Merge<'a> {
    goes: &'a Partition,
    stays: &'a Partition,
    /// What comes to the cluster of the one that stays.
    brings: Heat,
    /// What both carry.
    both: Heat,
}

/// Of all pairs of neighbours that may be merged now the one that carries least.
fn coldest_pair<'a>(round: &Round, queue: &'a Queue) -> Option<Merge<'a>> {
    let mut active: Vec<&Partition> = queue.active().collect();
    active.sort_by_key(|partition| partition.groups.first);
    let pairs = active.windows(2).filter_map(|pair| {
        let [low, high] = pair else {
            return None;
        };
        merge(round, queue, low, high)
    });
    pairs.min_by_key(|merge| merge.both)
}

/// The merge of the one on the hotter cluster into the one on the cooler, if that takes queues and both
/// clusters were measured. Those of a queue that may be split must be cold.
fn merge<'a>(
    round: &Round,
    queue: &Queue,
    low: &'a Partition,
    high: &'a Partition,
) -> Option<Merge<'a>> {
    low.groups.joined(high.groups)?;
    round.movable(queue.queue, low.partition)?;
    round.movable(queue.queue, high.partition)?;
    let (low_load, high_load) = (loaded(round, low)?, loaded(round, high)?);
    let both = low_load.brings.plus(high_load.brings);
    if queue.auto && both > MERGE_BELOW {
        return None;
    }
    let mut ends = [
        (low_load, low, high_load, high),
        (high_load, high, low_load, low),
    ];
    ends.sort_by_key(|(.., load, stays)| (load.heat, Reverse(stays.partition)));
    let fits = |(goes, _, stays, at): &(Loaded, &Partition, Loaded, &Partition)| {
        let weight = round.able[&at.cluster].weight;
        let after = stays.heat.plus(goes.brings.times(1, weight.into()));
        takes_queues(round, at.cluster) && after <= RECEIVER_MAX
    };
    let (load, goes, _, stays) = ends.into_iter().find(fits)?;
    Some(Merge {
        goes,
        stays,
        brings: load.brings,
        both,
    })
}

impl Merge<'_> {
    fn action(&self, queue: &Queue) -> (Action, Reason) {
        let action = Action::Merge {
            queue: queue.queue,
            partition: self.goes.partition,
            epoch: queue.epoch(),
            from: self.goes.cluster,
            with: self.stays.partition,
            to: self.stays.cluster,
            carries: self.brings,
        };
        let partitions = queue.active().count();
        let reason = match queue.auto {
            true => Reason::Cold {
                partitions,
                after: self.both,
            },
            false => Reason::Several { partitions },
        };
        (action, reason)
    }
}

#[derive(Clone, Copy)]
struct Loaded {
    /// Of its cluster.
    heat: Heat,
    /// What it would bring to a cluster of weight 1, at most.
    brings: Heat,
}

/// `None` if its cluster was not measured or takes part in something. A partition that is not among the
/// busiest does less than the least of them.
fn loaded(round: &Round, partition: &Partition) -> Option<Loaded> {
    let able: &Able = round.able.get(&partition.cluster)?;
    let reading = able.settled.filter(|_| !able.busy)?;
    let loads = &able.cluster.loads;
    let known = loads
        .iter()
        .find(|load| load.partition == partition.partition);
    let brings = match known {
        Some(load) => round.candidate(able, reading, *load).brings,
        None if loads.len() < LOADS_KEPT => Heat::ZERO,
        None => {
            let all = loads
                .iter()
                .map(|load| round.candidate(able, reading, *load).brings);
            all.min().unwrap_or_default()
        }
    };
    Some(Loaded {
        heat: reading.heat,
        brings,
    })
}
