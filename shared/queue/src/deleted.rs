//! Which partitions were deleted, so that an instruction that comes late does not bring one back.
//!
//! A partition's id is never used again, so one that was deleted is never created again. Of the last
//! 65,536 deleted partitions the ids are kept. Of older ones only the highest revision is kept, the
//! *floor*: nothing is created any more by an instruction up to it. An instruction would have to be
//! overtaken by 65,536 deletions to be refused wrongly, and the manager then issues a new one.

use std::collections::{BTreeMap, BTreeSet};

use shoal_types::{PartitionId, Revision};

use crate::limits::DELETED_PARTITIONS_MAX;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct DeletedPartitions {
    revisions: BTreeMap<PartitionId, Revision>,
    by_revision: BTreeSet<(Revision, PartitionId)>,
    floor: Revision,
    /// Ids that came or went since the last freeze.
    dirty: BTreeSet<PartitionId>,
}

impl DeletedPartitions {
    /// Notes that the partition was deleted, or is never to be created, at this revision.
    pub(crate) fn insert(&mut self, partition: PartitionId, revision: Revision) {
        if let Some(before) = self.revisions.insert(partition, revision) {
            self.by_revision.remove(&(before, partition));
        }
        self.by_revision.insert((revision, partition));
        self.dirty.insert(partition);
        while self.by_revision.len() > DELETED_PARTITIONS_MAX
            && let Some((revision, partition)) = self.by_revision.pop_first()
        {
            self.revisions.remove(&partition);
            self.dirty.insert(partition);
            self.floor = self.floor.max(revision);
        }
    }

    /// The revision at which the partition was deleted, as long as it is known.
    pub(crate) fn revision(&self, partition: PartitionId) -> Option<Revision> {
        self.revisions.get(&partition).copied()
    }

    /// Whether an instruction of this revision may create the partition.
    pub(crate) fn may_create(&self, partition: PartitionId, revision: Revision) -> bool {
        revision > self.floor && !self.revisions.contains_key(&partition)
    }

    pub(crate) fn floor(&self) -> Revision {
        self.floor
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (PartitionId, Revision)> {
        self.revisions.iter().map(|(id, revision)| (*id, *revision))
    }

    /// What changed since the last freeze.
    pub(crate) fn freeze(&mut self) -> Vec<(PartitionId, Option<Revision>)> {
        std::mem::take(&mut self.dirty)
            .into_iter()
            .map(|id| (id, self.revision(id)))
            .collect()
    }

    /// The next freeze contains every id.
    pub(crate) fn mark_all(&mut self) {
        self.dirty.extend(self.revisions.keys());
    }

    /// Puts back one id of a checkpoint.
    pub(crate) fn restore(&mut self, partition: PartitionId, revision: Revision) {
        self.revisions.insert(partition, revision);
        self.by_revision.insert((revision, partition));
    }

    pub(crate) fn restore_floor(&mut self, floor: Revision) {
        self.floor = floor;
    }

    pub(crate) fn memory(&self) -> usize {
        2 * crate::memory::tree(self.revisions.len(), 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_and_older_revisions_stay_fenced() {
        let mut deleted = DeletedPartitions::default();
        let count = DELETED_PARTITIONS_MAX as u64 + 10;
        for n in 1..=count {
            deleted.insert(PartitionId(n), Revision(n));
        }
        assert_eq!(deleted.iter().count(), DELETED_PARTITIONS_MAX);
        assert_eq!(deleted.floor(), Revision(10));
        assert!(
            !deleted.may_create(PartitionId(3), Revision(3)),
            "by the floor"
        );
        assert!(
            !deleted.may_create(PartitionId(11), Revision(u64::MAX)),
            "by its id"
        );
        assert!(deleted.may_create(PartitionId(count + 1), Revision(11)));
    }
}
