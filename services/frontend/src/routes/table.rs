//! What is known of queues and clusters. No I/O: pages of the feed, answers of the manager and seals in,
//! routes out.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use shoal_api::manager::Feed;
use shoal_types::{
    ClusterId, ClusterMember, ClusterRoute, PartitionId, QueueId, QueueName, QueueRoute, Revision,
    Scope, Seal,
};

use super::seals::{self, Seals};
use crate::limits::{CLUSTERS_LEARNT_MAX, QUEUES_MAX};

/// Routes as of a revision, and some newer ones.
#[derive(Default)]
pub(super) struct RouteTable {
    queues: BTreeMap<QueueName, Arc<QueueRoute>>,
    /// The names of `queues` by what they stand for.
    names: HashMap<QueueId, QueueName>,
    clusters: HashMap<ClusterId, Arc<ClusterRoute>>,
    revision: Revision,
    seals: Seals,
}

/// The revision of a cluster's record that only a seal, or a partition with an heir, told of: every one of
/// the manager's is newer.
const LEARNT: Revision = Revision(0);

impl RouteTable {
    /// Up to where the feed was read without a gap.
    pub(super) fn revision(&self) -> Revision {
        self.revision
    }

    pub(super) fn len(&self) -> usize {
        self.queues.len()
    }

    pub(super) fn queue(&self, name: &QueueName) -> Option<&Arc<QueueRoute>> {
        self.queues.get(name)
    }

    /// The name that a queue has, if it is there.
    pub(super) fn name(&self, queue: QueueId) -> Option<&QueueName> {
        self.names.get(&queue)
    }

    pub(super) fn cluster(&self, cluster: ClusterId) -> Option<&Arc<ClusterRoute>> {
        self.clusters.get(&cluster)
    }

    pub(super) fn clusters(&self) -> impl Iterator<Item = &Arc<ClusterRoute>> {
        self.clusters.values()
    }

    /// The scope's queues whose names start with `prefix` and come after `after`, by name.
    pub(super) fn list(
        &self,
        scope: &Scope,
        prefix: &str,
        after: Option<&QueueName>,
    ) -> impl Iterator<Item = &Arc<QueueRoute>> {
        let prefix = format!("{}{prefix}", scope.prefix());
        let first = Bound::Included(prefix.as_str());
        let start = match after.map(Borrow::<str>::borrow) {
            Some(after) if after >= prefix.as_str() => Bound::Excluded(after),
            _ => first,
        };
        self.queues
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(move |(name, _)| Borrow::<str>::borrow(*name).starts_with(&prefix))
            .map(|(_, route)| route)
    }

    /// Takes over one page of the feed.
    pub(super) fn apply(&mut self, page: Feed) {
        for name in page.deleted {
            // A creation that was answered here may be newer than this page.
            if self
                .queues
                .get(&name)
                .is_some_and(|known| known.revision <= page.revision)
            {
                self.forget(&name);
            }
        }
        for route in page.queues {
            self.insert(route);
        }
        for route in page.clusters {
            let known = self.clusters.get(&route.cluster);
            if known.is_none_or(|known| known.revision <= route.revision) {
                self.clusters.insert(route.cluster, Arc::new(route));
            }
        }
        self.revision = page.revision;
    }

    /// Takes over a route from wherever it came, unless a newer one is known. Beyond the bound on
    /// queues a new one is not remembered: it is looked up at every use.
    pub(super) fn insert(&mut self, route: QueueRoute) -> Arc<QueueRoute> {
        if let Some(known) = self.queues.get(&route.name)
            && known.revision > route.revision
        {
            return Arc::clone(known);
        }
        self.seals.settle(&route);
        self.put(self.seals.complete(route))
    }

    fn put(&mut self, route: QueueRoute) -> Arc<QueueRoute> {
        let route = Arc::new(route);
        if let Some(known) = self.queues.get_mut(&route.name) {
            if known.queue != route.queue {
                self.seals.forget(known.queue);
                self.names.remove(&known.queue);
                self.names.insert(route.queue, route.name.clone());
            }
            *known = Arc::clone(&route);
        } else if self.queues.len() < QUEUES_MAX {
            self.names.insert(route.queue, route.name.clone());
            self.queues.insert(route.name.clone(), Arc::clone(&route));
        }
        route
    }

