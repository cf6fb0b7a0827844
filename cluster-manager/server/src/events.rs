//! What was decided, why, and what came of it. An event is written in the transaction that makes what it
//! tells of true, so that there is none without the other.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shoal_api::Problem;
use shoal_api::plan::{Event, EventKind, EventPage, EventQuery};
use shoal_runtime::clock::SystemClock;
use shoal_types::{ClusterId, QueueName, Revision};
use tracing::info;

use crate::keys;
use crate::limits::EVENTS_KEPT_MAX;
use crate::problem::store_problem;
use crate::records::{self, At, EventRecord, Record};
use crate::store::{CommitError, MetadataStore, StoreError, Transaction};

/// Writes and reads events.
pub(crate) struct EventLog {
    store: Arc<dyn MetadataStore>,
    clock: SystemClock,
    numbers: Mutex<Numbers>,
}

#[derive(Default)]
struct Numbers {
    /// The last one that was given.
    last: u64,
    /// Given, and perhaps not written yet. Nobody is shown what comes after them, or they would be missed.
    under_way: BTreeSet<u64>,
}

/// An event that is to be written.
#[derive(Clone, Debug)]
pub(crate) struct News {
    pub(crate) kind: EventKind,
    pub(crate) clusters: Vec<ClusterId>,
    pub(crate) queue: Option<QueueName>,
    pub(crate) text: String,
}

impl News {
    /// About one cluster.
    pub(crate) fn of(kind: EventKind, cluster: ClusterId, text: String) -> Self {
        Self {
            kind,
            clusters: vec![cluster],
            queue: None,
            text,
        }
    }
}

impl EventLog {
    /// Goes on after the newest event in the store.
    pub(crate) async fn load(
        store: Arc<dyn MetadataStore>,
        clock: SystemClock,
    ) -> Result<Self, StoreError> {
        let mut last = 0;
        let each = |at: At<EventRecord>| last = at.record.number;
        records::read_all(&*store, keys::EVENTS, each).await?;
        let numbers = Mutex::new(Numbers {
            last,
            ..Numbers::default()
        });
        Ok(Self {
            store,
            clock,
            numbers,
        })
    }

    /// Commits a transaction together with the event that tells of it.
    ///
    /// # Errors
    /// As the store's commit; then neither is written.
    pub(crate) async fn commit(
        &self,
        transaction: Transaction,
        news: News,
    ) -> Result<Revision, CommitError> {
        let given = self.next();
        let record = EventRecord {
            number: given.number,
            at: self.clock.now().wall,
            kind: news.kind,
            clusters: news.clusters,
            queue: news.queue,
            text: news.text,
        }
        .within_bounds();
        let mut transaction = transaction
            .expect(record.key(), None)
            .put(record.key(), record.encode());
        if let Some(oldest) = record.number.checked_sub(EVENTS_KEPT_MAX) {
            transaction = transaction.remove(keys::event(oldest));
        }
        let revision = self.store.commit(transaction).await?;
        info!(
            number = record.number,
            kind = record.kind.as_str(),
            "{}",
            record.text
        );
        Ok(revision)
    }

    /// Notes something that changes no record.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) async fn note(&self, news: News) -> Result<(), StoreError> {
        match self.commit(Transaction::new(), news).await {
            Ok(_) => Ok(()),
            Err(CommitError::Store(error)) => Err(error),
            Err(CommitError::Conflict { key }) => Err(StoreError::Corrupt {
                key,
                why: "another process has written events to this store",
            }),
        }
    }

    fn next(&self) -> Given<'_> {
        let mut numbers = self.numbers();
        numbers.last += 1;
        let number = numbers.last;
        numbers.under_way.insert(number);
        Given { log: self, number }
    }

    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A page of events; the newest if the request does not say after which.
    ///
    /// # Errors
    /// If the limit is out of range or the store fails.
    pub(crate) async fn page(&self, asked: EventQuery) -> Result<EventPage, Problem> {
        let limit = asked.limit()?;
        let complete = self.complete();
        let after = asked
            .after
            .unwrap_or_else(|| complete.saturating_sub(limit));
        let read = self.read(after, limit as usize).await;
        let mut events = read.map_err(|error| store_problem(&error))?;
        events.retain(|event| event.number <= complete);
        let next = events.last().map_or(after, |event| event.number);
        Ok(EventPage { events, next })
    }

    /// Up to here every event that there will be is written.
    fn complete(&self) -> u64 {
        let numbers = self.numbers();
        let first_open = numbers.under_way.first();
        first_open.map_or(numbers.last, |number| number - 1)
    }

    async fn read(&self, after: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        let after = keys::event(after);
        let entries = self.store.list(keys::EVENTS, Some(&after), limit).await?;
        let event = |entry: &crate::store::Entry| {
            let at = records::decode::<EventRecord>(&entry.key, &entry.stored)?;
            Ok(at.record.into())
        };
        entries.iter().map(event).collect()
    }
}

