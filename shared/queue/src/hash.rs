//! A 64-bit hash of anything that can be serialised, the same on every machine and in every release.
//!
//! It finds hosts that executed differently by accident; it is no protection against forgery.

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use shoal_types::{Outcome, Refusal};

/// Odd, with bits all over (2^64 divided by the golden ratio).
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// A rolling hash: every absorbed value changes all that comes after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct StateHash(pub(crate) u64);

impl StateHash {
    /// Mixes in one value. Values are kept apart: absorbing (a, b) is not absorbing a, then b.
    pub(crate) fn absorb<T: Serialize + ?Sized>(&mut self, value: &T) {
        let sink = Sink {
            state: self.0,
            word: 0,
            bytes: 0,
        };
        self.0 = postcard::serialize_with_flavor(value, sink)
            .expect("values of ours have known lengths and the sink never refuses");
    }
}

impl StateHash {
    /// Mixes in an outcome. The words of a refusal are for people, and a later release may choose
    /// better ones: they do not count.
    pub(crate) fn absorb_outcome(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Refused(Refusal { code, applied, .. }) => {
                self.absorb(&("refused", code, applied));
            }
            outcome => self.absorb(outcome),
        }
    }
}

/// Takes the serialised bytes in words of eight, so that nothing is allocated.
struct Sink {
    state: u64,
    word: u64,
    bytes: u64,
}

impl Sink {
    fn mix(&mut self) {
        self.state = (self.state.rotate_left(23) ^ self.word).wrapping_mul(MULTIPLIER);
        self.word = 0;
    }
}

impl Flavor for Sink {
    type Output = u64;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.word |= u64::from(byte) << (8 * (self.bytes % 8));
        self.bytes += 1;
        if self.bytes.is_multiple_of(8) {
            self.mix();
        }
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        let mut words = bytes.chunks_exact(8);
        let filled = 8 * (self.bytes % 8) as u32;
        for eight in &mut words {
            let eight = u64::from_le_bytes(eight.try_into().expect("8 bytes"));
            self.word |= eight << filled;
            self.bytes += 8;
            self.mix();
            // What did not fit; nothing if the word began empty.
            self.word = (eight >> 1) >> (63 - filled);
        }
        let rest = words.remainder();
        rest.iter().try_for_each(|byte| self.try_push(*byte))
    }

    fn finalize(mut self) -> postcard::Result<u64> {
        self.mix();
        self.word = self.bytes;
        self.mix();
        // Multiplication carries only upwards; this brings the upper half down.
        Ok(self.state ^ (self.state >> 32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_of<T: Serialize>(values: &[T]) -> u64 {
        let mut hash = StateHash::default();
        for value in values {
            hash.absorb(value);
        }
        hash.0
    }

    #[test]
    fn order_boundaries_and_trailing_zeros_count() {
        assert_ne!(hash_of(&[1u8, 2]), hash_of(&[2u8, 1]));
        assert_ne!(hash_of(&[[1u8, 2]]), hash_of(&[[1u8], [2]].concat()));
        assert_ne!(hash_of(&[[0u8; 3]]), hash_of(&[[0u8; 3], [0u8; 3]]));
        assert_ne!(hash_of(&[[0u8; 2]]), hash_of(&[[0u8; 2], [0; 2]]));
    }

    #[test]
    fn the_function_is_frozen() {
        // Hosts of two releases compare their hashes: another number here is another machine version.
        assert_eq!(hash_of(&["shoal", "queue"]), FROZEN);
    }

    #[test]
    fn words_and_bytes_hash_alike() {
        let bytes: Vec<u8> = (0..50).collect();
        for skip in 0..9 {
            let [mut by_byte, mut by_word] = [(); 2].map(|()| Sink {
                state: 7,
                word: 0,
                bytes: 0,
            });
            bytes
                .iter()
                .for_each(|byte| by_byte.try_push(*byte).unwrap());
            by_word.try_extend(&bytes[..skip]).unwrap();
            by_word.try_extend(&bytes[skip..]).unwrap();
            assert_eq!(by_byte.finalize(), by_word.finalize(), "{skip}");
        }
    }

    const FROZEN: u64 = 3_032_575_609_872_005_957;
}
