//! One clock for everything in a load: microseconds since it began.

use std::time::{Duration, Instant};

/// Microseconds since the load began.
pub(crate) type Micros = u64;

/// The load's clock. Monotonic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeline {
    origin: Instant,
}

impl Timeline {
    pub(crate) fn begin() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    pub(crate) fn now(self) -> Micros {
        micros(self.origin.elapsed())
    }

    /// When `at` is, for timers.
    pub(crate) fn instant(self, at: Micros) -> Instant {
        self.origin + Duration::from_micros(at)
    }
}

/// A length of time in microseconds; the longest a plan allows is a day.
pub(crate) fn micros(duration: Duration) -> Micros {
    duration.as_micros() as Micros
}
