//! What a partition keeps about messages that go to other queues and come from there.
//!
//! Kept only by partitions that were told where their messages go when they die, were given a task to move
//! them, or took some from other queues; of all others this costs a null pointer. What is done with it stands
//! in `dying.rs`, `moving.rs`, `parcels.rs` and `arriving.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use shoal_types::{
    ClusterMember, DeadLetters, MoveStatus, MoveTask, PartitionId, QueueId, Revision, Target,
    TargetPart, Ts,
};

use crate::numbers::Numbers;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Transfers {
    /// Shared with freezes; copied when it changes as long as one of them lives.
    record: Arc<TransfersRecord>,
    /// The sources in [`TransfersRecord::arrivals`], by when they were heard of last.
    by_age: BTreeSet<(Ts, PartitionId)>,
    /// Those among them that have not heard of what was taken, as far as is known here.
    unsettled_sources: usize,
    /// Changed since the last freeze.
    dirty: bool,
}

/// Transfers as a checkpoint stores them.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct TransfersRecord {
    pub(crate) dead_letters: Option<DeadLetters>,
    /// The queue that the partition is of, as the last instruction said that named any: those that are on
    /// their way died there, also once the setting is taken back.
    pub(crate) queue: QueueId,
    /// Of the instruction that set them.
    pub(crate) dead_letters_revision: Revision,
    /// Where the dead went is gone for good.
    pub(crate) target_gone: bool,
    /// Messages that died so far: the last place in the order of deaths that was given.
    pub(crate) deaths: u64,
    /// Those that the dead-letter queue has.
    pub(crate) delivered: u64,
    /// Parcels that were made: the last one's number.
    pub(crate) parcels: u64,
    /// The last one, until it is known to be taken, or never to be.
    pub(crate) parcel: Option<UnderWay>,
    /// Who took something, and does not know yet that this was heard of.
    pub(crate) unsettled: BTreeMap<PartitionId, TargetPart>,
    /// Numbers of messages that others have and that had been leased: there may be receipts for them.
    pub(crate) went: Numbers,
    pub(crate) moving: Option<Moving>,
    /// Of the instruction that began or ended the last task.
    pub(crate) moving_revision: Revision,
    /// The parcel before was of dead letters: now a task has its turn.
    pub(crate) died_last: bool,
    /// The last parcel taken of each source.
    pub(crate) arrivals: BTreeMap<PartitionId, Arrival>,
}

/// A parcel that is on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnderWay {
    pub(crate) to: TargetPart,
    pub(crate) contents: Contained,
}

/// What a parcel contains, by the messages' numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Contained {
    Dead(Vec<u64>),
    Moved(Vec<u64>),
    /// Nothing: it settles.
    Nothing,
}

/// A task to move messages. It goes through their numbers once, upwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moving {
    pub(crate) task: MoveTask,
    pub(crate) status: MoveStatus,
    /// The first number that was not looked at, or has to be looked at again.
    pub(crate) next: u64,
    /// The last number that was looked at.
    pub(crate) looked_at: u64,
    /// The last number that there was when it began.
    pub(crate) last: u64,
    pub(crate) to_move: u64,
    pub(crate) moved: u64,
    pub(crate) failed: u64,
    /// No parcel is made before.
    pub(crate) not_before: Ts,
}

/// What was taken of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Arrival {
    /// The last parcel's number.
    pub(crate) parcel: u64,
    pub(crate) at: Ts,
    /// The source has heard of all that was taken.
    pub(crate) settled: bool,
}

impl Contained {
    pub(crate) fn numbers(&self) -> &[u64] {
        match self {
            Self::Dead(numbers) | Self::Moved(numbers) => numbers,
            Self::Nothing => &[],
        }
    }
}

impl Transfers {
    /// As a checkpoint has it, or what is wrong with it.
    pub(crate) fn restore(record: TransfersRecord) -> Result<Self, String> {
        let numbers = record.parcel.as_ref().map(|one| one.contents.numbers());
        let mut distinct = BTreeSet::new();
        if !numbers
            .unwrap_or_default()
            .iter()
            .all(|n| distinct.insert(*n))
        {
            return Err("a parcel has a message twice".to_owned());
        }
        if record.parcel.is_some() && record.parcels == 0 {
            return Err("a parcel is on its way and none was made".to_owned());
        }
        let arrivals = record.arrivals.iter();
        Ok(Self {
            by_age: arrivals.clone().map(|(id, one)| (one.at, *id)).collect(),
            unsettled_sources: arrivals.filter(|(_, one)| !one.settled).count(),
            record: Arc::new(record),
            dirty: false,
        })
    }

    pub(crate) fn record(&self) -> &TransfersRecord {
        &self.record
    }

    pub(crate) fn change(&mut self) -> &mut TransfersRecord {
        self.dirty = true;
        Arc::make_mut(&mut self.record)
    }

