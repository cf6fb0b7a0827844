//! Pauses between attempts to connect.

use std::time::Duration;

use rand::RngExt as _;

/// Doubles from `min` to `max`; each pause is drawn between half and all of that, so that those who
/// lost their connections together do not come back together.
#[derive(Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration) -> Self {
        Self {
            min,
            max,
            next: min,
        }
    }

    /// After an attempt that failed: how long to wait.
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.max);
        pause.mul_f64(rand::rng().random_range(0.5..=1.0))
    }

    /// After an attempt that succeeded.
    pub(crate) fn reset(&mut self) {
        self.next = self.min;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_bound_and_start_over() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(5), ms(100));
        for bound in [5, 10, 20, 40, 80, 100, 100] {
            let pause = backoff.pause();
            assert!(
                pause >= ms(bound) / 2 && pause <= ms(bound),
                "{pause:?} for {bound} ms"
            );
        }
        backoff.reset();
        assert!(backoff.pause() <= ms(5));
    }
}
