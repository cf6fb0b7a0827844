//! Reading the state back: what is stored, and everything that follows from it.

use std::ops::RangeInclusive;

use shoal_types::planted::{Bug, planted};
use shoal_types::{MachineVersion, PartitionId, Revision};

use crate::chunk::Hold;
use crate::description::Described;
use crate::hash::StateHash;
use crate::lineage::Lineage;
use crate::machine::Machine;
use crate::partition::Partition;
use crate::remains::DeadPiece;
use crate::remembered::Answer;
use crate::stored::{
    Key, MachineRecord, PartitionRecord, decode, decode_chunk, decode_machine_version,
};
use crate::transfers::Transfers;

/// Why stored keys and values are no state of ours. Nothing of them may be used then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// A key of no known kind, or of a wrong length.
    #[error("checkpoint has an unknown key {0:02x?}")]
    Key(Vec<u8>),
    /// A value that cannot be read.
    #[error("checkpoint value of key {key:02x?} is unreadable: {reason}")]
    Value {
        /// Whose value.
        key: Vec<u8>,
        /// What is wrong with it.
        reason: String,
    },
    /// A state that is executed by rules that this release does not know.
    #[error(
        "the checkpoint is of machine version {stored}, and this release supports {oldest} to {newest}"
    )]
    Version {
        /// The checkpoint's version.
        stored: MachineVersion,
        /// The oldest that is supported.
        oldest: MachineVersion,
        /// The newest that is supported.
        newest: MachineVersion,
    },
    /// Values that do not fit together.
    #[error("checkpoint contradicts itself: {0}")]
    Inconsistent(String),
}

impl Machine {
    /// Rebuilds a machine from all stored keys and values, in any order. None at all give a new
    /// machine.
    ///
    /// # Errors
    /// If they are of a version that this release does not support, a key or value cannot be read, or
    /// they do not fit together.
    pub fn restore(
        stored: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
    ) -> Result<Self, RestoreError> {
        Self::restore_supporting(Self::versions(), stored)
    }

    /// The same for a release that supports other versions; for tests of what releases do together.
    ///
    /// # Errors
    /// As [`Machine::restore`].
    pub fn restore_supporting(
        versions: RangeInclusive<MachineVersion>,
        stored: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
    ) -> Result<Self, RestoreError> {
        // Another version may have other keys, so it is told from them before they are held against it.
        let mut unknown = None;
        let mut pieces = Vec::new();
        for (key, value) in stored {
            match Key::decode(&key) {
                Some(Key::Machine) => {
                    check_version(&value, &versions)?;
                    pieces.push((Key::Machine, value));
                }
                Some(key) => pieces.push((key, value)),
                None => unknown = unknown.or(Some(key)),
            }
        }
        if let Some(key) = unknown {
            return Err(RestoreError::Key(key));
        }
        // By kind, and within a kind ascending: a partition comes before its messages.
        pieces.sort_unstable_by_key(|(key, _)| *key);
        if let Some((first, _)) = pieces.first()
            && *first != Key::Machine
        {
            let what = "the machine's own record is missing";
            return Err(RestoreError::Inconsistent(what.to_owned()));
        }
        let mut machine = Self::supporting(versions);
        let mut expected = Vec::new();
        for (key, value) in pieces {
            let read = machine.restore_piece(key, &value, &mut expected);
            read.map_err(|reason| RestoreError::Value {
                key: key.encode(),
                reason,
            })?;
        }
        machine
            .derive(&expected)
            .map_err(RestoreError::Inconsistent)?;
        Ok(machine)
    }

