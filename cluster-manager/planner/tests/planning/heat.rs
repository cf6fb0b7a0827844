//! Overheated clusters: known late enough, helped in the right order, told why not.

use shoal_planner::facts::{Change, Forwarding, LeftAlone, PartitionStage, Window, Windows};
use shoal_planner::limits::{DRAINING_MAX, IN_FLIGHT_MAX, PARTITION_COOL_DOWN, SECOND, WINDOW};
use shoal_planner::{Heat, Measure, Targets, WhyNot, heat_of, lasting};
use shoal_types::{ClusterId, PartitionId, QueueId, Ts};

use crate::fleet::{Fleet, actions, not_helped};

#[test]
fn heat_is_the_largest_measure_over_its_target() {
    let targets = Targets::default();
    let mut window = Window {
        operations: 15_000,
        bytes: 1_000,
        cpu_percent: 60,
        ..Window::default()
    };
    let reading = heat_of(&window, &targets, 1);
    assert_eq!(
        (reading.heat, reading.measure),
        (Heat::percent(80), Measure::Cpu)
    );
    window.refusals = 30_000;
    let reading = heat_of(&window, &targets, 1);
    assert_eq!(
        (reading.heat, reading.measure),
        (Heat::percent(200), Measure::Refusals)
    );
    assert_eq!(
        heat_of(&window, &targets, 2).heat,
        Heat::percent(150),
        "rates count by weight"
    );
}

/// Nothing was moved off a cluster that was drained, since all disks of the machine were three quarters full.
#[test]
fn a_disk_that_is_not_too_full_keeps_no_queue_away() {
    let targets = Targets::default();
    let with = |disk_percent| {
        let window = Window {
            disk_percent,
            ..Window::default()
        };
        heat_of(&window, &targets, 1).heat
    };
    assert_eq!(with(72), Heat::percent(45));
    assert_eq!(with(80), Heat::percent(100));
    assert_eq!(with(88), Heat::percent(110));
}

#[test]
fn two_bad_windows_of_five_are_no_heat_that_lasts_and_three_are() {
    let mut windows = Windows::default();
    let mut heats = |operations: [u64; 5]| {
        for (at, operations) in (0..).zip(operations) {
            windows.push(Window {
                began: Ts(at),
                operations,
                ..Window::default()
            });
        }
        lasting(&windows, Ts::ZERO, &Targets::default(), 1)
            .unwrap()
            .heat
    };
    assert_eq!(
        heats([60_000, 3_000, 60_000, 3_000, 3_000]),
        Heat::percent(10)
    );
    assert_eq!(
        heats([60_000, 3_000, 60_000, 3_000, 45_000]),
        Heat::percent(150)
    );
}

#[test]
fn windows_before_a_change_say_nothing_after_it() {
    let mut windows = Windows::default();
    for at in 0..5 {
        windows.push(Window {
            began: Ts(at * WINDOW),
            operations: 60_000,
            ..Window::default()
        });
    }
    let since = |at: u64| lasting(&windows, Ts(at * WINDOW), &Targets::default(), 1);
    assert_eq!(since(2).unwrap().heat, Heat::percent(200));
    assert_eq!(since(3), None, "two windows are too few");
}

#[test]
fn an_overheated_cluster_gives_the_one_queue_that_suffices_to_the_coolest() {
    let mut fleet = Fleet::of(3);
    for (queue, percent) in [(1, 30), (2, 45), (3, 50), (4, 10)] {
        fleet.queue(queue, 1, percent);
    }
    fleet.queue(5, 2, 30);
    fleet.queue(6, 3, 25);
    let plan = fleet.settled_plan();
    assert_eq!(
        plan.actions[0].to_string(),
        "move q3 from c1 to c3: c1 is overheated, 1.35 (operations); this carries 0.50 of it and leaves 0.85"
    );
    // None alone brings 1.35 below 0.70, so the largest goes first, and only one goes at a time.
    fleet.carry_out(&plan);
    let plan = fleet.plan();
    assert_eq!(actions(&plan), [""; 0], "it is measured first");
    let plan = fleet.settled_plan();
    assert_eq!(
        actions(&plan),
        ["move q1 from c1 to c2"],
        "relief goes on below 1, with the smallest that suffices"
    );
    let reason = plan.actions[0].reason.to_string();
    assert!(
        reason.starts_with("c1 was overheated and is not down to the goal, 0.85"),
        "{reason}"
    );
    fleet.carry_out(&plan);
    assert_eq!(fleet.settled_plan().not_helped, []);
}

