//! Taking splits back whose load is gone.

use std::cmp::Reverse;

use shoal_types::ClusterId;

use crate::facts::{Partition, Queue};
use crate::limits::{LOADS_KEPT, MERGE_BELOW, MERGE_COOL_DOWN, MERGES_PER_ROUND};
use crate::round::{Able, Round};
use crate::{Action, Heat, Reason};

/// Merges one partition each of a few queues that would do with fewer.
pub(crate) fn merge_the_cold(round: &mut Round) {
    let facts = round.facts;
    let mut merges = 0;
    for queue in facts.queues.split() {
        if merges == MERGES_PER_ROUND || !round.has_room() {
            return;
        }
        let rests = round.now.since(queue.resized) < MERGE_COOL_DOWN;
        if rests || !queue.is_settled() || round.decided.contains(&queue.queue) {
            continue;
        }
        let Some((action, reason)) = merge(round, queue) else {
            continue;
        };
        round.decide(queue.queue, action, reason, &[]);
        merges += 1;
    }
}

/// The merge of the partition on the hottest cluster with the one on the coolest, if the queue is cold.
fn merge(round: &Round, queue: &Queue) -> Option<(Action, Reason)> {
    let mut whole = Heat::ZERO;
    let mut partitions: Vec<(Heat, Heat, &Partition)> = Vec::new();
    for partition in queue.active() {
        let able = round.able.get(&partition.cluster)?;
        let (heat, brings) = load_at_most(round, able, partition)?;
        whole = whole.plus(brings);
        partitions.push((heat, brings, partition));
    }
    let after = whole.times(1, partitions.len() as u64 - 1);
    if after > MERGE_BELOW {
        return None;
    }
    let idle = |cluster: ClusterId| !round.able[&cluster].busy;
    let mut settled: Vec<_> = partitions
        .iter()
        .filter(|(.., at)| idle(at.cluster))
        .collect();
    settled.sort_by_key(|(heat, _, partition)| (Reverse(*heat), partition.partition));
    let ((_, carries, goes), (.., stays)) = (settled.first()?, settled.last()?);
    if goes.partition == stays.partition {
        return None;
    }
    let action = Action::Merge {
        queue: queue.queue,
        partition: goes.partition,
        epoch: queue.epoch(),
        from: goes.cluster,
        with: stays.partition,
        to: stays.cluster,
        carries: *carries,
    };
    let reason = Reason::Cold {
        partitions: partitions.len(),
        after,
    };
    Some((action, reason))
}

/// The heat of the cluster, and how much of it the partition brings at most: one that is not among the
/// busiest does less than the least of them.
fn load_at_most(round: &Round, able: &Able, partition: &Partition) -> Option<(Heat, Heat)> {
    let reading = able.settled?;
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
    Some((reading.heat, brings))
}
