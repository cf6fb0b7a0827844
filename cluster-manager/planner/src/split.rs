//! Splitting a queue that is too much for one cluster.

use shoal_types::{ClusterId, Epoch, PartitionId};

use crate::facts::{Partition, Queue};
use crate::limits::{
    MERGE_BELOW, PARTITIONS_MAX, SPLIT_AT_ONCE, SPLIT_COOL_DOWN, SPLIT_SHARE_PERCENT, SPLIT_TO,
    WORTH_BALANCING, WORTH_SPLITTING,
};
use crate::round::{Candidate, Receiver, Round};
use crate::{Action, Heat, Reading, Reason, WhyNot, moves};

/// What splitting can do for a cluster.
pub(crate) enum Halved {
    /// It was decided.
    Decided,
    /// It would help, and no cluster has room for a part.
    LacksRoom(WhyNot),
    /// No queue makes half of the heat that may be split now.
    None,
}

/// Splits the queue of the partition that makes half of an overheated cluster's heat, if there is one
/// and it may be split.
pub(crate) fn split_the_half(
    round: &mut Round,
    cluster: ClusterId,
    reading: Reading,
    candidates: &[Candidate],
) -> Halved {
    let half = reading.heat.times(SPLIT_SHARE_PERCENT, 100);
    let largest = candidates.first().filter(|largest| largest.carries >= half);
    let largest = largest.filter(|largest| splittable(round, largest).is_some());
    let Some(largest) = largest else {
        return Halved::None;
    };
    let Some(split) = Split::of(round, reading, largest) else {
        return Halved::LacksRoom(moves::no_room(round, cluster, largest));
    };
    let reason = Reason::Overheated {
        cluster,
        reading,
        carries: split.carries,
        after: reading.heat.minus(split.relieves),
    };
    split.decide(round, cluster, reason);
    Halved::Decided
}

/// For balance: splits the largest partition that may be split, if it is large and its cluster keeps
/// clearly less of it. True if so.
pub(crate) fn split_for_balance(
    round: &mut Round,
    cluster: ClusterId,
    reading: Reading,
    candidates: &[Candidate],
) -> bool {
    let mean = round.mean;
    let large = candidates
        .iter()
        .take_while(|candidate| candidate.carries.times(WORTH_SPLITTING, 1) >= mean)
        // What is smaller would be cold in two pieces: the split would be taken back.
        .filter(|candidate| candidate.brings > MERGE_BELOW);
    let worth = |split: &Split| split.relieves.times(WORTH_BALANCING, 1) >= mean;
    let mut splits = large.filter_map(|candidate| Split::of(round, reading, candidate));
    let Some(split) = splits.find(worth) else {
        return false;
    };
    let reason = Reason::Unbalanced {
        gives: reading.heat,
        takes: split.receivers[0].before,
        mean,
        carries: split.carries,
    };
    split.decide(round, cluster, reason);
    true
}

/// A split that could be made.
struct Split<'a> {
    queue: &'a Queue,
    partition: PartitionId,
    /// What the partition carries now.
    carries: Heat,
    /// How much less of it its cluster will have.
    relieves: Heat,
    receivers: Vec<Receiver>,
    /// What each new partition will carry.
    each: Heat,
}

impl<'a> Split<'a> {
    fn of(round: &Round<'a>, reading: Reading, largest: &Candidate) -> Option<Self> {
        let (queue, partition) = splittable(round, largest)?;
        let whole = largest.brings;
        let more = more_partitions(queue, partition, whole);
        let (receivers, each) = receivers(round, queue, whole, more, reading.heat)?;
        let kept = largest.carries.times(1, 1 + receivers.len() as u64);
        Some(Self {
            queue,
            partition: partition.partition,
            carries: largest.carries,
            relieves: largest.carries.minus(kept),
            receivers,
            each,
        })
    }

    fn decide(self, round: &mut Round, from: ClusterId, reason: Reason) {
        let to: Vec<ClusterId> = self.receivers.iter().map(|taker| taker.cluster).collect();
        let unsettles = [&[from], to.as_slice()].concat();
        let action = Action::Split {
            queue: self.queue.queue,
            partition: self.partition,
            epoch: self.queue.epoch(),
            from,
            to,
            carries: self.each,
        };
        round.decide(self.queue.queue, action, reason, &unsettles);
    }
}

/// The queue and the partition, if that may be split now.
fn splittable<'a>(round: &Round<'a>, largest: &Candidate) -> Option<(&'a Queue, &'a Partition)> {
    let queue = round.movable(largest.load.queue, largest.load.partition)?;
    let partition = queue.partition(largest.load.partition)?;
    let first = partition.epoch == Epoch(0);
    let rested = first || round.now.since(partition.since) >= SPLIT_COOL_DOWN;
    let divisible = partition.groups.first < partition.groups.last;
    let may = queue.auto && divisible && queue.active().count() < PARTITIONS_MAX;
    (may && rested).then_some((queue, partition))
}

/// Into how many partitions more than one a partition is to be divided, of which each carries little; at
/// least one more.
fn more_partitions(queue: &Queue, partition: &Partition, brings: Heat) -> usize {
    let wanted = brings.as_millionths().div_ceil(SPLIT_TO.as_millionths());
    // So many hashes of groups could be given away.
    let hashes = partition.groups.last - partition.groups.first;
    let room = (PARTITIONS_MAX - queue.active().count()).min(SPLIT_AT_ONCE);
    let room = room.min(hashes as usize);
    usize::try_from(wanted.saturating_sub(1)).map_or(room, |more| more.clamp(1, room))
}

/// The clusters for the new partitions, coolest first, and what each will carry. With fewer of them each
/// carries more; none may become as hot as the one that is to be helped.
fn receivers(
    round: &Round,
    queue: &Queue,
    whole: Heat,
    more: usize,
    source: Heat,
) -> Option<(Vec<Receiver>, Heat)> {
    let coolest = round.receivers_for(queue, Heat::ZERO, round.helps_below(), source);
    let mut receivers: Vec<Receiver> = coolest.take(more).collect();
    while !receivers.is_empty() {
        let carries = whole.times(1, 1 + receivers.len() as u64);
        let stays_below = |receiver: &Receiver| {
            let weight = round.able[&receiver.cluster].weight;
            receiver.before.plus(carries.times(1, weight.into())) < source
        };
        if receivers.iter().all(stays_below) {
            return Some((receivers, carries));
        }
        receivers.pop();
    }
    None
}
