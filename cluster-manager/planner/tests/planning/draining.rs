//! Clusters that an operator empties, and partitions that nobody consumes.

use shoal_planner::WhyStays;
use shoal_planner::facts::{ClusterStage, Forwarding};
use shoal_planner::limits::{
    BEHIND_MAX, DRAIN_AT_ONCE, FORWARDS_MAX, FORWARDS_PER_ROUND, SECOND, WINDOW,
};
use shoal_types::{ClusterId, PartitionId};

use crate::fleet::{Fleet, actions, not_emptied};

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
        fleet.asked(ClusterId(2)),
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
        "forward what q2 has on c1 to c2: sealed for 1800 s, and nobody has consumed it"
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

/// Of a FIFO queue that nobody consumed nothing went off a second cluster that was drained: its last move was
/// not over, and what was left of it could go nowhere but where the queue was sent to.
#[test]
fn a_fifo_queue_that_nobody_consumes_leaves_one_drained_cluster_after_the_other() {
    let mut fleet = Fleet::of(4);
    fleet.queue_that(1, 1, 0, true, false);
    fleet.queue(2, 3, 10);
    fleet.pass(5);
    fleet.cluster(1).stage = ClusterStage::Draining;
    let first = begin_and_open(&mut fleet, "move q1 from c1 to c2");
    fleet.pass(1);
    fleet.cluster(2).stage = ClusterStage::Draining;
    let second = begin_and_open(&mut fleet, "move q1 from c2 to c4");

    let stays = |fleet: &Fleet| not_emptied(&fleet.plan());
    assert_eq!(
        stays(&fleet)[1],
        "c2 is being drained, and a partition of q1 stays: sealed, and not consumed to the end; what is left is forwarded in 1800 s (at once with `--forward`)"
    );
    fleet.cluster(1).forwards_at_once = true;
    fleet.cluster(2).forwards_at_once = true;
    assert_eq!(
        actions(&fleet.plan()),
        ["forward what q1 has on c1 to c4"],
        "the oldest first, to where it is sent"
    );
    heir(&mut fleet, first, 3);
    assert_eq!(actions(&fleet.plan()), ["retire c1"]);
    assert_eq!(
        stays(&fleet),
        [
            "c2 is being drained, and a partition of q1 stays: it keeps its order, and what was sent before is on c3 and has to be gone first: consume it, or purge or delete the queue"
        ]
    );
    fleet.facts.drained(first);
    assert_eq!(
        actions(&fleet.plan()),
        ["retire c1", "forward what q1 has on c2 to c4"]
    );
    fleet.facts.drained(second);
    assert_eq!(actions(&fleet.plan()), ["retire c1", "retire c2"]);
}

#[test]
fn a_fifo_queue_does_not_leave_clusters_without_end() {
    let clusters = BEHIND_MAX as u64 + 3;
    let mut fleet = Fleet::of(clusters);
    fleet.queue_that(1, 1, 0, true, false);
    fleet.pass(5);
    for at in 1..=BEHIND_MAX as u64 {
        fleet.cluster(at).stage = ClusterStage::Draining;
        let next = at + 1;
        begin_and_open(&mut fleet, &format!("move q1 from c{at:x} to c{next:x}"));
        fleet.pass(1);
    }
    let last = BEHIND_MAX as u64 + 1;
    fleet.cluster(last).stage = ClusterStage::Draining;
    let plan = fleet.plan();
    assert_eq!(actions(&plan), [""; 0]);
    let mut stays = plan.not_emptied.iter();
    let stays = stays.find(|one| one.cluster == ClusterId(last)).unwrap();
    assert_eq!(stays.why, WhyStays::ManyBehind);
}

/// The only cluster that was left had what could not be consumed of the queue, and was passed over for it.
#[test]
fn a_queue_goes_where_something_sealed_of_it_is_rather_than_stay_on_what_is_drained() {
    let mut fleet = Fleet::of(3);
    fleet.queue_that(1, 1, 0, true, false);
    fleet.pass(5);
    fleet.cluster(1).stage = ClusterStage::Draining;
    let first = begin_and_open(&mut fleet, "move q1 from c1 to c2");
    heir(&mut fleet, first, 3);
    fleet.pass(1);
    fleet.facts.clusters.remove(&ClusterId(1));
    fleet.cluster(2).stage = ClusterStage::Draining;
    assert_eq!(actions(&fleet.plan()), ["move q1 from c2 to c3"]);
}

/// Begins the only move of the plan, and has its successor open.
fn begin_and_open(fleet: &mut Fleet, planned: &str) -> PartitionId {
    let plan = fleet.plan();
    assert_eq!(actions(&plan), [planned], "{plan}");
    let begun = fleet.begin(&plan);
    fleet.facts.opened(begun[0], fleet.now);
    begun[0]
}

