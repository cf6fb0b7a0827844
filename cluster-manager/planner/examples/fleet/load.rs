//! What users ask of each queue: Zipf over the queues, three regions with their day, floods.

use std::f64::consts::TAU;

use crate::random::Random;

/// Regions of the world, whose days begin eight hours apart.
pub(crate) const REGIONS: usize = 3;
/// Each region's share of the queues: the fleet as a whole has a day, too.
const SHARES: [f64; REGIONS] = [0.5, 0.3, 0.2];
/// From the mean to the top of a region's day.
const SWING: f64 = 0.3;

/// Operations a second by region.
pub(crate) type ByRegion = [f64; REGIONS];

/// What a queue's users do.
#[derive(Clone, Copy)]
pub(crate) struct Demand {
    /// Operations a second, over the day.
    pub(crate) operations: f64,
    /// Bytes of a message.
    pub(crate) message_bytes: f64,
    pub(crate) region: usize,
}

impl Demand {
    /// The `rank`-th busiest queue (from 1) of as many as make up `harmonic`.
    pub(crate) fn zipf(rank: u64, total: f64, harmonic: f64, random: &mut Random) -> Self {
        let at = random.within(0.0, 1.0);
        let region = match at {
            at if at < SHARES[0] => 0,
            at if at < SHARES[0] + SHARES[1] => 1,
            _ => 2,
        };
        Self {
            operations: total / (rank as f64 * harmonic),
            message_bytes: random.within(256.0, 1_536.0),
            region,
        }
    }
}

/// 1 + 1/2 + … + 1/n.
pub(crate) fn harmonic(n: u64) -> f64 {
    (1..=n).map(|rank| 1.0 / rank as f64).sum()
}

/// How busy each region is, against its mean, so many seconds after midnight in the first one.
pub(crate) fn day(seconds: f64) -> ByRegion {
    std::array::from_fn(|region| {
        let hours = seconds / 3_600.0 + 8.0 * region as f64;
        1.0 - SWING * (hours / 24.0 * TAU).cos()
    })
}

/// What comes to all regions together.
pub(crate) fn at(day: &ByRegion, operations: &ByRegion) -> f64 {
    day.iter()
        .zip(operations)
        .map(|(busy, operations)| busy * operations)
        .sum()
}
