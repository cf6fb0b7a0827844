//! Writing the state: freezing what changed is cheap and happens between entries; encoding it is not
//! and happens elsewhere.

use std::sync::Arc;

use shoal_types::planted::{Bug, planted};
use shoal_types::{Description, Revision};

use crate::attempts::Attempt;
use crate::chunk::Chunk;
use crate::deduplication::KeyedSend;
use crate::lineage::LineageRecord;
use crate::machine::Machine;
use crate::partition::Partition;
use crate::remains::DeadPiece;
use crate::remembered::Entry;
use crate::stored::{Key, MachineRecord, PartitionRecord, encode, encode_chunk};
use crate::transfers::TransfersRecord;
use crate::window::Block;

/// What changed since the last freeze, as of this one. It shares chunks and blocks with the machine;
/// the machine copies those that it changes as long as this lives.
#[derive(Debug)]
pub struct Frozen {
    changes: Vec<(Key, Option<Value>)>,
}

#[derive(Debug)]
enum Value {
    Machine(MachineRecord),
    Partition(PartitionRecord),
    Lineage(Arc<LineageRecord>),
    Description(Description),
    Transfers(Arc<TransfersRecord>),
    /// And whether it is of a FIFO partition.
    Chunk(Arc<Chunk>, bool),
    KeyedSends(Arc<Block<KeyedSend>>),
    Attempts(Arc<Block<Attempt>>),
    Remembered(Arc<Block<Entry>>),
    Deleted(Revision),
}

impl Frozen {
    /// Keys with their new values; `None` deletes the key. To be carried out in one transaction:
    /// together with all earlier freezes they are the machine's state. Encodes as it goes.
    pub fn into_writes(self) -> impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)> {
        self.changes
            .into_iter()
            .map(|(key, value)| (key.encode(), value.map(|value| value.encode())))
    }
}

impl Value {
    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Machine(record) => encode(record),
            Self::Partition(record) => encode(record),
            Self::Lineage(record) => encode(&**record),
            Self::Description(description) => encode(description),
            Self::Transfers(record) => encode(&**record),
            Self::Chunk(chunk, fifo) => encode_chunk(chunk, *fifo),
            Self::KeyedSends(block) => encode(&**block),
            Self::Attempts(block) => encode(&**block),
            Self::Remembered(block) => encode(&**block),
            Self::Deleted(revision) => encode(revision),
        }
    }
}

impl Machine {
    /// Takes hold of what changed since the last freeze, between two entries. Every change is part of
    /// exactly one freeze, so the writes of all freezes must be carried out, in order.
    pub fn freeze(&mut self) -> Frozen {
        let mut changes = vec![(
            Key::Machine,
            Some(Value::Machine(MachineRecord {
                version: if planted(Bug::VersionNotStored) {
                    *self.supported.start()
                } else {
                    self.version
                },
                executed: self.executed,
                hash: self.hash.0,
                deleted_floor: self.deleted.floor(),
            })),
        )];
        self.freeze_dead_pieces(&mut changes);
        for id in std::mem::take(&mut self.dirty) {
            match self.partitions.get_mut(&id) {
                Some(partition) => freeze_partition(partition, &mut changes),
                None => changes.push((Key::Partition(id), None)),
            }
        }
        for (number, block) in self.remembered.freeze() {
            changes.push((Key::Remembered(number), block.map(Value::Remembered)));
        }
        for (id, revision) in self.deleted.freeze() {
            changes.push((Key::Deleted(id), revision.map(Value::Deleted)));
        }
        Frozen { changes }
    }

    /// The same as if everything had changed since the last freeze: for a store that holds nothing yet.
    pub fn freeze_whole(&mut self) -> Frozen {
        for (id, partition) in &mut self.partitions {
            if !partition.dirty {
                partition.dirty = true;
                self.dirty.push(*id);
            }
            if let Some(lineage) = &mut partition.lineage {
                lineage.mark();
            }
            if let Some(description) = &mut partition.description {
                description.mark();
            }
            if let Some(transfers) = &mut partition.transfers {
                transfers.mark();
            }
            partition.contents.slots.mark_all();
            partition.keyed_sends.window_mut().mark_all();
            partition.attempts.window_mut().mark_all();
        }
        self.remembered.mark_all();
        self.deleted.mark_all();
        self.freeze()
    }

    /// A chunk of a purged partition may have a successor under the same key, so the partition
    /// decides; all other dead pieces belong to partitions that are gone for good.
    fn freeze_dead_pieces(&mut self, changes: &mut Vec<(Key, Option<Value>)>) {
        for piece in std::mem::take(&mut self.dead) {
            let key = match piece {
                DeadPiece::Chunk(id, index) => {
                    if let Some(partition) = self.partitions.get_mut(&id) {
                        partition.contents.slots.mark(index);
                        if !partition.dirty {
                            partition.dirty = true;
                            self.dirty.push(id);
                        }
                        continue;
                    }
                    Key::Chunk(id, index)
                }
                DeadPiece::KeyedSends(id, number) => Key::KeyedSends(id, number),
                DeadPiece::Attempts(id, number) => Key::Attempts(id, number),
                DeadPiece::Lineage(id) => Key::Lineage(id),
                DeadPiece::Description(id) => Key::Description(id),
                DeadPiece::Transfers(id) => Key::Transfers(id),
            };
            changes.push((key, None));
        }
    }
}

fn freeze_partition(partition: &mut Partition, changes: &mut Vec<(Key, Option<Value>)>) {
    let id = partition.id;
    partition.dirty = false;
    let record = PartitionRecord {
        settings: partition.settings,
        revision: partition.revision,
        last: partition.last,
        purged_through: partition.purged_through,
        messages: partition.contents.messages(),
        bytes: partition.contents.bytes(),
    };
    changes.push((Key::Partition(id), Some(Value::Partition(record))));
    let lineage = partition.lineage.as_mut();
    if let Some(record) = lineage.and_then(|lineage| lineage.freeze()) {
        changes.push((Key::Lineage(id), Some(Value::Lineage(record))));
    }
    let description = partition.description.as_mut();
    if let Some(description) = description.and_then(|kept| kept.freeze()) {
        let value = Value::Description(description);
        changes.push((Key::Description(id), Some(value)));
    }
    let transfers = partition.transfers.as_mut();
    if let Some(record) = transfers.and_then(|known| known.freeze()) {
        changes.push((Key::Transfers(id), Some(Value::Transfers(record))));
    }
    for (index, chunk) in partition.contents.slots.freeze() {
        let chunk = chunk.map(|chunk| Value::Chunk(chunk, partition.settings.fifo));
        changes.push((Key::Chunk(id, index), chunk));
    }
    let mut keyed_sends = partition.keyed_sends.window_mut().freeze();
    if planted(Bug::DeduplicationNotStored) {
        keyed_sends.clear();
    }
    for (number, block) in keyed_sends {
        changes.push((Key::KeyedSends(id, number), block.map(Value::KeyedSends)));
    }
    for (number, block) in partition.attempts.window_mut().freeze() {
        changes.push((Key::Attempts(id, number), block.map(Value::Attempts)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_can_happen_on_another_thread() {
        fn can_move<T: Send + 'static>(_: &T) {}
        can_move(&Machine::new().freeze());
    }

    #[test]
    fn without_changes_only_the_machine_itself_is_written() {
        let mut machine = Machine::new();
        for _ in 0..2 {
            let keys: Vec<_> = machine.freeze().into_writes().map(|(key, _)| key).collect();
            assert_eq!(keys, [Key::Machine.encode()]);
        }
    }
}
