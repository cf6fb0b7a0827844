//! Seals that were shown here, and what they make of a route. No I/O.
//!
//! Between the moment at which a partition is sealed and the manager's word of it, a seal is the newest
//! that is known of a queue. A route in which the sealed partition is not active any more is newer: the
//! manager has heard of the seal, and perhaps of what came after.

use std::collections::HashMap;
use std::sync::Arc;

use shoal_types::{PartitionId, PartitionRoute, PartitionState, QueueId, QueueRoute, Seal};

use crate::limits::SEALS_MAX;

/// The seals of each queue, oldest epoch first.
#[derive(Default)]
pub(super) struct Seals {
    of: HashMap<QueueId, Vec<Arc<Seal>>>,
    count: usize,
}

impl Seals {
    /// Takes over a seal, unless a newer one of its partition is known, or too many are.
    pub(super) fn note(&mut self, queue: QueueId, seal: &Arc<Seal>) {
        if let Some(known) = self.find_mut(queue, seal.partition) {
            if known.revision < seal.revision {
                *known = Arc::clone(seal);
            }
        } else if self.count < SEALS_MAX {
            let seals = self.of.entry(queue).or_default();
            seals.push(Arc::clone(seal));
            seals.sort_by_key(|seal| seal.epoch);
            self.count += 1;
        }
    }

    /// The seal of a partition.
    pub(super) fn find(&self, queue: QueueId, partition: PartitionId) -> Option<&Arc<Seal>> {
        let seals = self.of.get(&queue)?;
        seals.iter().find(|seal| seal.partition == partition)
    }

    fn find_mut(&mut self, queue: QueueId, partition: PartitionId) -> Option<&mut Arc<Seal>> {
        let seals = self.of.get_mut(&queue)?;
        seals.iter_mut().find(|seal| seal.partition == partition)
    }

    /// Forgets what the manager's word on the queue makes superfluous: seals of partitions that are gone,
    /// and those that it knows and nobody needs any more to open a successor.
    pub(super) fn settle(&mut self, route: &QueueRoute) {
        let Some(seals) = self.of.get_mut(&route.queue) else {
            return;
        };
        let before = seals.len();
        seals.retain(|seal| is_needed(route, seal));
        self.count -= before - seals.len();
        if seals.is_empty() {
            self.of.remove(&route.queue);
        }
    }

    /// The queue is gone.
    pub(super) fn forget(&mut self, queue: QueueId) {
        let seals = self.of.remove(&queue);
        self.count -= seals.map_or(0, |seals| seals.len());
    }

    /// The manager's word with what the seals say beyond it.
    pub(super) fn complete(&self, mut route: QueueRoute) -> QueueRoute {
        for seal in self.of.get(&route.queue).into_iter().flatten() {
            complete(&mut route, seal);
        }
        route
    }
}

fn is_needed(route: &QueueRoute, seal: &Seal) -> bool {
    let state = |id| {
        route
            .partitions
            .iter()
            .find(|p| p.partition == id)
            .map(|p| p.state)
    };
    match state(seal.partition) {
        None => false,
        Some(PartitionState::Active) => true,
        Some(_) => {
            let mut successors = seal.successors.iter();
            successors.any(|successor| state(successor.partition) == Some(PartitionState::Held))
        }
    }
}

/// Makes a route say what a seal says beyond it.
pub(super) fn complete(route: &mut QueueRoute, seal: &Seal) {
    let places = &mut route.partitions;
    let Some(sealed) = places.iter_mut().find(|p| p.partition == seal.partition) else {
        return;
    };
    let is_news = sealed.state == PartitionState::Active;
    if is_news {
        sealed.state = PartitionState::Draining;
    }
    for successor in &seal.successors {
        match places
            .iter_mut()
            .find(|p| p.partition == successor.partition)
        {
            // Whoever has the seal can open it.
            Some(place) if place.state == PartitionState::Held => {
                place.state = PartitionState::Active;
            }
            Some(place) if is_news && place.state == PartitionState::Pending => {
                place.state = PartitionState::Active;
            }
            None if is_news => places.push(PartitionRoute {
                partition: successor.partition,
                epoch: successor.epoch,
                cluster: successor.cluster,
                state: PartitionState::Active,
                groups: successor.groups,
            }),
            _ => {}
        }
    }
    places.sort_by_key(|place| place.epoch);
}

#[cfg(test)]
mod tests {
    use shoal_types::{
        ClusterId, Epoch, GroupRange, HeldGroups, QueueSettings, Revision, Successor, Ts,
    };

    use super::*;
    use PartitionState::{Active, Draining, Held};

