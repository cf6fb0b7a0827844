//! Saying what the fleet lacks.

use crate::facts::ClusterStage;
use crate::limits::RELIEF_GOAL;
use crate::round::Round;

/// Notes that load finds no room: so many clusters as would bring the mean down to the goal, at least
/// one.
pub(crate) fn lacks_clusters(round: &mut Round) {
    let serving = |able: &&crate::round::Able| able.cluster.stage == ClusterStage::Serving;
    let weights: u64 = round
        .able
        .values()
        .filter(serving)
        .map(|able| u64::from(able.weight))
        .sum();
    let load = round.mean.times(weights, 1).as_millionths();
    let wanted = load.div_ceil(RELIEF_GOAL.as_millionths());
    let lacking = usize::try_from(wanted.saturating_sub(weights).max(1)).unwrap_or(usize::MAX);
    let size = round.rules.cluster_size;
    let needed = round.plan.capacity_needed.get_or_insert_default();
    needed.clusters = lacking;
    needed.hosts = lacking
        .saturating_mul(size)
        .saturating_add(needed.replacements);
}

/// Notes that a dead member has no spare to replace it.
pub(crate) fn lacks_replacement(round: &mut Round) {
    let needed = round.plan.capacity_needed.get_or_insert_default();
    needed.replacements += 1;
    needed.hosts += 1;
}
