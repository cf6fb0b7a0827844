//! What is remembered for a time and then forgotten, in the order in which it came.
//!
//! Entries are appended to blocks; a block is forgotten as a whole once the last of its entries may
//! be. So forgetting costs nothing per entry, wakes nobody for a single one, and a checkpoint writes
//! only the blocks that changed.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use shoal_types::Ts;

use crate::limits::BLOCK_ENTRIES;

const ENTRIES: u64 = BLOCK_ENTRIES as u64;

/// Entries by position: block number × 256 + place in the block. Positions grow and are not reused.
#[derive(Debug)]
pub(crate) struct Window<T> {
    /// The number of the first block in `blocks`; the others follow without a gap.
    first: u64,
    blocks: VecDeque<Arc<Block<T>>>,
    /// Numbers of blocks that changed or went since the last freeze.
    dirty: BTreeSet<u64>,
    len: usize,
}

/// Up to 256 entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Block<T> {
    /// The last instant at which any of the entries counts.
    pub(crate) until: Ts,
    pub(crate) entries: Vec<T>,
    /// Entries that hold the block, however late it is.
    #[serde(skip)]
    holds: u32,
    #[serde(skip)]
    dirty: bool,
}

impl<T> Default for Window<T> {
    fn default() -> Self {
        Self {
            first: 0,
            blocks: VecDeque::new(),
            dirty: BTreeSet::new(),
            len: 0,
        }
    }
}

impl<T: Clone> Window<T> {
    /// Appends an entry that counts up to and at `until`, and gives its position.
    pub(crate) fn push(&mut self, entry: T, until: Ts) -> u64 {
        if self.tail_is_full() {
            self.blocks.push_back(Arc::new(Block {
                until,
                entries: Vec::new(),
                holds: 0,
                dirty: false,
            }));
        }
        self.len += 1;
        let number = self.first + self.blocks.len() as u64 - 1;
        let block = self.block_mut(number).expect("it is the last one");
        block.until = block.until.max(until);
        block.entries.push(entry);
        number * ENTRIES + block.entries.len() as u64 - 1
    }

    /// True if the next entry opens a block: the moment to forget old ones, so that forgetting keeps
    /// pace with remembering.
    pub(crate) fn tail_is_full(&self) -> bool {
        self.blocks
            .back()
            .is_none_or(|block| block.entries.len() == BLOCK_ENTRIES)
    }

