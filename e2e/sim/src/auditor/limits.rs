//! Bounds of the auditor.

/// Steps of one run's order: a minute executes some ten thousand. What is beyond is a runaway.
pub(super) const STEPS_MAX: usize = 1_000_000;
/// Violations that are kept: the first few tell the story, the rest follows from them.
pub(super) const VIOLATIONS_MAX: usize = 20;
/// Fingerprints kept to compare with; the oldest go first.
pub(super) const HASHES_MAX: usize = 200_000;
