//! The embedded store: one redb file.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition};
use shoal_storage::{FolderLock, LockError};
use shoal_types::Revision;
use tokio::sync::{mpsc, oneshot, watch};

use super::writer::{self, Order, WriterEnd};
use super::{
    Changes, CommitError, Entry, MetadataStore, StoreError, Stored, Transaction, record_format,
};
use crate::limits::COMMIT_QUEUE_MAX;

/// Key → value as in [`record_format`].
pub(super) const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");
/// (Revision of the last write, key), so that what is new is found without looking at the rest.
pub(super) const BY_REVISION: TableDefinition<'_, (u64, &str), ()> =
    TableDefinition::new("by_revision");
/// Numbers about the store itself.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// In [`META`]: the revision of the last transaction.
pub(super) const REVISION: &str = "revision";
/// In [`META`]: how all of this is laid out.
const FORMAT: &str = "format";
/// The layout described here.
const FORMAT_1: u64 = 1;

/// The name of the file in the data folder.
const FILE: &str = "metadata.redb";

/// A [`MetadataStore`] in a file. Writes of all callers are committed in groups, by one thread; reads
/// run beside them on snapshots.
pub struct RedbStore {
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
}

/// What readers and the writer share.
pub(super) struct Shared {
    pub(super) database: Database,
    pub(super) revision: watch::Sender<Revision>,
    /// Set by the first write that failed.
    pub(super) failed: OnceLock<StoreError>,
    /// Last, so that the file is closed when the folder is free again.
    _lock: FolderLock,
}

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it, or the lock cannot be used.
    #[error("cannot have the data folder for this manager alone")]
    Lock(#[from] LockError),
    /// It was written by another version.
    #[error("{path} has format {found}, this version reads format {FORMAT_1}")]
    Format {
        /// The file.
        path: PathBuf,
        /// The format it has.
        found: u64,
    },
    /// The folder cannot be made.
    #[error("cannot make the data folder {path}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Anything else that the database says.
    #[error("cannot open {path}")]
    Database {
        /// The file.
        path: PathBuf,
        /// What the database said.
        source: Box<redb::Error>,
    },
}

impl RedbStore {
    /// Opens the store in a folder, or makes both. The second part resolves when the store can write
    /// no more: after an error, or because all its handles are gone.
    ///
    /// # Errors
    /// If another process has it open, or it cannot be read.
    pub fn open(folder: &Path, cache_bytes: usize) -> Result<(Self, WriterEnd), OpenError> {
        std::fs::create_dir_all(folder).map_err(|source| OpenError::Folder {
            path: folder.to_owned(),
            source,
        })?;
        let lock = FolderLock::take(folder)?;
        let path = folder.join(FILE);
        let failed = |source: redb::Error| OpenError::Database {
            path: path.clone(),
            source: Box::new(source),
        };
        let database = Database::builder()
            .set_cache_size(cache_bytes)
            .create(&path)
            .map_err(|error| failed(error.into()))?;
        let revision = match prepare(&database).map_err(failed)? {
            Found::Revision(revision) => revision,
            Found::OtherFormat(found) => return Err(OpenError::Format { path, found }),
        };
        let shared = Arc::new(Shared {
            database,
            revision: watch::Sender::new(revision),
            failed: OnceLock::new(),
            _lock: lock,
        });
        let (orders, waiting) = mpsc::channel(COMMIT_QUEUE_MAX);
        let end = writer::start(Arc::clone(&shared), waiting);
        Ok((Self { shared, orders }, end))
    }

    /// Runs a read on a thread that may block.
    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, ReadError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || {
            let transaction = shared.database.begin_read().map_err(ReadError::from)?;
            read(&transaction).map_err(StoreError::from)
        })
        .map(|joined| joined.unwrap_or_else(|error| Err(StoreError::Failed(error.to_string()))))
        .boxed()
    }
}

/// What is in a file.
enum Found {
    /// The last revision; 0 in a new file.
    Revision(Revision),
    /// Another layout than this version's. Nothing was changed.
    OtherFormat(u64),
}

/// Makes the tables of a new file.
fn prepare(database: &Database) -> Result<Found, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    let revision = {
        let mut meta = transaction.open_table(META)?;
        let number =
            |meta: &redb::Table<'_, &str, u64>, key| meta.get(key).map(|n| n.map(|n| n.value()));
        match number(&meta, FORMAT)? {
            Some(FORMAT_1) => {}
            // The transaction is dropped, which aborts it.
            Some(other) => return Ok(Found::OtherFormat(other)),
            None => {
                meta.insert(FORMAT, FORMAT_1)?;
            }
        }
        Revision(number(&meta, REVISION)?.unwrap_or(0))
    };
    transaction.open_table(RECORDS)?;
    transaction.open_table(BY_REVISION)?;
    transaction.commit()?;
    Ok(Found::Revision(revision))
}