    fn block_mut(&mut self, number: u64) -> Option<&mut Block<T>> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let block = self.blocks.get_mut(at)?;
        if !block.dirty {
            self.dirty.insert(number);
        }
        let block = Arc::make_mut(block);
        block.dirty = true;
        Some(block)
    }

    pub(crate) fn get(&self, position: u64) -> Option<&T> {
        let at = (position / ENTRIES).checked_sub(self.first)?;
        let block = self.blocks.get(usize::try_from(at).ok()?)?;
        block.entries.get((position % ENTRIES) as usize)
    }

    pub(crate) fn get_mut(&mut self, position: u64) -> Option<&mut T> {
        let block = self.block_mut(position / ENTRIES)?;
        block.entries.get_mut((position % ENTRIES) as usize)
    }

    /// Keeps the entry's block, however late it gets, until [`Window::release`].
    pub(crate) fn hold(&mut self, position: u64) {
        let block = self.block_mut(position / ENTRIES);
        block.expect("only entries that exist are held").holds += 1;
    }

    pub(crate) fn release(&mut self, position: u64) {
        let block = self.block_mut(position / ENTRIES);
        block.expect("held entries exist").holds -= 1;
    }

    /// When the oldest block may be forgotten, if nothing holds it.
    pub(crate) fn forgettable_from(&self) -> Option<Ts> {
        let block = self.blocks.front()?;
        (block.holds == 0).then(|| block.until.after(1))
    }

    /// Forgets the oldest block if its time is over. The caller takes its entries out of indexes.
    pub(crate) fn forget(&mut self, now: Ts) -> Option<(u64, Arc<Block<T>>)> {
        if self.forgettable_from()? > now {
            return None;
        }
        self.pop()
    }

    /// Takes out the oldest block, late or not, with the position of its first entry.
    pub(crate) fn pop(&mut self) -> Option<(u64, Arc<Block<T>>)> {
        let block = self.blocks.pop_front()?;
        let number = self.first;
        self.first += 1;
        self.len -= block.entries.len();
        self.dirty.insert(number);
        Some((number * ENTRIES, block))
    }

    /// Entries, late ones included as long as their block is there.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// How many entries from the oldest on are late at `now`, one after the other. Looks at every block
    /// that is late as a whole, and into one.
    pub(crate) fn late_at_front(&self, now: Ts, is_late: impl Fn(&T) -> bool) -> usize {
        let mut late = 0;
        for block in &self.blocks {
            if block.until >= now {
                let entries = block.entries.iter();
                return late + entries.take_while(|entry| is_late(entry)).count();
            }
            late += block.entries.len();
        }
        late
    }

    /// The nth entry there is, from 0 for the oldest.
    pub(crate) fn nth(&self, n: usize) -> Option<&T> {
        self.get(self.first * ENTRIES + n as u64)
    }

    /// With positions, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        (self.first..)
            .zip(&self.blocks)
            .flat_map(|(number, block)| {
                let positions = number * ENTRIES..;
                positions.zip(&block.entries)
            })
    }

    /// What changed since the last freeze; `None` for a block that is gone.
    pub(crate) fn freeze(&mut self) -> Vec<(u64, Option<Arc<Block<T>>>)> {
        let dirty = std::mem::take(&mut self.dirty);
        let freeze = |number: u64| {
            let at = number.checked_sub(self.first)?;
            let block = self.blocks.get_mut(usize::try_from(at).ok()?)?;
            if block.dirty {
                Arc::make_mut(block).dirty = false;
            }
            Some(Arc::clone(block))
        };
        let mut freeze = freeze;
        dirty
            .into_iter()
            .map(|number| (number, freeze(number)))
            .collect()
    }

    /// The next freeze contains every block.
    pub(crate) fn mark_all(&mut self) {
        let numbers = self.first..self.first + self.blocks.len() as u64;
        self.dirty.extend(numbers);
    }

    /// Takes the changes not frozen yet.
    pub(crate) fn take_dirty(&mut self) -> BTreeSet<u64> {
        std::mem::take(&mut self.dirty)
    }

    /// Puts back the next block of a checkpoint, or says that it does not follow on the last one.
    #[must_use]
    pub(crate) fn restore(&mut self, number: u64, block: Block<T>) -> bool {
        if self.blocks.is_empty() {
            self.first = number;
        }
        self.len += block.entries.len();
        let follows = number == self.first + self.blocks.len() as u64
            && (self.blocks.is_empty() || self.tail_is_full())
            && (1..=BLOCK_ENTRIES).contains(&block.entries.len());
        self.blocks.push_back(Arc::new(block));
        follows
    }

    /// Bytes of the blocks, without what entries own elsewhere.
    pub(crate) fn memory(&self) -> usize {
        let entries: usize = self.blocks.iter().map(|b| b.entries.capacity()).sum();
        self.blocks.capacity() * 8
            + self.blocks.len() * (16 + size_of::<Block<T>>())
            + entries * size_of::<T>()
            + crate::memory::tree(self.dirty.len(), 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_goes_when_its_last_entry_may() {
        let mut window = Window::default();
        for n in 0..300u64 {
            assert_eq!(window.push(n, Ts(1_000 - n)), n);
        }
        assert_eq!(window.forget(Ts(1_000)), None, "entry 0 counts until 1000");
        let (at, block) = window.forget(Ts(1_001)).unwrap();
        assert_eq!((at, block.entries.len(), window.len()), (0, 256, 44));
        assert_eq!((window.get(255), window.get(256)), (None, Some(&256)));
        assert_eq!(window.forget(Ts(1_001)).unwrap().0, 256);
        assert_eq!(window.push(7, Ts(2_000)), 512, "positions are not reused");
    }

    #[test]
    fn entries_are_counted_from_the_oldest_late_or_not() {
        let mut window = Window::default();
        // Two blocks that are over at 10, and one in which the second entry counts until 20.
        for n in 0..512u64 {
            window.push(n, Ts(9));
        }
        for (n, until) in [(512, 9), (513, 20), (514, 9)] {
            window.push(n, Ts(until));
        }
        let late_at =
            |window: &Window<u64>, now| window.late_at_front(Ts(now), |n| *n != 513 && now > 9);
        assert_eq!(late_at(&window, 9), 0);
        assert_eq!(
            late_at(&window, 10),
            513,
            "what is behind one that counts stays"
        );
        assert_eq!(late_at(&window, 21), 515);
        window.forget(Ts(10)).unwrap();
        assert_eq!((window.nth(0), window.nth(258)), (Some(&256), Some(&514)));
        assert_eq!(window.nth(259), None);
    }

    #[test]
    fn a_held_block_stays() {
        let mut window = Window::default();
        let position = window.push('a', Ts(5));
        window.hold(position);
        assert_eq!(
            (window.forgettable_from(), window.forget(Ts(9))),
            (None, None)
        );
        window.release(position);
        assert!(window.forget(Ts(6)).is_some());
    }

    #[test]
    fn a_freeze_holds_what_was_there_and_names_what_went() {
        let mut window = Window::default();
        let position = window.push(1, Ts(5));
        let frozen = window.freeze();
        *window.get_mut(position).unwrap() = 2;
        assert_eq!(frozen[0].1.as_ref().unwrap().entries, [1]);
        window.forget(Ts(6)).unwrap();
        assert_eq!(window.freeze(), [(0, None)]);
    }
}
