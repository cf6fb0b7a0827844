//! Waits between attempts that came to nothing: each one changes the view and suspends everybody for a
//! moment.

use std::time::Duration;

use shoal_types::Mono;

use crate::config::Timings;

/// When something may be tried again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backoff {
    wait: Duration,
    /// It may be tried from here on.
    pub(crate) not_before: Mono,
}

impl Backoff {
    /// It came to nothing: twice as long as the last time.
    pub(crate) fn wait_longer(&mut self, now: Mono, timings: &Timings) {
        self.wait = (self.wait * 2).clamp(timings.rejoin_wait_min, timings.rejoin_wait_max);
        self.not_before = now + self.wait;
    }

    /// What came to nothing before counts no more.
    pub(crate) fn start_anew(&mut self) {
        *self = Self::default();
    }

    /// True if it may be tried.
    pub(crate) fn is_over(&self, now: Mono) -> bool {
        now >= self.not_before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_is_twice_as_long_up_to_the_longest() {
        let timings = Timings::default();
        let mut backoff = Backoff::default();
        let mut now = Mono(0);
        let mut waits = Vec::new();
        for _ in 0..8 {
            assert!(backoff.is_over(now));
            backoff.wait_longer(now, &timings);
            assert!(!backoff.is_over(now));
            waits.push(backoff.not_before.since(now) / 1_000);
            now = backoff.not_before;
        }
        assert_eq!(
            waits,
            [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000]
        );
    }
}
