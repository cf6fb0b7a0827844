//! Following the manager's feed: from the beginning once, then what is new. When the manager is away,
//! what is known goes on being used.

use std::convert::Infallible;
use std::time::Duration;

use metrics::{counter, gauge};
use rand::RngExt;
use shoal_api::Problem;
use shoal_api::manager::{Feed, FeedQuery};
use shoal_types::Revision;
use tracing::{info, warn};

use super::{RouteTable, Routes};
use crate::limits::{FEED_PAUSE_MAX, FEED_PAUSE_MIN, FEED_WAIT_S};
use crate::metric_names;

impl Routes {
    /// Follows the feed until it is dropped.
    ///
    /// # Errors
    /// None.
    pub(crate) async fn follow(&self) -> Result<(), Infallible> {
        let mut pause = FEED_PAUSE_MIN;
        let mut failing = false;
        loop {
            match self.follow_on().await {
                Ok(()) => {
                    if std::mem::take(&mut failing) {
                        info!("manager answers again");
                    }
                    pause = FEED_PAUSE_MIN;
                }
                Err(problem) => {
                    counter!(metric_names::FEED_FAILURES).increment(1);
                    if !std::mem::replace(&mut failing, true) {
                        warn!(%problem, "cannot follow the manager, going on with known routes");
                    }
                    self.pause(jittered(pause)).await;
                    pause = (pause * 2).min(FEED_PAUSE_MAX);
                }
            }
        }
    }

    /// Waits before the feed is asked again: not to the end if an operation waits for what the feed brings.
    async fn pause(&self, pause: Duration) {
        let needed = async {
            tokio::time::sleep(FEED_PAUSE_MIN).await;
            self.needed.notified().await;
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = needed => {}
        }
    }

    /// One page of what is new, or everything from the beginning if the store is not the one that was
    /// followed so far.
    async fn follow_on(&self) -> Result<(), Problem> {
        let since = self.read(RouteTable::revision);
        if !*self.complete.borrow() {
            return self.start_over().await;
        }
        let page = self.page(since, FEED_WAIT_S).await?;
        if page.revision < since {
            warn!(%since, now = %page.revision, "manager's store went back, reading it anew");
            return self.start_over().await;
        }
        self.apply(page);
        Ok(())
    }

    /// Reads everything into a new table, so that what is gone from the store goes here too.
    async fn start_over(&self) -> Result<(), Problem> {
        let mut fresh = RouteTable::default();
        loop {
            let page = self.page(fresh.revision(), 0).await?;
            let more = page.more;
            fresh.apply(page);
            if !more {
                break;
            }
        }
        info!(queues = fresh.len(), revision = %fresh.revision(), "routes read");
        gauge!(metric_names::ROUTES).set(fresh.len() as f64);
        self.write(|table| *table = fresh);
        self.clusters_changed.send_modify(|count| *count += 1);
        self.complete.send_replace(true);
        Ok(())
    }

    async fn page(&self, since: Revision, wait_s: u32) -> Result<Feed, Problem> {
        self.manager.feed(FeedQuery { since, wait_s }).await
    }

    fn apply(&self, page: Feed) {
        for route in &page.queues {
            self.lookups.found(&route.name);
        }
        let clusters_changed = !page.clusters.is_empty();
        self.write(|table| table.apply(page));
        if clusters_changed {
            self.clusters_changed.send_modify(|count| *count += 1);
        }
    }
}

/// Half to all of a pause, so that frontends do not come back to a manager all at once.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.5..1.0))
}
