//! What a manager does to move, split and merge queues, one step at a time, as the test wants it.

use shoal_types::{
    ClusterId, ClusterRoute, Command, Epoch, GroupRange, Heir, Inherited, Outcome, PartitionId,
    PartitionRoute, PartitionState, QueueName, QueueRoute, Revision, Seal, Successor,
};

use super::cluster::{CLUSTER, FakeCluster};
use super::hosts::FakeHost;
use super::manager::{FakeManager, members};

impl FakeManager {
    /// Tells the feed of another cluster.
    pub fn add_cluster(&self, cluster: &FakeCluster, hosts: &[FakeHost]) {
        self.know_cluster(cluster, hosts, self.next_revision_after());
        self.next_revision();
    }

    /// Has another cluster of which the feed does not tell.
    pub fn add_cluster_unseen(&self, cluster: &FakeCluster, hosts: &[FakeHost]) {
        self.know_cluster(cluster, hosts, Revision(0));
    }

    fn know_cluster(&self, cluster: &FakeCluster, hosts: &[FakeHost], revision: Revision) {
        let route = ClusterRoute {
            cluster: cluster.id(),
            members: members(hosts),
            revision,
        };
        self.records().others.push((cluster.clone(), route));
    }

    /// Creates closed partitions on these clusters, which are to follow these others.
    pub fn create_successors(
        &self,
        queue: &str,
        succeeds: &[PartitionId],
        places: &[(ClusterId, GroupRange)],
    ) -> Vec<PartitionId> {
        let mut created = Vec::new();
        self.change(queue, |route| {
            for (cluster, groups) in places {
                let epochs = route.partitions.iter().map(|place| place.epoch.0);
                let epoch = Epoch(epochs.max().unwrap() + 1);
                let partition = PartitionId(route.queue.0 * 1_000 + u64::from(epoch.0));
                created.push(partition);
                route.partitions.push(PartitionRoute {
                    partition,
                    epoch,
                    cluster: *cluster,
                    state: PartitionState::Held,
                    groups: *groups,
                });
            }
        });
        let route = self.route(queue);
        for place in route
            .partitions
            .iter()
            .filter(|place| created.contains(&place.partition))
        {
            self.cluster(place.cluster).own(Command::CreateSuccessor {
                partition: place.partition,
                settings: route.settings.partition(place.epoch),
                revision: route.revision,
                succeeds: succeeds.to_vec(),
            });
        }
        created
    }

    /// Seals a partition, and writes nothing down of it.
    pub fn seal(&self, queue: &str, partition: PartitionId, successors: &[PartitionId]) -> Seal {
        let route = self.route(queue);
        let place = |id: &PartitionId| {
            *route
                .partitions
                .iter()
                .find(|p| p.partition == *id)
                .unwrap()
        };
        let successor = |id: &PartitionId| {
            let place = place(id);
            Successor {
                partition: place.partition,
                epoch: place.epoch,
                cluster: place.cluster,
                members: self.members(place.cluster),
                groups: place.groups,
            }
        };
        let sealed = self.cluster(place(&partition).cluster).own(Command::Seal {
            partition,
            successors: successors.iter().map(successor).collect(),
            revision: route.revision,
        });
        match sealed {
            Outcome::Sealed(seal) => *seal,
            other => panic!("{other:?}"),
        }
    }

    /// Writes down that these are sealed, and those open.
    pub fn settle(&self, queue: &str, sealed: &[PartitionId], open: &[PartitionId]) {
        self.change(queue, |route| {
            for place in &mut route.partitions {
                if sealed.contains(&place.partition) {
                    place.state = PartitionState::Draining;
                } else if open.contains(&place.partition) {
                    place.state = PartitionState::Active;
                }
            }
        });
    }

    /// A whole move: the first partition, to these places.
    pub fn move_queue(&self, queue: &str, places: &[(ClusterId, GroupRange)]) -> Vec<PartitionId> {
        let old = self.partitions(queue)[0];
        let new = self.create_successors(queue, &[old], places);
        let seal = self.seal(queue, old, &new);
        for successor in &seal.successors {
            let opened = self.cluster(successor.cluster).own(Command::Succeed {
                partition: successor.partition,
                seal: Box::new(seal.clone()),
                news: Inherited::Seal,
            });
            assert_eq!(opened, Outcome::Done);
        }
        self.settle(queue, &[old], &new);
        new
    }

