//! One bit per slot of a chunk.

use serde::{Deserialize, Serialize};

/// A set of offsets within a chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bits([u64; 4]);

impl Bits {
    pub(crate) fn contains(&self, offset: u8) -> bool {
        self.0[usize::from(offset >> 6)] & (1 << (offset & 63)) != 0
    }

    pub(crate) fn set(&mut self, offset: u8, value: bool) {
        let bit = 1 << (offset & 63);
        let word = &mut self.0[usize::from(offset >> 6)];
        *word = if value { *word | bit } else { *word & !bit };
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// How many are below `offset`.
    pub(crate) fn rank(&self, offset: u8) -> usize {
        let words = usize::from(offset >> 6);
        let whole: u32 = self.0[..words].iter().map(|word| word.count_ones()).sum();
        let below = (1u64 << (offset & 63)) - 1;
        (whole + (self.0[words] & below).count_ones()) as usize
    }

    pub(crate) fn first(&self) -> Option<u8> {
        self.iter().next()
    }

    pub(crate) fn last(&self) -> Option<u8> {
        let word = (0..4).rev().find(|word| self.0[*word] != 0)?;
        Some((word as u32 * 64 + self.0[word].ilog2()) as u8)
    }

    /// In ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u8> + use<> {
        let mut words = self.0;
        let mut at = 0;
        std::iter::from_fn(move || {
            while at < 4 && words[at] == 0 {
                at += 1;
            }
            let word = words.get_mut(at)?;
            let bit = word.trailing_zeros();
            *word &= *word - 1;
            Some((at as u32 * 64 + bit) as u8)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_ranks_and_walks_across_words() {
        let mut bits = Bits::default();
        assert_eq!((bits.first(), bits.len(), bits.is_empty()), (None, 0, true));
        assert_eq!(bits.last(), None);
        for offset in [0, 63, 64, 200, 255] {
            bits.set(offset, true);
        }
        assert_eq!(bits.iter().collect::<Vec<_>>(), [0, 63, 64, 200, 255]);
        assert_eq!([0, 63, 64, 65, 255].map(|o| bits.rank(o)), [0, 1, 2, 3, 4]);
        assert_eq!(bits.last(), Some(255));
        bits.set(255, false);
        assert_eq!(bits.last(), Some(200));
        bits.set(255, true);
        bits.set(0, false);
        assert_eq!((bits.first(), bits.len()), (Some(63), 4));
        assert!(bits.contains(255) && !bits.contains(0));
    }
}
