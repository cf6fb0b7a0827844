//! What may be true of a partition, from what its manager asked.

use std::collections::BTreeMap;

use shoal_types::{Command, Epoch, Micros, Outcome, PartitionId, PartitionSettings};

use super::kinship::Kinship;
use super::{Operation, is_refused};
use crate::history::{SimTime, Told};

/// Settings that may hold at some time, and what may have emptied the partition.
#[derive(Debug, Default)]
pub(in crate::checkers) struct PartitionFacts {
    settings: Vec<PartitionSettings>,
    /// Purges and deletions that may have happened: from when on, and when they were done at the latest.
    pub(in crate::checkers) cleared: Vec<(SimTime, SimTime)>,
    /// Receives that delete at once and whose answer nobody got: since when, and how many messages
    /// each may have taken.
    pub(in crate::checkers) taken_unseen: Vec<(SimTime, u64)>,
    /// Receives whose answer nobody got, and that may have leased anything: since when.
    pub(in crate::checkers) leased_unseen: Vec<SimTime>,
    pub(in crate::checkers) deleted: bool,
}

impl PartitionFacts {
    /// A change to another kind of queue is never carried out.
    fn configure(&mut self, settings: PartitionSettings) {
        let same_kind = |before: &PartitionSettings| before.fifo == settings.fifo;
        if self.settings.first().is_none_or(same_kind) {
            self.settings.push(settings);
        }
    }

    /// It cannot change.
    pub(in crate::checkers) fn epoch(&self) -> Option<Epoch> {
        self.settings.first().map(|settings| settings.epoch)
    }

    pub(in crate::checkers) fn fifo(&self) -> bool {
        self.settings.first().is_some_and(|settings| settings.fifo)
    }

    fn least(&self, of: impl Fn(&PartitionSettings) -> Micros) -> Micros {
        self.settings.iter().map(of).min().unwrap_or_default()
    }

    pub(in crate::checkers) fn visibility_min(&self) -> Micros {
        self.least(|settings| settings.visibility)
    }

    fn most(&self, of: impl Fn(&PartitionSettings) -> Micros) -> Micros {
        self.settings.iter().map(of).max().unwrap_or(Micros::MAX)
    }

    pub(in crate::checkers) fn visibility_max(&self) -> Micros {
        self.most(|settings| settings.visibility)
    }

    pub(in crate::checkers) fn delay_max(&self) -> Micros {
        self.most(|settings| settings.delay)
    }

    pub(in crate::checkers) fn delay_min(&self) -> Micros {
        self.least(|settings| settings.delay)
    }

    pub(in crate::checkers) fn retention_min(&self) -> Micros {
        self.least(|settings| settings.retention)
    }

    pub(in crate::checkers) fn retention_max(&self) -> Micros {
        self.most(|settings| settings.retention)
    }
}

pub(super) fn of(
    operations: &[Operation<'_>],
    kinship: &Kinship,
) -> BTreeMap<PartitionId, PartitionFacts> {
    let mut partitions: BTreeMap<PartitionId, PartitionFacts> = BTreeMap::new();
    for operation in operations {
        let Some(partition) = operation.command.partition().filter(|_| operation.possible) else {
            continue;
        };
        let facts = partitions.entry(kinship.home(partition)).or_default();
        let done = operation
            .answered
            .map_or(SimTime(u64::MAX), |(returned, _)| returned);
        match operation.command {
            Command::CreatePartition { settings, .. }
            | Command::CreateSuccessor { settings, .. }
            | Command::CreateHeir { settings, .. } => facts.settings.push(*settings),
            Command::ConfigurePartition { settings, .. } => facts.configure(*settings),
            Command::Purge { .. } => facts.cleared.push((operation.invoked, done)),
            Command::DeletePartition { .. }
                if kinship.is_deleted_empty(partition, operation.invoked) => {}
            Command::DeletePartition { .. } => {
                facts.cleared.push((operation.invoked, SimTime(u64::MAX)));
                facts.deleted = true;
            }
            Command::Receive { max, auto_ack, .. } if is_unseen(operation) => {
                facts.leased_unseen.push(operation.invoked);
                if *auto_ack {
                    let taken = (operation.invoked, u64::from(*max));
                    facts.taken_unseen.push(taken);
                }
            }
            _ => {}
        }
    }
    partitions
}

/// A receive that may have been given messages of which nobody heard. What a repetition was given is
/// the same again.
fn is_unseen(operation: &Operation<'_>) -> bool {
    let told =
        |told: &Told| matches!(told, Told::Outcome(Outcome::Received(d), _) if !d.is_empty());
    let heard = operation.calls.iter().any(|call| {
        call.returned
            .as_ref()
            .is_some_and(|(_, answer)| told(answer))
    });
    let silent = operation
        .calls
        .iter()
        .any(|call| !is_refused(call) && !matches!(call.returned, Some((_, Told::Outcome(..)))));
    silent && !heard
}
