//! A queue as those know it who send parcels there.

use shoal_types::limits::TARGET_PARTS_MAX;
use shoal_types::{ClusterId, ClusterMember, GroupRange, Target, TargetPart};

use shoal_planner::limits::PARTITIONS_MAX;

use crate::records::{PartitionRecord, PartitionStage, QueueRecord};

// However far a queue is split, it can be named.
const _: () = assert!(TARGET_PARTS_MAX >= PARTITIONS_MAX);

/// The partitions that take what is sent to a queue, with their hosts; or why that cannot be said now. While what
/// follows a sealed partition is not open yet, it is named all the same: parcels wait for it.
pub(in crate::queues) fn target_of(
    queue: &QueueRecord,
    members: impl Fn(ClusterId) -> Vec<ClusterMember>,
) -> Result<Target, String> {
    let name = &queue.name;
    let takers = takers(queue);
    if !cover_all(takers.iter().map(|one| one.groups).collect()) {
        return Err(format!("some groups of {name} have no partition"));
    }
    if takers.len() > TARGET_PARTS_MAX {
        return Err(format!(
            "{name} has {} partitions that take messages; {TARGET_PARTS_MAX} is the most that may be named",
            takers.len()
        ));
    }
    let part = |taker: &PartitionRecord| TargetPart {
        partition: taker.partition,
        cluster: taker.cluster,
        members: members(taker.cluster),
        groups: taker.groups,
    };
    let parts: Vec<TargetPart> = takers.into_iter().map(part).collect();
    match parts.iter().find(|part| part.members.is_empty()) {
        Some(part) => Err(format!("the hosts of {} are not known", part.cluster)),
        None => Ok(Target {
            queue: queue.queue,
            parts,
        }),
    }
}

/// Those that take sends, and for the groups of which nobody does those that will: of what waits to take over, the
/// one with the highest epoch. One with a lower epoch is an heir, which takes no sends.
fn takers(queue: &QueueRecord) -> Vec<&PartitionRecord> {
    let in_stage = |stage| {
        queue
            .partitions
            .iter()
            .filter(move |one| one.stage == stage)
    };
    let mut takers: Vec<_> = in_stage(PartitionStage::Active).collect();
    let mut held: Vec<_> = in_stage(PartitionStage::Held).collect();
    held.sort_by_key(|one| std::cmp::Reverse(one.epoch));
    for one in held {
        if !takers.iter().any(|taker| overlap(taker.groups, one.groups)) {
            takers.push(one);
        }
    }
    takers.sort_by_key(|one| one.groups.first);
    takers
}

fn overlap(one: GroupRange, other: GroupRange) -> bool {
    one.first <= other.last && other.first <= one.last
}

/// Whether these, which do not overlap and are sorted, leave no group to nobody.
fn cover_all(ranges: Vec<GroupRange>) -> bool {
    let ends = (ranges.first(), ranges.last());
    let (Some(first), Some(last)) = ends else {
        return false;
    };
    (first.first, last.last) == (GroupRange::ALL.first, GroupRange::ALL.last)
        && ranges.is_sorted_by(|one, next| one.last.checked_add(1) == Some(next.first))
}

#[cfg(test)]
mod tests {
    use shoal_types::{Epoch, HostId, PartitionId, QueueId, QueueSettings, Ts};

    use super::*;
    use crate::records::QueueStage;

    fn partition(
        id: u64,
        epoch: u32,
        stage: PartitionStage,
        groups: GroupRange,
    ) -> PartitionRecord {
        PartitionRecord {
            partition: PartitionId(id),
            epoch: Epoch(epoch),
            cluster: ClusterId(id),
            stage,
            groups,
            since: Ts(0),
        }
    }

    fn named(partitions: Vec<PartitionRecord>) -> Result<Vec<u64>, String> {
        let queue = QueueRecord {
            name: "dead".parse().unwrap(),
            queue: QueueId(1),
            stage: QueueStage::Active,
            settings: QueueSettings::default(),
            partitions,
            last_epoch: Epoch(9),
            resized_at: Ts(0),
            created_at: Ts(0),
            changed_at: Ts(0),
        };
        let member = |cluster: ClusterId| ClusterMember {
            host: HostId(cluster.0),
            address: "a:1".to_owned(),
        };
        let members = |cluster: ClusterId| match cluster.0 {
            404 => Vec::new(),
            _ => vec![member(cluster)],
        };
        let target = target_of(&queue, members)?;
        Ok(target.parts.iter().map(|part| part.partition.0).collect())
    }

    #[test]
    fn messages_go_to_those_that_take_sends_or_will() {
        use PartitionStage::{Active, Draining, Held};
        let all = GroupRange::ALL;
        let halves = all.split(2);
        let one = |id, epoch, stage| partition(id, epoch, stage, all);
        assert_eq!(named(vec![one(1, 0, Active)]), Ok(vec![1]));
        // A successor is being created; then what it follows is sealed; then that waits for consumers.
        assert_eq!(named(vec![one(1, 0, Active), one(2, 1, Held)]), Ok(vec![1]));
        assert_eq!(
            named(vec![one(1, 0, Draining), one(2, 1, Held)]),
            Ok(vec![2])
        );
        assert_eq!(
            named(vec![one(1, 0, Draining), one(2, 1, Active)]),
            Ok(vec![2])
        );
        // 1 is followed by 2 and that by 3, which is not open yet; 4 is to take over what is left in 1.
        let heir = vec![
            one(1, 0, Draining),
            one(4, 0, Held),
            one(2, 1, Draining),
            one(3, 2, Held),
        ];
        assert_eq!(named(heir), Ok(vec![3]));
        let split = vec![
            one(1, 0, Draining),
            partition(2, 1, Held, halves[1]),
            partition(3, 2, Active, halves[0]),
        ];
        assert_eq!(named(split), Ok(vec![3, 2]));
    }

    #[test]
    fn what_cannot_be_named_is_said() {
        let half = GroupRange::ALL.split(2)[0];
        let lost = named(vec![partition(1, 0, PartitionStage::Active, half)]);
        assert!(lost.unwrap_err().contains("have no partition"));
        let unheard = partition(404, 0, PartitionStage::Active, GroupRange::ALL);
        assert!(named(vec![unheard]).unwrap_err().contains("not known"));
        let parts = GroupRange::ALL.split(33);
        let parts: Vec<GroupRange> = parts.iter().flat_map(|part| part.split(20)).collect();
        let many = parts.into_iter().zip(1..);
        let many = many.map(|(part, id)| partition(id, 0, PartitionStage::Active, part));
        assert!(
            named(many.collect())
                .unwrap_err()
                .contains("644 is the most")
        );
    }
}
