//! What holds for every plan of every fleet.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use shoal_planner::facts::ClusterStage;
use shoal_planner::limits::{ACTIONS_MAX, DRAIN_AT_ONCE, MERGE_COOL_DOWN, PARTITIONS_MAX, WINDOW};
use shoal_planner::{Action, Decided, Plan, Reason};
use shoal_types::{ClusterId, GroupRange};

use crate::fleet::Fleet;

/// Up to eight clusters, queues of every kind and size anywhere, some of them split already, also such as
/// are not to be any more; some hosts dead, one cluster drained perhaps.
fn any_fleet(troubles: bool) -> impl Strategy<Value = Fleet> {
    let queue = (
        0..8_u64,
        prop_oneof![0..5_u64, 5..40_u64, 40..200_u64],
        0..5_u8,
        prop_oneof![3 => Just(1), 1 => 2..=8_u64],
    );
    let queues = prop::collection::vec(queue, 0..40);
    let dead = prop::collection::vec(0..24_u64, 0..4);
    (1..=8_u64, queues, dead, any::<bool>(), 0..7_usize).prop_map(
        move |(clusters, queues, dead, drained, spares)| {
            let mut fleet = Fleet::of(clusters);
            for (id, (cluster, percent, kind, parts)) in (1..).zip(queues) {
                let (fifo, auto) = match kind {
                    0 => (false, true),
                    1 => (true, true),
                    2 => (true, false),
                    _ => (false, false),
                };
                fleet.queue_that(id, cluster % clusters + 1, percent, fifo, auto);
                let on = (0..parts.min(clusters)).map(|part| (cluster + part) % clusters + 1);
                if parts > 1 {
                    fleet.spread(id, &on.collect::<Vec<u64>>());
                }
            }
            if troubles {
                fleet.add_spares(&"abcabc"[..spares.min(6)]);
                dead.iter()
                    .for_each(|host| fleet.dies(host % (clusters * 3) + 1));
                if drained && clusters > 1 {
                    fleet.cluster(2).stage = ClusterStage::Draining;
                }
            }
            fleet
        },
    )
}

/// Where an action brings load to, and from where.
fn ends(action: &Action) -> Option<(ClusterId, Vec<ClusterId>)> {
    match action {
        Action::Move { from, to, .. } | Action::Merge { from, to, .. } => Some((*from, vec![*to])),
        Action::Split { from, to, .. } => Some((*from, to.clone())),
        _ => None,
    }
}

fn is_merge(decided: &Decided) -> bool {
    matches!(decided.reason, Reason::Cold { .. } | Reason::Several { .. })
}

fn check(fleet: &Fleet, plan: &Plan) -> Result<(), TestCaseError> {
    prop_assert!(plan.actions.len() <= ACTIONS_MAX);
    let (mut by_heat, mut hosts) = (BTreeMap::new(), BTreeSet::new());
    let mut drains: BTreeMap<ClusterId, usize> = BTreeMap::new();
    for decided in &plan.actions {
        if let Some((from, to)) = ends(&decided.action) {
            for cluster in &to {
                let facts = &fleet.facts.clusters[cluster];
                prop_assert_eq!(facts.stage, ClusterStage::Serving, "{}", decided);
                prop_assert!(
                    fleet
                        .facts
                        .has_majority(facts, fleet.rules.silence, fleet.now),
                    "{}",
                    decided
                );
                prop_assert!(*cluster != from, "{}", decided);
            }
            if let Reason::Drained { .. } = decided.reason {
                *drains.entry(from).or_default() += 1;
            } else {
                for cluster in to.into_iter().chain([from]) {
                    *by_heat.entry(cluster).or_insert(0) += 1;
                }
            }
        }
        match &decided.action {
            Action::Replace { by, dead, cluster } => {
                prop_assert!(hosts.insert(*by), "{} is taken once", by);
                prop_assert!(fleet.facts.is_alive(*by, fleet.rules.silence, fleet.now));
                prop_assert!(fleet.facts.clusters[cluster].members.contains(dead));
            }
            Action::Form(new) => {
                for host in &new.members {
                    prop_assert!(hosts.insert(*host), "{} is taken once", host);
                }
            }
            Action::Split { queue, to, .. } => {
                let queue = fleet.facts.queues.get(*queue).unwrap();
                prop_assert!(queue.auto, "{}", decided);
                prop_assert!(queue.active().count() + to.len() <= PARTITIONS_MAX);
            }
            Action::Merge {
                queue,
                partition,
                with,
                ..
            } => {
                let queue = fleet.facts.queues.get(*queue).unwrap();
                let groups = [partition, with].map(|one| queue.partition(*one).unwrap().groups);
                prop_assert!(groups[0].joined(groups[1]).is_some(), "{}", decided);
            }
            _ => {}
        }
    }
    prop_assert!(
        by_heat.values().all(|count| *count == 1),
        "one at a time: {}",
        plan
    );
    prop_assert!(
        drains.values().all(|count| *count <= DRAIN_AT_ONCE),
        "{}",
        plan
    );
    Ok(())
}

/// Windows that pass until what was split lately is merged again.
fn merges_wait() -> usize {
    usize::try_from(MERGE_COOL_DOWN / WINDOW).unwrap()
}

