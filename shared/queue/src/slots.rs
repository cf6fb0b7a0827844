//! The messages of a partition, found by number.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::chunk::{Chunk, Side, Slot};
use crate::limits::CHUNK_SLOTS;
use crate::link::Link;

/// Chunks by the upper part of the message number. An empty chunk is freed wherever it lies.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    chunks: BTreeMap<u64, Arc<Chunk>>,
    /// The chunks that have ready messages.
    ready: BTreeSet<u64>,
    /// The chunks that have available messages, see [`Chunk`].
    available: BTreeSet<u64>,
    /// The chunks that changed or went since the last freeze.
    dirty: BTreeSet<u64>,
}

fn split(number: u64) -> (u64, u8) {
    (number / CHUNK_SLOTS, (number % CHUNK_SLOTS) as u8)
}

fn join(chunk: u64, offset: u8) -> u64 {
    chunk * CHUNK_SLOTS + u64::from(offset)
}

/// Keeps a chunk listed as long as it has what the list is about.
fn list(chunks: &mut BTreeSet<u64>, index: u64, before: bool, after: bool) {
    if after && !before {
        chunks.insert(index);
    } else if before && !after {
        chunks.remove(&index);
    }
}

impl Slots {
    /// Adds the message with the highest number so far, not ready; `mark` may change that.
    pub(crate) fn push(
        &mut self,
        number: u64,
        slot: Slot,
        link: Option<Link>,
        side: Side,
        mark: impl FnOnce(&mut Chunk, u8),
    ) {
        let (index, offset) = split(number);
        self.chunks
            .entry(index)
            .or_insert_with(|| Arc::new(Chunk::starting_at(offset)));
        self.edit(number, |chunk, offset| {
            chunk.push(offset, slot, link);
            if side != Side::default() {
                chunk.set_side(offset, side);
            }
            mark(chunk, offset);
        });
    }

    /// Adds a message with any number that is free. A chunk takes either these or those of
    /// [`Slots::push`].
    pub(crate) fn insert(
        &mut self,
        number: u64,
        slot: Slot,
        link: Option<Link>,
        side: Side,
        mark: impl FnOnce(&mut Chunk, u8),
    ) {
        let (index, _) = split(number);
        self.chunks
            .entry(index)
            .or_insert_with(|| Arc::new(Chunk::packed()));
        self.edit(number, |chunk, offset| {
            chunk.insert(offset, slot, link);
            chunk.set_side(offset, side);
            mark(chunk, offset);
        });
    }

    /// Changes a message in place.
    ///
    /// # Panics
    /// If there is no chunk with that number.
    pub(crate) fn edit<R>(&mut self, number: u64, change: impl FnOnce(&mut Chunk, u8) -> R) -> R {
        let (index, offset) = split(number);
        let chunk = self
            .chunks
            .get_mut(&index)
            .expect("only messages that exist are changed");
        if !chunk.dirty {
            self.dirty.insert(index);
        }
        // Copies the chunk if a freeze still holds it.
        let chunk = Arc::make_mut(chunk);
        chunk.dirty = true;
        let before = (!chunk.ready().is_empty(), !chunk.available().is_empty());
        let result = change(chunk, offset);
        let after = (!chunk.ready().is_empty(), !chunk.available().is_empty());
        let empty = chunk.live().is_empty();
        list(&mut self.ready, index, before.0, after.0);
        list(&mut self.available, index, before.1, after.1);
        if empty {
            self.chunks.remove(&index);
        }
        result
    }

    /// Drops a message.
    pub(crate) fn remove(&mut self, number: u64) -> (Slot, Option<Link>) {
        self.edit(number, Chunk::remove)
    }

    /// The chunk of a message that exists, with the message's offset in it.
    pub(crate) fn find(&self, number: u64) -> Option<(&Chunk, u8)> {
        let (index, offset) = split(number);
        let chunk = self.chunks.get(&index)?;
        chunk.live().contains(offset).then_some((&**chunk, offset))
    }

