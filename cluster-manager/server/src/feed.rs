//! What changed, for frontends: pages of the store's changes, in its order.

use std::sync::Arc;
use std::time::Duration;

use shoal_api::Problem;
use shoal_api::manager::{FEED_PAGE_MAX, FEED_WAIT_S_MAX, Feed, FeedQuery};
use shoal_runtime::shutdown::Shutdown;
use shoal_types::Revision;
use tokio::time::Instant;

use crate::keys;
use crate::problem::store_problem;
use crate::ranges;
use crate::records::{self, ClusterRecord, DeletedRecord, QueueRecord, QueueStage};
use crate::store::{Changes, Entry, MetadataStore, StoreError};
use crate::whole::Whole;

/// Answers the feed.
#[derive(Clone)]
pub(crate) struct Feeds {
    pub(crate) store: Arc<dyn MetadataStore>,
    /// Long polls end with it.
    pub(crate) shutdown: Shutdown,
    /// What a store lacks is not to be taken for gone.
    pub(crate) whole: Arc<Whole>,
}

impl Feeds {
    /// The next page. Waits, if asked to, while it would be empty. If `since` is ahead of the store, it is an
    /// older one than the caller knows: nobody is told what is in it until it is rebuilt.
    ///
    /// # Errors
    /// If the wait is too long, there is no such revision, or the store lacks something or fails.
    pub(crate) async fn page(&self, asked: FeedQuery) -> Result<Feed, Problem> {
        if asked.wait_s > FEED_WAIT_S_MAX {
            let why = format!("{} is not within 0 to {FEED_WAIT_S_MAX}", asked.wait_s);
            return Err(Problem::invalid("wait_s", why));
        }
        ranges::revision("since", asked.since)?;
        self.whole.hear_frontend(asked.since).await;
        let until = Instant::now() + Duration::from_secs(asked.wait_s.into());
        let mut revision = self.store.watch();
        let mut since = asked.since;
        loop {
            revision.borrow_and_update();
            self.whole.check()?;
            let page = self
                .read(since)
                .await
                .map_err(|error| store_problem(&error))?;
            if page.more || !page.is_empty() {
                return Ok(page);
            }
            // What else changes in the store is of no interest here, but need not be read again.
            since = page.revision;
            tokio::select! {
                _ = revision.changed() => {}
                () = tokio::time::sleep_until(until) => return Ok(page),
                () = self.shutdown.triggered() => return Ok(page),
            }
        }
    }

    async fn read(&self, since: Revision) -> Result<Feed, StoreError> {
        let changes = self.store.newer(since, FEED_PAGE_MAX).await?;
        // Ten thousand records take some 30 ms to decode.
        let decoded = tokio::task::spawn_blocking(move || feed_of(&changes)).await;
        decoded.unwrap_or_else(|error| Err(StoreError::Failed(error.to_string())))
    }
}

fn feed_of(changes: &Changes) -> Result<Feed, StoreError> {
    let mut feed = Feed {
        revision: changes.up_to,
        more: changes.more,
        ..Feed::default()
    };
    for entry in &changes.entries {
        add(&mut feed, entry)?;
    }
    Ok(feed)
}

fn add(feed: &mut Feed, Entry { key, stored }: &Entry) -> Result<(), StoreError> {
    if key.starts_with(keys::QUEUES) {
        let at = records::decode::<QueueRecord>(key, stored)?;
        match at.record.stage {
            QueueStage::Active | QueueStage::Configuring => feed.queues.push(at.route()),
            // Gone for everyone from the moment this is decided.
            QueueStage::Deleting => feed.deleted.push(at.record.name),
            QueueStage::Creating => {}
        }
    } else if key.starts_with(keys::DELETED) {
        let at = records::decode::<DeletedRecord>(key, stored)?;
        feed.deleted.push(at.record.name);
    } else if key.starts_with(keys::CLUSTERS) {
        let at = records::decode::<ClusterRecord>(key, stored)?;
        // Before that nothing is placed there; once it is retired, nothing is there any more.
        if at.record.stage.has_queues() {
            feed.clusters.push(at.route());
        }
    }
    Ok(())
}

/// Whether a page says anything.
trait IsEmpty {
    fn is_empty(&self) -> bool;
}

impl IsEmpty for Feed {
    fn is_empty(&self) -> bool {
        self.queues.is_empty() && self.deleted.is_empty() && self.clusters.is_empty()
    }
}
