//! Rows of a checkpoint on their way to another host: the places of bodies in them are this host's own,
//! so they are taken out before and put in, as the receiver has them, after.

use std::collections::BTreeMap;

use shoal_types::{BodyRef, Epoch, PartitionId, Sequence};

use crate::restore::RestoreError;
use crate::stored::{self, Key, PartitionRecord, decode};

/// A body that a row refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowBody {
    /// The message's partition; 0 if the message is deleted and only kept to be told once more.
    pub partition: PartitionId,
    /// The message.
    pub sequence: Sequence,
    /// Where it lies, as the row has it.
    pub at: BodyRef,
    /// Its bytes.
    pub size: u32,
    /// CRC-32C of them.
    pub crc: u32,
}

/// Goes through the rows of one checkpoint, in the order of their keys: which messages of a row still
/// count says the partition's row before it.
#[derive(Debug, Default)]
pub struct RowBodies {
    /// Epoch, and up to which number everything was purged.
    partitions: BTreeMap<PartitionId, (Epoch, u64)>,
}

impl RowBodies {
    /// The row with each body's place replaced by what `place` answers, in the row's order. Messages that
    /// were purged, and with them their bodies, are left out; `None` if nothing is left of the row.
    ///
    /// # Errors
    /// If key or value cannot be read.
    pub fn replace(
        &mut self,
        key: &[u8],
        value: &[u8],
        mut place: impl FnMut(RowBody) -> BodyRef,
    ) -> Result<Option<Vec<u8>>, RestoreError> {
        let unreadable = |reason| RestoreError::Value {
            key: key.to_vec(),
            reason,
        };
        match Key::decode(key) {
            None => Err(RestoreError::Key(key.to_vec())),
            Some(Key::Partition(id)) => {
                let record: PartitionRecord = decode(value).map_err(unreadable)?;
                let known = (record.settings.epoch, record.purged_through);
                self.partitions.insert(id, known);
                Ok(Some(value.to_vec()))
            }
            Some(Key::Chunk(id, index)) => {
                let Some((epoch, purged_through)) = self.partitions.get(&id).copied() else {
                    return Ok(None);
                };
                stored::replace_bodies(index, value, |number, at, size, crc| {
                    (number > purged_through).then(|| {
                        place(RowBody {
                            partition: id,
                            sequence: Sequence::new(epoch, number),
                            at,
                            size,
                            crc,
                        })
                    })
                })
                .map_err(unreadable)
            }
            Some(Key::Remembered(_)) => crate::remembered::replace_bodies(value, |delivery| {
                place(RowBody {
                    partition: PartitionId(0),
                    sequence: delivery.sequence,
                    at: delivery.body,
                    size: delivery.size,
                    crc: delivery.crc,
                })
            })
            .map(Some)
            .map_err(unreadable),
            Some(_) => Ok(Some(value.to_vec())),
        }
    }
}
