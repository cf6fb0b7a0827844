//! When a store is taken for whole, and when not.

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::*;
use crate::store::{Changes, CommitError, Entry, MemoryStore, StoreError, Stored};

/// A store that never says what it has come to.
struct Taciturn(MemoryStore, watch::Sender<Revision>);

impl MetadataStore for Taciturn {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        self.0.get(key)
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Entry>, StoreError>> {
        self.0.list(prefix, after, limit)
    }

    fn newer(&self, since: Revision, limit: usize) -> BoxFuture<'_, Result<Changes, StoreError>> {
        self.0.newer(since, limit)
    }

    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<Revision, CommitError>> {
        self.0.commit(transaction)
    }

    fn watch(&self) -> watch::Receiver<Revision> {
        self.1.subscribe()
    }
}

async fn load(store: &Arc<dyn MetadataStore>, listen: Duration) -> Whole {
    let clock = SystemClock::new();
    let events = EventLog::load(Arc::clone(store), clock.clone()).await;
    let events = Arc::new(events.unwrap());
    let whole = Whole::load(Arc::clone(store), events, clock, listen).await;
    whole.unwrap()
}

/// One that was taken for whole at once.
async fn opened(store: &Arc<dyn MetadataStore>) -> Whole {
    let whole = load(store, Duration::ZERO).await;
    whole.listen(|| false).await.unwrap();
    assert_eq!(whole.check(), Ok(()));
    whole
}

async fn write(store: &dyn MetadataStore) -> Revision {
    let transaction = Transaction::new().put("a", vec![]);
    store.commit(transaction).await.unwrap()
}

fn store_of(revision: u64) -> Arc<dyn MetadataStore> {
    let store = MemoryStore::new();
    let above = Transaction::new().above(Revision(revision - 1));
    let committed = futures_util::FutureExt::now_or_never(store.commit(above));
    assert_eq!(committed, Some(Ok(Revision(revision))));
    Arc::new(store)
}

/// Under a thousand moves a frontend asked for what came after a revision that it had just been told,
/// before the store had said that it was there: the manager took its store for lost.
#[tokio::test]
async fn what_was_committed_a_moment_ago_is_not_missing_and_what_was_not_is() {
    let taciturn = Taciturn(MemoryStore::new(), watch::Sender::new(Revision(0)));
    let store: Arc<dyn MetadataStore> = Arc::new(taciturn);
    let whole = opened(&store).await;
    let committed = write(&*store).await;
    whole.hear_frontend(committed).await;
    assert_eq!(whole.check(), Ok(()));
    whole.hear_frontend(Revision(committed.0 + 1)).await;
    assert!(whole.check().is_err());
}

/// An old copy wrote what hosts reported, and came past what those knew who reported last.
#[tokio::test]
async fn who_reports_late_still_shows_that_the_store_is_an_old_one() {
    let store = store_of(100);
    let whole = opened(&store).await;
    while write(&*store).await.0 < 200 {}
    whole.hear_frontend(Revision(100)).await;
    assert_eq!(whole.check(), Ok(()), "up to there the old copy knows all");
    whole.hear_frontend(Revision(120)).await;
    let refused = whole.check().unwrap_err();
    let why = "was at 100 when it was opened";
    assert!(refused.detail.contains(why), "{refused}");
}

/// The manager on an old copy was started again before the hosts were up, and took what its first start had
/// left out for its own: ids were given a second time.
#[tokio::test]
async fn who_reports_after_another_start_still_shows_that_the_store_is_an_old_one() {
    let store = store_of(100);
    for _ in 0..3 {
        opened(&store).await;
    }
    let whole = opened(&store).await;
    whole.hear_frontend(Revision(100)).await;
    assert_eq!(whole.check(), Ok(()));
    whole.hear_frontend(Revision(120)).await;
    let refused = whole.check().unwrap_err();
    let why = "was at 100 when it was opened";
    assert!(refused.detail.contains(why), "{refused}");
}

/// What the hosts know is only said, and the store goes on: the next process found nothing missing.
#[tokio::test]
async fn that_a_store_lacks_something_outlives_the_process_that_noticed_it() {
    let store = store_of(100);
    opened(&store).await.hear_frontend(Revision(120)).await;
    for _ in 0..1_000 {
        if store.get(keys::LACKING).await.unwrap().is_some() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let next = load(&store, Duration::ZERO).await;
    next.listen(|| true).await.unwrap();
    let why = next.lacking().unwrap();
    assert!(why.contains("knows of revision 120"), "{why}");
    next.rebuilt();
    assert_eq!(next.check(), Ok(()));
}

#[tokio::test]
async fn a_store_is_listened_for_until_all_have_reported_or_the_time_is_over() {
    const LISTEN: Duration = Duration::from_secs(2);
    let listens = async |all_reported: bool| {
        let store = store_of(100);
        let whole = load(&store, LISTEN).await;
        let refused = whole.check().unwrap_err();
        assert!(refused.detail.contains("waits a moment"), "{refused}");
        let began = Instant::now();
        whole.listen(|| all_reported).await.unwrap();
        assert_eq!(whole.check(), Ok(()));
        let first = *store.watch().borrow();
        assert!(first.0 > 100 + START_REVISIONS_LEFT_OUT_MIN, "{first}");
        began.elapsed()
    };
    let (alone, all) = tokio::join!(listens(false), listens(true));
    assert!(
        alone >= LISTEN && all >= LISTEN_MIN && all < alone,
        "{alone:?} {all:?}"
    );
}

#[tokio::test]
async fn what_is_heard_while_listening_ends_it() {
    let store = store_of(100);
    let whole = load(&store, Duration::from_secs(60)).await;
    whole.hear_frontend(Revision(101)).await;
    whole.listen(|| true).await.unwrap();
    assert!(whole.lacking().is_some());
    assert_eq!(store.get(keys::OPENED).await, Ok(None));
}
