//! What every [`MetadataStore`] must do, as tests that run against each of them.
//!
//! Goal: the specification at the trait holds. Method: each claim is a function over an empty store;
//! [`check`] runs all of them, each on a store of its own.

use std::sync::Arc;

use shoal_types::Revision;

use super::{CommitError, Entry, MemoryStore, MetadataStore, RedbStore, Transaction};

/// Runs every claim against stores that `open` makes.
async fn check<S: MetadataStore>(open: impl Fn() -> S) {
    a_value_is_read_back_with_the_revision_of_its_write(&open()).await;
    a_condition_that_does_not_hold_stops_the_whole_transaction(&open()).await;
    revisions_are_one_order_over_all_keys(&open()).await;
    a_transaction_above_a_revision_leaves_out_those_between(&open()).await;
    of_writers_that_read_the_same_one_wins(Arc::new(open())).await;
    counting_up_together_loses_no_step(Arc::new(open())).await;
    a_prefix_is_listed_in_order_page_by_page(&open()).await;
    what_is_newer_comes_in_the_order_of_revisions_and_once(&open()).await;
    a_page_of_what_is_newer_never_cuts_a_transaction(&open()).await;
    watchers_see_the_revision_after_it_is_readable(Arc::new(open())).await;
}

#[tokio::test]
async fn the_memory_store_conforms() {
    check(MemoryStore::new).await;
}

#[tokio::test]
async fn the_redb_store_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let next = std::cell::Cell::new(0);
    check(|| {
        next.set(next.get() + 1);
        RedbStore::open(&folder.path().join(next.get().to_string()), 1 << 20)
            .unwrap()
            .0
    })
    .await;
}

async fn put(store: &impl MetadataStore, key: &str, value: &str) -> Revision {
    store
        .commit(Transaction::new().put(key, value.into()))
        .await
        .unwrap()
}

async fn value(store: &impl MetadataStore, key: &str) -> Option<(String, u64)> {
    let stored = store.get(key).await.unwrap()?;
    Some((String::from_utf8(stored.value).unwrap(), stored.revision.0))
}

fn keys(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.key.as_str()).collect()
}

async fn a_value_is_read_back_with_the_revision_of_its_write(store: &impl MetadataStore) {
    assert_eq!(value(store, "a").await, None);
    assert_eq!(put(store, "a", "1").await, Revision(1));
    assert_eq!(put(store, "b", "2").await, Revision(2));
    assert_eq!(value(store, "a").await, Some(("1".into(), 1)));
    assert_eq!(put(store, "a", "").await, Revision(3));
    assert_eq!(value(store, "a").await, Some((String::new(), 3)));
    store
        .commit(Transaction::new().remove("a").remove("never there"))
        .await
        .unwrap();
    assert_eq!(value(store, "a").await, None);
}

async fn a_transaction_above_a_revision_leaves_out_those_between(store: &impl MetadataStore) {
    put(store, "a", "1").await;
    let above = |key: &str, revision| {
        let transaction = Transaction::new().put(key, b"x".to_vec());
        store.commit(transaction.above(Revision(revision)))
    };
    assert_eq!(above("b", 40).await.unwrap(), Revision(41));
    // It is past that already.
    assert_eq!(above("c", 7).await.unwrap(), Revision(42));
    assert_eq!(put(store, "d", "2").await, Revision(43));
    let newer = store.newer(Revision(1), 16).await.unwrap();
    assert_eq!(keys(&newer.entries), ["b", "c", "d"]);
    assert_eq!(*store.watch().borrow(), Revision(43));
}

async fn a_condition_that_does_not_hold_stops_the_whole_transaction(store: &impl MetadataStore) {
    let first = put(store, "a", "1").await;
    let conflict = |key: &str| {
        Err(CommitError::Conflict {
            key: key.to_owned(),
        })
    };
    for (refused, key) in [
        (Transaction::new().expect("a", None), "a"),
        (Transaction::new().expect("a", Some(Revision(9))), "a"),
        (
            Transaction::new()
                .expect("a", Some(first))
                .expect("b", Some(first)),
            "b",
        ),
    ] {
        let refused = refused
            .put("a", "x".into())
            .put("c", "x".into())
            .remove("b");
        assert_eq!(store.commit(refused).await, conflict(key));
    }
    assert_eq!(value(store, "a").await, Some(("1".into(), 1)));
    assert_eq!(value(store, "c").await, None);
    assert_eq!(
        *store.watch().borrow(),
        first,
        "a refused transaction uses up no revision"
    );
    let taken = Transaction::new()
        .expect("a", Some(first))
        .expect("b", None)
        .put("b", "2".into());
    assert_eq!(store.commit(taken).await, Ok(Revision(2)));
}

async fn revisions_are_one_order_over_all_keys(store: &impl MetadataStore) {
    for n in 1..=20 {
        assert_eq!(put(store, &format!("k{}", n % 3), "").await, Revision(n));
    }
    let both = Transaction::new().put("x", vec![]).put("y", vec![]);
    assert_eq!(store.commit(both).await, Ok(Revision(21)));
    assert_eq!(value(store, "x").await, Some((String::new(), 21)));
    assert_eq!(value(store, "y").await, Some((String::new(), 21)));
}

