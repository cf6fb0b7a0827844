//! Goal: clusters survive the loss of a zone wherever the hosts allow it, and plans depend on facts
//! alone. Method: small cases that a person can check, then random sets of hosts.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use shoal_planner::{FormPlan, FormRules, Held, HostFacts, WhyHeld, form};
use shoal_types::HostId;

const RULES: FormRules = FormRules {
    size: 3,
    patience: 2_000_000,
    kept: 0,
};

/// One free live host per letter, known for long, named by its place, in the zone of the letter.
fn hosts(zones: &str) -> Vec<HostFacts> {
    let host = |(i, zone): (usize, char)| HostFacts {
        host: HostId(i as u64 + 1),
        pool: String::new(),
        zone: zone.to_string(),
        alive: true,
        assigned: false,
        known_for: RULES.patience,
    };
    zones.chars().enumerate().map(host).collect()
}

/// The same, each of the pool that the letter of its place says; `.` is the pool without a name.
fn hosts_of(pools: &str, zones: &str) -> Vec<HostFacts> {
    let mut hosts = hosts(zones);
    for (host, pool) in hosts.iter_mut().zip(pools.chars()) {
        host.pool = pool.to_string().replace('.', "");
    }
    hosts
}

fn held(pool: &str, why: WhyHeld) -> Held {
    let pool = pool.to_owned();
    Held { pool, why }
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
        (vec![vec![1, 2, 3]], vec![])
    );
    assert_eq!(plan.clusters[0].to_string(), "3 hosts in 3 zones: h1 h2 h3");
}

#[test]
fn two_hosts_are_none() {
    let plan = form(&hosts("ab"), RULES);
    assert_eq!(plan.clusters, []);
    assert_eq!(plan.held, [held("", WhyHeld::TooFew { free: 2, size: 3 })]);
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
        plan.held[0].to_string(),
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

#[test]
fn clusters_are_of_one_pool_each() {
    // Without pools a cluster of three zones would be made of hosts 1, 4 and 5 first.
    let plan = form(&hosts_of("rrrsss.", "aaabcda"), RULES);
    assert_eq!(members(&plan), [[1, 2, 3], [4, 5, 6]]);
    let pools: Vec<_> = plan.clusters.iter().map(|new| &*new.pool).collect();
    assert_eq!(pools, ["r", "s"]);
    assert_eq!(
        plan.clusters[1].to_string(),
        "3 hosts of pool \"s\" in 3 zones: h4 h5 h6"
    );
}

#[test]
fn too_few_of_different_pools_form_nothing_and_each_pool_says_why() {
    let plan = form(&hosts_of("rrss.", "abcda"), RULES);
    assert_eq!(plan.clusters, []);
    let why: Vec<_> = plan.held.iter().map(Held::to_string).collect();
    assert_eq!(
        why,
        [
            "1 unassigned hosts are fewer than a cluster's 3",
            "2 unassigned hosts of pool \"r\" are fewer than a cluster's 3",
            "2 unassigned hosts of pool \"s\" are fewer than a cluster's 3",
        ]
    );
}

#[test]
fn a_pool_that_waits_holds_no_other_up() {
    let mut hosts = hosts_of("rrrsss", "aaaabc");
    hosts[0].known_for = 0;
    let plan = form(&hosts, RULES);
    assert_eq!(members(&plan), [[4, 5, 6]]);
    let waits = WhyHeld::TooFewZones {
        zones: 1,
        size: 3,
        patience_left: 2_000_000,
    };
    assert_eq!(plan.held, [held("r", waits)]);
}

#[test]
fn spares_are_kept_in_each_pool() {
    let rules = FormRules { kept: 1, ..RULES };
    let plan = form(&hosts_of("rrrssss", "abcabcd"), rules);
    assert_eq!(members(&plan), [[4, 5, 6]]);
    assert_eq!(
        plan.held[0].to_string(),
        "of 3 unassigned hosts of pool \"r\" 1 are kept for replacing dead members"
    );
    assert_eq!(
        plan.held[1],
        held("s", WhyHeld::TooFew { free: 1, size: 3 })
    );
}

fn any_hosts() -> impl Strategy<Value = Vec<HostFacts>> {
    let host = (
        0..3usize,
        0..5u8,
        any::<bool>(),
        prop::bool::weighted(0.2),
        0..4_000_000u64,
    );
    prop::collection::vec(host, 0..30).prop_map(|hosts| {
        type Drawn = (usize, u8, bool, bool, u64);
        let facts = |(i, (pool, zone, alive, assigned, known_for)): (usize, Drawn)| {
            let host = HostId(i as u64 * 7 % 31 + 1);
            HostFacts {
                host,
                pool: ["", "r", "s"][pool].to_owned(),
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
    fn a_plan_takes_each_free_live_host_at_most_once_and_spreads_it_within_its_pool(
        hosts in any_hosts(),
        size in 1..=5usize,
        kept in 0..4usize,
    ) {
        let by_id: BTreeMap<_, _> = hosts.iter().map(|host| (host.host, host)).collect();
        let plan = form(&hosts, FormRules { size, patience: 2_000_000, kept });
        let mut free: BTreeMap<_, _> = by_id.clone();
        free.retain(|_, host| host.alive && !host.assigned);
        for cluster in &plan.clusters {
            prop_assert_eq!(cluster.members.len(), size);
            let of_the_pool = free.values().filter(|host| host.pool == cluster.pool);
            let zones_left = of_the_pool.map(|host| &host.zone).collect::<BTreeSet<_>>().len();
            prop_assert_eq!(cluster.zones.len(), zones_left.min(size), "as many zones as there are");
            for host in &cluster.members {
                let taken = free.remove(host);
                prop_assert!(taken.is_some(), "{} is free and taken once", host);
                prop_assert_eq!(&taken.unwrap().pool, &cluster.pool);
            }
        }
        let pools: BTreeSet<&str> = free.values().map(|host| &*host.pool).collect();
        let told: Vec<&str> = plan.held.iter().map(|held| &*held.pool).collect();
        prop_assert!(told.iter().eq(&pools), "each pool with free hosts says why, once: {:?}", told);
        for held in &plan.held {
            let left = free.values().filter(|host| host.pool == held.pool).count();
            match held.why {
                WhyHeld::TooFew { free, .. } => {
                    prop_assert_eq!(free, left);
                    prop_assert!(left < size);
                }
                WhyHeld::TooFewZones { zones, patience_left, .. } => {
                    prop_assert!(zones < size && patience_left > 0 && left >= size + kept);
                }
                WhyHeld::Kept { free, .. } => {
                    prop_assert_eq!(free, left);
                    prop_assert!((size..size + kept).contains(&left));
                }
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
