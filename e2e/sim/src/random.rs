//! All randomness of a run. One generator of a fixed algorithm, so that a seed means the same run on
//! every machine and after every update of the dependencies.

use std::ops::Range;

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

/// A seeded source of numbers.
#[derive(Clone, Debug)]
pub struct Random {
    seed: u64,
    numbers: Pcg64Mcg,
}

impl Random {
    /// The same seed gives the same numbers.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            numbers: Pcg64Mcg::seed_from_u64(seed),
        }
    }

    /// Another source, decided by this one's seed and the label alone: what is drawn from either does
    /// not change what the other gives.
    #[must_use]
    pub fn fork(&self, label: &str) -> Self {
        // FNV-1a, then a multiplication so that labels of close seeds lie far apart.
        let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        let start = 0xcbf2_9ce4_8422_2325 ^ self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self::new(label.as_bytes().iter().fold(start, mix))
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.numbers.next_u64()
    }

    /// Any large number.
    pub fn any_u128(&mut self) -> u128 {
        u128::from(self.any()) << 64 | u128::from(self.any())
    }

    /// From 0 up to, not including, `n`.
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "there is no number below 0");
        // The bias of at most n / 2^64 does not matter here.
        ((u128::from(self.any()) * u128::from(n)) >> 64) as u64
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// True so many times in a hundred.
    pub fn chance_percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A place in something of this length.
    ///
    /// # Panics
    /// If it is empty.
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// A number of the range.
    ///
    /// # Panics
    /// If the range is empty.
    pub fn range(&mut self, range: Range<u64>) -> u64 {
        range.start + self.below(range.end - range.start)
    }

    /// A number of the range, each order of magnitude as likely as any other.
    ///
    /// # Panics
    /// If the range is empty or begins with 0.
    pub fn magnitude(&mut self, range: Range<u64>) -> u64 {
        assert!(range.start > 0, "0 has no magnitude");
        let doublings = u64::from((range.end / range.start).max(1).ilog2());
        let low = range.start << self.below(doublings + 1);
        self.range(low..(low * 2).min(range.end).max(low + 1))
    }

    /// One of these.
    ///
    /// # Panics
    /// If there is none.
    pub fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.index(from.len())]
    }

    /// Puts these in any order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_these_numbers_for_ever() {
        let mut random = Random::new(7);
        let drawn: Vec<u64> = (0..6).map(|_| random.below(1_000)).collect();
        let forked: Vec<u64> = std::iter::repeat_with({
            let mut network = random.fork("network");
            move || network.below(1_000)
        })
        .take(3)
        .collect();
        assert_eq!(drawn, [689, 476, 270, 930, 291, 217]);
        assert_eq!(forked, [973, 756, 360]);
    }

    #[test]
    fn magnitudes_are_alike_often() {
        let mut random = Random::new(1);
        let mut counts = [0; 3];
        for _ in 0..30_000 {
            match random.magnitude(1..1_000) {
                1..10 => counts[0] += 1,
                10..100 => counts[1] += 1,
                100..1_000 => counts[2] += 1,
                other => panic!("{other} is out of range"),
            }
        }
        assert!(counts.iter().all(|n| *n > 7_000), "{counts:?}");
    }
}
