//! 256 neighbouring messages: the unit of memory, of copy-on-write and of the checkpoint.
//!
//! A message that is only ready costs its [`Slot`]. A lease, a delay, a time to live and the first
//! receive stand in [`Side`] records, a group in a [`Link`], and only while they apply.
//!
//! A chunk grows with what is sent. Once three quarters of its slots are dead it is *packed*: only
//! the live slots remain, found by counting live bits, so one old message pins only itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shoal_types::{BodyRef, DeadFrom, Ts};

use crate::bits::Bits;
use crate::link::{Link, LinkBack};

/// A chunk with so few slots is not worth packing.
const PACKED_FROM_SLOTS: usize = 16;

/// A message. 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) sent_at: Ts,
    /// Host-local.
    pub(crate) body: BodyRef,
    /// Bytes of the stored form.
    pub(crate) size: u32,
    /// CRC-32C of the stored form.
    pub(crate) crc: u32,
    /// Leases so far: the number of the current or last one, 0 before the first.
    pub(crate) lease: u16,
    /// Receives so far: leases without those that were undone.
    pub(crate) receives: u16,
    /// The last lease was given back (released, undone), it did not run out.
    pub(crate) given_back: bool,
}

/// What applies to few messages at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Side {
    pub(crate) hold: Hold,
    /// When its own time to live ends.
    pub(crate) expires: Option<Ts>,
    pub(crate) first_received_at: Option<Ts>,
}

/// Why a message cannot be received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum Hold {
    #[default]
    Free,
    /// In the hands of a consumer.
    Leased {
        /// Until then.
        until: Ts,
        /// When it was received; zero if by rules that did not note it. Stored apart, see `stored.rs`.
        #[serde(skip)]
        since: Ts,
    },
    /// Held back until then.
    Delayed(Ts),
    /// On its way to the partition's heir, or to the queue that a task moves it to. Without either it would be
    /// ready from then on.
    Going(Ts),
    /// Received as often as it may be: given to nobody until the dead-letter queue has it. Its place in the
    /// order of deaths.
    Dead(u64),
}

/// Up to 256 messages whose numbers differ only in the lowest 8 bits, the *offset*.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chunk {
    /// Changed since the last freeze.
    pub(crate) dirty: bool,
    live: Bits,
    ready: Bits,
    /// FIFO: messages with which a receive may begin, see `groups.rs`. Standard: ready messages that take
    /// no turns, see `turns.rs`.
    available: Bits,
    packed: bool,
    /// Unless packed: the offset of the first slot.
    first: u8,
    /// Packed: the live messages. Else: one per offset from `first` on, dead ones included.
    slots: Vec<Slot>,
    /// Empty if no message has a group, else as `slots`.
    links: Vec<Option<Link>>,
    sides: BTreeMap<u8, Side>,
    /// Only of those that came as dead letters; most chunks have none.
    #[expect(
        clippy::box_collection,
        reason = "few chunks have any: a pointer is a third of an empty map"
    )]
    dead_from: Option<Box<BTreeMap<u8, DeadFrom>>>,
}

impl Chunk {
    /// Empty, to be filled from `offset` on.
    pub(crate) fn starting_at(offset: u8) -> Self {
        Self {
            first: offset,
            ..Self::default()
        }
    }

    /// Adds the message behind all others.
    pub(crate) fn push(&mut self, offset: u8, slot: Slot, link: Option<Link>) {
        assert!(
            self.packed || usize::from(offset) == usize::from(self.first) + self.slots.len(),
            "numbers have no gap"
        );
        if link.is_some() && self.links.is_empty() {
            self.links.resize(self.slots.len(), None);
        }
        if link.is_some() || !self.links.is_empty() {
            self.links.push(link);
        }
        self.slots.push(slot);
        self.live.set(offset, true);
    }

    /// Empty, for any offsets in any order.
    pub(crate) fn packed() -> Self {
        Self {
            packed: true,
            ..Self::default()
        }
    }