#[test]
fn what_a_cluster_takes_must_not_overheat_it() {
    let mut fleet = Fleet::of(2);
    fleet.queue(1, 1, 60);
    fleet.queue(2, 1, 60);
    fleet.queue(3, 2, 55);
    let plan = fleet.settled_plan();
    assert_eq!(actions(&plan), [""; 0]);
    assert_eq!(
        not_helped(&plan),
        [
            "c1 is overheated, 1.20 (operations), and nothing is done: q1 alone carries 0.60 and may not be split (`partitions: auto` would allow it)"
        ]
    );
    assert_eq!(
        plan.capacity_needed.unwrap().to_string(),
        "capacity needed: 3 hosts, for 1 clusters and 0 dead members"
    );
}

#[test]
fn where_nobody_has_room_spares_become_a_cluster_and_it_takes_the_queue() {
    let mut fleet = Fleet::of(2);
    fleet.queue(1, 1, 60);
    fleet.queue(2, 1, 60);
    fleet.queue(3, 2, 55);
    fleet.add_spares("abbc");
    let plan = fleet.settled_plan();
    assert_eq!(
        actions(&plan),
        ["form a cluster of 3 hosts in 3 zones: h384 h385 h387"]
    );
    assert_eq!(plan.capacity_needed, None);
    fleet.add_cluster(3);
    fleet.pass(1);
    assert_eq!(actions(&fleet.plan()), [""; 0], "one new cluster at a time");
    let plan = fleet.settled_plan();
    assert_eq!(actions(&plan), ["move q2 from c1 to c3"]);
}

#[test]
fn spares_of_several_pools_become_no_cluster() {
    let mut fleet = Fleet::of(2);
    fleet.queue(1, 1, 60);
    fleet.queue(2, 1, 60);
    fleet.queue(3, 2, 55);
    fleet.add_spares("abcd");
    fleet.in_pool("r", [900, 901]);
    let plan = fleet.settled_plan();
    assert_eq!(actions(&plan), [""; 0]);
    assert_eq!(plan.capacity_needed.unwrap().clusters, 1);
    fleet.in_pool("r", [903]);
    let plan = fleet.settled_plan();
    assert_eq!(
        actions(&plan),
        ["form a cluster of 3 hosts of pool \"r\" in 3 zones: h384 h385 h387"]
    );
}

#[test]
fn a_relief_that_goes_on_below_one_asks_for_no_hosts() {
    let mut fleet = Fleet::of(2);
    fleet.queue(1, 1, 40);
    fleet.queue(2, 1, 40);
    fleet.queue(3, 1, 30);
    fleet.queue(4, 2, 45);
    fleet.add_spares("abc");
    let plan = fleet.settled_plan();
    assert_eq!(
        actions(&plan)[0],
        "form a cluster of 3 hosts in 3 zones: h384 h385 h386"
    );
    fleet.facts.hosts.retain(|host, _| host.0 < 900);
    fleet.carry_out(&plan);
    assert_eq!(fleet.asked(ClusterId(1)), 80, "q3 has found a place");
    let plan = fleet.settled_plan();
    assert_eq!((plan.not_helped, plan.capacity_needed), (Vec::new(), None));
}

