//! Where a new queue goes: to the first cluster of its preference that is not above its bound.

use std::collections::BTreeMap;
use std::fmt;

use shoal_types::{ClusterId, QueueName};

use crate::Ring;
use crate::limits::LOAD_BOUND_PERCENT;

/// What placement must know of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterFacts {
    /// True if it takes commands: formed, and a majority of its hosts was heard from lately.
    pub serving: bool,
    /// Queues placed there, those being created included.
    pub queues: u64,
}

/// The decision for one queue, with its reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Where the queue goes.
    pub cluster: ClusterId,
    /// Queues that the cluster had before this one.
    pub queues: u64,
    /// How many it may have before the next one on the ring is taken.
    pub bound: u64,
    /// Clusters that the ring prefers, and why they were not taken; most preferred first.
    pub passed_over: Vec<PassedOver>,
}

/// A cluster that was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// Which.
    pub cluster: ClusterId,
    /// Why.
    pub why: Why,
}

/// Why a cluster was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It takes no commands at the moment.
    NotServing,
    /// It has as many queues as its bound allows.
    AtBound {
        /// Queues it has.
        queues: u64,
        /// Queues it may have.
        bound: u64,
    },
}

/// There is no cluster for a new queue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCapacity {
    /// None is formed yet.
    #[error("no cluster is formed yet")]
    NoCluster,
    /// None of those that exist takes commands.
    #[error("none of {clusters} clusters serves at the moment")]
    NoneServing {
        /// How many exist.
        clusters: usize,
    },
}

/// Decides where a new queue goes: consistent hashing with bounded loads. The ring says in which
/// order the queue prefers the clusters; the first one that serves and has fewer queues than its
/// [`bound`] is taken. A cluster on the ring without facts counts as not serving.
///
/// # Errors
/// If no cluster serves. (If one serves, one is below its bound: the bounds add up to more than all
/// queues.)
pub fn place(
    ring: &Ring,
    clusters: &BTreeMap<ClusterId, ClusterFacts>,
    queue: &QueueName,
) -> Result<Placement, NoCapacity> {
    let serving = |cluster| clusters.get(&cluster).filter(|facts| facts.serving);
    let (mut total, mut total_weight) = (0, 0);
    for (cluster, facts) in ring.clusters().filter_map(|c| Some((c, serving(c)?))) {
        total += facts.queues;
        total_weight += u64::from(ring.weight(cluster));
    }
    let mut passed_over = Vec::new();
    for cluster in ring.preference(queue) {
        let why = match serving(cluster) {
            None => Why::NotServing,
            Some(&ClusterFacts { queues, .. }) => {
                let bound = bound(total, ring.weight(cluster), total_weight);
                if queues < bound {
                    return Ok(Placement {
                        cluster,
                        queues,
                        bound,
                        passed_over,
                    });
                }
                Why::AtBound { queues, bound }
            }
        };
        passed_over.push(PassedOver { cluster, why });
    }
    assert!(
        total_weight == 0,
        "one of the serving clusters is below its bound: {passed_over:?}"
    );
    Err(match passed_over.len() {
        0 => NoCapacity::NoCluster,
        clusters => NoCapacity::NoneServing { clusters },
    })
}

/// How many queues a cluster may have when one more is to be placed: [`LOAD_BOUND_PERCENT`] of its
/// share by weight of the `total` queues and the new one, rounded up.
///
/// # Panics
/// If `total_weight` is 0: then there is no cluster to ask for.
#[must_use]
pub fn bound(total: u64, weight: u32, total_weight: u64) -> u64 {
    let share = u128::from(total + 1) * u128::from(weight) * u128::from(LOAD_BOUND_PERCENT);
    let bound = share.div_ceil(u128::from(total_weight) * 100);
    u64::try_from(bound).unwrap_or(u64::MAX)
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cluster,
            queues,
            bound,
            passed_over,
        } = self;
        write!(
            f,
            "{cluster}, which has {queues} queues and may have {bound}"
        )?;
        passed_over
            .iter()
            .try_for_each(|PassedOver { cluster, why }| write!(f, "; not {cluster}: {why}"))
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotServing => f.write_str("not serving"),
            Self::AtBound { queues, bound } => {
                write!(f, "{queues} queues, its bound is {bound}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(queues: &[(u64, u64)]) -> (Ring, BTreeMap<ClusterId, ClusterFacts>) {
        let mut ring = Ring::new();
        let facts = queues.iter().map(|&(cluster, queues)| {
            ring.set(ClusterId(cluster), 1);
            (
                ClusterId(cluster),
                ClusterFacts {
                    serving: true,
                    queues,
                },
            )
        });
        let facts = facts.collect();
        (ring, facts)
    }

    fn name(text: &str) -> QueueName {
        text.parse().unwrap()
    }

    #[test]
    fn a_cluster_at_its_bound_is_passed_over_with_the_reason() {
        let (ring, mut clusters) = facts(&[(1, 10), (2, 10)]);
        let wanted = place(&ring, &clusters, &name("orders")).unwrap();
        assert_eq!((wanted.queues, wanted.bound), (10, 14));
        let other = ClusterId(3 - wanted.cluster.0);
        clusters.get_mut(&wanted.cluster).unwrap().queues = 30;
        let placed = place(&ring, &clusters, &name("orders")).unwrap();
        assert_eq!(placed.cluster, other);
        assert_eq!(
            placed.to_string(),
            format!(
                "{other}, which has 10 queues and may have 26; not {}: 30 queues, its bound is 26",
                wanted.cluster
            )
        );
    }

    #[test]
    fn a_cluster_that_does_not_serve_gets_nothing_and_counts_for_nothing() {
        let (ring, mut clusters) = facts(&[(1, 1_000), (2, 3)]);
        clusters.get_mut(&ClusterId(1)).unwrap().serving = false;
        for i in 0..20 {
            let placed = place(&ring, &clusters, &name(&format!("q{i}"))).unwrap();
            assert_eq!((placed.cluster, placed.bound), (ClusterId(2), 5));
        }
    }

    #[test]
    fn without_a_serving_cluster_there_is_no_capacity() {
        let (ring, mut clusters) = facts(&[(1, 0), (2, 0)]);
        clusters
            .values_mut()
            .for_each(|facts| facts.serving = false);
        let refused = place(&ring, &clusters, &name("q"));
        assert_eq!(refused, Err(NoCapacity::NoneServing { clusters: 2 }));
        let none = place(&Ring::new(), &BTreeMap::new(), &name("q"));
        assert_eq!(none, Err(NoCapacity::NoCluster));
    }

    #[test]
    fn bounds_are_by_weight_and_add_up_to_more_than_all_queues() {
        assert_eq!(bound(0, 1, 64), 1);
        assert_eq!(bound(99, 1, 4), 32);
        assert_eq!(bound(99, 2, 4), 63);
        assert_eq!(bound(u64::MAX - 1, 16, 16), u64::MAX);
    }
}