    /// Adds the message where it belongs; only to a packed chunk.
    pub(crate) fn insert(&mut self, offset: u8, slot: Slot, link: Option<Link>) {
        assert!(
            self.packed && !self.live.contains(offset),
            "only a packed chunk has places between its messages, and each once"
        );
        let at = self.live.rank(offset);
        if link.is_some() && self.links.is_empty() {
            self.links.resize(self.slots.len(), None);
        }
        if link.is_some() || !self.links.is_empty() {
            self.links.insert(at, link);
        }
        self.slots.insert(at, slot);
        self.live.set(offset, true);
    }

    /// A chunk as a checkpoint knows it: any offsets, ascending. It starts packed.
    pub(crate) fn packed_from(messages: Vec<(u8, Slot, Option<Link>, Side)>) -> Self {
        let mut chunk = Self::packed();
        chunk.slots.reserve_exact(messages.len());
        for (offset, slot, link, side) in messages {
            chunk.push(offset, slot, link);
            chunk.set_side(offset, side);
        }
        chunk
    }

    /// Drops the message.
    pub(crate) fn remove(&mut self, offset: u8) -> (Slot, Option<Link>) {
        let at = self.index(offset).expect("only live messages are removed");
        self.sides.remove(&offset);
        if let Some(dead_from) = &mut self.dead_from {
            dead_from.remove(&offset);
        }
        self.ready.set(offset, false);
        self.available.set(offset, false);
        let removed = if self.packed {
            let link = if self.links.is_empty() {
                None
            } else {
                self.links.remove(at)
            };
            (self.slots.remove(at), link)
        } else {
            let link = self.links.get_mut(at).and_then(Option::take);
            (self.slots[at], link)
        };
        self.live.set(offset, false);
        self.give_back_memory();
        removed
    }

    fn give_back_memory(&mut self) {
        let live = self.live.len();
        let room = if self.packed {
            self.slots.capacity()
        } else {
            self.slots.len()
        };
        if room < PACKED_FROM_SLOTS || live * 4 > room {
            return;
        }
        if !self.packed {
            let offsets: Vec<usize> = self
                .live
                .iter()
                .map(|offset| usize::from(offset - self.first))
                .collect();
            self.slots = offsets.iter().map(|at| self.slots[*at]).collect();
            if !self.links.is_empty() {
                self.links = offsets.iter().map(|at| self.links[*at].take()).collect();
            }
            self.packed = true;
        }
        self.slots.shrink_to_fit();
        self.links.shrink_to_fit();
    }

    fn index(&self, offset: u8) -> Option<usize> {
        self.live.contains(offset).then(|| {
            if self.packed {
                self.live.rank(offset)
            } else {
                usize::from(offset - self.first)
            }
        })
    }

    pub(crate) fn slot(&self, offset: u8) -> Option<&Slot> {
        self.index(offset).map(|at| &self.slots[at])
    }

    pub(crate) fn slot_mut(&mut self, offset: u8) -> Option<&mut Slot> {
        self.index(offset).map(|at| &mut self.slots[at])
    }

    pub(crate) fn link(&self, offset: u8) -> Option<&Link> {
        self.links.get(self.index(offset)?)?.as_ref()
    }

    pub(crate) fn link_mut(&mut self, offset: u8) -> Option<&mut Link> {
        let at = self.index(offset)?;
        self.links.get_mut(at)?.as_mut()
    }

    /// The side record, or what stands for none.
    pub(crate) fn side(&self, offset: u8) -> Side {
        if self.sides.is_empty() {
            return Side::default();
        }
        self.sides.get(&offset).copied().unwrap_or_default()
    }

    /// Keeps the side record only if it says something.
    pub(crate) fn set_side(&mut self, offset: u8, side: Side) {
        if side == Side::default() {
            self.sides.remove(&offset);
        } else {
            self.sides.insert(offset, side);
        }
    }

    /// Where the message died, if it came as a dead letter.
    pub(crate) fn dead_from(&self, offset: u8) -> Option<DeadFrom> {
        self.dead_from.as_ref()?.get(&offset).copied()
    }