    /// Takes over a seal that was shown by a partition of this route. Gives the newest route of the
    /// queue, in which that partition takes no sends any more.
    pub(super) fn seal(&mut self, route: &QueueRoute, seal: &Arc<Seal>) -> Arc<QueueRoute> {
        for successor in &seal.successors {
            self.learn(successor.cluster, &successor.members);
        }
        let known = self.queues.get(&route.name);
        let same = |known: &&Arc<QueueRoute>| known.queue == route.queue;
        let Some(known) = known.filter(same) else {
            let mut route = route.clone();
            seals::complete(&mut route, seal);
            return Arc::new(route);
        };
        let mut completed = QueueRoute::clone(known);
        seals::complete(&mut completed, seal);
        if completed == **known {
            return Arc::clone(known);
        }
        self.seals.note(route.queue, seal);
        self.put(completed)
    }

    /// The seal of a partition, if it was shown here and is still of use.
    pub(super) fn seal_of(&self, queue: QueueId, partition: PartitionId) -> Option<&Arc<Seal>> {
        self.seals.find(queue, partition)
    }

    /// Another cluster, where one that knows of it says it is, unless the manager has told of it.
    pub(super) fn learn(&mut self, cluster: ClusterId, members: &[ClusterMember]) {
        let known = self.clusters.get(&cluster);
        let learnt = |known: &Arc<ClusterRoute>| known.revision == LEARNT;
        let room =
            || self.clusters.values().filter(|known| learnt(known)).count() < CLUSTERS_LEARNT_MAX;
        if known.map_or_else(room, learnt) {
            let route = ClusterRoute {
                cluster,
                members: members.to_vec(),
                revision: LEARNT,
            };
            self.clusters.insert(cluster, Arc::new(route));
        }
    }

    /// The same of an heir's cluster, whose addresses may be as old as the forwarding.
    pub(super) fn learn_unknown(&mut self, cluster: ClusterId, members: &[ClusterMember]) {
        if !self.clusters.contains_key(&cluster) {
            self.learn(cluster, members);
        }
    }

    /// The queue is gone, as somebody who knows said of this route.
    pub(super) fn remove(&mut self, name: &QueueName, up_to: Revision) {
        if self
            .queues
            .get(name)
            .is_some_and(|known| known.revision <= up_to)
        {
            self.forget(name);
        }
    }

