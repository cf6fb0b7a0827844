//! From the hash of a key to the positions of entries that may have it.
//!
//! A linear hash table: it grows and shrinks by one bucket at a time, so no insert pays for all
//! entries. It stores no keys, the caller compares; and it cannot be iterated, so nothing depends on
//! how it is laid out.

/// Bits of an entry that hold its position: at 30,000 entries a second they last 18 years.
const POSITION_BITS: u32 = 44;
/// The other bits hold the hash: enough for a bucket each for the most entries that there may be.
const HASH_BITS: u32 = 64 - POSITION_BITS;
const BUCKETS_MAX: usize = 1 << HASH_BITS;

/// Entries per bucket, on average, above which the table grows: one cache line.
const CROWDED: usize = 8;
/// And below which it shrinks.
const SPARSE: usize = 2;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Positions {
    /// Entries: hash, then position.
    buckets: Vec<Vec<u64>>,
    len: usize,
}

fn entry(hash: u64, position: u64) -> u64 {
    assert!(position < 1 << POSITION_BITS, "positions last 18 years");
    // The upper bits of a hash are the better mixed ones.
    (hash >> POSITION_BITS << POSITION_BITS) | position
}

/// The bucket of an entry among `count`: as many low bits of its hash as address one that exists.
fn bucket_of(entry: u64, count: usize) -> usize {
    let hash = (entry >> POSITION_BITS) as usize;
    let full = count.next_power_of_two();
    let wide = hash & (full - 1);
    if wide < count {
        wide
    } else {
        hash & (full / 2 - 1)
    }
}

impl Positions {
    pub(crate) fn insert(&mut self, hash: u64, position: u64) {
        if self.len >= self.buckets.len() * CROWDED && self.buckets.len() < BUCKETS_MAX {
            self.grow();
        }
        let entry = entry(hash, position);
        let bucket = bucket_of(entry, self.buckets.len());
        self.buckets[bucket].push(entry);
        self.len += 1;
    }

    /// The position of which `is_it` says so, among those inserted with this hash.
    pub(crate) fn find(&self, hash: u64, is_it: impl Fn(u64) -> bool) -> Option<u64> {
        if self.len == 0 {
            return None;
        }
        let wanted = entry(hash, 0);
        let bucket = &self.buckets[bucket_of(wanted, self.buckets.len())];
        let same_hash = bucket
            .iter()
            .filter(|entry| *entry >> POSITION_BITS == wanted >> POSITION_BITS);
        let mut positions = same_hash.map(|entry| entry & ((1 << POSITION_BITS) - 1));
        positions.find(|position| is_it(*position))
    }

    /// Takes out a position, if it is in.
    pub(crate) fn remove(&mut self, hash: u64, position: u64) {
        if self.len == 0 {
            return;
        }
        let entry = entry(hash, position);
        let count = self.buckets.len();
        let bucket = &mut self.buckets[bucket_of(entry, count)];
        if let Some(at) = bucket.iter().position(|other| *other == entry) {
            bucket.swap_remove(at);
            self.len -= 1;
            if self.len == 0 {
                *self = Self::default();
            } else if count > 1 && self.len < count * SPARSE {
                self.shrink();
            }
        }
    }

    /// Adds a bucket and moves to it what belongs there: all from one other bucket.
    fn grow(&mut self) {
        self.buckets.push(Vec::new());
        let count = self.buckets.len();
        let last = count - 1;
        if last == 0 {
            return;
        }
        let split = last - count.next_power_of_two() / 2;
        let moved = self.buckets[split]
            .extract_if(.., |entry| bucket_of(*entry, count) == last)
            .collect();
        self.buckets[last] = moved;
    }

    /// Takes the last bucket away and its entries to where they belong then: all to one other bucket.
    fn shrink(&mut self) {
        let last = self.buckets.pop().expect("there are several");
        let count = self.buckets.len();
        if count == self.buckets.capacity() / 4 {
            self.buckets.shrink_to(count * 2);
        }
        for entry in last {
            let bucket = bucket_of(entry, count);
            self.buckets[bucket].push(entry);
        }
    }

    /// Bytes.
    pub(crate) fn memory(&self) -> usize {
        let entries: usize = self.buckets.iter().map(Vec::capacity).sum();
        self.buckets.capacity() * size_of::<Vec<u64>>() + entries * 8
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn hash(n: u64) -> u64 {
        // Every fourth pair collides.
        (n / 4).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    #[test]
    fn finds_what_is_in_while_it_grows_and_shrinks() {
        let mut positions = Positions::default();
        let mut keys = BTreeMap::new();
        for n in 0..20_000u64 {
            positions.insert(hash(n), n);
            keys.insert(n, n);
            if n % 3 == 0 {
                let gone = n / 2;
                positions.remove(hash(gone), gone);
                keys.remove(&gone);
            }
        }
        assert_eq!(positions.len, keys.len());
        for n in 0..20_000 {
            let found = positions.find(hash(n), |position| position == n);
            assert_eq!(found, keys.get(&n).copied());
        }
        for n in 0..20_000 {
            positions.remove(hash(n), n);
        }
        assert_eq!((positions.len, positions.memory()), (0, 0));
        assert_eq!(positions.find(hash(1), |_| true), None);
    }

    #[test]
    fn takes_few_bytes_per_entry() {
        let mut positions = Positions::default();
        for n in 0..100_000 {
            positions.insert(hash(n * 4), n);
        }
        assert!(positions.memory() < 100_000 * 24, "{}", positions.memory());
    }
}