    fn restore_piece(
        &mut self,
        key: Key,
        value: &[u8],
        expected: &mut Vec<(PartitionId, PartitionRecord)>,
    ) -> Result<(), String> {
        match key {
            Key::Machine => {
                let record: MachineRecord = decode(value)?;
                self.version = record.version;
                self.executed = record.executed;
                if !planted(Bug::HashNotRestored) {
                    self.hash = StateHash(record.hash);
                }
                self.deleted.restore_floor(record.deleted_floor);
            }
            Key::Partition(id) => {
                let record: PartitionRecord = decode(value)?;
                let mut partition = Partition::new(id, record.settings, record.revision);
                partition.last = record.last;
                partition.purged_through = record.purged_through;
                self.partitions.insert(id, Box::new(partition));
                expected.push((id, record));
            }
            Key::Lineage(id) => match self.partitions.get_mut(&id) {
                Some(partition) => partition.restore_lineage(Lineage::restore(id, decode(value)?)?),
                None => self.dead.push(DeadPiece::Lineage(id)),
            },
            Key::Description(id) => match self.partitions.get_mut(&id) {
                Some(partition) => {
                    let described = Described::restore(decode(value)?);
                    partition.description = Some(Box::new(described));
                }
                None => self.dead.push(DeadPiece::Description(id)),
            },
            Key::Transfers(id) => match self.partitions.get_mut(&id) {
                Some(partition) => {
                    let transfers = Transfers::restore(decode(value)?)?;
                    partition.transfers = Some(Box::new(transfers));
                }
                None => self.dead.push(DeadPiece::Transfers(id)),
            },
            Key::Chunk(id, index) => self.restore_chunk(id, index, value)?,
            Key::KeyedSends(id, number) => match self.partitions.get_mut(&id) {
                Some(partition) => follows(partition.keyed_sends.restore(number, decode(value)?))?,
                None => self.dead.push(DeadPiece::KeyedSends(id, number)),
            },
            Key::Attempts(id, number) => match self.partitions.get_mut(&id) {
                Some(partition) => follows(partition.attempts.restore(number, decode(value)?))?,
                None => self.dead.push(DeadPiece::Attempts(id, number)),
            },
            Key::Remembered(number) => {
                let block = decode(value)?;
                follows(self.remembered.restore(number, block, &mut self.bodies))?;
            }
            Key::Deleted(id) => {
                let revision: Revision = decode(value)?;
                self.deleted.restore(id, revision);
            }
        }
        Ok(())
    }

    fn restore_chunk(&mut self, id: PartitionId, index: u64, value: &[u8]) -> Result<(), String> {
        let Some(partition) = self.partitions.get_mut(&id) else {
            self.dead.push(DeadPiece::Chunk(id, index));
            return Ok(());
        };
        let mut messages = decode_chunk(index, value)?;
        let stored = messages.len();
        messages.retain(|message| message.number > partition.purged_through);
        if messages.len() < stored {
            self.dead.push(DeadPiece::Chunk(id, index));
        }
        if messages
            .iter()
            .any(|message| message.number > partition.last)
        {
            return Err("a message has a number that was not used yet".to_owned());
        }
        if partition.settings.fifo && messages.iter().any(|message| message.group.is_none()) {
            return Err("a FIFO message has no group".to_owned());
        }
        let deaths = partition.sends().map_or(0, |known| known.deaths);
        let is_unheard_of = |hold| matches!(hold, Hold::Dead(place) if place > deaths);
        if messages.iter().any(|one| is_unheard_of(one.side.hold)) {
            return Err(
                "a message is dead, and the partition does not know of its death".to_owned(),
            );
        }
        let contents = &mut partition.contents;
        contents.restore_chunk(index, messages, &mut self.bodies)
    }

    /// Rebuilds what is kept over all partitions, and checks what can be checked.
    fn derive(&mut self, expected: &[(PartitionId, PartitionRecord)]) -> Result<(), String> {
        for (id, record) in expected {
            let partition = self.partitions.get_mut(id).expect("it was read");
            partition.restore_forwarding();
            let contents = &mut partition.contents;
            contents.derive();
            if (contents.messages(), contents.bytes()) != (record.messages, record.bytes) {
                return Err(format!(
                    "partition {id} has {} messages of {} bytes, but {} of {} are stored",
                    record.messages,
                    record.bytes,
                    contents.messages(),
                    contents.bytes(),
                ));
            }
            self.messages += record.messages;
            self.bytes += record.bytes;
            if partition.seal().is_some() {
                self.sealed.insert(*id);
            }
            if partition.has_parcels() {
                self.senders.insert(*id);
            }
        }
        self.instructed = self.derive_instructed();
        for position in self.remembered.waiting() {
            let Answer::Waiting(waiter) = self.remembered.answer(position) else {
                panic!("waiting receives wait")
            };
            let Some(partition) = self.partitions.get_mut(&waiter.partition) else {
                return Err(format!(
                    "a receive waits at {}, which is gone",
                    waiter.partition
                ));
            };
            let takes = waiter.wanted.auto_ack;
            partition.waiters.insert(position, waiter.until, takes);
        }
        for (id, partition) in &mut self.partitions {
            partition.scheduled = partition.first_due().map(|(at, _)| at);
            self.schedule
                .extend(partition.scheduled.map(|at| (at, *id)));
        }
        Ok(())
    }
}

fn check_version(
    machine: &[u8],
    supported: &RangeInclusive<MachineVersion>,
) -> Result<(), RestoreError> {
    let stored = decode_machine_version(machine).map_err(|reason| RestoreError::Value {
        key: Key::Machine.encode(),
        reason,
    })?;
    if supported.contains(&stored) {
        return Ok(());
    }
    Err(RestoreError::Version {
        stored,
        oldest: *supported.start(),
        newest: *supported.end(),
    })
}

fn follows(follows: bool) -> Result<(), String> {
    if follows {
        Ok(())
    } else {
        Err("a block is missing before this one, or it has too many entries".to_owned())
    }
}