    /// The last parcel taken of a source.
    pub(crate) fn arrival(&self, from: PartitionId) -> Option<Arrival> {
        self.record.arrivals.get(&from).copied()
    }

    pub(crate) fn note_arrival(&mut self, from: PartitionId, arrival: Arrival) {
        self.forget_source(from);
        self.by_age.insert((arrival.at, from));
        self.unsettled_sources += usize::from(!arrival.settled);
        self.change().arrivals.insert(from, arrival);
    }

    /// The source that was not heard of for longest, and when it was.
    pub(crate) fn oldest_source(&self) -> Option<(Ts, PartitionId)> {
        self.by_age.first().copied()
    }

    pub(crate) fn forget_source(&mut self, from: PartitionId) {
        if let Some(before) = self.change().arrivals.remove(&from) {
            self.by_age.remove(&(before.at, from));
            self.unsettled_sources -= usize::from(!before.settled);
        }
    }

    /// Nothing is on its way from here, nobody has to be told that their answer was heard, and the same
    /// holds for those whose messages were taken.
    pub(crate) fn are_settled(&self) -> bool {
        let record = &self.record;
        record.parcel.is_none() && record.unsettled.is_empty() && self.unsettled_sources == 0
    }

    /// The highest revision of an instruction.
    pub(crate) fn instructed(&self) -> Revision {
        let record = &self.record;
        record.dead_letters_revision.max(record.moving_revision)
    }

    /// The whole of it, if it changed since the last freeze.
    pub(crate) fn freeze(&mut self) -> Option<Arc<TransfersRecord>> {
        std::mem::take(&mut self.dirty).then(|| Arc::clone(&self.record))
    }

    /// The next freeze contains it.
    pub(crate) fn mark(&mut self) {
        self.dirty = true;
    }

    /// Bytes.
    pub(crate) fn memory(&self) -> usize {
        let record = &self.record;
        let dead_letters = record.dead_letters.iter().map(|one| &one.to);
        let moving = record.moving.iter().flat_map(|one| one.task.targets());
        let parcel = record.parcel.as_ref().map_or(0, |one| {
            size_of_val(one.contents.numbers()) + part_memory(&one.to)
        });
        size_of::<Self>()
            + size_of::<TransfersRecord>()
            + dead_letters.chain(moving).map(target_memory).sum::<usize>()
            + parcel
            + record.unsettled.values().map(part_memory).sum::<usize>()
            + record.went.memory()
            + crate::memory::tree(
                record.arrivals.len(),
                size_of::<(PartitionId, Arrival)>() + size_of::<(Ts, PartitionId)>(),
            )
    }
}

fn target_memory(target: &Target) -> usize {
    size_of_val(target) + target.parts.iter().map(part_memory).sum::<usize>()
}

fn part_memory(part: &TargetPart) -> usize {
    let member = |member: &ClusterMember| size_of_val(member) + member.address.len();
    size_of_val(part) + part.members.iter().map(member).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(at: u64, settled: bool) -> Arrival {
        Arrival {
            parcel: 1,
            at: Ts(at),
            settled,
        }
    }

    #[test]
    fn sources_are_known_by_age_and_settled_or_not_also_after_a_restore() {
        let mut transfers = Transfers::default();
        assert!(transfers.are_settled());
        transfers.note_arrival(PartitionId(1), arrival(5, false));
        transfers.note_arrival(PartitionId(2), arrival(6, true));
        transfers.note_arrival(PartitionId(1), arrival(7, false));
        assert!(!transfers.are_settled());
        let restored = Transfers::restore(transfers.record().clone()).unwrap();
        for transfers in [&transfers, &restored] {
            assert_eq!(transfers.oldest_source(), Some((Ts(6), PartitionId(2))));
            assert!(!transfers.are_settled());
        }
        transfers.note_arrival(PartitionId(1), arrival(8, true));
        assert!(transfers.are_settled());
        transfers.forget_source(PartitionId(2));
        assert_eq!(transfers.oldest_source(), Some((Ts(8), PartitionId(1))));
    }

    #[test]
    fn what_a_checkpoint_contradicts_itself_about_is_refused() {
        let to = TargetPart {
            partition: PartitionId(2),
            cluster: Default::default(),
            members: Vec::new(),
            groups: Default::default(),
        };
        let record = |parcels, numbers: &[u64]| TransfersRecord {
            parcels,
            parcel: Some(UnderWay {
                to: to.clone(),
                contents: Contained::Dead(numbers.to_vec()),
            }),
            ..TransfersRecord::default()
        };
        assert!(Transfers::restore(record(1, &[2, 1])).is_ok());
        assert!(Transfers::restore(record(1, &[1, 1])).is_err());
        assert!(Transfers::restore(record(0, &[1])).is_err());
    }
}
