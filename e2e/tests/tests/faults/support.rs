//! Small things that several tests need.

use std::time::Duration;

use anyhow::Result;
use shoal_e2e::stories::Pause;
use shoal_e2e::{ensure_clean, ensure_gaps_within};
use shoal_load_test::Report;

/// What a pause may take in a test, on whatever machine it runs.
pub(crate) const PAUSE: Duration = Duration::from_secs(3);

/// No operation failed, every promise was kept, no pause was long.
pub(crate) fn ensure_unnoticed((report, pauses): (Report, Vec<Pause>)) -> Result<()> {
    for pause in &pauses {
        println!("{pause}");
    }
    ensure_clean(&report)?;
    ensure_gaps_within(&report, PAUSE)
}
