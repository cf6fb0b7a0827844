//! Which unassigned hosts become a cluster: as many different zones as possible, never too few hosts.

use std::collections::BTreeMap;
use std::fmt;

use shoal_types::{HostId, Micros};

/// What forming must know of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFacts {
    /// Which.
    pub host: HostId,
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
}

/// What is to be formed now, and what is not, with reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FormPlan {
    /// In the order in which they are to be formed.
    pub clusters: Vec<NewCluster>,
    /// Why the other unassigned live hosts wait, if there are any.
    pub held: Option<Held>,
}

/// A cluster to be formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCluster {
    /// Its hosts, smallest id first.
    pub members: Vec<HostId>,
    /// Each zone with how many of the hosts stand there.
    pub zones: BTreeMap<String, usize>,
}

/// Why unassigned hosts wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
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
}

/// Forms as many clusters as there are unassigned live hosts for. Each host is taken from the zone
/// of which the cluster has fewest, among those from the one with most hosts left, so that no zone is
/// left over alone.
///
/// # Panics
/// If a cluster is to have no hosts.
#[must_use]
pub fn form(hosts: &[HostFacts], rules: FormRules) -> FormPlan {
    let FormRules { size, patience } = rules;
    assert!(size > 0, "a cluster has hosts");
    let mut free = Free::new(hosts);
    let mut plan = FormPlan::default();
    while free.count() >= size {
        let members = free.take(size);
        let zones = members.iter().fold(BTreeMap::new(), |mut zones, host| {
            *zones.entry(host.zone.clone()).or_insert(0) += 1;
            zones
        });
        let youngest = members.iter().map(|host| host.known_for).min();
        let patience_left = patience.saturating_sub(youngest.expect("size is above 0"));
        if zones.len() < size && patience_left > 0 {
            // What follows would have no more zones than this one.
            let zones = zones.len();
            plan.held = Some(Held::TooFewZones {
                zones,
                size,
                patience_left,
            });
            return plan;
        }
        let mut members: Vec<_> = members.iter().map(|host| host.host).collect();
        members.sort_unstable();
        plan.clusters.push(NewCluster { members, zones });
    }
    if free.count() > 0 {
        let free = free.count();
        plan.held = Some(Held::TooFew { free, size });
    }
    plan
}

/// Hosts that can be taken, by zone. In each zone the smallest id is last, so that it is taken first.
struct Free<'a>(BTreeMap<&'a str, Vec<&'a HostFacts>>);

impl<'a> Free<'a> {
    fn new(hosts: &'a [HostFacts]) -> Self {
        let mut zones: BTreeMap<&str, Vec<&HostFacts>> = BTreeMap::new();
        for host in hosts.iter().filter(|host| host.alive && !host.assigned) {
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
        let Self { members, zones } = self;
        write!(f, "{} hosts in {} zones:", members.len(), zones.len())?;
        members.iter().try_for_each(|host| write!(f, " {host}"))?;
        for (zone, hosts) in zones.iter().filter(|(_, hosts)| **hosts > 1) {
            write!(f, "; {hosts} in zone {zone:?}, as no other zone had one")?;
        }
        Ok(())
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFew { free, size } => {
                write!(
                    f,
                    "{free} unassigned hosts are fewer than a cluster's {size}"
                )
            }
            Self::TooFewZones {
                zones,
                size,
                patience_left,
            } => write!(
                f,
                "unassigned hosts stand in {zones} zones where a cluster could have {size}; \
                 others are waited for {} ms longer",
                patience_left / 1_000
            ),
        }
    }
}
