//! Clusters and their hosts: dead members are replaced, spares become clusters, empty ones go.

use std::cmp::Reverse;

use shoal_types::{ClusterId, HostId};

use crate::facts::{Cluster, ClusterStage, Host, HostStage};
use crate::limits::{SILENT_SHARE, WINDOWS_LASTING};
use crate::round::Round;
use crate::{Action, Decided, FormRules, HostFacts, Reading, Reason, capacity, form, pool_of};

/// Replaces members that were silent for too long by spares, one per cluster at a time: members change
/// one by one, and only a cluster with a majority can change them.
pub(crate) fn replace_the_dead(round: &mut Round) {
    if most_are_silent(round) {
        return;
    }
    let clusters = round.able.iter().map(|(id, able)| (*id, able.cluster));
    let to_mend: Vec<(ClusterId, &Cluster)> = clusters
        .filter(|(_, cluster)| !cluster.changing && cluster.stage == ClusterStage::Serving)
        .collect();
    for (cluster, facts) in to_mend {
        let dead = facts.members.iter().filter(|host| is_dead(round, **host));
        let longest_silent = dead.min_by_key(|host| (heard(round, **host), **host));
        let Some(&dead) = longest_silent else {
            continue;
        };
        match best_spare(round, facts, dead) {
            Some(by) => replace(round, cluster, facts, dead, by),
            None => capacity::lacks_replacement(round),
        }
    }
}

fn most_are_silent(round: &Round) -> bool {
    let expected = round
        .facts
        .hosts
        .iter()
        .filter(|(_, host)| host.stage != HostStage::Out);
    let (mut all, mut silent) = (0, 0);
    for (_, host) in expected {
        all += 1;
        silent += usize::from(round.now.since(host.heard) > round.rules.silence);
    }
    silent * SILENT_SHARE > all
}

fn heard(round: &Round, host: HostId) -> shoal_types::Ts {
    round
        .facts
        .hosts
        .get(&host)
        .map_or(shoal_types::Ts::ZERO, |host| host.heard)
}

fn is_dead(round: &Round, host: HostId) -> bool {
    let host = round.facts.hosts.get(&host);
    host.is_none_or(|host| {
        host.stage == HostStage::Out || round.now.since(host.heard) > round.rules.replace_after
    })
}

/// Hosts that could become members now.
fn spares<'a>(round: &Round<'a>) -> Vec<(HostId, &'a Host)> {
    let facts = round.facts;
    let spare = |(id, host): &(&HostId, &Host)| {
        host.stage == HostStage::Spare
            && facts.is_alive(**id, round.rules.silence, round.now)
            && !round.taken.contains(id)
    };
    facts
        .hosts
        .iter()
        .filter(spare)
        .map(|(id, host)| (*id, host))
        .collect()
}

/// Of the cluster's pool; in the zone with the fewest other members; then one that can do as much as the
/// dead one; then from the zone with the most spares.
fn best_spare(round: &Round, cluster: &Cluster, dead: HostId) -> Option<HostId> {
    let others = others(round, cluster, dead);
    let pool = pool_of(others.map(|host| &*host.pool))?;
    let mut spares = spares(round);
    spares.retain(|(_, host)| host.pool == pool);
    let wanted = round.facts.hosts.get(&dead).map_or(1, |host| host.capacity);
    let order = |(id, host): &&(HostId, &Host)| {
        let there = others_in_zone(round, cluster, dead, &host.zone);
        let left = spares
            .iter()
            .filter(|(_, other)| other.zone == host.zone)
            .count();
        (there, host.capacity < wanted, Reverse(left), *id)
    };
    spares.iter().min_by_key(order).map(|(id, _)| *id)
}

fn others_in_zone(round: &Round, cluster: &Cluster, dead: HostId, zone: &str) -> usize {
    let others = others(round, cluster, dead);
    others.filter(|host| host.zone == zone).count()
}

/// The other members, as far as they are known.
fn others<'a>(
    round: &Round<'a>,
    cluster: &Cluster,
    dead: HostId,
) -> impl Iterator<Item = &'a Host> {
    let facts = round.facts;
    let others = cluster.members.iter().filter(move |host| **host != dead);
    others.filter_map(|host| facts.hosts.get(host))
}

fn replace(round: &mut Round, cluster: ClusterId, facts: &Cluster, dead: HostId, by: HostId) {
    let zone = round.facts.hosts[&by].zone.clone();
    let reason = Reason::Dead {
        silent: round.now.since(heard(round, dead)),
        shares_zone_with: others_in_zone(round, facts, dead, &zone),
        zone,
    };
    round.taken.insert(by);
    let action = Action::Replace { cluster, dead, by };
    round.plan.actions.push(Decided { action, reason });
}

/// Retires clusters that were drained and have no partition any more.
pub(crate) fn retire_the_empty(round: &mut Round) {
    for (&cluster, facts) in &round.facts.clusters {
        if facts.stage == ClusterStage::Draining && round.facts.queues.count_on(cluster) == 0 {
            let (action, reason) = (Action::Retire { cluster }, Reason::Empty);
            round.plan.actions.push(Decided { action, reason });
        }
    }
}

/// Makes a cluster of spare hosts for what an overheated one cannot give to any other. True if there are
/// enough of them, and no new cluster is about to take load already.
pub(crate) fn form_for(round: &mut Round, cluster: ClusterId, reading: Reading) -> bool {
    if is_forming(round) {
        return false;
    }
    let spares = spares(round);
    let facts = |(id, host): &(HostId, &Host)| HostFacts {
        host: *id,
        pool: host.pool.clone(),
        zone: host.zone.clone(),
        alive: true,
        assigned: false,
        known_for: round.now.since(host.known_since),
    };
    let hosts: Vec<HostFacts> = spares.iter().map(facts).collect();
    // Somebody is overheated: not the time to wait for hosts of other zones.
    let rules = FormRules {
        size: round.rules.cluster_size,
        patience: 0,
        kept: round.rules.spares_kept,
    };
    let Some(new) = form(&hosts, rules).clusters.into_iter().next() else {
        return false;
    };
    round.taken.extend(&new.members);
    let action = Action::Form(new);
    let reason = Reason::NoRoom { cluster, reading };
    round.plan.actions.push(Decided { action, reason });
    true
}

/// True if a cluster is on its way that has taken no load yet.
pub(crate) fn is_forming(round: &Round) -> bool {
    let decided = round
        .plan
        .actions
        .iter()
        .any(|decided| matches!(decided.action, Action::Form(_)));
    let fresh = |cluster: &Cluster| match cluster.stage {
        ClusterStage::Forming => true,
        ClusterStage::Serving => cluster.windows.iter().count() < WINDOWS_LASTING,
        ClusterStage::Draining => false,
    };
    decided || round.facts.clusters.values().any(fresh)
}
