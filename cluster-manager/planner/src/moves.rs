//! Which queues leave an overheated cluster: the fewest that help, to the coolest clusters.

use std::collections::BTreeSet;

use shoal_types::{ClusterId, Epoch};

use crate::facts::{Partition, Queue};
use crate::limits::{PARTITION_COOL_DOWN, RECEIVER_MAX, SPLIT_SHARE_PERCENT, WORTH_MOVING};
use crate::round::{Candidate, Receiver, Round};
use crate::{Action, Heat, Reading, Reason, WhyNot};

/// A move that could be made.
pub(crate) struct Chosen<'a> {
    pub(crate) candidate: Candidate,
    pub(crate) queue: &'a Queue,
    pub(crate) receiver: Receiver,
}

/// What moving can do for a cluster.
pub(crate) struct Relief<'a> {
    /// The first move, if there is one that helps.
    pub(crate) first: Option<Chosen<'a>>,
    /// The goal is not reached, as no cluster takes what could be moved.
    pub(crate) lacks_room: bool,
    /// Why nothing can be moved, if that is so.
    pub(crate) why_not: WhyNot,
}

/// Finds the fewest moves that bring a cluster below a goal. Only the first of them is to be made, since
/// one move goes at a time; the others are found to know whether they exist.
pub(crate) fn fewest<'a>(
    round: &Round<'a>,
    cluster: ClusterId,
    reading: Reading,
    candidates: &[Candidate],
    goal: Heat,
) -> Relief<'a> {
    let worth = |candidate: &&Candidate| candidate.carries.times(WORTH_MOVING, 1) >= reading.heat;
    let worth: Vec<&Candidate> = candidates.iter().filter(worth).collect();
    let mut movable: Vec<(&Candidate, &'a Queue)> = worth
        .iter()
        .filter_map(|candidate| Some((*candidate, rested(round, candidate)?)))
        .collect();
    let mut relief = Relief {
        first: None,
        lacks_room: false,
        why_not: why_not(round, cluster, reading, &worth, &movable),
    };
    let (mut heat, mut used) = (reading.heat, BTreeSet::from([cluster]));
    while heat > goal && !movable.is_empty() {
        let Some((at, receiver)) = next(round, &movable, heat, goal, reading.heat, &used) else {
            relief.lacks_room = true;
            break;
        };
        let (candidate, queue) = movable.remove(at);
        heat = heat.minus(candidate.carries);
        used.insert(receiver.cluster);
        let chosen = Chosen {
            candidate: *candidate,
            queue,
            receiver,
        };
        relief.first.get_or_insert(chosen);
    }
    relief
}

/// The smallest of those that suffice alone, else the largest, of those that some cluster can take.
fn next(
    round: &Round,
    movable: &[(&Candidate, &Queue)],
    heat: Heat,
    goal: Heat,
    source: Heat,
    used: &BTreeSet<ClusterId>,
) -> Option<(usize, Receiver)> {
    let receiver = |at: usize| {
        let (candidate, queue) = movable[at];
        let mut receivers =
            round.receivers_for(queue, candidate.brings, round.helps_below(), RECEIVER_MAX);
        let found =
            receivers.find(|receiver| receiver.after < source && !used.contains(&receiver.cluster));
        found.map(|receiver| (at, receiver))
    };
    // Largest first.
    let suffice = movable.partition_point(|(candidate, _)| candidate.carries >= heat.minus(goal));
    let alone = (0..suffice).rev().find_map(receiver);
    alone.or_else(|| (suffice..movable.len()).find_map(receiver))
}

/// The queue of a candidate, if it may be moved now.
fn rested<'a>(round: &Round<'a>, candidate: &Candidate) -> Option<&'a Queue> {
    let queue = round.movable(candidate.load.queue, candidate.load.partition)?;
    let partition = queue.partition(candidate.load.partition)?;
    // The first one was placed by its name, before anybody knew its load.
    let rested =
        partition.epoch == Epoch(0) || round.now.since(partition.since) >= PARTITION_COOL_DOWN;
    rested.then_some(queue)
}

fn why_not(
    round: &Round,
    cluster: ClusterId,
    reading: Reading,
    worth: &[&Candidate],
    movable: &[(&Candidate, &Queue)],
) -> WhyNot {
    let Some(largest) = worth.first() else {
        return WhyNot::ManySmall;
    };
    let (queue, carries) = (largest.load.queue, largest.carries);
    if carries >= reading.heat.times(SPLIT_SHARE_PERCENT, 100)
        && let Some(known) = round.facts.queues.get(queue)
    {
        let partition = known.partition(largest.load.partition);
        let one_hash = |partition: &Partition| partition.groups.first == partition.groups.last;
        if !known.auto {
            return WhyNot::OnePartition { queue, carries };
        }
        if partition.is_some_and(one_hash) {
            return WhyNot::OneGroup { queue, carries };
        }
    }
    match movable.first() {
        Some((largest, _)) => no_room(round, cluster, largest),
        None => WhyNot::AllMovedLately,
    }
}

/// Why no cluster takes this, or a part of it.
pub(crate) fn no_room(round: &Round, from: ClusterId, largest: &Candidate) -> WhyNot {
    let below = round.cool_below();
    match round.coolest_besides(from) {
        None => WhyNot::NoOther,
        Some((reading, coolest)) if reading.heat >= below => WhyNot::NoneCool {
            coolest,
            reading,
            below,
        },
        Some(_) => WhyNot::TooLarge {
            queue: largest.load.queue,
            carries: largest.carries,
        },
    }
}

/// Takes the move into the plan.
pub(crate) fn decide(round: &mut Round, cluster: ClusterId, reading: Reading, chosen: Chosen) {
    let reason = Reason::Overheated {
        cluster,
        reading,
        carries: chosen.candidate.carries,
        after: reading.heat.minus(chosen.candidate.carries),
    };
    let unsettles = [cluster, chosen.receiver.cluster];
    round.decide(
        chosen.queue.queue,
        chosen.action(cluster),
        reason,
        &unsettles,
    );
}

impl Chosen<'_> {
    /// The move, as it is to be carried out.
    pub(crate) fn action(&self, from: ClusterId) -> Action {
        Action::Move {
            queue: self.queue.queue,
            partition: self.candidate.load.partition,
            epoch: self.queue.epoch(),
            from,
            to: self.receiver.cluster,
            carries: self.receiver.after.minus(self.receiver.before),
        }
    }
}
