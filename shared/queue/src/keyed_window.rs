//! A [`Window`] whose entries are found by key.

use std::collections::BTreeMap;
use std::sync::Arc;

use shoal_types::Ts;

use crate::window::{Block, Window};

/// An entry with its key.
pub(crate) trait Keyed: Clone {
    type Key: Copy + Ord;

    /// By what it is found; `None` if it is not to be found any more.
    fn key(&self) -> Option<Self::Key>;

    /// The last instant at which it counts.
    fn until(&self) -> Ts;
}

/// Entries by key; of several with the same key the last one.
#[derive(Debug)]
pub(crate) struct KeyedWindow<T: Keyed> {
    window: Window<T>,
    positions: BTreeMap<T::Key, u64>,
}

impl<T: Keyed> Default for KeyedWindow<T> {
    fn default() -> Self {
        Self {
            window: Window::default(),
            positions: BTreeMap::new(),
        }
    }
}

impl<T: Keyed> KeyedWindow<T> {
    /// The entry with this key, if it still counts.
    pub(crate) fn find(&self, key: T::Key, now: Ts) -> Option<(u64, &T)> {
        let position = *self.positions.get(&key)?;
        let entry = self.get(position);
        (now <= entry.until()).then_some((position, entry))
    }

    /// The entry at a position that is known to exist.
    pub(crate) fn get(&self, position: u64) -> &T {
        self.window.get(position).expect("indexed entries exist")
    }

    /// Changes an entry, but for its key and time.
    pub(crate) fn get_mut(&mut self, position: u64) -> &mut T {
        self.window
            .get_mut(position)
            .expect("indexed entries exist")
    }

    /// Appends an entry and gives its position. What is forgotten on the occasion goes to `gone`.
    pub(crate) fn push(&mut self, entry: T, now: Ts, mut gone: impl FnMut(&T)) -> u64 {
        if self.window.tail_is_full() {
            // Two out for one in: even a long tail of late blocks gets shorter.
            for _ in 0..2 {
                self.forget(now, &mut gone);
            }
        }
        let (key, until) = (entry.key(), entry.until());
        let position = self.window.push(entry, until);
        if let Some(key) = key {
            self.positions.insert(key, position);
        }
        position
    }

    /// Forgets the oldest block if its time is over, and gives the number of its entries.
    pub(crate) fn forget(&mut self, now: Ts, gone: impl FnMut(&T)) -> usize {
        let block = self.window.forget(now);
        self.unindex(block, gone)
    }

    /// Forgets the oldest block, late or not.
    pub(crate) fn pop(&mut self, gone: impl FnMut(&T)) -> usize {
        let block = self.window.pop();
        self.unindex(block, gone)
    }

    fn unindex(&mut self, block: Option<(u64, Arc<Block<T>>)>, mut gone: impl FnMut(&T)) -> usize {
        let Some((first, block)) = block else {
            return 0;
        };
        for (position, entry) in (first..).zip(&block.entries) {
            if let Some(key) = entry.key()
                && self.positions.get(&key) == Some(&position)
            {
                self.positions.remove(&key);
            }
            gone(entry);
        }
        block.entries.len()
    }

    /// The entry stays, but is found no more.
    pub(crate) fn unlist(&mut self, key: T::Key) {
        self.positions.remove(&key);
    }

    pub(crate) fn window(&self) -> &Window<T> {
        &self.window
    }

    pub(crate) fn window_mut(&mut self) -> &mut Window<T> {
        &mut self.window
    }

    /// See [`Window::restore`].
    #[must_use]
    pub(crate) fn restore(&mut self, number: u64, block: Block<T>) -> bool {
        let first = number * crate::limits::BLOCK_ENTRIES as u64;
        for (position, entry) in (first..).zip(&block.entries) {
            if let Some(key) = entry.key() {
                self.positions.insert(key, position);
            }
        }
        self.window.restore(number, block)
    }

    pub(crate) fn memory(&self) -> usize {
        let entry = size_of::<T::Key>() + size_of::<u64>();
        self.window.memory() + crate::memory::tree(self.positions.len(), entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Keyed for (u8, Ts) {
        type Key = u8;
        fn key(&self) -> Option<u8> {
            Some(self.0)
        }
        fn until(&self) -> Ts {
            self.1
        }
    }

    #[test]
    fn the_last_entry_with_a_key_counts_until_its_own_end() {
        let mut window = KeyedWindow::default();
        window.push((1, Ts(5)), Ts(0), |_| ());
        assert_eq!(window.find(1, Ts(5)), Some((0, &(1, Ts(5)))));
        assert_eq!(window.find(1, Ts(6)), None);
        window.push((1, Ts(9)), Ts(6), |_| ());
        assert_eq!(window.find(1, Ts(6)), Some((1, &(1, Ts(9)))));
    }

    #[test]
    fn forgetting_an_old_entry_leaves_a_newer_one_with_its_key() {
        let mut window = KeyedWindow::default();
        for _ in 0..256 {
            window.push((1, Ts(5)), Ts(0), |_| ());
        }
        window.push((1, Ts(50)), Ts(0), |_| ());
        assert_eq!(window.forget(Ts(6), |_| ()), 256);
        assert!(window.find(1, Ts(6)).is_some());
    }

    #[test]
    fn appending_forgets_what_is_late() {
        let mut window = KeyedWindow::default();
        for n in 0..100_000u64 {
            window.push((n as u8, Ts(n + 300)), Ts(n), |_| ());
        }
        assert!(window.window().len() <= 300 + 512);
    }
}
