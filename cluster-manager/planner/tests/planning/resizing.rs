//! Splitting a queue that is too much for a cluster, and taking it back.

use shoal_planner::facts::PartitionStage;
use shoal_planner::limits::{MERGE_COOL_DOWN, WINDOW};
use shoal_planner::{Action, Heat};
use shoal_types::{ClusterId, QueueId};

use crate::fleet::{Fleet, actions, not_helped};

#[test]
fn a_queue_that_makes_half_the_heat_is_split_over_the_coolest() {
    let mut fleet = Fleet::of(5);
    fleet.queue_that(1, 1, 60, false, true);
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
    fleet.queue_that(1, 1, 60, true, true);
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
    fleet.queue_that(1, 1, 2_500, false, true);
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
    fleet.queue_that(1, 1, 120, false, true);
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
    fleet.queue_that(1, 1, 120, false, true);
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

#[test]
fn only_neighbours_are_merged_the_coldest_pair_first() {
    // The queue's lowest and highest groups are on the hottest and the coolest cluster, and are no neighbours.
    let mut fleet = Fleet::of(4);
    fleet.queue_that(1, 1, 4, true, true);
    fleet.spread(1, &[1, 2, 3, 4]);
    for (queue, cluster, percent) in [(2, 1, 40), (3, 2, 20), (4, 3, 30), (5, 4, 10)] {
        fleet.queue(queue, cluster, percent);
    }
    fleet.pass(usize::try_from(MERGE_COOL_DOWN / WINDOW).unwrap());
    assert_eq!(
        actions(&fleet.plan())[0],
        "merge q1: its partition on c1 into the one on c2"
    );
}

#[test]
fn a_queue_set_back_to_one_partition_is_merged_at_once_where_there_is_room() {
    let mut fleet = Fleet::of(3);
    fleet.queue_that(1, 1, 60, false, false);
    fleet.spread(1, &[1, 2, 3]);
    fleet.queue(2, 1, 30);
    fleet.queue(3, 2, 30);
    fleet.queue(4, 3, 62);
    let plan = fleet.settled_plan();
    assert_eq!(
        plan.actions[0].to_string(),
        "merge q1: its partition on c1 into the one on c2: it has 3 partitions and is set to one (`partitions: 1`)"
    );
    fleet.carry_out(&plan);
    let plan = fleet.settled_plan();
    let merges = actions(&plan)
        .into_iter()
        .filter(|action| action.starts_with("merge"));
    assert_eq!(
        merges.count(),
        0,
        "neither can bear what is on c2 and c3: {plan}"
    );
    fleet.percent.insert(QueueId(1), 30);
    assert_eq!(
        actions(&fleet.settled_plan()),
        ["merge q1: its partition on c3 into the one on c2"]
    );
}

#[test]
fn one_message_group_that_is_too_much_is_not_split_and_the_plan_says_so() {
    let mut fleet = Fleet::of(2);
    fleet.queue(1, 1, 120);
    fleet.queue_that(2, 1, 0, true, true);
    fleet.spread(2, &[1, 2]);
    let mut queue = fleet.queue_facts(2).clone();
    let hash = queue.partitions[0].groups.first;
    queue.partitions[0].groups.last = hash;
    queue.partitions[1].groups.first = hash + 1;
    let partition = queue.partitions[0].partition;
    fleet.facts.queues.put(queue);
    fleet.pass(5);
    // What was thought to be the other queue's load is all that of this group.
    for load in &mut fleet.cluster(1).loads {
        (load.queue, load.partition) = (QueueId(2), partition);
    }
    let plan = fleet.plan();
    assert_eq!(actions(&plan), [""; 0]);
    assert_eq!(
        not_helped(&plan),
        [
            "c1 is overheated, 1.20 (operations), and nothing is done: q2 carries 1.20 in one message group, which cannot be split"
        ]
    );
}

/// The words said that only FIFO queues wait, and no queue was merged while one sealed partition of it, which
/// nobody consumed, was left.
#[test]
fn a_standard_queue_is_merged_though_its_last_merge_has_not_drained_and_a_fifo_queue_is_not() {
    for fifo in [false, true] {
        let mut fleet = Fleet::of(3);
        fleet.queue_that(1, 1, 6, fifo, false);
        fleet.spread(1, &[1, 2, 3]);
        let plan = fleet.settled_plan();
        let begun = fleet.begin(&plan);
        fleet.facts.opened(begun[0], fleet.now);
        assert_eq!(fleet.queue_facts(1).active().count(), 2);
        let merges = actions(&fleet.settled_plan()).len();
        assert_eq!(merges, usize::from(!fifo), "fifo: {fifo}");
        fleet.facts.drained(begun[0]);
    }
}
