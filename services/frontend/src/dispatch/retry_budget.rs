//! Keeps retries from turning an overload into a collapse: beyond a burst, only a share of the traffic
//! may be repeated.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::limits::{RETRY_BURST, RETRY_SHARE_PERCENT};

/// Retries that may be made, in hundredths.
pub(super) struct RetryBudget(AtomicUsize);

const ONE: usize = 100;
const FULL: usize = RETRY_BURST * ONE;

impl Default for RetryBudget {
    fn default() -> Self {
        Self(AtomicUsize::new(FULL))
    }
}

impl RetryBudget {
    /// A new request adds its share.
    pub(super) fn earn(&self) {
        let now = self.0.load(Ordering::Relaxed);
        // Usually full, and then nobody needs to write. That two at once may add a share too many or
        // few does not matter.
        if now < FULL {
            self.0
                .store((now + RETRY_SHARE_PERCENT).min(FULL), Ordering::Relaxed);
        }
    }

    /// Takes one retry. False: there is none left.
    pub(super) fn spend(&self) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                now.checked_sub(ONE)
            })
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_burst_a_fifth_of_the_requests_may_be_repeated() {
        let budget = RetryBudget::default();
        let burst = (0..).take_while(|_| budget.spend()).count();
        assert_eq!(burst, RETRY_BURST);
        let mut repeated = 0;
        for _ in 0..1_000 {
            budget.earn();
            repeated += usize::from(budget.spend());
        }
        assert_eq!(repeated, 200);
    }

    #[test]
    fn it_never_holds_more_than_the_burst() {
        let budget = RetryBudget::default();
        (0..1_000).for_each(|_| budget.earn());
        assert_eq!((0..).take_while(|_| budget.spend()).count(), RETRY_BURST);
    }
}