/// The heats of all clusters, hottest first.
fn heats(fleet: &Fleet) -> Vec<u64> {
    let mut heats: Vec<u64> = fleet
        .facts
        .clusters
        .keys()
        .map(|id| fleet.operations(*id))
        .collect();
    heats.sort_unstable_by(|one, other| other.cmp(one));
    heats
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn plans_keep_their_bounds_and_name_only_clusters_that_can_take_something(mut fleet in any_fleet(true)) {
        for _ in 0..20 {
            let plan = fleet.settled_plan();
            check(&fleet, &plan)?;
            prop_assert_eq!(&plan, &fleet.plan(), "equal facts give equal plans");
            fleet.carry_out(&plan);
            fleet.pass(40);
        }
    }

    /// What cannot be begun would be planned again in every round. (`Fleet::begin` asserts that everything can.)
    #[test]
    fn whatever_is_planned_can_be_begun_however_far_earlier_changes_are(
        mut fleet in any_fleet(true),
        goes_on in prop::collection::vec(0..3_u8, 64),
    ) {
        let mut under_way = Vec::new();
        let mut goes_on = goes_on.into_iter().cycle();
        for round in 0..30 {
            let plan = fleet.settled_plan();
            check(&fleet, &plan)?;
            under_way.extend(fleet.begin(&plan));
            under_way.retain(|partition| match goes_on.next() {
                Some(0) => true,
                Some(1) => {
                    fleet.facts.opened(*partition, fleet.now);
                    true
                }
                _ => {
                    fleet.ends(*partition);
                    false
                }
            });
            // Now and then as long as merges wait.
            fleet.pass(if round % 8 == 7 { merges_wait() } else { 3 });
        }
    }

    /// As it has no room elsewhere, or is measured too seldom, a queue may stay in several pieces; but not if
    /// nothing is in the way.
    #[test]
    fn a_queue_that_is_to_have_one_partition_comes_to_have_one(
        parts in 2..=8_usize, fifo in any::<bool>(), percent in 0..70_u64,
    ) {
        let mut fleet = Fleet::of(8);
        fleet.queue_that(1, 1, percent, fifo, false);
        fleet.spread(1, &[3, 1, 4, 2, 5, 8, 6, 7][..parts]);
        for _ in 1..parts {
            let plan = fleet.settled_plan();
            prop_assert!(plan.actions.iter().any(is_merge), "{}", plan);
            fleet.carry_out(&plan);
        }
        prop_assert_eq!(fleet.queue_facts(1).active().count(), 1);
        prop_assert_eq!(fleet.queue_facts(1).active().next().unwrap().groups, GroupRange::ALL);
        prop_assert!(!fleet.settled_plan().actions.iter().any(is_merge));
    }

    #[test]
    fn whoever_takes_something_stays_cooler_than_the_giver_was(mut fleet in any_fleet(false)) {
        for _ in 0..20 {
            let plan = fleet.settled_plan();
            let before: BTreeMap<ClusterId, u64> =
                fleet.facts.clusters.keys().map(|id| (*id, fleet.operations(*id))).collect();
            fleet.carry_out(&plan);
            for decided in &plan.actions {
                let (Some((from, to)), false) = (ends(&decided.action), is_merge(decided)) else {
                    continue;
                };
                for cluster in to {
                    prop_assert!(fleet.operations(cluster) <= before[&from], "{}", decided);
                }
            }
        }
    }

    #[test]
    fn under_steady_load_every_plan_makes_the_fleet_more_even_until_there_is_none(mut fleet in any_fleet(false)) {
        let mut quiet = 0;
        for _ in 0..400 {
            let plan = fleet.settled_plan();
            let merges = plan.actions.iter().any(is_merge);
            let before = heats(&fleet);
            fleet.carry_out(&plan);
            if !plan.actions.is_empty() && !merges {
                prop_assert!(heats(&fleet) <= before, "{:?} after {:?}: {}", heats(&fleet), before, plan);
            }
            quiet = if plan.actions.is_empty() { quiet + 1 } else { 0 };
            // Longer than any cool-down.
            if quiet == 6 {
                return Ok(());
            }
            fleet.pass(400);
        }
        prop_assert!(false, "there is always something to do: {}", fleet.settled_plan());
    }

    #[test]
    fn the_order_in_which_loads_are_told_does_not_matter(mut fleet in any_fleet(true)) {
        let plan = fleet.settled_plan();
        for cluster in fleet.facts.clusters.values_mut() {
            cluster.loads.reverse();
        }
        prop_assert_eq!(plan, fleet.plan());
    }
}

#[test]
fn what_was_split_to_balance_a_fleet_is_not_merged_again() {
    // Found by the property above: a queue with three partitions of 0.03 was split once more, its four
    // were too many for its load, two of them were merged, and so on.
    let mut fleet = Fleet::of(8);
    for (queue, percent) in [(1, 150), (2, 1), (3, 9)] {
        fleet.queue_that(queue, 1, percent, false, true);
    }
    let mut planned = Vec::new();
    for _ in 0..60 {
        let plan = fleet.settled_plan();
        planned.push(plan.actions.len());
        fleet.carry_out(&plan);
        fleet.pass(400);
    }
    assert!(planned.ends_with(&[0; 40]), "{planned:?}");
}
