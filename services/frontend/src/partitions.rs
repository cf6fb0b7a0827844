//! Which of a queue's partitions a request is about. No I/O.

use shoal_api::Problem;
use shoal_types::{
    Applied, ErrorCode, GroupHash, GroupRange, PartitionRoute, PartitionState, QueueRoute, Seal,
};

/// The partition that takes all sends of the queue, if it is one alone: then nobody needs to look at the
/// messages' groups.
pub(crate) fn only_one_for_sends(route: &QueueRoute) -> Option<PartitionRoute> {
    let mut active = in_state(route, PartitionState::Active);
    let only = active.next()?;
    (active.next().is_none() && only.groups == GroupRange::ALL).then_some(*only)
}

/// The partition for messages with this hash: the newest that takes sends. If none does, one that is to
/// take them and will open.
///
/// # Errors
/// If there is none yet, or none any more.
pub(crate) fn for_sends(route: &QueueRoute, hash: GroupHash) -> Result<PartitionRoute, Problem> {
    let newest_in = |state| {
        let mut places = in_state(route, state).rev();
        places.find(|place| place.groups.contains(hash))
    };
    newest_in(PartitionState::Active)
        .or_else(|| newest_in(PartitionState::Held))
        .copied()
        .ok_or_else(|| not_there_yet(route))
}

/// The successor for messages with this hash.
pub(crate) fn successor(seal: &Seal, hash: GroupHash) -> Option<PartitionRoute> {
    let mut successors = seal.successors.iter();
    let successor = successors.find(|successor| successor.groups.contains(hash))?;
    Some(PartitionRoute {
        partition: successor.partition,
        epoch: successor.epoch,
        cluster: successor.cluster,
        state: PartitionState::Active,
        groups: successor.groups,
    })
}

/// The partitions from which messages come, oldest epoch first.
pub(crate) fn for_receives(
    route: &QueueRoute,
) -> impl DoubleEndedIterator<Item = &PartitionRoute> + Clone {
    let gives = |state| matches!(state, PartitionState::Active | PartitionState::Draining);
    route
        .partitions
        .iter()
        .filter(move |place| gives(place.state))
}

/// The partitions in which messages may lie, oldest epoch first. Of one that is not open, as far as is
/// known here, somebody else may know that it is.
pub(crate) fn with_messages(route: &QueueRoute) -> impl Iterator<Item = &PartitionRoute> + Clone {
    let places = route.partitions.iter();
    places.filter(|place| place.state != PartitionState::Pending)
}

/// The partitions in this state, oldest epoch first.
pub(crate) fn in_state(
    route: &QueueRoute,
    state: PartitionState,
) -> impl DoubleEndedIterator<Item = &PartitionRoute> {
    route
        .partitions
        .iter()
        .filter(move |place| place.state == state)
}

/// The answer when no partition can be asked.
pub(crate) fn not_there_yet(route: &QueueRoute) -> Problem {
    let detail = format!("{} is being created or deleted at the moment", route.name);
    Problem::new(ErrorCode::NotReady, detail)
}

/// Whether a cluster says that it does not have the partition, and nothing was applied.
pub(crate) fn is_not_there(problem: &Problem) -> bool {
    let elsewhere = matches!(
        problem.code,
        ErrorCode::QueueNotFound | ErrorCode::StaleRoute
    );
    elsewhere && problem.applied == Applied::No
}

/// Whether a cluster says that it does not have a partition that was sealed: then it was empty.
pub(crate) fn is_drained(place: &PartitionRoute, problem: &Problem) -> bool {
    place.state == PartitionState::Draining && is_not_there(problem)
}

/// The problem with the partition that has it, for queues of which several were asked.
pub(crate) fn in_partition(place: &PartitionRoute, problem: &Problem) -> Problem {
    let detail = format!(
        "{} on cluster {}: {}",
        place.partition, place.cluster, problem.detail
    );
    Problem::new(problem.code, detail).applied(problem.applied)
}

#[cfg(test)]
mod tests {
    use shoal_types::{ClusterId, Epoch, PartitionId, QueueId, QueueSettings, Revision, Ts};

    use super::*;
    use PartitionState::{Active, Draining, Held, Pending};

    fn route(places: &[(u64, PartitionState, GroupRange)]) -> QueueRoute {
        let place = |&(id, state, groups): &(u64, PartitionState, GroupRange)| PartitionRoute {
            partition: PartitionId(id),
            epoch: Epoch(id as u32),
            cluster: ClusterId(1),
            state,
            groups,
        };
        QueueRoute {
            name: "a".parse().unwrap(),
            queue: QueueId(1),
            settings: QueueSettings::default(),
            partitions: places.iter().map(place).collect(),
            revision: Revision(1),
            created_at: Ts(0),
            changed_at: Ts(0),
        }
    }

    fn home(route: &QueueRoute, hash: GroupHash) -> Option<u64> {
        for_sends(route, hash).ok().map(|place| place.partition.0)
    }

    #[test]
    fn sends_go_to_the_active_partition_of_their_group() {
        let half = GroupRange::ALL.split(2);
        let (low, high) = (half[0].first, half[1].first);
        let split = route(&[
            (1, Draining, GroupRange::ALL),
            (2, Active, half[0]),
            (3, Active, half[1]),
        ]);
        assert_eq!((home(&split, low), home(&split, high)), (Some(2), Some(3)));
        assert_eq!(only_one_for_sends(&split), None);

        let before = route(&[(1, Active, GroupRange::ALL), (2, Held, GroupRange::ALL)]);
        assert_eq!(home(&before, low), Some(1));
        assert_eq!(only_one_for_sends(&before).unwrap().partition.0, 1);
    }

    #[test]
    fn what_is_about_to_open_is_taken_if_nothing_else_is_there() {
        let half = GroupRange::ALL.split(2);
        let opening = route(&[
            (1, Draining, GroupRange::ALL),
            (2, Active, half[0]),
            (3, Held, half[1]),
        ]);
        assert_eq!(home(&opening, half[1].last), Some(3));
        assert_eq!(only_one_for_sends(&opening), None);
        let gone = route(&[
            (1, Draining, GroupRange::ALL),
            (2, Pending, GroupRange::ALL),
        ]);
        assert_eq!(for_sends(&gone, 0).unwrap_err().code, ErrorCode::NotReady);
    }

    #[test]
    fn receives_ask_neither_held_nor_pending_partitions() {
        let all = GroupRange::ALL;
        let places = [
            (1, Draining, all),
            (2, Pending, all),
            (3, Held, all),
            (4, Active, all),
        ];
        let route = route(&places);
        let ids = |places: Vec<&PartitionRoute>| -> Vec<u64> {
            places.iter().map(|place| place.partition.0).collect()
        };
        assert_eq!(ids(for_receives(&route).collect()), [1, 4]);
        assert_eq!(ids(with_messages(&route).collect()), [1, 3, 4]);
    }
}