    fn place(id: u64, state: PartitionState) -> PartitionRoute {
        PartitionRoute {
            partition: PartitionId(id),
            epoch: Epoch(id as u32),
            cluster: ClusterId(id),
            state,
            groups: GroupRange::ALL,
        }
    }

    fn route(revision: u64, partitions: &[(u64, PartitionState)]) -> QueueRoute {
        QueueRoute {
            name: "a".parse().unwrap(),
            queue: QueueId(1),
            settings: QueueSettings::default(),
            partitions: partitions
                .iter()
                .map(|(id, state)| place(*id, *state))
                .collect(),
            revision: Revision(revision),
            created_at: Ts(0),
            changed_at: Ts(0),
        }
    }

    fn seal(partition: u64, successors: &[u64], revision: u64) -> Arc<Seal> {
        let successor = |id: &u64| Successor {
            partition: PartitionId(*id),
            epoch: Epoch(*id as u32),
            cluster: ClusterId(*id),
            members: Vec::new(),
            groups: GroupRange::ALL,
        };
        Arc::new(Seal {
            partition: PartitionId(partition),
            epoch: Epoch(partition as u32),
            successors: successors.iter().map(successor).collect(),
            keyed_sends: 0,
            held: HeldGroups::None,
            revision: Revision(revision),
            sealed_at: Ts(0),
        })
    }

    fn states(route: &QueueRoute) -> Vec<(u64, PartitionState)> {
        let places = route.partitions.iter();
        places
            .map(|place| (place.partition.0, place.state))
            .collect()
    }

    #[test]
    fn a_route_that_knows_nothing_of_the_seal_is_completed_whatever_its_revision() {
        let mut seals = Seals::default();
        seals.note(QueueId(1), &seal(1, &[2, 3], 5));
        for revision in [4, 5, 6] {
            let completed = seals.complete(route(revision, &[(1, Active)]));
            assert_eq!(
                states(&completed),
                [(1, Draining), (2, Active), (3, Active)]
            );
            // A change of settings while it is being moved says nothing of the seal.
            let completed = seals.complete(route(revision, &[(1, Active), (2, Held), (3, Held)]));
            assert_eq!(
                states(&completed),
                [(1, Draining), (2, Active), (3, Active)]
            );
        }
    }

    #[test]
    fn a_route_that_knows_of_the_seal_wins() {
        let mut seals = Seals::default();
        seals.note(QueueId(1), &seal(1, &[2], 5));
        for later in [
            vec![(1, Draining), (2, Draining), (4, Active)],
            vec![(1, Draining), (4, Active)],
            vec![(4, Active)],
        ] {
            assert_eq!(states(&seals.complete(route(6, &later))), later);
        }
    }

    #[test]
    fn a_chain_of_seals_leads_to_its_end() {
        let mut seals = Seals::default();
        seals.note(QueueId(1), &seal(2, &[3], 6));
        seals.note(QueueId(1), &seal(1, &[2], 5));
        let completed = seals.complete(route(4, &[(1, Active)]));
        assert_eq!(
            states(&completed),
            [(1, Draining), (2, Draining), (3, Active)]
        );
    }

    #[test]
    fn seals_are_kept_until_the_manager_knows_and_no_successor_is_closed() {
        let mut seals = Seals::default();
        seals.note(QueueId(1), &seal(1, &[2], 5));
        seals.settle(&route(5, &[(1, Active), (2, Held)]));
        seals.settle(&route(6, &[(1, Draining), (2, Held)]));
        assert!(seals.find(QueueId(1), PartitionId(1)).is_some());
        seals.settle(&route(7, &[(1, Draining), (2, Active)]));
        assert!(seals.find(QueueId(1), PartitionId(1)).is_none());
        assert_eq!(seals.count, 0);
    }

    #[test]
    fn only_so_many_seals_are_kept() {
        let mut seals = Seals::default();
        for queue in 0..2 * SEALS_MAX as u64 {
            seals.note(QueueId(queue), &seal(1, &[2], 5));
        }
        assert_eq!(seals.count, SEALS_MAX);
        seals.forget(QueueId(0));
        seals.note(QueueId(5_000), &seal(1, &[2], 5));
        assert!(seals.find(QueueId(5_000), PartitionId(1)).is_some());
    }

    #[test]
    fn of_two_seals_of_a_partition_the_one_with_the_higher_revision_counts() {
        let mut seals = Seals::default();
        for revision in [5, 7, 6] {
            seals.note(QueueId(1), &seal(1, &[2], revision));
        }
        let kept = seals.find(QueueId(1), PartitionId(1)).unwrap();
        assert_eq!((kept.revision, seals.count), (Revision(7), 1));
    }
}