#[test]
fn a_queue_that_moved_lately_is_left_alone() {
    let mut fleet = Fleet::of(3);
    fleet.queue(1, 1, 60);
    fleet.queue(2, 1, 45);
    let plan = fleet.settled_plan();
    assert_eq!(actions(&plan), ["move q2 from c1 to c2"]);
    fleet.carry_out(&plan);
    // Now it is flooded itself, beside another.
    fleet.queue(3, 2, 61);
    let plan = fleet.settled_plan();
    assert_eq!(
        actions(&plan),
        ["move q3 from c2 to c3"],
        "not q2 again, which would fit as well"
    );
    fleet.queue(4, 3, 5);
    fleet.pass(usize::try_from(PARTITION_COOL_DOWN / WINDOW).unwrap());
    assert_eq!(actions(&fleet.plan()), ["move q2 from c2 to c3"]);
}

#[test]
fn a_fifo_queue_does_not_move_again_before_the_first_move_has_drained() {
    let mut fleet = Fleet::of(3);
    fleet.queue_that(1, 1, 45, true, false);
    fleet.queue(2, 1, 60);
    let plan = fleet.settled_plan();
    assert_eq!(actions(&plan), ["move q1 from c1 to c2"]);
    let begun = fleet.begin(&plan);
    fleet.facts.opened(begun[0], fleet.now);
    fleet.queue(3, 2, 65);
    fleet.queue_that(4, 2, 1, true, false);
    fleet.pass(usize::try_from(PARTITION_COOL_DOWN / WINDOW).unwrap());
    assert_eq!(
        fleet.queue_facts(1).partitions[0].stage,
        PartitionStage::Draining
    );
    assert_eq!(actions(&fleet.plan())[0], "move q3 from c2 to c3");
    fleet.facts.drained(begun[0]);
    assert_eq!(actions(&fleet.plan())[0], "move q1 from c2 to c3");
}

#[test]
fn when_as_much_is_in_flight_as_may_be_an_overheated_cluster_waits_and_is_told() {
    let mut fleet = Fleet::of(3);
    fleet.queue(1, 1, 60);
    fleet.queue(2, 1, 50);
    fleet.pass(5);
    changes(&mut fleet, IN_FLIGHT_MAX, None);
    let plan = fleet.plan();
    assert_eq!(actions(&plan), [""; 0]);
    assert_eq!(plan.not_helped[0].why, WhyNot::FleetBusy);
    fleet.facts.changes.pop_last();
    assert_eq!(actions(&fleet.plan()), ["move q2 from c1 to c2"]);
    fleet.facts.clearing = 1;
    assert_eq!(fleet.plan().not_helped[0].why, WhyNot::FleetBusy);
}

/// A thousand queues that nobody consumed had been moved, and no other was moved any more until somebody did:
/// what waited for consumers counted as in flight.
#[test]
fn what_waits_for_consumers_keeps_nobody_from_being_helped_until_it_is_very_much() {
    let mut fleet = Fleet::of(3);
    fleet.queue(1, 1, 60);
    fleet.queue(2, 1, 50);
    fleet.pass(5);
    let sealed = Some(fleet.now);
    changes(&mut fleet, DRAINING_MAX - 1, sealed);
    assert_eq!(actions(&fleet.plan()), ["move q2 from c1 to c2"]);
    changes(&mut fleet, DRAINING_MAX, sealed);
    let plan = fleet.plan();
    assert_eq!(actions(&plan), [""; 0]);
    assert_eq!(plan.not_helped[0].why, WhyNot::ManyDrain);
    // What is forwarded is in flight, and waits for nobody.
    for change in fleet.facts.changes.values_mut().take(IN_FLIGHT_MAX - 1) {
        change.forwarding = Forwarding::UnderWay;
    }
    assert_eq!(actions(&fleet.plan()), ["move q2 from c1 to c2"]);
}

/// So many changes of queues that carry nothing.
fn changes(fleet: &mut Fleet, count: usize, sealed: Option<Ts>) {
    for partition in (1_000..).map(PartitionId).take(count) {
        let change = Change {
            queue: QueueId(partition.0),
            from: ClusterId(2),
            to: vec![ClusterId(3)],
            carries: Heat::ZERO,
            seals: vec![partition],
            opens: Vec::new(),
            sealed,
            forwarding: Forwarding::No,
            is_heir: false,
        };
        fleet.facts.changes.insert(partition, change);
    }
}

