//! Ranges of numbers that come from outside: from hosts, frontends and operators. Whoever sends one beyond its
//! range is told the field; what is within can be counted on without overflow.

use std::ops::RangeInclusive;

use shoal_api::Problem;
use shoal_types::limits::{CLUSTER_ID_MAX, REVISION_MAX};
use shoal_types::{ClusterId, Revision};

/// # Errors
/// `invalid_request` with the field and the range. Nothing was applied.
pub(crate) fn within(field: &str, value: u64, range: RangeInclusive<u64>) -> Result<(), Problem> {
    if range.contains(&value) {
        return Ok(());
    }
    let (min, max) = (range.start(), range.end());
    let why = format!("{value} is not within {min} to {max}");
    Err(Problem::invalid(field, why))
}

/// # Errors
/// As [`within`].
pub(crate) fn revision(field: &str, revision: Revision) -> Result<(), Problem> {
    within(field, revision.0, 0..=REVISION_MAX)
}

/// # Errors
/// As [`within`].
pub(crate) fn cluster(field: &str, cluster: ClusterId) -> Result<(), Problem> {
    if (1..=CLUSTER_ID_MAX).contains(&cluster.0) {
        return Ok(());
    }
    let max = ClusterId(CLUSTER_ID_MAX);
    Err(Problem::invalid(
        field,
        format!("{cluster} is not within c1 to {max}"),
    ))
}
