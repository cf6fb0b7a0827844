//! From messages to the places of their bodies: of one message, or of all messages whose bodies lie in
//! certain segments. Host-local, and changes nothing.

use std::ops::Bound;

use shoal_types::{BodyRef, PartitionId, Sequence};

use crate::limits::CHUNK_SLOTS;
use crate::{Machine, chunk::Slot, partition::Partition};

/// A message's body: where this host has it, and what it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlacedBody {
    /// The message's partition.
    pub partition: PartitionId,
    /// The message.
    pub sequence: Sequence,
    /// Where.
    pub at: BodyRef,
    /// Bytes of the stored form.
    pub size: u32,
    /// CRC-32C of the stored form.
    pub crc: u32,
}

/// How far a search has come; the default is the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchedUpTo {
    partition: PartitionId,
    /// The first chunk of it that was not looked into.
    chunk: u64,
}

impl Machine {
    /// The body of a message that exists.
    #[must_use]
    pub fn body_of(&self, partition: PartitionId, sequence: Sequence) -> Option<PlacedBody> {
        let partition = self.partitions.get(&partition)?;
        let number = sequence.number();
        let slot = partition.contents.slots.slot(number)?;
        (sequence.epoch() == partition.settings.epoch).then(|| placed(partition, number, slot))
    }

    /// Looks into at most `chunks` chunks (of 256 messages) and adds the bodies that lie in a segment
    /// that is wanted. Gives from where to go on; `None` once all messages were looked at. What is sent
    /// or moves behind the search's back is not found, or is no longer where it was found.
    pub fn find_bodies(
        &self,
        from: SearchedUpTo,
        mut chunks: usize,
        is_wanted: impl Fn(u32) -> bool,
        found: &mut Vec<PlacedBody>,
    ) -> Option<SearchedUpTo> {
        let mut first = from.chunk;
        for (id, partition) in self.partitions.range(from.partition..) {
            for (index, chunk) in partition.contents.slots.chunks_from(first) {
                if chunks == 0 {
                    return Some(SearchedUpTo {
                        partition: *id,
                        chunk: index,
                    });
                }
                chunks -= 1;
                for offset in chunk.live().iter() {
                    let slot = chunk.slot(offset).expect("its bit is set");
                    if is_wanted(slot.body.segment) {
                        let number = index * CHUNK_SLOTS + u64::from(offset);
                        found.push(placed(partition, number, slot));
                    }
                }
            }
            first = 0;
            // An empty partition counts too: there may be very many of them.
            if chunks == 0 {
                let next = (Bound::Excluded(*id), Bound::Unbounded);
                let (next, _) = self.partitions.range(next).next()?;
                return Some(SearchedUpTo {
                    partition: *next,
                    chunk: 0,
                });
            }
            chunks -= 1;
        }
        None
    }
}

fn placed(partition: &Partition, number: u64, slot: &Slot) -> PlacedBody {
    PlacedBody {
        partition: partition.id,
        sequence: partition.sequence(number),
        at: slot.body,
        size: slot.size,
        crc: slot.crc,
    }
}
