//! A cluster's time, as its hosts' answers show it.

use std::sync::atomic::{AtomicU64, Ordering};

use shoal_types::{Now, Ts};

/// Cluster time against this process's monotonic clock.
pub(super) struct ClusterClock {
    /// Cluster time when the monotonic clock was 0, in microseconds; 0: nothing was heard yet.
    at_zero: AtomicU64,
}

impl ClusterClock {
    pub(super) fn new() -> Self {
        Self {
            at_zero: AtomicU64::new(0),
        }
    }

    /// Cluster time now; until a host was heard, our own wall time.
    pub(super) fn now(&self, now: Now) -> Ts {
        match self.at_zero.load(Ordering::Relaxed) {
            0 => now.wall,
            at_zero => Ts(at_zero.saturating_add(now.mono.0)),
        }
    }

    /// A host's clock, as it stands in an answer that arrived now. The newest counts: it is late by the
    /// way back, well below what deadlines are about.
    pub(super) fn heard(&self, clock: Ts, now: Now) {
        self.at_zero
            .store(clock.since(Ts(now.mono.0)), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::Mono;

    use super::*;

    #[test]
    fn goes_on_from_what_was_heard_last() {
        let now = |mono| Now {
            mono: Mono(mono),
            wall: Ts(7_000_000),
        };
        let clock = ClusterClock::new();
        assert_eq!(clock.now(now(5)), Ts(7_000_000));
        clock.heard(Ts(1_000_000), now(10));
        assert_eq!(clock.now(now(30)), Ts(1_000_020));
        clock.heard(Ts(900_000), now(40));
        assert_eq!(clock.now(now(40)), Ts(900_000));
    }
}
