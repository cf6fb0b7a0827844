//! Emptying clusters, and partitions that nobody consumes.

use std::collections::BTreeMap;

use shoal_types::{ClusterId, PartitionId};

use crate::facts::{ClusterStage, Load, Queue};
use crate::limits::{ACTIONS_MAX, DRAIN_AT_ONCE, LOADS_KEPT, NEGLIGIBLE, RECEIVER_MAX};
use crate::moves::Chosen;
use crate::round::{Candidate, Round};
use crate::{Action, Decided, Heat, Reading, Reason, capacity, merge};

/// Forwards what has been sealed for longer than patience lasts; off a cluster that is drained also what
/// was forwarded there before, and without patience if an operator wants that.
pub(crate) fn forward(round: &mut Round) {
    for (&partition, change) in &round.facts.changes {
        let Some(sealed) = change.sealed else {
            continue;
        };
        let sealed_for = round.now.since(sealed);
        if change.forwarding {
            continue;
        }
        let known = round
            .facts
            .queues
            .get(change.queue)
            .and_then(|queue| queue.partition(partition));
        let Some(cluster) = known.map(|partition| partition.cluster) else {
            continue;
        };
        let place = round.facts.clusters.get(&cluster);
        let drained = place.filter(|place| place.stage == ClusterStage::Draining);
        let at_once = drained.is_some_and(|place| place.forwards_at_once);
        let is_late = at_once || sealed_for >= round.rules.drain_patience;
        if !is_late || (change.is_heir && drained.is_none()) {
            continue;
        }
        if round.plan.actions.len() >= ACTIONS_MAX {
            return;
        }
        let queue = change.queue;
        let action = Action::Forward {
            queue,
            partition,
            cluster,
        };
        let reason = Reason::NotConsumed { sealed_for };
        round.plan.actions.push(Decided { action, reason });
    }
}

/// Moves partitions off clusters that an operator drains, several at a time, wherever there is room.
pub(crate) fn empty(round: &mut Round) {
    let able = round.able.iter();
    let draining: Vec<ClusterId> = able
        .filter(|(_, able)| able.cluster.stage == ClusterStage::Draining)
        .map(|(id, _)| *id)
        .collect();
    for cluster in draining {
        empty_one(round, cluster);
    }
}

fn empty_one(round: &mut Round, cluster: ClusterId) {
    let facts = round.facts;
    let left = facts.queues.count_on(cluster);
    let moving = facts.changes.values();
    let moving = moving
        .filter(|change| change.from == cluster && change.sealed.is_none())
        .count();
    let mut more = DRAIN_AT_ONCE.saturating_sub(moving);
    let loads = Loads::of(round, cluster);
    for (partition, queue) in facts.queues.on(cluster) {
        if more == 0 || !round.has_room() {
            return;
        }
        // Only what takes sends can be moved; a sealed one empties by itself.
        let Some(queue) = round.movable(queue, partition) else {
            continue;
        };
        let candidate = loads.candidate(round, cluster, queue, partition);
        let reason = Reason::Drained { cluster, left };
        let coolest = round
            .receivers_for(queue, candidate.brings, RECEIVER_MAX, RECEIVER_MAX)
            .next();
        match coolest {
            Some(receiver) => {
                let chosen = Chosen {
                    candidate,
                    queue,
                    receiver,
                };
                let action = chosen.action(cluster);
                if candidate.brings > NEGLIGIBLE {
                    round.decide(queue.queue, action, reason, &[receiver.cluster]);
                } else {
                    round.decide(queue.queue, action, reason, &[]);
                    round.warm(receiver);
                }
            }
            None if queue.active().count() > 1 => {
                if !merge_away(round, cluster, queue, candidate, reason) {
                    continue;
                }
            }
            None => {
                if !round.helper_is_busy() {
                    capacity::lacks_clusters(round);
                }
                continue;
            }
        }
        more -= 1;
    }
}

/// A queue that is split over all the clusters with room can do with one partition less. False if no
/// neighbour can take it at the moment.
fn merge_away(
    round: &mut Round,
    from: ClusterId,
    queue: &Queue,
    candidate: Candidate,
    reason: Reason,
) -> bool {
    let goes = queue.partition(candidate.load.partition);
    let Some(with) = goes.and_then(|goes| merge::neighbour(round, queue, goes)) else {
        return false;
    };
    let action = Action::Merge {
        queue: queue.queue,
        partition: candidate.load.partition,
        epoch: queue.epoch(),
        from,
        with: with.partition,
        to: with.cluster,
        carries: candidate.brings,
    };
    round.decide(queue.queue, action, reason, &[with.cluster]);
    true
}

/// What is known of the load of a cluster's partitions.
struct Loads {
    reading: Option<Reading>,
    known: BTreeMap<PartitionId, Load>,
    /// More than any that is not known.
    least: Option<Load>,
}

impl Loads {
    fn of(round: &Round, cluster: ClusterId) -> Self {
        let able = &round.able[&cluster];
        let known: BTreeMap<_, _> = able
            .cluster
            .loads
            .iter()
            .map(|load| (load.partition, *load))
            .collect();
        let least = able
            .cluster
            .loads
            .iter()
            .min_by_key(|load| (load.operations, load.partition));
        Self {
            reading: able.settled.or(able.any),
            least: least.filter(|_| known.len() >= LOADS_KEPT).copied(),
            known,
        }
    }

    fn candidate(
        &self,
        round: &Round,
        cluster: ClusterId,
        queue: &Queue,
        partition: PartitionId,
    ) -> Candidate {
        let idle = Load {
            queue: queue.queue,
            partition,
            operations: 0,
            bytes: 0,
        };
        let load = self
            .known
            .get(&partition)
            .copied()
            .or(self.least)
            .unwrap_or(idle);
        let load = Load {
            queue: queue.queue,
            partition,
            ..load
        };
        match self.reading {
            Some(reading) => round.candidate(&round.able[&cluster], reading, load),
            None => Candidate {
                load,
                carries: Heat::ZERO,
                brings: Heat::ZERO,
            },
        }
    }
}