/// All of a sealed partition has gone over to an heir, which is known by the same id here.
fn heir(fleet: &mut Fleet, sealed: PartitionId, cluster: u64) {
    let change = fleet.facts.changes.get_mut(&sealed).unwrap();
    change.is_heir = true;
    change.from = ClusterId(cluster);
    let queue = change.queue;
    let mut queue = fleet.queue_facts(queue.0).clone();
    let mut all = queue.partitions.iter_mut();
    let known = all.find(|one| one.partition == sealed).unwrap();
    known.cluster = ClusterId(cluster);
    fleet.facts.queues.put(queue);
}

/// Two clusters, the first of which is drained without patience, and so many queues that are sealed there.
fn sealed_queues(count: usize) -> Fleet {
    let mut fleet = Fleet::of(3);
    for queue in 1..=count as u64 {
        fleet.queue(queue, 1, 0);
    }
    fleet.pass(5);
    fleet.cluster(1).stage = ClusterStage::Draining;
    while fleet.facts.changes.len() < count {
        let plan = fleet.plan();
        for begun in fleet.begin(&plan) {
            fleet.facts.opened(begun, fleet.now);
        }
    }
    fleet.pass(1);
    fleet.cluster(1).forwards_at_once = true;
    fleet
}

/// Where an heir can be made nowhere but on a cluster that is being drained too, the manager would refuse it.
#[test]
fn an_heir_goes_where_its_queue_is_sent_to_else_to_the_coolest_and_never_where_it_is_drained() {
    let mut fleet = sealed_queues(1);
    assert_eq!(actions(&fleet.plan()), ["forward what q1 has on c1 to c2"]);
    fleet.cluster(2).stage = ClusterStage::Draining;
    let plan = actions(&fleet.plan());
    assert!(
        plan.contains(&"forward what q1 has on c1 to c3".to_owned()),
        "{plan:?}"
    );
    fleet.cluster(3).stage = ClusterStage::Draining;
    let plan = fleet.plan();
    assert_eq!(actions(&plan), ["retire c3"]);
    assert_eq!(
        not_emptied(&plan),
        [
            "c1 is being drained, and a partition of q1 stays: there is no other cluster that takes queues",
            "c2 is being drained, and a partition of q1 stays: there is no other cluster that takes queues"
        ]
    );
}

/// An heir that could not be made was planned again each round, and each attempt left a partition to be
/// deleted in the move's record.
#[test]
fn forwarding_that_came_to_nothing_waits_and_is_tried_elsewhere() {
    let mut fleet = sealed_queues(1);
    let given_up = |fleet: &mut Fleet, again| {
        for change in fleet.facts.changes.values_mut() {
            let at = ClusterId(2);
            change.forwarding = Forwarding::GivenUp { again, at };
        }
    };
    let again = fleet.now.after(60 * SECOND);
    given_up(&mut fleet, Some(again));
    let plan = fleet.plan();
    assert_eq!(actions(&plan), [""; 0]);
    assert_eq!(
        not_emptied(&plan),
        [
            "c1 is being drained, and a partition of q1 stays: forwarding it to c2 came to nothing, and is tried again in 60 s"
        ]
    );
    fleet.pass(usize::try_from(60 * SECOND / WINDOW).unwrap());
    assert_eq!(actions(&fleet.plan()), ["forward what q1 has on c1 to c3"]);
    given_up(&mut fleet, None);
    let plan = fleet.plan();
    assert_eq!(actions(&plan), [""; 0]);
    assert!(not_emptied(&plan)[0].contains("has to be deleted first"));
}

#[test]
fn a_thousand_forwardings_leave_room_in_the_plan_and_do_not_go_all_at_once() {
    let mut fleet = sealed_queues(FORWARDS_MAX + 10);
    fleet.queue(1_000, 2, 70);
    fleet.queue(1_001, 2, 50);
    fleet.pass(5);
    let plan = fleet.plan();
    assert_eq!(actions(&plan)[0], "move q3e9 from c2 to c3");
    assert_eq!(plan.actions.len(), 1 + FORWARDS_PER_ROUND);
    for _ in 0..10 {
        for decided in &fleet.plan().actions {
            fleet
                .facts
                .begin(decided, fleet.now, || PartitionId(1_000_000));
        }
    }
    let changes = fleet.facts.changes.values();
    let forwarded = changes.filter(|change| change.forwarding == Forwarding::UnderWay);
    assert_eq!(forwarded.count(), FORWARDS_MAX);
}
