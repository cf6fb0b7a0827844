//! The constants of planning, each with its reason.

/// Points on the ring per unit of a cluster's weight. With v points the share of a cluster deviates
/// by about 1/√v: 9 % at 128. Doubling them would halve the variance and double the ring; the bound
/// below makes that unnecessary.
///
/// Part of where queues go: another number places new queues elsewhere (stored ones stay).
pub const POINTS_PER_WEIGHT: usize = 128;

/// Largest weight of a cluster: keeps the ring's size foreseeable.
pub const WEIGHT_MAX: u32 = 16;

/// A cluster takes a new queue only while it has at most so many percent of its fair share of all
/// queues (the ε of consistent hashing with bounded loads is 0.25). Lower is more even; higher keeps
/// more queues on the first cluster that the ring gives.
pub const LOAD_BOUND_PERCENT: u64 = 125;
