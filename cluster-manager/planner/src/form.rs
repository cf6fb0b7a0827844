//! Which unassigned hosts become a cluster: hosts of one pool, of as many different zones as possible, never
//! too few.

use std::collections::BTreeMap;
use std::fmt;

use shoal_types::{HostId, Micros};

use crate::pool;

/// What forming must know of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFacts {
    /// Which.
    pub host: HostId,
    /// Which hosts it may be in a cluster with; empty: the pool without a name.
    pub pool: String,
    /// Where it stands.
    pub zone: String,
    /// True if it was heard from lately.
    pub alive: bool,
    /// True if it belongs to a cluster, be it one that is only decided yet.
    pub assigned: bool,
    /// For how long it has been known, in microseconds.
    pub known_for: Micros,
}

/// How clusters are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormRules {
    /// Hosts of a cluster.
    pub size: usize,
    /// A cluster of fewer zones than it could have hosts waits so long, from when its youngest host
    /// became known: hosts of other zones may be about to start.
    pub patience: Micros,
    /// So many hosts of each pool are left over, to replace dead members.
    pub kept: usize,
}

/// What is to be formed now, and what is not, with reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FormPlan {
    /// In the order in which they are to be formed.
    pub clusters: Vec<NewCluster>,
    /// Why the other unassigned live hosts wait, for each pool that has some.
    pub held: Vec<Held>,
}

/// A cluster to be formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCluster {
    /// The pool that its hosts are of.
    pub pool: String,
    /// Its hosts, smallest id first.
    pub members: Vec<HostId>,
    /// Each zone with how many of the hosts stand there.
    pub zones: BTreeMap<String, usize>,
}

/// Hosts of one pool that wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The pool.
    pub pool: String,
    /// Why.
    pub why: WhyHeld,
}

/// Why unassigned hosts wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyHeld {
    /// They are fewer than a cluster has.
    TooFew {
        /// How many there are.
        free: usize,
        /// How many a cluster has.
        size: usize,
    },
    /// They would stand in too few zones, and hosts of other zones may still come.
    TooFewZones {
        /// How many zones there are.
        zones: usize,
        /// How many a cluster could have.
        size: usize,
        /// After so many microseconds they are taken as they are.
        patience_left: Micros,
    },
    /// A cluster of them would leave fewer than are kept for replacing dead members.
    Kept {
        /// How many there are.
        free: usize,
        /// How many are kept.
        kept: usize,
    },
}

/// Forms as many clusters as there are unassigned live hosts for, each of hosts of one pool. A pool that has
/// to wait holds no other up.
///
/// # Panics
/// If a cluster is to have no hosts.
#[must_use]
pub fn form(hosts: &[HostFacts], rules: FormRules) -> FormPlan {
    assert!(rules.size > 0, "a cluster has hosts");
    let mut pools: BTreeMap<&str, Vec<&HostFacts>> = BTreeMap::new();
    for host in hosts.iter().filter(|host| host.alive && !host.assigned) {
        pools.entry(&host.pool).or_default().push(host);
    }
    let mut plan = FormPlan::default();
    for (pool, hosts) in pools {
        let why = form_of(pool, Free::new(hosts), rules, &mut plan.clusters);
        let pool = pool.to_owned();
        plan.held.extend(why.map(|why| Held { pool, why }));
    }
    plan
}

/// Forms the clusters of one pool; says why hosts are left, if some are. Each host is taken from the zone of
/// which the cluster has fewest, among those from the one with most hosts left, so that no zone is left over
/// alone.
fn form_of(
    pool: &str,
    mut free: Free<'_>,
    rules: FormRules,
    clusters: &mut Vec<NewCluster>,
) -> Option<WhyHeld> {
    let FormRules {
        size,
        patience,
        kept,
    } = rules;
    while free.count() >= size.saturating_add(kept) {
        let members = free.take(size);
        let zones = members.iter().fold(BTreeMap::new(), |mut zones, host| {
            *zones.entry(host.zone.clone()).or_insert(0) += 1;
            zones
        });
        let youngest = members.iter().map(|host| host.known_for).min();
        let patience_left = patience.saturating_sub(youngest.expect("size is above 0"));
        if zones.len() < size && patience_left > 0 {
            // What follows would have no more zones than this one.
            return Some(WhyHeld::TooFewZones {
                zones: zones.len(),
                size,
                patience_left,
            });
        }
        let mut members: Vec<_> = members.iter().map(|host| host.host).collect();
        members.sort_unstable();
        let pool = pool.to_owned();
        clusters.push(NewCluster {
            pool,
            members,
            zones,
        });
    }
    match free.count() {
        0 => None,
        free if free < size => Some(WhyHeld::TooFew { free, size }),
        free => Some(WhyHeld::Kept { free, kept }),
    }
}

/// Hosts that can be taken, by zone. In each zone the smallest id is last, so that it is taken first.
struct Free<'a>(BTreeMap<&'a str, Vec<&'a HostFacts>>);

impl<'a> Free<'a> {
    fn new(hosts: Vec<&'a HostFacts>) -> Self {
        let mut zones: BTreeMap<&str, Vec<&HostFacts>> = BTreeMap::new();
        for host in hosts {
            zones.entry(&host.zone).or_default().push(host);
        }
        for hosts in zones.values_mut() {
            hosts.sort_by_key(|host| std::cmp::Reverse(host.host));
            hosts.dedup_by_key(|host| host.host);
        }
        Self(zones)
    }

    fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    fn take(&mut self, size: usize) -> Vec<&'a HostFacts> {
        let mut members: Vec<&HostFacts> = Vec::with_capacity(size);
        for _ in 0..size {
            let fewest_there_most_left = self
                .0
                .iter_mut()
                .filter(|(_, left)| !left.is_empty())
                .min_by_key(|(zone, left)| {
                    let there = members.iter().filter(|host| host.zone == **zone).count();
                    (there, std::cmp::Reverse(left.len()))
                });
            let (_, left) = fewest_there_most_left.expect("size hosts are left");
            members.extend(left.pop());
        }
        members
    }
}

impl fmt::Display for NewCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pool,
            members,
            zones,
        } = self;
        let (count, of) = (members.len(), pool::of(pool));
        write!(f, "{count} hosts{of} in {} zones:", zones.len())?;
        members.iter().try_for_each(|host| write!(f, " {host}"))?;
        for (zone, hosts) in zones.iter().filter(|(_, hosts)| **hosts > 1) {
            write!(f, "; {hosts} in zone {zone:?}, as no other zone had one")?;
        }
        Ok(())
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = pool::of(&self.pool);
        match &self.why {
            WhyHeld::TooFew { free, size } => {
                write!(
                    f,
                    "{free} unassigned hosts{of} are fewer than a cluster's {size}"
                )
            }
            WhyHeld::TooFewZones {
                zones,
                size,
                patience_left,
            } => write!(
                f,
                "unassigned hosts{of} stand in {zones} zones where a cluster could have {size}; \
                 others are waited for {} ms longer",
                patience_left / 1_000
            ),
            WhyHeld::Kept { free, kept } => write!(
                f,
                "of {free} unassigned hosts{of} {kept} are kept for replacing dead members"
            ),
        }
    }
}
