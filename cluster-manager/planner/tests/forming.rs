//! Goal: clusters survive the loss of a zone wherever the hosts allow it, and plans depend on facts
//! alone. Method: small cases that a person can check, then random sets of hosts.

use std::collections::BTreeMap;

use proptest::prelude::*;
use shoal_planner::{FormPlan, FormRules, Held, HostFacts, form};
use shoal_types::HostId;

const RULES: FormRules = FormRules {
    size: 3,
    patience: 2_000_000,
};

/// One free live host per letter, known for long, named by its place, in the zone of the letter.
fn hosts(zones: &str) -> Vec<HostFacts> {
    let host = |(i, zone): (usize, char)| HostFacts {
        host: HostId(i as u64 + 1),
        zone: zone.to_string(),
        alive: true,
        assigned: false,
        known_for: RULES.patience,
    };
    zones.chars().enumerate().map(host).collect()
}

fn members(plan: &FormPlan) -> Vec<Vec<u64>> {
    let ids = |members: &[HostId]| members.iter().map(|host| host.0).collect();
    plan.clusters
        .iter()
        .map(|cluster| ids(&cluster.members))
        .collect()
}

#[test]
fn three_hosts_in_three_zones_are_a_cluster_at_once() {
    let mut hosts = hosts("abc");
    hosts.iter_mut().for_each(|host| host.known_for = 0);
    let plan = form(&hosts, RULES);
    assert_eq!(
        (members(&plan), plan.held.clone()),
        (vec![vec![1, 2, 3]], None)
    );
    assert_eq!(plan.clusters[0].to_string(), "3 hosts in 3 zones: h1 h2 h3");
}

#[test]
fn two_hosts_are_none() {
    let plan = form(&hosts("ab"), RULES);
    assert_eq!(plan.clusters, []);
    assert_eq!(plan.held, Some(Held::TooFew { free: 2, size: 3 }));
}

#[test]
fn six_hosts_of_three_zones_are_two_clusters_that_each_survive_a_zone() {
    let plan = form(&hosts("aabbcc"), RULES);
    assert_eq!(members(&plan), [[1, 3, 5], [2, 4, 6]]);
}

#[test]
fn the_zone_with_most_hosts_is_used_up_first() {
    // Taking a, b, c twice would leave two hosts of one zone and no third zone for them.
    let plan = form(&hosts("aaabbbccdd").split_off(1), RULES);
    assert!(
        plan.clusters.iter().all(|cluster| cluster.zones.len() == 3),
        "{plan:?}"
    );
    assert_eq!(plan.clusters.len(), 3);
}

#[test]
fn dead_and_assigned_hosts_are_not_taken() {
    let mut hosts = hosts("abcde");
    hosts[0].alive = false;
    hosts[1].assigned = true;
    assert_eq!(members(&form(&hosts, RULES)), [[3, 4, 5]]);
}

#[test]
fn hosts_of_one_zone_wait_for_others_and_are_taken_when_patience_ends() {
    let mut hosts = hosts("aaa");
    hosts[2].known_for = 500_000;
    let plan = form(&hosts, RULES);
    assert_eq!(plan.clusters, []);
    assert_eq!(
        plan.held.unwrap().to_string(),
        "unassigned hosts stand in 1 zones where a cluster could have 3; others are waited for 1500 ms longer"
    );
    hosts[2].known_for = 2_000_000;
    let plan = form(&hosts, RULES);
    assert_eq!(members(&plan), [[1, 2, 3]]);
    assert_eq!(
        plan.clusters[0].to_string(),
        "3 hosts in 1 zones: h1 h2 h3; 3 in zone \"a\", as no other zone had one"
    );
}

#[test]
fn four_hosts_in_three_zones_have_two_in_one() {
    let plan = form(&hosts("abca"), FormRules { size: 4, ..RULES });
    assert_eq!(members(&plan), [[1, 2, 3, 4]]);
    assert_eq!(plan.clusters[0].zones.len(), 3);
}

fn any_hosts() -> impl Strategy<Value = Vec<HostFacts>> {
    let host = (
        0..5u8,
        any::<bool>(),
        prop::bool::weighted(0.2),
        0..4_000_000u64,
    );
    prop::collection::vec(host, 0..30).prop_map(|hosts| {
        let facts = |(i, (zone, alive, assigned, known_for)): (usize, (u8, bool, bool, u64))| {
            let host = HostId(i as u64 * 7 % 31 + 1);
            HostFacts {
                host,
                zone: format!("z{zone}"),
                alive,
                assigned,
                known_for,
            }
        };
        hosts.into_iter().enumerate().map(facts).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_takes_each_free_live_host_at_most_once_and_spreads_it(
        hosts in any_hosts(),
        size in 1..=5usize,
    ) {
        let by_id: BTreeMap<_, _> = hosts.iter().map(|host| (host.host, host)).collect();
        let plan = form(&hosts, FormRules { size, patience: 2_000_000 });
        let mut free: BTreeMap<_, _> = by_id.clone();
        free.retain(|_, host| host.alive && !host.assigned);
        for cluster in &plan.clusters {
            prop_assert_eq!(cluster.members.len(), size);
            let zones_left = free.values().map(|host| &host.zone)
                .collect::<std::collections::BTreeSet<_>>().len();
            prop_assert_eq!(cluster.zones.len(), zones_left.min(size), "as many zones as there are");
            for host in &cluster.members {
                prop_assert!(free.remove(host).is_some(), "{} is free and taken once", host);
            }
        }
        match plan.held {
            None => prop_assert!(free.is_empty()),
            Some(Held::TooFew { free: count, .. }) => {
                prop_assert_eq!(count, free.len());
                prop_assert!((1..size).contains(&count));
            }
            Some(Held::TooFewZones { zones, patience_left, .. }) => {
                prop_assert!(zones < size && patience_left > 0 && free.len() >= size);
            }
        }
    }

    #[test]
    fn a_plan_does_not_depend_on_the_order_of_the_hosts(hosts in any_hosts()) {
        let mut reversed = hosts.clone();
        reversed.reverse();
        prop_assert_eq!(form(&hosts, RULES), form(&reversed, RULES));
    }
}
