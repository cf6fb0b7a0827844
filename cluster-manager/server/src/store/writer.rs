//! The thread that writes: takes what waits, checks and writes all of it in one commit of the
//! database, then answers. While a commit syncs, the next group gathers.

use std::sync::Arc;

use redb::ReadableTable;
use shoal_types::Revision;
use tokio::sync::{mpsc, oneshot};

use super::redb::{BY_REVISION, META, RECORDS, REVISION, Shared};
use super::{CommitError, StoreError, Transaction, record_format};
use crate::limits::COMMIT_BATCH_MAX;
use crate::metric_names;

/// A transaction and who waits for it.
pub(super) struct Order {
    pub(super) transaction: Transaction,
    pub(super) answer: oneshot::Sender<Answer>,
}

type Answer = Result<Revision, CommitError>;

/// Resolves when the store writes no more: to the first failure, or to an error if there was none and
/// all handles are gone, when the file is closed.
pub type WriterEnd = oneshot::Receiver<StoreError>;

/// Starts the thread. It ends when all senders are gone, or with the first failure.
pub(super) fn start(shared: Arc<Shared>, mut waiting: mpsc::Receiver<Order>) -> WriterEnd {
    let (end, ended) = oneshot::channel();
    let run = move || {
        let mut group = Vec::new();
        while waiting.blocking_recv_many(&mut group, COMMIT_BATCH_MAX) > 0 {
            if let Err(error) = write(&shared, &mut group) {
                let error = StoreError::Failed(error.to_string());
                _ = shared.failed.set(error.clone());
                for order in group {
                    _ = order.answer.send(Err(CommitError::Store(error.clone())));
                }
                _ = end.send(error);
                return;
            }
        }
        // Only now may the file be opened anew.
        drop(shared);
        drop(end);
    };
    std::thread::Builder::new()
        .name("metadata-writer".to_owned())
        .spawn(run)
        .expect("the system has room for one more thread at the start");
    ended
}

/// Writes a group and answers it. On an error the group is left as it is, unanswered.
fn write(shared: &Shared, group: &mut Vec<Order>) -> Result<(), redb::Error> {
    let mut written = shared.database.begin_write()?;
    written.set_quick_repair(true);
    let before = *shared.revision.borrow();
    let mut revision = before;
    let mut answers = Vec::with_capacity(group.len());
    {
        let mut tables = Tables {
            records: written.open_table(RECORDS)?,
            by_revision: written.open_table(BY_REVISION)?,
        };
        for order in &*group {
            let conflict = tables.check(&order.transaction)?;
            answers.push(match conflict {
                Some(key) => Err(CommitError::Conflict { key }),
                None => {
                    revision = Revision(revision.0.max(order.transaction.above.0) + 1);
                    tables.apply(&order.transaction, revision)?;
                    Ok(revision)
                }
            });
        }
        written.open_table(META)?.insert(REVISION, revision.0)?;
    }
    if revision > before {
        written.commit()?;
        metrics::histogram!(metric_names::COMMIT_TRANSACTIONS)
            .record(answers.iter().filter(|answer| answer.is_ok()).count() as f64);
        shared.revision.send_replace(revision);
    } else {
        written.abort()?;
    }
    for (order, answer) in group.drain(..).zip(answers) {
        // Whoever asked may be gone.
        _ = order.answer.send(answer);
    }
    Ok(())
}

struct Tables<'t> {
    records: redb::Table<'t, &'static str, &'static [u8]>,
    by_revision: redb::Table<'t, (u64, &'static str), ()>,
}

impl Tables<'_> {
    /// The first key whose condition does not hold.
    fn check(&self, transaction: &Transaction) -> Result<Option<String>, redb::Error> {
        for condition in &transaction.conditions {
            if self.revision_of(&condition.key)? != condition.revision {
                return Ok(Some(condition.key.clone()));
            }
        }
        Ok(None)
    }

    fn apply(&mut self, transaction: &Transaction, at: Revision) -> Result<(), redb::Error> {
        for write in &transaction.writes {
            let key = write.key.as_str();
            if let Some(revision) = self.revision_of(key)? {
                self.by_revision.remove((revision.0, key))?;
            }
            match &write.value {
                Some(value) => {
                    let bytes = record_format::encode(key, at, value);
                    self.records.insert(key, &*bytes)?;
                    self.by_revision.insert((at.0, key), ())?;
                }
                None => {
                    self.records.remove(key)?;
                }
            }
        }
        Ok(())
    }

    fn revision_of(&self, key: &str) -> Result<Option<Revision>, redb::Error> {
        let Some(bytes) = self.records.get(key)? else {
            return Ok(None);
        };
        // A damaged record is not overwritten as if nothing were: the store stops here.
        let stored = record_format::decode(key, bytes.value())
            .map_err(|error| redb::Error::Corrupted(error.to_string()))?;
        Ok(Some(stored.revision))
    }
}
