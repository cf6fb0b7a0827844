//! Until when something must be done, and how long is waited in between.

use std::time::Duration;

use rand::RngExt;
use shoal_api::Problem;
use shoal_types::{Applied, ErrorCode};
use tokio::time::Instant;

use crate::limits::{ROUND_PAUSE_MAX, ROUND_PAUSE_MIN};

/// How long something may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    /// The answer must be there.
    pub(crate) at: Instant,
    /// Of that, how long the host may wait on purpose before it answers.
    pub(crate) wait: Duration,
}

impl Deadline {
    /// Runs something that must not take longer. Past the deadline it is dropped.
    pub(crate) async fn bound<T>(
        self,
        work: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        let ended = tokio::time::timeout_at(self.at, work).await;
        ended.unwrap_or_else(|_| {
            let detail = "the answer did not come within the request's deadline";
            Err(Problem::new(ErrorCode::DeadlineExceeded, detail).applied(Applied::Unknown))
        })
    }

    /// The same, but in at most so long from now, and without waiting on purpose.
    pub(crate) fn at_most(self, time: Duration) -> Self {
        Self {
            at: self.at.min(Instant::now() + time),
            wait: Duration::ZERO,
        }
    }
}

/// A pause that doubles from [`ROUND_PAUSE_MIN`] to [`ROUND_PAUSE_MAX`].
pub(crate) struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(ROUND_PAUSE_MIN)
    }
}

impl Pause {
    /// Waits half to all of it, so that those who wait together do not come back together. False if the
    /// deadline would be over then: it has not waited.
    pub(crate) async fn wait(&mut self, deadline: Deadline) -> bool {
        let pause = self.0.mul_f64(rand::rng().random_range(0.5..1.0));
        self.0 = (self.0 * 2).min(ROUND_PAUSE_MAX);
        let until = Instant::now() + pause;
        let in_time = until < deadline.at;
        if in_time {
            tokio::time::sleep_until(until).await;
        }
        in_time
    }
}
