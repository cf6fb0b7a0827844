//! Clusters that an operator empties, and partitions that nobody consumes.

use shoal_planner::facts::ClusterStage;
use shoal_planner::limits::{DRAIN_AT_ONCE, WINDOW};

use crate::fleet::{Fleet, actions};

#[test]
fn a_drained_cluster_gives_everything_away_and_is_retired() {
    let mut fleet = Fleet::of(3);
    for queue in 1..=60 {
        fleet.queue(queue, 1, 0);
    }
    fleet.queue(61, 1, 20);
    fleet.queue(62, 1, 20);
    fleet.pass(5);
    fleet.cluster(1).stage = ClusterStage::Draining;
    let mut rounds = 0;
    while fleet.facts.clusters.len() == 3 {
        let plan = fleet.plan();
        let reason = plan.actions[0].reason.to_string();
        assert!(
            reason.starts_with("c1 is being drained") || reason.starts_with("it is drained"),
            "{reason}"
        );
        assert!(plan.actions.len() <= DRAIN_AT_ONCE);
        fleet.carry_out(&plan);
        fleet.pass(3);
        rounds += 1;
        assert!(rounds < 10, "{plan}");
    }
    assert_eq!(fleet.facts.queues.len(), 62);
    assert_eq!(
        fleet.asked(shoal_types::ClusterId(2)),
        20,
        "the two that matter go apart"
    );
}

#[test]
fn nothing_is_moved_to_a_cluster_that_is_drained() {
    let mut fleet = Fleet::of(3);
    fleet.queue(1, 1, 60);
    fleet.queue(2, 1, 50);
    fleet.queue(3, 3, 30);
    fleet.pass(5);
    fleet.cluster(2).stage = ClusterStage::Draining;
    let plan = fleet.plan();
    assert_eq!(actions(&plan), ["retire c2", "move q2 from c1 to c3"]);
}

#[test]
fn a_partition_with_no_cluster_left_to_go_to_is_merged_into_another() {
    let mut fleet = Fleet::of(2);
    fleet.queue_that(1, 1, 120, false, true);
    let plan = fleet.settled_plan();
    assert_eq!(actions(&plan), ["split q1 of c1, new partitions on c2"]);
    fleet.carry_out(&plan);
    fleet.percent.insert(shoal_types::QueueId(1), 20);
    fleet.pass(5);
    fleet.cluster(1).stage = ClusterStage::Draining;
    let plan = fleet.plan();
    assert_eq!(
        actions(&plan),
        ["merge q1: its partition on c1 into the one on c2"]
    );
    fleet.carry_out(&plan);
    assert_eq!(actions(&fleet.plan()), ["retire c1"]);
}

#[test]
fn what_nobody_consumes_is_forwarded_when_patience_ends() {
    let mut fleet = Fleet::of(2);
    fleet.queue(1, 1, 60);
    fleet.queue(2, 1, 50);
    let plan = fleet.settled_plan();
    let begun = fleet.begin(&plan);
    fleet.facts.opened(begun[0], fleet.now);
    let patience = usize::try_from(fleet.rules.drain_patience / WINDOW).unwrap();
    fleet.pass(patience - 1);
    assert_eq!(actions(&fleet.plan()), [""; 0]);
    fleet.pass(1);
    let plan = fleet.plan();
    assert_eq!(
        plan.actions[0].to_string(),
        "forward what q2 has on c1: sealed for 1800 s, and nobody has consumed it"
    );
    assert!(
        fleet
            .facts
            .begin(&plan.actions[0], fleet.now, || panic!("nothing is created"))
    );
    assert_eq!(actions(&fleet.plan()), [""; 0], "once is enough");
}

#[test]
fn an_operator_who_has_no_patience_has_it_forwarded_at_once_off_what_is_drained() {
    let mut fleet = Fleet::of(2);
    fleet.queue(1, 1, 60);
    fleet.queue(2, 1, 50);
    let plan = fleet.settled_plan();
    let begun = fleet.begin(&plan);
    fleet.facts.opened(begun[0], fleet.now);
    fleet.pass(1);
    fleet.cluster(1).forwards_at_once = true;
    let forwards = |fleet: &Fleet| {
        let actions = actions(&fleet.plan());
        actions.iter().any(|one| one.starts_with("forward"))
    };
    assert!(!forwards(&fleet), "it is not drained");
    fleet.cluster(1).stage = ClusterStage::Draining;
    assert!(forwards(&fleet));
}

#[test]
fn what_was_forwarded_stays_unless_it_is_on_a_cluster_that_is_drained() {
    let mut fleet = Fleet::of(2);
    fleet.queue(1, 1, 60);
    fleet.queue(2, 1, 50);
    let plan = fleet.settled_plan();
    let begun = fleet.begin(&plan);
    fleet.facts.opened(begun[0], fleet.now);
    for change in fleet.facts.changes.values_mut() {
        change.is_heir = true;
    }
    fleet.pass(usize::try_from(fleet.rules.drain_patience / WINDOW).unwrap() + 1);
    let forwards = |fleet: &Fleet| {
        let actions = actions(&fleet.plan());
        actions.iter().any(|one| one.starts_with("forward"))
    };
    assert!(!forwards(&fleet));
    fleet.cluster(1).stage = ClusterStage::Draining;
    assert!(forwards(&fleet));
}
