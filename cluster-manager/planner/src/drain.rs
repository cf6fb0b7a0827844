//! Emptying clusters that an operator drains, and saying what stays there and why.

use std::collections::BTreeMap;
use std::mem::discriminant;

use shoal_types::{ClusterId, PartitionId, QueueId};

use crate::facts::{ClusterStage, Load, Queue};
use crate::limits::{DRAIN_AT_ONCE, LOADS_KEPT, NEGLIGIBLE, RECEIVER_MAX};
use crate::moves::Chosen;
use crate::round::{Candidate, Receiver, Round};
use crate::{Action, Heat, NotEmptied, Reading, Reason, WhyStays, capacity, forward, merge};

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
    for (partition, id) in facts.queues.on(cluster) {
        // Only what takes sends can be moved; a sealed one empties by itself.
        let queue = match round.leaves(id, partition) {
            Ok(queue) => queue,
            Err(why) => {
                let why = match facts.changes.contains_key(&partition) {
                    true => forward::why_it_stays(round, partition),
                    false => Some(why).filter(|_| !round.decided.contains(&id)),
                };
                note(round, cluster, id, why);
                continue;
            }
        };
        if !round.has_room() {
            note(round, cluster, id, Some(WhyStays::FleetBusy));
            continue;
        }
        if more == 0 {
            continue;
        }
        let candidate = loads.candidate(round, cluster, queue, partition);
        let reason = Reason::Drained { cluster, left };
        match receiver(round, queue, candidate.brings) {
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
                    lacks_room(round, cluster, id);
                    continue;
                }
            }
            None => {
                if lacks_room(round, cluster, id) {
                    capacity::lacks_clusters(round);
                }
                continue;
            }
        }
        more -= 1;
    }
}

/// The coolest cluster that has nothing of the queue, else the coolest that is not sent to: what is sealed
/// there must not keep the queue where it cannot stay.
fn receiver(round: &Round, queue: &Queue, brings: Heat) -> Option<Receiver> {
    let is_not_sent_to = |cluster| !queue.active().any(|active| active.cluster == cluster);
    let mut fresh = round.receivers_for(queue, brings, RECEIVER_MAX, RECEIVER_MAX);
    let mut others = round.receivers_that(is_not_sent_to, brings, RECEIVER_MAX, RECEIVER_MAX);
    fresh.next().or_else(|| others.next())
}

/// Notes why a partition stays, together with all that stay for such a reason.
fn note(round: &mut Round, cluster: ClusterId, queue: QueueId, why: Option<WhyStays>) {
    let Some(why) = why else {
        return;
    };
    let like = |one: &&mut NotEmptied| {
        one.cluster == cluster && discriminant(&one.why) == discriminant(&why)
    };
    match round.plan.not_emptied.iter_mut().find(like) {
        Some(known) => known.partitions += 1,
        None => round.plan.not_emptied.push(NotEmptied {
            cluster,
            partitions: 1,
            queue,
            why,
        }),
    }
}

/// Notes that a partition finds no room, unless a cluster that could take it is only being measured. True
/// if so.
fn lacks_room(round: &mut Round, from: ClusterId, queue: QueueId) -> bool {
    if round.helper_is_busy() {
        return false;
    }
    let why = match round.coolest_besides(from) {
        Some(_) => WhyStays::NoRoom,
        None => WhyStays::NoOther,
    };
    note(round, from, queue, Some(why));
    true
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