    /// Makes an heir of a sealed partition, on this cluster.
    pub fn add_heir(&self, queue: &str, source: PartitionId, cluster: ClusterId) -> PartitionId {
        let heir = PartitionId(source.0 + 500);
        let route = self.route(queue);
        let places = route.partitions.iter();
        let (sources, successors): (Vec<&PartitionRoute>, Vec<_>) =
            places.partition(|place| place.partition == source);
        let successors: Vec<_> = successors.iter().map(|place| place.partition).collect();
        let seal = self.seal(queue, source, &successors);
        self.cluster(cluster).own(Command::CreateHeir {
            partition: heir,
            settings: route.settings.partition(seal.epoch),
            revision: route.revision,
            source,
            seal: Box::new(seal),
        });
        self.change(queue, |route| {
            route.partitions.push(PartitionRoute {
                partition: heir,
                cluster,
                ..*sources[0]
            });
            route.partitions.sort_by_key(|place| place.epoch);
        });
        heir
    }

    /// Has what is in a partition go on to its heir.
    pub fn forward(&self, queue: &str, source: PartitionId, heir: PartitionId) {
        let route = self.route(queue);
        let cluster = |id| {
            let mut places = route.partitions.iter();
            places.find(|place| place.partition == id).unwrap().cluster
        };
        let (from, to) = (cluster(source), cluster(heir));
        let forward = Command::Forward {
            partition: source,
            heir: Heir {
                partition: heir,
                cluster: to,
                members: self.members(to),
            },
            revision: route.revision,
        };
        assert_eq!(self.cluster(from).own(forward), Outcome::Done);
        self.cluster(from).pass_on(source, heir, &self.cluster(to));
    }

    /// Tells successors what the hosts of sealed partitions tell them: of which groups nothing is left,
    /// and that nothing is left at all.
    pub fn tell_successors(&self, queue: &str) {
        for place in self.route(queue).partitions {
            for (seal, news) in self.cluster(place.cluster).news(place.partition) {
                for successor in &seal.successors {
                    self.cluster(successor.cluster).own(Command::Succeed {
                        partition: successor.partition,
                        seal: Box::new(seal.clone()),
                        news: news.clone(),
                    });
                }
            }
        }
    }

    /// Deletes a partition at its cluster, and then from the record if asked.
    pub fn delete_partition(&self, queue: &str, partition: PartitionId, written_down: bool) {
        let route = self.route(queue);
        let place = route
            .partitions
            .iter()
            .find(|place| place.partition == partition);
        let cluster = self.cluster(place.unwrap().cluster);
        cluster.delete_partition(partition, Revision(route.revision.0 + 1));
        if written_down {
            self.change(queue, |route| {
                route.partitions.retain(|p| p.partition != partition)
            });
        }
    }

    /// The queue's partitions, oldest epoch first.
    pub fn partitions(&self, queue: &str) -> Vec<PartitionId> {
        let places = self.route(queue).partitions;
        places.iter().map(|place| place.partition).collect()
    }

    fn route(&self, queue: &str) -> QueueRoute {
        let name: QueueName = queue.parse().unwrap();
        self.records().queues[&name].clone()
    }

    fn change(&self, queue: &str, change: impl FnOnce(&mut QueueRoute)) {
        let name: QueueName = queue.parse().unwrap();
        let mut records = self.records();
        let route = records.queues.get_mut(&name).unwrap();
        change(route);
        route.revision = self.next_revision_after();
        drop(records);
        self.next_revision();
    }

    fn cluster(&self, id: ClusterId) -> FakeCluster {
        if id == CLUSTER {
            return self.first_cluster();
        }
        let records = self.records();
        let mut others = records.others.iter();
        others
            .find(|(cluster, _)| cluster.id() == id)
            .unwrap()
            .0
            .clone()
    }

    fn members(&self, id: ClusterId) -> Vec<shoal_types::ClusterMember> {
        let records = self.records();
        let mut others = records.others.iter();
        let other = others.find(|(cluster, _)| cluster.id() == id);
        other.map_or_else(|| self.first_members(), |(_, route)| route.members.clone())
    }
}