/// A target refused, and for five minutes the same move was planned and refused every five seconds.
#[test]
fn a_queue_whose_move_was_undone_is_left_alone_and_others_are_moved_instead() {
    let mut fleet = Fleet::of(3);
    fleet.queue(1, 1, 60);
    fleet.queue(2, 1, 50);
    fleet.pass(5);
    let left = LeftAlone {
        until: fleet.now.after(300 * SECOND),
        why: "c2 answered: told to refuse".to_owned(),
    };
    fleet.facts.left_alone.insert(QueueId(2), left.clone());
    assert_eq!(actions(&fleet.plan()), ["move q1 from c1 to c2"]);
    fleet.facts.left_alone.insert(QueueId(1), left);
    assert_eq!(actions(&fleet.plan()), [""; 0]);
    fleet.pass(usize::try_from(300 * SECOND / WINDOW).unwrap());
    assert_eq!(actions(&fleet.plan()), ["move q2 from c1 to c2"]);
}

/// One queue was flooded on a machine that had no processor time left for anybody: all clusters were too
/// hot, and the plan said that everything had been moved lately, and asked for no hosts.
#[test]
fn where_all_clusters_are_hot_a_flooded_queue_stays_and_the_plan_says_how_hot_they_are() {
    let mut fleet = Fleet::of(2);
    fleet.queue_that(1, 1, 150, false, true);
    fleet.queue(2, 2, 90);
    // It has been moved by an operator, so it is not moved again soon; it could be split.
    let mut queue = fleet.queue_facts(1).clone();
    queue.partitions[0].epoch.0 = 1;
    queue.partitions[0].since = fleet.now;
    fleet.facts.queues.put(queue);
    let plan = fleet.settled_plan();
    assert_eq!(actions(&plan), [""; 0]);
    assert_eq!(
        not_helped(&plan),
        [
            "c1 is overheated, 1.50 (operations), and nothing is done: no other cluster is cool enough: the coolest, c2, is at 0.90 (operations), and only below 0.80 they are given something"
        ]
    );
    assert!(plan.capacity_needed.is_some(), "{plan}");
    fleet.facts.clusters.remove(&ClusterId(2));
    assert_eq!(fleet.plan().not_helped[0].why, WhyNot::NoOther);
}

#[test]
fn a_queue_that_is_too_much_for_any_other_cluster_is_named() {
    let mut fleet = Fleet::of(2);
    for (queue, cluster, percent) in [(1, 1, 45), (2, 1, 45), (3, 1, 45), (4, 2, 50)] {
        fleet.queue(queue, cluster, percent);
    }
    let plan = fleet.settled_plan();
    assert_eq!(
        not_helped(&plan),
        [
            "c1 is overheated, 1.35 (operations), and nothing is done: q1 carries 0.45, with which any other cluster would become too hot"
        ]
    );
}

#[test]
fn a_cluster_without_majority_is_named_and_left() {
    let mut fleet = Fleet::of(3);
    fleet.queue(1, 1, 70);
    fleet.queue(2, 1, 45);
    fleet.pass(5);
    fleet.dies(1);
    fleet.dies(2);
    let plan = fleet.plan();
    assert_eq!(actions(&plan), [""; 0]);
    assert_eq!(
        not_helped(&plan),
        [
            "c1 is overheated, 1.15 (operations), and nothing is done: it has no majority, so nothing on it can be sealed"
        ]
    );
}

#[test]
fn a_new_cluster_takes_its_share_piece_by_piece() {
    let mut fleet = Fleet::of(4);
    for queue in 0..30 {
        fleet.queue(queue + 1, queue % 3 + 1, 6);
    }
    let mut moves = 0;
    for _ in 0..300 {
        let plan = fleet.settled_plan();
        moves += plan.actions.len();
        fleet.carry_out(&plan);
        fleet.pass(60);
    }
    let asked: Vec<u64> = (1..=4).map(|id| fleet.asked(ClusterId(id))).collect();
    assert!(asked[3] >= 36, "{asked:?}");
    assert!(moves <= 9, "{moves} moves for {asked:?}");
}