impl MetadataStore for RedbStore {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        let key = key.to_owned();
        self.read(move |transaction| {
            let records = transaction.open_table(RECORDS)?;
            let found = records.get(&*key)?;
            Ok(found
                .map(|bytes| record_format::decode(&key, bytes.value()))
                .transpose()?)
        })
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Entry>, StoreError>> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        self.read(move |transaction| {
            use std::ops::Bound::{Excluded, Included, Unbounded};
            let records = transaction.open_table(RECORDS)?;
            let start = match after.as_deref() {
                Some(after) if after >= prefix.as_str() => Excluded(after),
                _ => Included(prefix.as_str()),
            };
            let mut entries = Vec::new();
            for record in records.range::<&str>((start, Unbounded))?.take(limit) {
                let (key, bytes) = record?;
                if !key.value().starts_with(&prefix) {
                    break;
                }
                entries.push(entry(key.value(), bytes.value())?);
            }
            Ok(entries)
        })
    }

    fn newer(&self, since: Revision, limit: usize) -> BoxFuture<'_, Result<Changes, StoreError>> {
        assert!(
            limit >= Transaction::WRITES_MAX,
            "a page must hold a transaction"
        );
        self.read(move |transaction| {
            let records = transaction.open_table(RECORDS)?;
            let by_revision = transaction.open_table(BY_REVISION)?;
            let newest = transaction.open_table(META)?.get(REVISION)?;
            let newest = Revision(newest.map_or(0, |revision| revision.value()));
            let mut entries: Vec<Entry> = Vec::new();
            let first = (since.0.saturating_add(1), "");
            for position in by_revision.range(first..)? {
                let (position, ()) = {
                    let (p, v) = position?;
                    (p, v.value())
                };
                let (revision, key) = position.value();
                if entries.len() == limit {
                    let cut = drop_last_unless_whole(&mut entries, Revision(revision));
                    return Ok(Changes {
                        entries,
                        up_to: cut,
                        more: true,
                    });
                }
                let Some(bytes) = records.get(key)? else {
                    let why = "listed as written, but not there";
                    return Err(StoreError::Corrupt {
                        key: key.to_owned(),
                        why,
                    }
                    .into());
                };
                entries.push(entry(key, bytes.value())?);
            }
            Ok(Changes {
                entries,
                up_to: newest,
                more: false,
            })
        })
    }

    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<Revision, CommitError>> {
        async move {
            let (answer, answered) = oneshot::channel();
            // The writer is gone only after a failure.
            let failed = || {
                let gone = || StoreError::Failed("the store is closed".to_owned());
                CommitError::Store(self.shared.failed.get().cloned().unwrap_or_else(gone))
            };
            self.orders
                .send(Order {
                    transaction,
                    answer,
                })
                .await
                .map_err(|_| failed())?;
            answered.await.unwrap_or_else(|_| Err(failed()))
        }
        .boxed()
    }

    fn watch(&self) -> watch::Receiver<Revision> {
        self.shared.revision.subscribe()
    }
}

/// A page is full and the next entry has revision `next`: takes away what belongs to the same
/// transaction, so that the page ends with a whole one. Gives the revision where it ends.
fn drop_last_unless_whole(entries: &mut Vec<Entry>, next: Revision) -> Revision {
    while entries
        .last()
        .is_some_and(|entry| entry.stored.revision == next)
    {
        entries.pop();
    }
    entries
        .last()
        .expect("a page holds more than a transaction")
        .stored
        .revision
}

fn entry(key: &str, bytes: &[u8]) -> Result<Entry, StoreError> {
    Ok(Entry {
        key: key.to_owned(),
        stored: record_format::decode(key, bytes)?,
    })
}

/// What can go wrong inside a read.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Redb(redb::Error),
}

impl<E: Into<redb::Error>> From<E> for ReadError
where
    E: RedbPart,
{
    fn from(error: E) -> Self {
        Self::Redb(error.into())
    }
}

/// The errors of the parts of redb that a read uses.
trait RedbPart {}
impl RedbPart for redb::TableError {}
impl RedbPart for redb::StorageError {}
impl RedbPart for redb::TransactionError {}

