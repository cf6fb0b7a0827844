//! Dead hosts and spares.

use shoal_planner::limits::{SECOND, WINDOW};
use shoal_types::HostId;

use crate::fleet::{Fleet, actions};

fn replace_after(fleet: &Fleet) -> usize {
    usize::try_from(fleet.rules.replace_after / WINDOW).unwrap() + 1
}

#[test]
fn a_host_that_stays_dead_is_replaced_by_a_spare_of_its_zone() {
    let mut fleet = Fleet::of(3);
    fleet.add_spares("aabc");
    fleet.dies(2);
    fleet.pass(10);
    assert_eq!(actions(&fleet.plan()), [""; 0], "it may come back");
    let windows = replace_after(&fleet);
    fleet.pass(windows);
    let plan = fleet.plan();
    assert_eq!(
        plan.actions[0].to_string(),
        "replace h2 of c1 by h386: not heard from for 960 s; the spare is in zone \"b\""
    );
    assert_eq!(plan.actions.len(), 1);
    fleet.cluster(1).changing = true;
    assert_eq!(
        actions(&fleet.plan()),
        [""; 0],
        "while that is under way nothing else is decided"
    );
}

#[test]
fn a_spare_of_another_zone_is_better_than_none_and_says_so() {
    let mut fleet = Fleet::of(3);
    fleet.add_spares("a");
    fleet.dies(2);
    let windows = replace_after(&fleet);
    fleet.pass(windows);
    let reason = fleet.plan().actions[0].reason.to_string();
    assert!(
        reason.ends_with("zone \"a\", as 1 of the other members, for want of a better one"),
        "{reason}"
    );
}

#[test]
fn a_spare_of_another_pool_is_none() {
    let mut fleet = Fleet::of(3);
    fleet.in_pool("r", 1..=3);
    fleet.add_spares("bb");
    fleet.dies(2);
    let windows = replace_after(&fleet);
    fleet.pass(windows);
    let plan = fleet.plan();
    assert_eq!(plan.actions, [], "both are of the pool without a name");
    assert_eq!(plan.capacity_needed.unwrap().replacements, 1);
    fleet.in_pool("r", [901]);
    assert_eq!(actions(&fleet.plan()), ["replace h2 of c1 by h385"]);
}

#[test]
fn a_member_that_was_given_another_pool_does_not_change_its_clusters() {
    let mut fleet = Fleet::of(3);
    fleet.in_pool("r", [1, 2]);
    fleet.add_spares("b");
    fleet.dies(2);
    let windows = replace_after(&fleet);
    fleet.pass(windows);
    // Of those that stay, h1 is of pool r already and h3 not yet: the smallest name decides.
    assert_eq!(actions(&fleet.plan()), ["replace h2 of c1 by h384"]);
    fleet.in_pool("r", [3]);
    assert_eq!(actions(&fleet.plan()), [""; 0]);
}

#[test]
fn without_a_spare_a_host_is_asked_for() {
    let mut fleet = Fleet::of(3);
    fleet.dies(2);
    let windows = replace_after(&fleet);
    fleet.pass(windows);
    let plan = fleet.plan();
    assert_eq!(
        plan.to_string(),
        "capacity needed: 1 hosts, for 0 clusters and 1 dead members\n"
    );
}

#[test]
fn two_dead_members_of_three_cannot_be_replaced() {
    let mut fleet = Fleet::of(3);
    fleet.add_spares("abc");
    fleet.dies(1);
    fleet.dies(2);
    let windows = replace_after(&fleet);
    fleet.pass(windows);
    assert_eq!(fleet.plan().actions, []);
}

#[test]
fn if_most_hosts_are_silent_the_manager_is_cut_off_and_replaces_nobody() {
    let mut fleet = Fleet::of(4);
    fleet.add_spares("abc");
    (1..=12)
        .filter(|host| host % 3 == 1)
        .for_each(|host| fleet.dies(host));
    let windows = replace_after(&fleet);
    fleet.pass(windows);
    assert_eq!(
        fleet.plan().actions.len(),
        3,
        "a zone is lost: there are three spares"
    );
    // The two other clusters' members, too: now more are silent than not.
    (4..=12).for_each(|host| fleet.dies(host));
    fleet.pass(1);
    assert_eq!(fleet.plan().actions, []);
}

#[test]
fn each_spare_is_taken_once_and_the_longest_dead_goes_first() {
    let mut fleet = Fleet::of(6);
    fleet.add_spares("c");
    fleet.dies(1);
    fleet.pass(2);
    fleet.dies(4);
    let windows = replace_after(&fleet);
    fleet.pass(windows);
    let plan = fleet.plan();
    assert_eq!(actions(&plan), ["replace h1 of c1 by h384"]);
    assert_eq!(plan.capacity_needed.unwrap().replacements, 1);
    assert!(fleet.now.since(fleet.facts.hosts[&HostId(1)].heard) > 10 * SECOND);
}
