//! Where the manager's metadata is kept.
//!
//! [`MetadataStore`] is what a coordination service offers; every store passes the same
//! conformance suite. [`RedbStore`] keeps everything in one file of this process.

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod memory;
mod record_format;
mod redb;
mod transaction;
mod writer;

use futures_util::future::BoxFuture;
use shoal_types::Revision;
use tokio::sync::watch;

#[cfg(test)]
pub(crate) use memory::MemoryStore;
pub use redb::{OpenError, RedbStore};
pub use transaction::{Condition, Transaction, Write};
pub use writer::WriterEnd;

/// Keys and values with one total order over all writes.
///
/// ```text
///   commit A ──► revision 7          every transaction that takes effect gets the next revision;
///   commit B ──► revision 8          each key carries the revision of its last write
///                                    keys:  a = …@7   b = …@8   c = …@8
/// ```
/// - **Durable on return.** What [`MetadataStore::commit`] answers with a revision survives the loss
///   of power.
/// - **All or nothing.** A transaction whose conditions hold writes all its keys at one revision; one
///   whose conditions do not hold writes none and uses up no revision.
/// - **Linearizable.** A read that begins after a commit was answered sees it. Conditions are checked
///   and writes made at one point of the total order.
/// - **Snapshots.** One call of `list` or `newer` sees one point of the order; two calls may see two.
/// - **Not idempotent.** A commit whose answer is lost may have taken effect; conditions on revisions
///   make repeating it safe.
/// - Dropping the future of a commit may or may not prevent it.
pub trait MetadataStore: Send + Sync + 'static {
    /// The value at a key, with the revision of its last write.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Stored>, StoreError>>;

    /// The first `limit` keys that start with `prefix` and come after `after`, in the order of their
    /// bytes.
    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Entry>, StoreError>>;

    /// What was written after `since` and not overwritten or removed since then, in the order of
    /// revisions. At most `limit` entries, but never a part of a transaction alone: `limit` must be at
    /// least [`Transaction::WRITES_MAX`].
    fn newer(&self, since: Revision, limit: usize) -> BoxFuture<'_, Result<Changes, StoreError>>;

    /// Checks the conditions and makes the writes; gives the revision of the writes.
    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<Revision, CommitError>>;

    /// The newest revision. The receiver is told of each change after it is durable.
    fn watch(&self) -> watch::Receiver<Revision>;
}

/// A value and the revision of its last write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What was written.
    pub value: Vec<u8>,
    /// When, in the store's order.
    pub revision: Revision,
}

/// A key with what is stored there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Its value.
    pub stored: Stored,
}

/// A page of what is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// In the order of revisions; of one revision, in the order of keys.
    pub entries: Vec<Entry>,
    /// Nothing up to here is missing: where the next page starts.
    pub up_to: Revision,
    /// True if the next page is there already.
    pub more: bool,
}

/// Why a store does not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Reading or writing failed. After a failed write the store refuses all others until it is
    /// opened anew: what is on disk is known only then.
    #[error("the metadata store failed: {0}")]
    Failed(String),
    /// A value is not what was written.
    #[error("the metadata store is damaged at {key}: {why}")]
    Corrupt {
        /// Where.
        key: String,
        /// How it shows.
        why: &'static str,
    },
}

/// Why a transaction did not take effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// A condition did not hold: read again and decide anew. Nothing was written.
    #[error("{key} was changed in between")]
    Conflict {
        /// The first key whose condition did not hold.
        key: String,
    },
    /// The store does not answer. It is not known whether anything was written.
    #[error(transparent)]
    Store(#[from] StoreError),
}
