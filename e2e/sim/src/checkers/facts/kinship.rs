//! How partitions belong together: which follow one another, and which take over another's messages.

use std::collections::BTreeMap;

use shoal_types::{Command, PartitionId};

use super::Operation;
use crate::history::SimTime;

/// See the module. From what the manager asked, whether or not it came to that.
#[derive(Default)]
pub(in crate::checkers) struct Kinship {
    /// By successor, what it follows; by heir, its source.
    before: BTreeMap<PartitionId, PartitionId>,
    /// By heir, its source.
    sources: BTreeMap<PartitionId, PartitionId>,
    /// When messages may have begun to go on from a partition.
    goes_on: BTreeMap<PartitionId, SimTime>,
    /// The same by heir.
    comes_from: BTreeMap<PartitionId, SimTime>,
}

impl Kinship {
    pub(super) fn of(operations: &[Operation<'_>]) -> Self {
        let mut kinship = Self::default();
        for operation in operations {
            let invoked = operation.invoked;
            match operation.command {
                Command::CreateSuccessor {
                    partition,
                    succeeds,
                    ..
                } => {
                    kinship.before.insert(*partition, succeeds[0]);
                }
                Command::CreateHeir {
                    partition, source, ..
                } => {
                    kinship.before.insert(*partition, *source);
                    kinship.sources.insert(*partition, *source);
                }
                Command::Forward {
                    partition, heir, ..
                } if operation.possible => {
                    let heir = heir.partition;
                    let earliest = |known: &mut BTreeMap<_, SimTime>, id| {
                        let at = known.entry(id).or_insert(invoked);
                        *at = invoked.min(*at);
                    };
                    earliest(&mut kinship.goes_on, *partition);
                    earliest(&mut kinship.comes_from, heir);
                }
                _ => {}
            }
        }
        kinship
    }

    /// Partitions that follow one another and their heirs are one queue, with one row of numbers: the
    /// first of them.
    pub(super) fn root(&self, partition: PartitionId) -> PartitionId {
        last(&self.before, partition)
    }

    /// The partition to which a partition's messages were sent, and under which they are judged wherever
    /// they are.
    pub(super) fn home(&self, partition: PartitionId) -> PartitionId {
        last(&self.sources, partition)
    }

    /// When messages may have begun to go on from a partition to an heir; never, if none is known.
    pub(in crate::checkers) fn goes_on_from(&self, partition: PartitionId) -> Option<SimTime> {
        self.goes_on.get(&partition).copied()
    }

    /// True if a deletion that began then lost no message: all of them were to be elsewhere, or none was
    /// there yet. Whoever deletes too early loses some, and that is not excused.
    pub(super) fn is_deleted_empty(&self, partition: PartitionId, began: SimTime) -> bool {
        let is_heir = self.sources.contains_key(&partition);
        let nothing_came = self.comes_from.get(&partition).is_none_or(|at| *at > began);
        self.goes_on.contains_key(&partition) || is_heir && nothing_came
    }
}

fn last(before: &BTreeMap<PartitionId, PartitionId>, partition: PartitionId) -> PartitionId {
    let all = std::iter::successors(Some(partition), |at| before.get(at).copied());
    all.last().expect("at least itself")
}
