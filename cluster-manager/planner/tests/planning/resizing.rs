//! Splitting a queue that is too much for a cluster, and taking it back.

use shoal_planner::facts::{PartitionStage, Splitting};
use shoal_planner::limits::{MERGE_COOL_DOWN, WINDOW};
use shoal_planner::{Action, Heat};
use shoal_types::{ClusterId, QueueId};

use crate::fleet::{Fleet, actions};

#[test]
fn a_queue_that_makes_half_the_heat_is_split_over_the_coolest() {
    let mut fleet = Fleet::of(5);
    fleet.queue_that(1, 1, 60, false, Splitting::ByMessage);
    fleet.queue(2, 1, 50);
    fleet.queue(3, 2, 61);
    let plan = fleet.settled_plan();
    assert_eq!(
        plan.actions[0].to_string(),
        "split q1 of c1, new partitions on c3 c4 c5: c1 is overheated, 1.10 (operations); this carries 0.60 of it and leaves 0.65"
    );
    fleet.carry_out(&plan);
    let clusters: Vec<u64> = fleet
        .queue_facts(1)
        .active()
        .map(|at| at.cluster.0)
        .collect();
    assert_eq!(clusters, [1, 3, 4, 5]);
    assert_eq!(fleet.asked(ClusterId(1)), 65);
}

#[test]
fn a_queue_of_one_partition_is_never_split() {
    let mut fleet = Fleet::of(5);
    fleet.queue(1, 1, 300);
    fleet.queue(2, 1, 40);
    let plan = fleet.settled_plan();
    assert_eq!(
        actions(&plan),
        ["move q2 from c1 to c2"],
        "the others can be helped at least"
    );
}

#[test]
fn a_fifo_queue_is_split_by_group_and_keeps_one_part_where_it_was() {
    let mut fleet = Fleet::of(3);
    fleet.queue_that(1, 1, 60, true, Splitting::ByGroup);
    fleet.queue(2, 1, 50);
    let plan = fleet.settled_plan();
    assert_eq!(actions(&plan), ["split q1 of c1, new partitions on c2 c3"]);
    let begun = fleet.begin(&plan);
    fleet.facts.opened(begun[0], fleet.now);
    let parts: Vec<_> = fleet
        .queue_facts(1)
        .partitions
        .iter()
        .map(|p| (p.cluster.0, p.epoch.0, p.stage))
        .collect();
    use PartitionStage::{Active, Draining};
    assert_eq!(
        parts,
        [
            (1, 0, Draining),
            (1, 1, Active),
            (2, 2, Active),
            (3, 3, Active)
        ]
    );
}

#[test]
fn a_flood_of_forty_clusters_is_spread_in_a_few_splits() {
    let mut fleet = Fleet::of(100);
    for cluster in 2..=100 {
        fleet.queue(cluster, cluster, 30);
    }
    fleet.queue_that(1, 1, 2_500, false, Splitting::ByMessage);
    for _ in 0..6 {
        let plan = fleet.settled_plan();
        fleet.carry_out(&plan);
    }
    let hottest = (1..=100)
        .map(|id| fleet.asked(ClusterId(id)))
        .max()
        .unwrap();
    assert!(hottest < 100, "{hottest} %");
    assert_eq!(fleet.settled_plan().not_helped, []);
}

#[test]
fn an_action_of_an_earlier_epoch_changes_nothing() {
    let mut fleet = Fleet::of(3);
    fleet.queue_that(1, 1, 120, false, Splitting::ByMessage);
    let plan = fleet.settled_plan();
    fleet.carry_out(&plan);
    let after = fleet.queue_facts(1).clone();
    let again = fleet.facts.begin(&plan.actions[0], fleet.now, || {
        panic!("no partition is needed")
    });
    assert!(!again);
    assert_eq!(*fleet.queue_facts(1), after);
}

#[test]
fn cold_partitions_are_merged_back_one_by_one_after_hours() {
    let mut fleet = Fleet::of(4);
    fleet.queue_that(1, 1, 120, false, Splitting::ByMessage);
    let plan = fleet.settled_plan();
    fleet.carry_out(&plan);
    assert_eq!(fleet.queue_facts(1).active().count(), 4);
    fleet.percent.insert(QueueId(1), 2);
    assert_eq!(
        actions(&fleet.settled_plan()),
        [""; 0],
        "a lull is no reason"
    );
    for left in [3, 2, 1] {
        fleet.pass(usize::try_from(MERGE_COOL_DOWN / WINDOW).unwrap());
        let plan = fleet.plan();
        assert!(
            matches!(plan.actions[..], [ref one] if matches!(one.action, Action::Merge { carries, .. } if carries < Heat::percent(3))),
            "{plan}"
        );
        fleet.carry_out(&plan);
        assert_eq!(fleet.queue_facts(1).active().count(), left);
    }
}