    fn forget(&mut self, name: &QueueName) {
        if let Some(known) = self.queues.remove(name) {
            self.seals.forget(known.queue);
            self.names.remove(&known.queue);
        }
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::{
        Epoch, GroupRange, HeldGroups, HostId, PartitionRoute, PartitionState, QueueSettings,
        Successor, Ts,
    };

    use super::*;

    fn name(text: &str) -> QueueName {
        text.parse().unwrap()
    }

    fn route(text: &str, revision: u64) -> QueueRoute {
        QueueRoute {
            name: name(text),
            queue: QueueId(revision),
            settings: QueueSettings::default(),
            partitions: Vec::new(),
            revision: Revision(revision),
            created_at: Ts(0),
            changed_at: Ts(0),
        }
    }

    fn page(revision: u64, queues: Vec<QueueRoute>, deleted: &[&str]) -> Feed {
        Feed {
            revision: Revision(revision),
            queues,
            deleted: deleted.iter().map(|text| name(text)).collect(),
            ..Feed::default()
        }
    }

    #[test]
    fn an_older_page_does_not_undo_what_was_answered_here() {
        let mut table = RouteTable::default();
        table.insert(route("a", 9));
        table.apply(page(8, vec![route("a", 5)], &[]));
        table.apply(page(8, vec![], &["a"]));
        assert_eq!(table.queue(&name("a")).unwrap().revision, Revision(9));
        table.apply(page(9, vec![], &["a"]));
        assert!(table.queue(&name("a")).is_none());
        assert_eq!(table.revision(), Revision(9));
    }

    #[test]
    fn a_queue_made_again_under_its_name_outlives_the_removal_of_the_old_one() {
        let mut table = RouteTable::default();
        table.insert(route("a", 4));
        table.insert(route("a", 7));
        table.remove(&name("a"), Revision(4));
        assert!(table.queue(&name("a")).is_some());
        table.remove(&name("a"), Revision(7));
        assert!(table.queue(&name("a")).is_none());
    }

    /// Of the first partition: the second follows, on a cluster of its own.
    fn seal(address: &str) -> Arc<Seal> {
        let member = ClusterMember {
            host: HostId(1),
            address: address.to_owned(),
        };
        Arc::new(Seal {
            partition: PartitionId(1),
            epoch: Epoch(0),
            successors: vec![Successor {
                partition: PartitionId(2),
                epoch: Epoch(1),
                cluster: ClusterId(2),
                members: vec![member],
                groups: GroupRange::ALL,
            }],
            keyed_sends: 0,
            held: HeldGroups::None,
            revision: Revision(1),
            sealed_at: Ts(0),
        })
    }

    fn route_with_a_partition(revision: u64) -> QueueRoute {
        QueueRoute {
            queue: QueueId(1),
            partitions: vec![PartitionRoute {
                partition: PartitionId(1),
                epoch: Epoch(0),
                cluster: ClusterId(1),
                state: PartitionState::Active,
                groups: GroupRange::ALL,
            }],
            ..route("a", revision)
        }
    }

    #[test]
    fn a_seal_holds_until_the_manager_knows_of_it() {
        let mut table = RouteTable::default();
        let known = table.insert(route_with_a_partition(1));
        let sealed = table.seal(&known, &seal("a:1"));
        assert_eq!(sealed.partitions.len(), 2);
        // Shown to many, and told by a page that is late: it stays as it is.
        table.seal(&known, &seal("a:1"));
        table.apply(page(2, vec![route_with_a_partition(2)], &[]));
        let later = table.queue(&name("a")).unwrap();
        assert_eq!(later.partitions, sealed.partitions);

        let mut settled = route_with_a_partition(3);
        settled.partitions = sealed.partitions[1..].to_vec();
        table.apply(page(3, vec![settled], &[]));
        assert!(table.seal_of(QueueId(1), PartitionId(1)).is_none());
    }

    #[test]
    fn a_seal_of_a_queue_made_anew_since_changes_nothing_of_the_new_one() {
        let mut table = RouteTable::default();
        let old = table.insert(route_with_a_partition(1));
        table.insert(route("a", 5));
        let completed = table.seal(&old, &seal("a:1"));
        assert_eq!(completed.partitions.len(), 2);
        assert!(table.queue(&name("a")).unwrap().partitions.is_empty());
    }

    #[test]
    fn where_a_cluster_is_the_manager_knows_best_and_the_last_seal_else() {
        let mut table = RouteTable::default();
        let known = table.insert(route_with_a_partition(1));
        let address = |table: &RouteTable| {
            let route = table.cluster(ClusterId(2)).unwrap();
            route.members.first().map(|member| member.address.clone())
        };
        for learnt in ["a:1", "a:2"] {
            table.seal(&known, &seal(learnt));
            assert_eq!(address(&table).as_deref(), Some(learnt));
        }
        let told = ClusterRoute {
            cluster: ClusterId(2),
            members: Vec::new(),
            revision: Revision(1),
        };
        table.apply(Feed {
            clusters: vec![told],
            ..page(2, vec![], &[])
        });
        table.seal(&known, &seal("a:3"));
        assert_eq!(address(&table), None);
    }

    #[test]
    fn lists_go_by_name_from_the_cursor_within_the_prefix() {
        let mut table = RouteTable::default();
        let elsewhere = "000000000000/us-east-2/b0";
        for text in ["b2", "a", "b1", elsewhere, "b3", "c"] {
            table.insert(route(text, 1));
        }
        let names = |prefix, after: Option<&str>| -> Vec<String> {
            let after = after.map(name);
            table
                .list(&Scope::default(), prefix, after.as_ref())
                .map(|route| route.name.to_string())
                .collect()
        };
        assert_eq!(names("", None), ["a", "b1", "b2", "b3", "c"]);
        assert_eq!(names("b", None), ["b1", "b2", "b3"]);
        assert_eq!(names("b", Some("b1")), ["b2", "b3"]);
        assert_eq!(names("b", Some("c")), [""; 0]);
        assert_eq!(names("b", Some("a")), ["b1", "b2", "b3"]);
    }
}
