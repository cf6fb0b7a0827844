//! Evening out, slowly: clusters far above the mean give to those below it, and new ones take their
//! share.

use std::cmp::Reverse;

use shoal_types::{ClusterId, Epoch};

use crate::facts::{ClusterStage, Queue};
use crate::limits::{
    BALANCE_BAND_PERCENT, BALANCE_COOL_DOWN, BALANCE_FLOOR, BALANCE_PER_HOUR, GIVERS_TRIED,
    GIVES_ABOVE_PERCENT, HOUR, TAKES_BELOW_PERCENT, WORTH_BALANCING,
};
use crate::moves::Chosen;
use crate::round::{Candidate, Round};
use crate::split;
use crate::{Heat, Reading, Reason};

/// Lets the hottest give to the coolest, each cluster at most once, as long as the fleet is uneven and
/// the hour's number of moves is not used up.
pub(crate) fn balance(round: &mut Round) {
    if round.mean < BALANCE_FLOOR {
        return;
    }
    let mut left = moves_left(round);
    for (reading, cluster) in hottest_first(round).into_iter().take(GIVERS_TRIED) {
        let Some((coolest, _)) = round.coolest() else {
            return;
        };
        let gives = reading.heat > round.mean.times(GIVES_ABOVE_PERCENT, 100);
        let takes = coolest < round.mean.times(TAKES_BELOW_PERCENT, 100);
        if left == 0 || !round.has_room() || !(gives || takes) || reading.heat <= round.mean {
            return;
        }
        if !round.able[&cluster].busy && give(round, cluster, reading, gives) {
            left -= 1;
        }
    }
}

/// How many more may be moved now: one partition in two hundred within an hour, but at least one.
fn moves_left(round: &Round) -> u64 {
    let per_hour = (round.facts.queues.len() as u64 / BALANCE_PER_HOUR).max(1);
    let hour_ago = round.now.0.saturating_sub(HOUR);
    let older = round.facts.balanced.partition_point(|at| at.0 <= hour_ago);
    per_hour.saturating_sub((round.facts.balanced.len() - older) as u64)
}

fn hottest_first(round: &Round) -> Vec<(Reading, ClusterId)> {
    let serving = round
        .able
        .iter()
        .filter(|(_, able)| able.cluster.stage == ClusterStage::Serving && !able.busy);
    let mut heats: Vec<_> = serving
        .filter_map(|(id, able)| Some((able.settled?, *id)))
        .collect();
    heats.sort_by_key(|(reading, cluster)| (Reverse(reading.heat), *cluster));
    heats
}

/// Has a cluster give what fits best. If it is far above the mean and nothing fits, a queue is split to
/// make pieces that do. True if something was decided.
fn give(round: &mut Round, cluster: ClusterId, reading: Reading, far_above: bool) -> bool {
    let candidates = round.candidates(&round.able[&cluster], reading);
    let band = round.mean.times(BALANCE_BAND_PERCENT, 100);
    let near = round.mean.plus(band);
    // Three quarters of the way to where the giver is: it is helped, and the taker is left with less.
    let far = round.mean.plus(reading.heat.minus(round.mean).times(3, 4));
    let mut chosen = best(round, reading, &candidates, near);
    if chosen.is_none() && far_above {
        if split::split_for_balance(round, cluster, reading, &candidates) {
            return true;
        }
        chosen = best(round, reading, &candidates, far.max(near));
    }
    let Some(chosen) = chosen else {
        return false;
    };
    let reason = Reason::Unbalanced {
        gives: reading.heat,
        takes: chosen.receiver.before,
        mean: round.mean,
        carries: chosen.candidate.carries,
    };
    let unsettles = [cluster, chosen.receiver.cluster];
    round.decide(
        chosen.queue.queue,
        chosen.action(cluster),
        reason,
        &unsettles,
    );
    true
}

/// The largest that leaves the giver no cooler than just below the mean, and the taker no hotter than
/// `at_most`.
fn best<'a>(
    round: &Round<'a>,
    reading: Reading,
    candidates: &[Candidate],
    at_most: Heat,
) -> Option<Chosen<'a>> {
    let mean = round.mean;
    let surplus = reading
        .heat
        .minus(mean.minus(mean.times(BALANCE_BAND_PERCENT, 100)));
    let worth = |candidate: &&Candidate| candidate.carries.times(WORTH_BALANCING, 1) >= mean;
    let fits = candidates
        .iter()
        .filter(|candidate| candidate.carries <= surplus);
    fits.take_while(worth).find_map(|candidate| {
        let queue = rested(round, candidate)?;
        let mut receivers = round.receivers_for(queue, candidate.brings, mean, at_most);
        let receiver = receivers.find(|receiver| receiver.after < reading.heat)?;
        Some(Chosen {
            candidate: *candidate,
            queue,
            receiver,
        })
    })
}

fn rested<'a>(round: &Round<'a>, candidate: &Candidate) -> Option<&'a Queue> {
    let queue = round.movable(candidate.load.queue, candidate.load.partition)?;
    let partition = queue.partition(candidate.load.partition)?;
    let long_there = round.now.since(partition.since) >= BALANCE_COOL_DOWN;
    (partition.epoch == Epoch(0) || long_there).then_some(queue)
}