    pub(crate) fn slot(&self, number: u64) -> Option<&Slot> {
        self.find(number)
            .and_then(|(chunk, offset)| chunk.slot(offset))
    }

    pub(crate) fn link(&self, number: u64) -> Option<&Link> {
        self.find(number)
            .and_then(|(chunk, offset)| chunk.link(offset))
    }

    pub(crate) fn is_ready(&self, number: u64) -> bool {
        self.find(number)
            .is_some_and(|(chunk, offset)| chunk.ready().contains(offset))
    }

    /// The oldest message.
    pub(crate) fn first(&self) -> Option<(u64, &Slot)> {
        let (index, chunk) = self.chunks.first_key_value()?;
        let offset = chunk.live().first().expect("empty chunks are freed");
        let slot = chunk.slot(offset).expect("its bit is set");
        Some((join(*index, offset), slot))
    }

    /// The oldest ready message.
    pub(crate) fn first_ready(&self) -> Option<u64> {
        self.iter_ready().next()
    }

    /// The first ready message from this number on.
    pub(crate) fn first_ready_from(&self, number: u64) -> Option<u64> {
        let (first, offset) = split(number);
        let in_first = self.ready.contains(&first).then(|| {
            let ready = self.chunks[&first].ready();
            let mut from = ready.iter().filter(|one| *one >= offset);
            from.next().map(|offset| join(first, offset))
        });
        in_first.flatten().or_else(|| {
            let index = self.ready.range(first + 1..).next()?;
            let offset = self.chunks[index].ready().first();
            Some(join(*index, offset.expect("the chunk is listed")))
        })
    }

    /// The newest message that is there.
    pub(crate) fn newest(&self) -> Option<u64> {
        let (index, chunk) = self.chunks.last_key_value()?;
        let offset = chunk.live().last().expect("empty chunks are freed");
        Some(join(*index, offset))
    }

    /// The oldest available message.
    pub(crate) fn first_available(&self) -> Option<u64> {
        let index = self.available.first()?;
        let offset = self.chunks[index].available().first();
        Some(join(*index, offset.expect("the chunk is listed")))
    }

    /// The ready messages, oldest first.
    pub(crate) fn iter_ready(&self) -> impl Iterator<Item = u64> {
        self.ready.iter().flat_map(|index| {
            let ready = self.chunks[index].ready();
            ready.iter().map(|offset| join(*index, offset))
        })
    }

    /// The chunks from this one on, oldest first.
    pub(crate) fn chunks_from(&self, first: u64) -> impl Iterator<Item = (u64, &Chunk)> {
        let chunks = self.chunks.range(first..);
        chunks.map(|(index, chunk)| (*index, &**chunk))
    }

