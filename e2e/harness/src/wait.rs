//! Waiting for a condition, with a bound and a reason.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

use crate::limits::LOOK_AGAIN;

/// Looks at `condition` until it gives something, at most for `bound`.
///
/// # Errors
/// After `bound`, saying what was waited for and what the last look found.
pub async fn until<T>(
    what: &str,
    bound: Duration,
    mut condition: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let deadline = Instant::now() + bound;
    loop {
        let reason = match condition().await {
            Ok(found) => return Ok(found),
            Err(reason) => reason,
        };
        if Instant::now() > deadline {
            bail!("waited {bound:?} for {what}: {reason:#}");
        }
        sleep(LOOK_AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use anyhow::ensure;

    use super::*;

    #[tokio::test]
    async fn a_condition_that_comes_true_ends_the_wait() {
        let mut looks = 0;
        let found = until("the third look", Duration::from_secs(10), async || {
            looks += 1;
            ensure!(looks == 3);
            Ok("here")
        });
        assert_eq!(found.await.unwrap(), "here");
    }

    #[tokio::test]
    async fn the_bound_names_what_is_missing_and_why() {
        let never = until("rain", Duration::ZERO, async || -> Result<()> {
            bail!("blue sky")
        });
        let error = never.await.unwrap_err().to_string();
        assert_eq!(error, "waited 0ns for rain: blue sky");
    }
}