async fn of_writers_that_read_the_same_one_wins(store: Arc<impl MetadataStore>) {
    let writers: Vec<_> = (0..50)
        .map(|writer: u32| {
            let store = Arc::clone(&store);
            let create = Transaction::new()
                .expect("a", None)
                .put("a", writer.to_string().into());
            tokio::spawn(async move { (writer, store.commit(create).await) })
        })
        .collect();
    let mut winners = Vec::new();
    for writer in writers {
        if let (writer, Ok(_)) = writer.await.unwrap() {
            winners.push(writer.to_string());
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(value(&*store, "a").await.unwrap().0, winners[0]);
}

async fn counting_up_together_loses_no_step(store: Arc<impl MetadataStore>) {
    let counters: Vec<_> = (0..8)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for _ in 0..10 {
                    count_up(&*store).await;
                }
            })
        })
        .collect();
    for counter in counters {
        counter.await.unwrap();
    }
    assert_eq!(value(&*store, "n").await.unwrap().0, "80");
}

async fn count_up(store: &impl MetadataStore) {
    loop {
        let before = store.get("n").await.unwrap();
        let number = before.as_ref().map_or(0, |stored| {
            String::from_utf8(stored.value.clone())
                .unwrap()
                .parse()
                .unwrap()
        });
        let step = Transaction::new()
            .expect("n", before.map(|stored| stored.revision))
            .put("n", (number + 1_u32).to_string().into());
        match store.commit(step).await {
            Ok(_) => return,
            Err(CommitError::Conflict { .. }) => {}
            Err(CommitError::Store(error)) => panic!("{error}"),
        }
    }
}

async fn a_prefix_is_listed_in_order_page_by_page(store: &impl MetadataStore) {
    for key in ["q/b", "q/a", "q", "q/é", "q/c", "r/a", "p/z"] {
        put(store, key, key).await;
    }
    let list = async |after, limit| store.list("q/", after, limit).await.unwrap();
    assert_eq!(keys(&list(None, 10).await), ["q/a", "q/b", "q/c", "q/é"]);
    assert_eq!(keys(&list(None, 2).await), ["q/a", "q/b"]);
    assert_eq!(keys(&list(Some("q/b"), 10).await), ["q/c", "q/é"]);
    assert_eq!(keys(&list(Some("q/bb"), 1).await), ["q/c"]);
    assert_eq!(
        keys(&list(Some("a"), 1).await),
        ["q/a"],
        "after is before the prefix"
    );
    assert_eq!(keys(&list(Some("r"), 10).await), [""; 0]);
    assert_eq!(list(None, 1).await[0].stored.value, b"q/a");
    assert_eq!(store.list("", None, 10).await.unwrap().len(), 7);
}

async fn what_is_newer_comes_in_the_order_of_revisions_and_once(store: &impl MetadataStore) {
    for key in ["a", "b", "c", "a", "d"] {
        put(store, key, "").await;
    }
    store.commit(Transaction::new().remove("b")).await.unwrap();
    let newer = async |since| store.newer(Revision(since), 100).await.unwrap();
    let all = newer(0).await;
    assert_eq!(keys(&all.entries), ["c", "a", "d"]);
    assert_eq!((all.up_to, all.more), (Revision(6), false));
    assert_eq!(keys(&newer(3).await.entries), ["a", "d"]);
    let none = newer(6).await;
    assert_eq!(
        (none.entries.len(), none.up_to, none.more),
        (0, Revision(6), false)
    );
    let ahead = newer(1_000).await;
    assert_eq!(
        (ahead.entries.len(), ahead.up_to),
        (0, Revision(6)),
        "shows that it is behind"
    );
    assert_eq!(newer(u64::MAX).await.entries, []);
}

async fn a_page_of_what_is_newer_never_cuts_a_transaction(store: &impl MetadataStore) {
    for n in 0..30 {
        let keys = (0..1 + n % Transaction::WRITES_MAX).map(|i| format!("{n:02}/{i:02}"));
        let all = keys.fold(Transaction::new(), |all, key| all.put(key, vec![]));
        store.commit(all).await.unwrap();
    }
    let whole = store.newer(Revision(0), 10_000).await.unwrap();
    for limit in [Transaction::WRITES_MAX, 17, 50] {
        let (mut since, mut entries) = (Revision(0), Vec::new());
        loop {
            let page = store.newer(since, limit).await.unwrap();
            assert!((1..=limit).contains(&page.entries.len()));
            let last = page.entries.last().unwrap().stored.revision;
            assert_eq!(
                page.up_to, last,
                "a page ends where it says, and with a whole transaction"
            );
            since = page.up_to;
            entries.extend(page.entries);
            if !page.more {
                break;
            }
        }
        assert_eq!(entries, whole.entries, "pages of {limit}");
    }
}

async fn watchers_see_the_revision_after_it_is_readable(store: Arc<impl MetadataStore>) {
    let mut watch = store.watch();
    assert_eq!(*watch.borrow_and_update(), Revision(0));
    let writer = Arc::clone(&store);
    let writing = tokio::spawn(async move {
        for n in 1..=20_u64 {
            put(&*writer, "n", &n.to_string()).await;
        }
    });
    let mut seen = Revision(0);
    while seen < Revision(20) {
        watch.changed().await.unwrap();
        let now = *watch.borrow_and_update();
        assert!(now > seen, "revisions grow");
        let stored = store.get("n").await.unwrap().unwrap();
        assert!(stored.revision >= now, "what is told can be read");
        seen = now;
    }
    writing.await.unwrap();
}
