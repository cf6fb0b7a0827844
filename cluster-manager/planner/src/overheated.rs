//! What is done for a cluster that has more to do than it is to bear.
//!
//! In this order: split the queue that alone makes half the heat; move the fewest queues that bring the
//! heat below the goal, one at a time; make a cluster of spare hosts; say that capacity is needed.

use std::cmp::Reverse;

use shoal_types::{ClusterId, Ts};

use crate::facts::{Cluster, ClusterStage};
use crate::heat::lasting;
use crate::limits::{RELIEF_GOAL, RELIEF_GOES_ON};
use crate::round::Round;
use crate::split::Halved;
use crate::{Heat, NotHelped, Reading, WhyNot, capacity, health, moves, split};

/// Begins what can be begun for each overheated cluster, hottest first, and says of the others why not.
pub(crate) fn relieve(round: &mut Round) {
    for (reading, cluster) in overheated(round) {
        let refused = help(round, cluster).err();
        if let Some(why) = refused.filter(|_| reading.heat > Heat::ONE) {
            round.plan.not_helped.push(NotHelped {
                cluster,
                reading,
                why,
            });
        }
    }
}

/// Overheated clusters, hottest first: those above 1 in three of five windows, and those whose relief
/// began lately and has not reached its goal.
fn overheated(round: &Round) -> Vec<(Reading, ClusterId)> {
    let mut hot = Vec::new();
    for (id, cluster) in &round.facts.clusters {
        let Some(reading) = heat(round, *id, cluster) else {
            continue;
        };
        let goes_on = cluster
            .relieved
            .is_some_and(|at| round.now.since(at) <= RELIEF_GOES_ON);
        if reading.heat > Heat::ONE || goes_on && reading.heat > RELIEF_GOAL {
            hot.push((reading, *id));
        }
    }
    hot.sort_by_key(|(reading, cluster)| (Reverse(reading.heat), *cluster));
    hot
}

fn heat(round: &Round, id: ClusterId, cluster: &Cluster) -> Option<Reading> {
    match round.able.get(&id) {
        Some(able) => able.settled.or(able.any),
        None => {
            let weight = round.facts.weight(cluster);
            lasting(&cluster.windows, Ts::ZERO, &round.rules.targets, weight)
        }
    }
}

fn help(round: &mut Round, cluster: ClusterId) -> Result<(), WhyNot> {
    let able = round.able.get(&cluster).ok_or(WhyNot::NoMajority)?;
    if able.cluster.stage == ClusterStage::Draining {
        return Err(WhyNot::Draining);
    }
    if able.busy {
        return Err(WhyNot::InFlight);
    }
    let reading = able.settled.ok_or(WhyNot::Measuring)?;
    if let Some(why) = round.is_full() {
        return Err(why);
    }
    let candidates = round.candidates(able, reading);
    let halved = split::split_the_half(round, cluster, reading, &candidates);
    if let Halved::Decided = halved {
        return Ok(());
    }
    let mut relief = moves::fewest(round, cluster, reading, &candidates, RELIEF_GOAL);
    if let (Halved::LacksRoom(why), None) = (halved, &relief.first) {
        (relief.lacks_room, relief.why_not) = (true, why);
    }
    let mut formed = false;
    let too_hot = reading.heat > Heat::ONE;
    if too_hot && relief.lacks_room && !round.helper_is_busy() {
        formed = health::form_for(round, cluster, reading);
        if !formed && !health::is_forming(round) {
            capacity::lacks_clusters(round);
        }
    }
    match relief.first {
        Some(chosen) => moves::decide(round, cluster, reading, chosen),
        None if formed => {}
        None if relief.lacks_room && health::is_forming(round) => {
            return Err(WhyNot::ClusterForming);
        }
        None if relief.lacks_room && round.helper_is_busy() => return Err(WhyNot::CoolOnesBusy),
        None => return Err(relief.why_not),
    }
    Ok(())
}
