//! Seeded randomness for delays, and for nothing else.

use shoal_types::Micros;

/// A small generator (xorshift64*): good enough to keep rivals from meeting again and again.
#[derive(Clone, Debug)]
pub(crate) struct Jitter {
    state: u64,
}

impl Jitter {
    /// Hosts that were given the same seed still draw different numbers.
    pub(crate) fn new(seed: u64, host: u64) -> Self {
        let mixed = (seed ^ host.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self { state: mixed | 1 }
    }

    /// Some time below `bound`; 0 if `bound` is 0.
    pub(crate) fn below(&mut self, bound: Micros) -> Micros {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let drawn = self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16;
        if bound == 0 { 0 } else { drawn % bound }
    }
}