    pub(crate) fn set_dead_from(&mut self, offset: u8, dead_from: DeadFrom) {
        let all = self.dead_from.get_or_insert_default();
        all.insert(offset, dead_from);
    }

    pub(crate) fn set_ready(&mut self, offset: u8, ready: bool) {
        self.ready.set(offset, ready);
    }

    pub(crate) fn set_available(&mut self, offset: u8, available: bool) {
        self.available.set(offset, available);
    }

    /// Marks a message of a standard queue. If it was ready before and takes turns, gives its link, and
    /// that stands aside from now on.
    pub(crate) fn set_ready_in_turns(&mut self, offset: u8, ready: bool) -> Option<Link> {
        let was_ready = self.ready.contains(offset);
        let takes_turns = self.link(offset).is_some_and(|link| link.previous != 0);
        self.ready.set(offset, ready);
        self.available.set(offset, ready && !takes_turns);
        if !takes_turns || !was_ready || ready {
            return None;
        }
        let link = self.link_mut(offset).expect("it takes turns");
        let left = Link::clone(link);
        link.set_back(LinkBack::Aside);
        link.next = 0;
        Some(left)
    }

    pub(crate) fn live(&self) -> &Bits {
        &self.live
    }

    pub(crate) fn ready(&self) -> &Bits {
        &self.ready
    }

    pub(crate) fn available(&self) -> &Bits {
        &self.available
    }

    /// Bytes, names of groups not included: they are shared.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>()
            + self.slots.capacity() * size_of::<Slot>()
            + self.links.capacity() * size_of::<Option<Link>>()
            + crate::memory::tree(self.sides.len(), size_of::<(u8, Side)>())
            + self.dead_from.as_ref().map_or(0, |all| {
                size_of_val(&**all) + crate::memory::tree(all.len(), size_of::<(u8, DeadFrom)>())
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(n: u64) -> Slot {
        Slot {
            sent_at: Ts(n),
            body: BodyRef::default(),
            size: 1,
            crc: 0,
            lease: 0,
            receives: 0,
            given_back: false,
        }
    }

    fn link(group: &str) -> Option<Link> {
        Some(Link {
            group: group.into(),
            previous: 0,
            next: 0,
        })
    }

    #[test]
    fn a_slot_has_32_bytes() {
        assert_eq!(size_of::<Slot>(), 32);
    }

    #[test]
    fn a_mostly_dead_chunk_shrinks_and_still_finds_and_takes_messages() {
        let mut chunk = Chunk::starting_at(3);
        for offset in 3..=200 {
            chunk.push(offset, slot(offset.into()), None);
        }
        let full = chunk.memory();
        for offset in (3..=200).filter(|o| o % 50 != 0) {
            assert_eq!(chunk.remove(offset).0, slot(offset.into()));
        }
        assert!(chunk.memory() < full / 8, "{} of {full}", chunk.memory());
        chunk.push(201, slot(201), link("late"));
        for offset in [50, 100, 150, 200, 201] {
            assert_eq!(chunk.slot(offset), Some(&slot(offset.into())));
        }
        assert_eq!(chunk.slot(51), None);
        assert_eq!(chunk.link(201).unwrap().group.as_ref(), "late");
        assert_eq!(chunk.link(200), None);
        assert_eq!(chunk.remove(100), (slot(100), None));
        assert_eq!(chunk.remove(201), (slot(201), link("late")));
        assert_eq!(chunk.live().iter().collect::<Vec<_>>(), [50, 150, 200]);
    }

    #[test]
    fn side_records_exist_only_while_they_say_something() {
        let mut chunk = Chunk::starting_at(0);
        chunk.push(0, slot(1), None);
        let leased = Side {
            hold: Hold::Leased {
                until: Ts(5),
                since: Ts(4),
            },
            ..Side::default()
        };
        chunk.set_side(0, leased);
        assert_eq!(chunk.side(0), leased);
        chunk.set_side(0, Side::default());
        assert!(chunk.sides.is_empty());
    }
}
