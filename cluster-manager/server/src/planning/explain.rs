//! What a round saw and decided, for people.

use std::cmp::Reverse;
use std::sync::{Mutex, PoisonError};

use shoal_api::plan::{
    BusyPartition, CapacityInfo, ClusterHeat, MeasureInfo, NotHelpedInfo, PlanInfo,
};
use shoal_planner::facts::{Cluster, Facts};
use shoal_planner::{CapacityNeeded, Heat, Measure, Plan, Reading, Rules, heat_of, lasting};
use shoal_types::{ClusterId, QueueId, Ts};

use super::queues::Names;
use crate::limits::BUSIEST_SHOWN;

/// The last round.
#[derive(Default)]
pub(crate) struct Explained(Mutex<PlanInfo>);

impl Explained {
    /// As it was.
    pub(crate) fn get(&self) -> PlanInfo {
        let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shown.clone()
    }

    pub(super) fn set(&self, info: PlanInfo) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = info;
    }
}

/// Everything about a round but what came of its actions.
pub(super) fn explain(
    plan: &Plan,
    facts: &Facts,
    rules: &Rules,
    names: &Names,
    now: Ts,
) -> PlanInfo {
    let clusters = facts.clusters.iter();
    let mut clusters: Vec<ClusterHeat> = clusters
        .map(|(id, cluster)| heat(*id, cluster, facts, rules, names))
        .collect();
    clusters.sort_by_key(|heat| (Reverse(heat.heat), heat.cluster));
    let not_helped = plan.not_helped.iter().map(|one| NotHelpedInfo {
        cluster: one.cluster,
        why: named(one.to_string(), one.why.queue(), names),
    });
    let not_emptied = plan.not_emptied.iter().map(|one| NotHelpedInfo {
        cluster: one.cluster,
        why: named(one.to_string(), Some(one.queue), names),
    });
    PlanInfo {
        at: now,
        clusters,
        actions: Vec::new(),
        not_helped: not_helped.chain(not_emptied).collect(),
        capacity_needed: plan.capacity_needed.map(capacity),
    }
}

/// The planner knows queues by their ids; operators do not.
fn named(text: String, queue: Option<QueueId>, names: &Names) -> String {
    match queue.and_then(|queue| Some((queue, names.get(&queue)?))) {
        Some((queue, name)) => format!("{text} ({queue} is {name})"),
        None => text,
    }
}

pub(super) fn capacity(needed: CapacityNeeded) -> CapacityInfo {
    let CapacityNeeded {
        clusters,
        replacements,
        hosts,
    } = needed;
    CapacityInfo {
        hosts,
        clusters,
        replacements,
    }
}

fn heat(
    id: ClusterId,
    cluster: &Cluster,
    facts: &Facts,
    rules: &Rules,
    names: &Names,
) -> ClusterHeat {
    let weight = facts.weight(cluster);
    let targets = &rules.targets;
    let lasts = |since| lasting(&cluster.windows, since, targets, weight);
    let lasts: Option<Reading> = lasts(cluster.settled).or_else(|| lasts(Ts::ZERO));
    let measures = cluster.windows.last().map(|window| {
        let measure = |measure: Measure| MeasureInfo {
            measure: measure.to_string(),
            value: measure.value(window),
            target: measure.target(targets, weight),
            heat: percent(measure.heat(window, targets, weight)),
        };
        let hottest = heat_of(window, targets, weight).measure;
        let mut all = Measure::ALL.to_vec();
        all.sort_by_key(|one| *one != hottest);
        all.into_iter().map(measure).collect()
    });
    let loads = cluster.loads.iter().filter_map(|load| {
        Some(BusyPartition {
            queue: names.get(&load.queue)?.clone(),
            partition: load.partition,
            operations: load.operations,
            bytes: load.bytes,
        })
    });
    ClusterHeat {
        cluster: id,
        heat: lasts.map(|reading| percent(reading.heat)),
        measure: lasts.map(|reading| reading.measure.to_string()),
        measures: measures.unwrap_or_default(),
        busiest: loads.take(BUSIEST_SHOWN).collect(),
    }
}

/// Rounded up: what is above 1 must not be shown as 100.
fn percent(heat: Heat) -> u64 {
    heat.as_millionths().div_ceil(10_000)
}
