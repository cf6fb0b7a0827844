//! The store in its simplest form: what the others are compared with, and fast for tests.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use shoal_types::Revision;
use tokio::sync::watch;

use super::{Changes, CommitError, Entry, MetadataStore, StoreError, Stored, Transaction};

/// A [`MetadataStore`] that forgets.
pub(crate) struct MemoryStore {
    records: Mutex<BTreeMap<String, Stored>>,
    revision: watch::Sender<Revision>,
}

impl MemoryStore {
    pub(crate) fn new() -> Self {
        Self {
            records: Mutex::default(),
            revision: watch::Sender::new(Revision(0)),
        }
    }

    fn entries(&self, keep: impl Fn(&str, &Stored) -> bool) -> Vec<Entry> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = records.iter().filter(|(key, stored)| keep(key, stored));
        kept.map(|(key, stored)| Entry {
            key: key.clone(),
            stored: stored.clone(),
        })
        .collect()
    }

    fn commit_now(&self, transaction: Transaction) -> Result<Revision, CommitError> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        for condition in &transaction.conditions {
            if records.get(&condition.key).map(|stored| stored.revision) != condition.revision {
                let key = condition.key.clone();
                return Err(CommitError::Conflict { key });
            }
        }
        let revision = Revision(self.revision.borrow().0.max(transaction.above.0) + 1);
        for write in transaction.writes {
            match write.value {
                Some(value) => records.insert(write.key, Stored { value, revision }),
                None => records.remove(&write.key),
            };
        }
        self.revision.send_replace(revision);
        Ok(revision)
    }
}

impl MetadataStore for MemoryStore {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        let found = self.entries(|other, _| other == key).pop();
        std::future::ready(Ok(found.map(|entry| entry.stored))).boxed()
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Entry>, StoreError>> {
        let wanted = |key: &str| key.starts_with(prefix) && after.is_none_or(|after| key > after);
        let mut entries = self.entries(|key, _| wanted(key));
        entries.truncate(limit);
        std::future::ready(Ok(entries)).boxed()
    }

    fn newer(&self, since: Revision, limit: usize) -> BoxFuture<'_, Result<Changes, StoreError>> {
        let up_to = *self.revision.borrow();
        let mut entries = self.entries(|_, stored| stored.revision > since);
        entries.sort_by_key(|entry| entry.stored.revision);
        let Some(next) = entries.get(limit).map(|entry| entry.stored.revision) else {
            return std::future::ready(Ok(Changes {
                entries,
                up_to,
                more: false,
            }))
            .boxed();
        };
        entries.truncate(limit);
        entries.retain(|entry| entry.stored.revision < next);
        let up_to = entries
            .last()
            .expect("a page holds a transaction")
            .stored
            .revision;
        std::future::ready(Ok(Changes {
            entries,
            up_to,
            more: true,
        }))
        .boxed()
    }

    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<Revision, CommitError>> {
        std::future::ready(self.commit_now(transaction)).boxed()
    }

    fn watch(&self) -> watch::Receiver<Revision> {
        self.revision.subscribe()
    }
}
