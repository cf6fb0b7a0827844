//! Goal: queues spread evenly over any number of clusters, and growing moves nothing. Method: place
//! thousands of queues one after the other as the manager does, and count.

use std::collections::BTreeMap;

use proptest::prelude::*;
use shoal_planner::{ClusterFacts, Ring, bound, place};
use shoal_types::{ClusterId, QueueName};

/// The manager's memory of where queues are.
#[derive(Default)]
struct Stored {
    ring: Ring,
    clusters: BTreeMap<ClusterId, ClusterFacts>,
    queues: BTreeMap<QueueName, ClusterId>,
}

impl Stored {
    fn with_clusters(count: u64) -> Self {
        let mut stored = Self::default();
        (1..=count).for_each(|cluster| stored.add_cluster(cluster, 1));
        stored
    }

    fn add_cluster(&mut self, cluster: u64, weight: u32) {
        self.ring.set(ClusterId(cluster), weight);
        let facts = ClusterFacts {
            serving: true,
            queues: 0,
        };
        self.clusters.insert(ClusterId(cluster), facts);
    }

    fn create(&mut self, names: impl Iterator<Item = String>) {
        for name in names {
            let name: QueueName = name.parse().unwrap();
            let cluster = place(&self.ring, &self.clusters, &name).unwrap().cluster;
            self.clusters.get_mut(&cluster).unwrap().queues += 1;
            self.queues.insert(name, cluster);
        }
    }

    fn counts(&self) -> Vec<u64> {
        self.clusters.values().map(|facts| facts.queues).collect()
    }
}

#[test]
fn ten_thousand_queues_spread_over_4_16_and_64_clusters() {
    for clusters in [4, 16, 64] {
        let mut stored = Stored::with_clusters(clusters);
        stored.create((0..10_000).map(|i| format!("queue-{i}")));
        let counts = stored.counts();
        let mean = 10_000.0 / clusters as f64;
        let (min, max) = (*counts.iter().min().unwrap(), *counts.iter().max().unwrap());
        let first_choice = stored
            .queues
            .iter()
            .filter(|(name, cluster)| stored.ring.preference(name).next() == Some(**cluster))
            .count();
        println!(
            "{clusters} clusters: max/mean {:.3}, min/mean {:.3}, {first_choice} on their first choice",
            max as f64 / mean,
            min as f64 / mean
        );
        assert!(
            max <= bound(9_999, 1, clusters),
            "{clusters} clusters: {max}"
        );
        assert!(min as f64 >= 0.6 * mean, "{clusters} clusters: {min}");
        assert!(
            first_choice >= 9_000,
            "bounds may divert few, not {first_choice}"
        );
    }
}

#[test]
fn names_that_differ_only_in_a_digit_spread_as_well() {
    for pattern in ["tenant-{}-orders.fifo", "{}", "a{}"] {
        let mut stored = Stored::with_clusters(16);
        stored.create((0..2_000).map(|i| pattern.replace("{}", &i.to_string())));
        let counts = stored.counts();
        assert!(
            counts.iter().all(|&count| (50..=157).contains(&count)),
            "{pattern}: {counts:?}"
        );
    }
}

#[test]
fn a_new_cluster_moves_nothing_and_takes_its_share_of_what_is_new() {
    let mut stored = Stored::with_clusters(4);
    stored.create((0..10_000).map(|i| format!("old-{i}")));
    let before = stored.queues.clone();
    stored.add_cluster(5, 1);
    stored.create((0..2_000).map(|i| format!("new-{i}")));
    assert!(
        before
            .iter()
            .all(|(name, cluster)| stored.queues[name] == *cluster)
    );
    let newest = stored.clusters[&ClusterId(5)].queues;
    assert!(newest >= 400, "a fifth of 2,000, not {newest}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn a_queue_goes_to_the_first_of_its_preference_that_serves_and_is_below_its_bound(
        clusters in prop::collection::vec((1..=4u32, any::<bool>(), 0..1_000u64), 0..12),
        name in "[a-z]{1,12}",
    ) {
        let mut stored = Stored::default();
        for (i, &(weight, serving, queues)) in clusters.iter().enumerate() {
            stored.add_cluster(i as u64 + 1, weight);
            stored.clusters.insert(ClusterId(i as u64 + 1), ClusterFacts { serving, queues });
        }
        let serving = || clusters.iter().filter(|cluster| cluster.1);
        let total = serving().map(|cluster| cluster.2).sum();
        let total_weight = serving().map(|cluster| u64::from(cluster.0)).sum();
        let name: QueueName = name.parse().unwrap();
        let expected = stored.ring.preference(&name).find(|cluster| {
            let (weight, serving, queues) = clusters[cluster.0 as usize - 1];
            serving && queues < bound(total, weight, total_weight)
        });
        match place(&stored.ring, &stored.clusters, &name) {
            Ok(placed) => {
                prop_assert_eq!(Some(placed.cluster), expected);
                let order: Vec<_> = stored.ring.preference(&name).collect();
                let passed: Vec<_> = placed.passed_over.iter().map(|over| over.cluster).collect();
                prop_assert_eq!(&order[..passed.len()], &passed[..]);
            }
            Err(_) => prop_assert_eq!(total_weight, 0),
        }
    }
}