impl From<ReadError> for StoreError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => error,
            ReadError::Redb(error) => Self::Failed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &Path) -> Result<(RedbStore, WriterEnd), OpenError> {
        RedbStore::open(folder, 1 << 20)
    }

    async fn close(store: RedbStore, end: WriterEnd) {
        drop(store);
        assert!(end.await.is_err(), "closed without a failure");
    }

    fn put(key: &str, value: &str) -> Transaction {
        Transaction::new().put(key, value.into())
    }

    #[tokio::test]
    async fn everything_is_there_again_after_a_restart_and_revisions_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let (store, end) = open(folder.path()).unwrap();
        for n in 0..10 {
            store.commit(put(&format!("k{n}"), "v")).await.unwrap();
        }
        let before = store.newer(Revision(0), 100).await.unwrap();
        close(store, end).await;
        let (store, _end) = open(folder.path()).unwrap();
        assert_eq!(store.newer(Revision(0), 100).await.unwrap(), before);
        assert_eq!(*store.watch().borrow(), Revision(10));
        assert_eq!(store.commit(put("k0", "w")).await, Ok(Revision(11)));
    }

    #[tokio::test]
    async fn a_second_opener_is_told_why_it_may_not() {
        let folder = tempfile::tempdir().unwrap();
        let _first = open(folder.path()).unwrap();
        let refused = open(folder.path()).err().unwrap();
        let OpenError::Lock(lock) = refused else {
            panic!("{refused}")
        };
        let holder = format!("is in use by process {}", std::process::id());
        assert!(lock.to_string().contains(&holder), "{lock}");
    }

    #[tokio::test]
    async fn writes_that_wait_together_are_committed_together() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _end) = open(folder.path()).unwrap();
        let mut watch = store.watch();
        let keys: Vec<_> = (0..500).map(|n| format!("k{n}")).collect();
        let all = futures_util::future::join_all(keys.iter().map(|k| store.commit(put(k, "v"))));
        let count_commits = async {
            let mut commits = 0;
            while *watch.borrow_and_update() < Revision(500) {
                watch.changed().await.unwrap();
                commits += 1;
            }
            commits
        };
        let (revisions, commits) = tokio::join!(all, count_commits);
        let mut revisions: Vec<_> = revisions.into_iter().map(|r| r.unwrap().0).collect();
        revisions.sort_unstable();
        assert_eq!(revisions, (1..=500).collect::<Vec<_>>());
        assert!(commits < 50, "{commits} commits");
    }

    #[tokio::test]
    async fn a_damaged_value_is_reported_with_its_key_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let (store, end) = open(folder.path()).unwrap();
        store.commit(put("a", "1")).await.unwrap();
        store.commit(put("b", "2")).await.unwrap();
        close(store, end).await;
        damage(folder.path(), "a");

        let (store, end) = open(folder.path()).unwrap();
        let error = store.get("a").await.unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("the metadata store is damaged at a"),
            "{error}"
        );
        assert!(store.newer(Revision(0), 100).await.is_err());
        assert!(
            store.get("b").await.unwrap().is_some(),
            "the rest can be read"
        );
        assert!(store.commit(put("a", "3")).await.is_err());
        assert!(end.await.unwrap().to_string().contains("damaged at a"));
        let after = store.commit(put("b", "4")).await.unwrap_err();
        assert!(
            after.to_string().contains("damaged at a"),
            "the first failure is final: {after}"
        );
    }

    fn damage(folder: &Path, key: &str) {
        let database = Database::open(folder.join(FILE)).unwrap();
        let transaction = database.begin_write().unwrap();
        {
            let mut records = transaction.open_table(RECORDS).unwrap();
            let mut bytes = records.get(key).unwrap().unwrap().value().to_vec();
            *bytes.last_mut().unwrap() ^= 1;
            records.insert(key, &*bytes).unwrap();
        }
        transaction.commit().unwrap();
    }

    #[tokio::test]
    async fn another_format_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let (store, end) = open(folder.path()).unwrap();
        close(store, end).await;
        let database = Database::open(folder.path().join(FILE)).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction
            .open_table(META)
            .unwrap()
            .insert(FORMAT, 2)
            .unwrap();
        transaction.commit().unwrap();
        drop(database);
        let refused = open(folder.path()).err().unwrap();
        assert!(
            refused
                .to_string()
                .ends_with("has format 2, this version reads format 1")
        );
    }
}