    /// All messages, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Chunk, u8)> {
        self.chunks.iter().flat_map(|(index, chunk)| {
            let offsets = chunk.live().iter();
            offsets.map(|offset| (join(*index, offset), &**chunk, offset))
        })
    }

    /// Puts in a chunk of a checkpoint. Its messages are not ready yet.
    pub(crate) fn restore(&mut self, index: u64, messages: Vec<(u8, Slot, Option<Link>, Side)>) {
        if !messages.is_empty() {
            let chunk = Arc::new(Chunk::packed_from(messages));
            self.chunks.insert(index, chunk);
        }
    }

    /// Without marking the message as changed: for what a restore derives from what it read.
    pub(crate) fn derive(&mut self, number: u64, derive: impl FnOnce(&mut Chunk, u8)) {
        let (index, offset) = split(number);
        let chunk = self.chunks.get_mut(&index).expect("it was just read");
        let chunk = Arc::get_mut(chunk).expect("nobody else has it yet");
        derive(chunk, offset);
        if !chunk.ready().is_empty() {
            self.ready.insert(index);
        }
        if !chunk.available().is_empty() {
            self.available.insert(index);
        }
    }

    /// The chunk's stored form must be written or deleted at the next freeze.
    pub(crate) fn mark(&mut self, index: u64) {
        self.dirty.insert(index);
    }

    /// The next freeze contains every chunk.
    pub(crate) fn mark_all(&mut self) {
        self.dirty.extend(self.chunks.keys());
    }

    /// What changed since the last freeze; `None` for a chunk that is gone.
    pub(crate) fn freeze(&mut self) -> Vec<(u64, Option<Arc<Chunk>>)> {
        let dirty = std::mem::take(&mut self.dirty);
        let freeze = |index| {
            let chunk = self.chunks.get_mut(&index).map(|chunk| {
                if chunk.dirty {
                    Arc::make_mut(chunk).dirty = false;
                }
                Arc::clone(chunk)
            });
            (index, chunk)
        };
        dirty.into_iter().map(freeze).collect()
    }

    /// Takes the changes not frozen yet, for a successor under the same keys.
    pub(crate) fn take_dirty(&mut self) -> BTreeSet<u64> {
        std::mem::take(&mut self.dirty)
    }

    /// Takes out any one chunk, to free its messages.
    pub(crate) fn pop_chunk(&mut self) -> Option<(u64, Arc<Chunk>)> {
        self.chunks.pop_first()
    }

    pub(crate) fn memory(&self) -> usize {
        let chunks: usize = self.chunks.values().map(|chunk| 16 + chunk.memory()).sum();
        chunks
            + crate::memory::tree(self.chunks.len(), 16)
            + crate::memory::tree(
                self.ready.len() + self.available.len() + self.dirty.len(),
                8,
            )
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::{BodyRef, Ts};

    use super::*;

    fn slots(numbers: std::ops::RangeInclusive<u64>) -> Slots {
        let mut slots = Slots::default();
        for n in numbers {
            let slot = Slot {
                sent_at: Ts(n),
                body: BodyRef::default(),
                size: 0,
                crc: 0,
                lease: 0,
                receives: 0,
                given_back: false,
            };
            slots.push(n, slot, None, Side::default(), |chunk, offset| {
                chunk.set_ready(offset, true);
            });
        }
        slots
    }

    #[test]
    fn ready_messages_are_found_in_order_across_chunks() {
        let mut slots = slots(1..=600);
        assert_eq!(
            slots.iter_ready().collect::<Vec<_>>(),
            (1..=600).collect::<Vec<_>>()
        );
        for n in 1..=512 {
            slots.remove(n);
        }
        assert_eq!(slots.first_ready(), Some(513));
        assert_eq!(slots.first().unwrap().0, 513);
        slots.edit(513, |chunk, offset| chunk.set_ready(offset, false));
        assert_eq!(slots.first_ready(), Some(514));
        assert!(!slots.is_ready(513) && !slots.is_ready(1));
    }

    #[test]
    fn one_old_message_pins_only_itself() {
        let mut slots = slots(1..=100_000);
        for n in 2..100_000 {
            slots.remove(n);
        }
        slots.freeze();
        assert!(slots.memory() < 1_500, "{}", slots.memory());
        assert_eq!(
            slots.iter().map(|(n, ..)| n).collect::<Vec<_>>(),
            [1, 100_000]
        );
    }

    #[test]
    fn a_freeze_holds_what_was_there_and_names_what_went() {
        let mut slots = slots(1..=300);
        assert_eq!(slots.freeze().len(), 2);
        assert!(slots.freeze().is_empty());
        slots.edit(1, |chunk, offset| chunk.slot_mut(offset).unwrap().lease = 7);
        let frozen = slots.freeze();
        slots.edit(1, |chunk, offset| chunk.slot_mut(offset).unwrap().lease = 8);
        let [(0, Some(chunk))] = &frozen[..] else {
            panic!("{frozen:?}")
        };
        assert_eq!(chunk.slot(1).unwrap().lease, 7);
        for n in 256..=300 {
            slots.remove(n);
        }
        let gone = slots.freeze();
        assert_eq!(
            gone.iter()
                .map(|(i, c)| (*i, c.is_some()))
                .collect::<Vec<_>>(),
            [(0, true), (1, false)]
        );
    }
}
