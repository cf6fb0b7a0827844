//! Splitting a queue that is too much for one cluster.

use shoal_types::{ClusterId, PartitionId};

use crate::facts::{Queue, Splitting};
use crate::limits::{
    MERGE_BELOW, PARTITIONS_MAX, SPLIT_AT_ONCE, SPLIT_COOL_DOWN, SPLIT_SHARE_PERCENT, SPLIT_TO,
    WORTH_BALANCING, WORTH_SPLITTING,
};
use crate::round::{Candidate, Receiver, Round};
use crate::{Action, Heat, Reading, Reason};

/// Splits the queue of the partition that makes half of an overheated cluster's heat, if there is one
/// and it may be split. True if so.
pub(crate) fn split_the_half(
    round: &mut Round,
    cluster: ClusterId,
    reading: Reading,
    candidates: &[Candidate],
) -> bool {
    let half = reading.heat.times(SPLIT_SHARE_PERCENT, 100);
    let largest = candidates.first().filter(|largest| largest.carries >= half);
    let Some(split) = largest.and_then(|largest| Split::of(round, reading, largest)) else {
        return false;
    };
    let reason = Reason::Overheated {
        cluster,
        reading,
        carries: split.carries,
        after: reading.heat.minus(split.relieves),
    };
    split.decide(round, cluster, reason);
    true
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
        // With one partition more, the queue would be cold: the split would be taken back.
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
        let queue = splittable(round, largest)?;
        let parts = Parts::of(queue, largest.brings);
        let (receivers, each) = receivers(round, queue, &parts, reading.heat)?;
        let after = parts.now + receivers.len() as u64;
        let kept = largest.carries.times(parts.now, after);
        Some(Self {
            queue,
            partition: largest.load.partition,
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

/// The queue, if it may be split now.
fn splittable<'a>(round: &Round<'a>, largest: &Candidate) -> Option<&'a Queue> {
    let queue = round.movable(largest.load.queue, largest.load.partition)?;
    let rested = round.now.since(queue.resized) >= SPLIT_COOL_DOWN;
    let may = queue.splitting != Splitting::Never && queue.active().count() < PARTITIONS_MAX;
    (may && rested).then_some(queue)
}

/// What is divided: all of the queue if any message may go to any partition, else this partition.
struct Parts {
    /// In units of a cluster of weight 1.
    whole: Heat,
    /// Into so many it is divided now.
    now: u64,
    /// So many more at most.
    more: u64,
}

impl Parts {
    fn of(queue: &Queue, brings: Heat) -> Self {
        let active = queue.active().count() as u64;
        let now = match queue.splitting {
            Splitting::ByMessage => active,
            Splitting::Never | Splitting::ByGroup => 1,
        };
        let whole = brings.times(now, 1);
        let wanted = whole.as_millionths().div_ceil(SPLIT_TO.as_millionths());
        let room = (PARTITIONS_MAX as u64 - active).min(SPLIT_AT_ONCE as u64);
        let more = wanted.saturating_sub(now).clamp(1, room);
        Self { whole, now, more }
    }

    fn carry(&self, more: usize) -> Heat {
        self.whole.times(1, self.now + more as u64)
    }
}

/// The clusters for the new partitions, coolest first, and what each will carry. With fewer of them each
/// carries more; none may become as hot as the one that is to be helped.
fn receivers(
    round: &Round,
    queue: &Queue,
    parts: &Parts,
    source: Heat,
) -> Option<(Vec<Receiver>, Heat)> {
    let coolest = round.receivers_for(queue, Heat::ZERO, round.helps_below(), source);
    let mut receivers: Vec<Receiver> = coolest.take(parts.more as usize).collect();
    while !receivers.is_empty() {
        let carries = parts.carry(receivers.len());
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