/// A number until what it is for is written, or is not.
struct Given<'a> {
    log: &'a EventLog,
    number: u64,
}

impl Drop for Given<'_> {
    fn drop(&mut self) {
        self.log.numbers().under_way.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use shoal_api::plan::EVENTS_PAGE_MAX;

    use super::*;
    use crate::store::MemoryStore;

    fn news(text: &str) -> News {
        News::of(EventKind::Decided, ClusterId(1), text.to_owned())
    }

    async fn log(store: &Arc<dyn MetadataStore>) -> EventLog {
        EventLog::load(Arc::clone(store), SystemClock::new())
            .await
            .unwrap()
    }

    async fn texts(log: &EventLog, after: Option<u64>, limit: u64) -> Vec<String> {
        let limit = Some(limit);
        let page = log.page(EventQuery { after, limit }).await.unwrap();
        page.events.into_iter().map(|event| event.text).collect()
    }

    #[tokio::test]
    async fn an_event_is_there_if_its_change_is_and_only_then() {
        let store: Arc<dyn MetadataStore> = Arc::new(MemoryStore::new());
        let log = log(&store).await;
        let change = Transaction::new().put("a", b"1".to_vec());
        log.commit(change, news("first")).await.unwrap();
        let refused = Transaction::new().expect("a", None).put("a", b"2".to_vec());
        log.commit(refused, news("never")).await.unwrap_err();
        log.note(news("second")).await.unwrap();
        assert_eq!(texts(&log, Some(0), 10).await, ["first", "second"]);
        assert_eq!(store.get("a").await.unwrap().unwrap().value, b"1");
    }

    #[tokio::test]
    async fn the_next_process_goes_on_counting_and_the_newest_come_unasked() {
        let store: Arc<dyn MetadataStore> = Arc::new(MemoryStore::new());
        for text in ["a", "b", "c"] {
            log(&store).await.note(news(text)).await.unwrap();
        }
        let log = log(&store).await;
        assert_eq!(texts(&log, None, 2).await, ["b", "c"]);
        assert_eq!(texts(&log, Some(1), 1).await, ["b"]);
        let empty = EventQuery {
            after: Some(3),
            limit: None,
        };
        assert_eq!(log.page(empty).await.unwrap().next, 3);
        for limit in [0, EVENTS_PAGE_MAX + 1] {
            let limit = Some(limit);
            let refused = log.page(EventQuery { after: None, limit }).await;
            assert_eq!(refused.unwrap_err().field.as_deref(), Some("limit"));
        }
    }

    /// A reader that goes on after the last number it saw would miss an event that is written later than
    /// the one after it.
    #[tokio::test]
    async fn nobody_is_shown_what_comes_after_an_event_that_is_being_written() {
        let store: Arc<dyn MetadataStore> = Arc::new(MemoryStore::new());
        let log = log(&store).await;
        log.note(news("before")).await.unwrap();
        let given = log.next();
        log.note(news("after")).await.unwrap();
        assert_eq!(texts(&log, Some(0), 10).await, ["before"]);
        drop(given);
        assert_eq!(texts(&log, Some(0), 10).await, ["before", "after"]);
    }

    #[tokio::test]
    async fn the_oldest_events_go() {
        let store: Arc<dyn MetadataStore> = Arc::new(MemoryStore::new());
        let log = log(&store).await;
        log.note(news("oldest")).await.unwrap();
        log.numbers().last = EVENTS_KEPT_MAX;
        log.note(news("newest")).await.unwrap();
        assert_eq!(texts(&log, Some(0), 10).await, ["newest"]);
    }
}
