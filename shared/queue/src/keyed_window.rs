//! A [`Window`] whose entries are found by key.

use std::sync::Arc;

use shoal_types::{RequestId, Ts};

use crate::positions::Positions;
use crate::window::{Block, Window};

/// A key as a number, for hashing.
pub(crate) struct KeyBits(pub(crate) u128);

impl From<[u8; 16]> for KeyBits {
    fn from(bytes: [u8; 16]) -> Self {
        Self(u128::from_le_bytes(bytes))
    }
}

impl From<RequestId> for KeyBits {
    fn from(id: RequestId) -> Self {
        Self(id.0)
    }
}

fn hash(key: impl Into<KeyBits>) -> u64 {
    let KeyBits(bits) = key.into();
    // Keys are spread already; this only brings all of their bits together.
    ((bits >> 64) as u64 ^ bits as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// An entry with its key.
pub(crate) trait Keyed: Clone {
    /// 128 bits that are random or a digest.
    type Key: Copy + Eq + Into<KeyBits>;

    /// By what it is found; `None` if it is not to be found any more.
    fn key(&self) -> Option<Self::Key>;

    /// The last instant at which it counts.
    fn until(&self) -> Ts;
}

/// Entries by key; of several with the same key the last one.
#[derive(Debug)]
pub(crate) struct KeyedWindow<T: Keyed> {
    window: Window<T>,
    positions: Positions,
}

impl<T: Keyed> Default for KeyedWindow<T> {
    fn default() -> Self {
        Self {
            window: Window::default(),
            positions: Positions::default(),
        }
    }
}

impl<T: Keyed> KeyedWindow<T> {
    /// The entry with this key, if it still counts.
    pub(crate) fn find(&self, key: T::Key, now: Ts) -> Option<(u64, &T)> {
        let position = self.position(key)?;
        let entry = self.get(position);
        (now <= entry.until()).then_some((position, entry))
    }

    fn position(&self, key: T::Key) -> Option<u64> {
        let has_key = |position| self.get(position).key() == Some(key);
        self.positions.find(hash(key), has_key)
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
            self.list(key, position);
        }
        position
    }

    /// From now on this is the entry with the key.
    fn list(&mut self, key: T::Key, position: u64) {
        self.unlist(key);
        self.positions.insert(hash(key), position);
    }

    /// The entry with the key stays, but is found no more.
    pub(crate) fn unlist(&mut self, key: T::Key) {
        if let Some(position) = self.position(key) {
            self.positions.remove(hash(key), position);
        }
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
            if let Some(key) = entry.key() {
                self.positions.remove(hash(key), position);
            }
            gone(entry);
        }
        block.entries.len()
    }

    /// Entries from the first on that counts at `now`: those behind it may be late, but none before it
    /// counts.
    pub(crate) fn counting_from_first(&self, now: Ts) -> usize {
        let late = |entry: &T| entry.until() < now;
        self.window.len() - self.window.late_at_front(now, late)
    }

    /// The nth entry there is, from 0 for the oldest.
    pub(crate) fn nth(&self, n: usize) -> Option<&T> {
        self.window.nth(n)
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
        let keys: Vec<_> = block.entries.iter().map(Keyed::key).collect();
        let follows = self.window.restore(number, block);
        for (position, key) in (first..).zip(keys) {
            if let Some(key) = key.filter(|_| follows) {
                self.list(key, position);
            }
        }
        follows
    }

    pub(crate) fn memory(&self) -> usize {
        self.window.memory() + self.positions.memory()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Keyed for (u8, Ts) {
        type Key = RequestId;
        fn key(&self) -> Option<RequestId> {
            Some(RequestId(self.0.into()))
        }
        fn until(&self) -> Ts {
            self.1
        }
    }

    #[test]
    fn the_last_entry_with_a_key_counts_until_its_own_end() {
        let mut window = KeyedWindow::default();
        window.push((1, Ts(5)), Ts(0), |_| ());
        assert_eq!(window.find(RequestId(1), Ts(5)), Some((0, &(1, Ts(5)))));
        assert_eq!(window.find(RequestId(1), Ts(6)), None);
        window.push((1, Ts(9)), Ts(6), |_| ());
        assert_eq!(window.find(RequestId(1), Ts(6)), Some((1, &(1, Ts(9)))));
    }

    #[test]
    fn forgetting_an_old_entry_leaves_a_newer_one_with_its_key() {
        let mut window = KeyedWindow::default();
        for _ in 0..256 {
            window.push((1, Ts(5)), Ts(0), |_| ());
        }
        window.push((1, Ts(50)), Ts(0), |_| ());
        assert_eq!(window.forget(Ts(6), |_| ()), 256);
        assert!(window.find(RequestId(1), Ts(6)).is_some());
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
