//! Checkpoints: the executed state of a host in redb, so that a restart replays only the end of the
//! log.
//!
//! The file `checkpoint.redb` has two tables. `rows` holds keys and values of the state, each value
//! behind its own CRC-32C over key and value, since redb does not check what it reads. `head` holds
//! one sealed value: the driver's `meta`, the LSN at which replay begins, and how many rows there are
//! with the sum of their checksums, so that a row that went missing is noticed as well.
//!
//! A checkpoint is one transaction on top of the last one, durable when [`Checkpoints::write`] returns
//! (two phases, with the allocator's state saved, so that a crash costs no repair). It is then read
//! back: every page that was written, from the device; and every row, through redb. Only then may
//! segments of the log that it covers go.
//!
//! A checkpoint that comes from another host is gathered beside this one and takes its place as a whole
//! (`staging`).
//!
//! A full disk undoes the transaction and nothing else: the last checkpoint stands, and a later one may
//! succeed. Any other failure is final.

mod backend;
mod error;
mod rows;
mod staging;

use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{Database, ReadableDatabase, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::limits::CHECKPOINT_CACHE_BYTES;
use crate::sealed::{SealError, seal, unseal};
use crate::{Disk, Lsn};
use backend::{Backend, Watch};
pub use error::CheckpointError;
use error::contained;
pub use rows::Rows;
use rows::{Digest, protect, unprotect};
pub use staging::Staging;

const NAME: &str = "checkpoint.redb";
const NAME_NEW: &str = "checkpoint.redb.new";
const NAME_STAGED: &str = "checkpoint.redb.staged";
const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");
const HEAD: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("head");
const HEAD_KEY: &str = "head";
const MAGIC: &[u8; 8] = b"SHOALCHK";
/// Version of tables, head and row protection. What stands in rows is the driver's to version.
const FORMAT_VERSION: u32 = 1;

/// How checkpoints are kept.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointOptions {
    /// Memory for pages, in bytes.
    pub cache_bytes: usize,
}

impl Default for CheckpointOptions {
    fn default() -> Self {
        Self {
            cache_bytes: CHECKPOINT_CACHE_BYTES,
        }
    }
}

/// What one checkpoint writes, on top of the last one.
#[derive(Debug)]
pub struct Commit<W> {
    /// Opaque to the storage: executed position, lanes, views …
    pub meta: Vec<u8>,
    /// Where the log's scan begins after a restart.
    pub replay_from: Lsn,
    /// Keys with their new values; `None` deletes. A key that comes twice: the last one counts.
    pub writes: W,
}

/// The last checkpoint.
#[derive(Debug)]
pub struct Loaded {
    /// As committed.
    pub meta: Vec<u8>,
    /// As committed.
    pub replay_from: Lsn,
    /// All keys and values, read while they are asked for.
    pub rows: Rows,
}

/// The store of checkpoints.
#[derive(Debug)]
pub struct Checkpoints {
    disk: Arc<dyn Disk>,
    options: CheckpointOptions,
    /// Its file's.
    name: &'static str,
    slot: Mutex<Slot>,
}

/// The open database.
#[derive(Debug, Default)]
struct Slot {
    /// None: to be opened again, after a full disk.
    open: Option<Opened>,
    /// The first failure that is final.
    failure: Option<CheckpointError>,
}

#[derive(Debug)]
struct Opened {
    /// Only None while it is dropped.
    database: Option<Database>,
    watch: Arc<Watch>,
}

impl Opened {
    fn database(&self) -> &Database {
        self.database.as_ref().expect("it is there until the drop")
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // redb writes when it closes, and may panic over damaged pages. What it writes then is only
        // for a faster start.
        let _ = contained(String::new(), || {
            drop(self.database.take());
            Ok(())
        });
    }
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    /// None: nothing was committed yet.
    commit: Option<(Vec<u8>, Lsn)>,
    digest: Digest,
}

impl Checkpoints {
    /// Opens the store, or makes an empty one if there is no file.
    ///
    /// # Errors
    /// If the file is damaged, of another format, or cannot be read. It is never made anew then.
    pub fn open(disk: Arc<dyn Disk>, options: CheckpointOptions) -> Result<Self, CheckpointError> {
        let checkpoints = Self {
            disk,
            options,
            name: NAME,
            slot: Mutex::default(),
        };
        checkpoints.make_if_missing()?;
        checkpoints.remove_what_was_staged()?;
        // What is found may have got its name a moment before the process ended.
        let synced = checkpoints.disk.sync_folder();
        synced.map_err(|error| checkpoints.io(error))?;
        let opened = contained(checkpoints.file(), || {
            let opened = checkpoints.open_database(NAME)?;
            checkpoints.read_head(&opened)?;
            Ok(opened)
        })?;
        checkpoints.slot().open = Some(opened);
        Ok(checkpoints)
    }

    /// The last checkpoint, if there is one. Waits for a [`Checkpoints::write`] that is under way; a
    /// later one does not change what the rows yield.
    ///
    /// # Errors
    /// If it is damaged, of another format, or cannot be read.
    pub fn load(&self) -> Result<Option<Loaded>, CheckpointError> {
        let mut slot = self.slot();
        let opened = self.opened(&mut slot)?;
        contained(self.file(), || self.load_from(opened))
    }

    fn load_from(&self, opened: &Opened) -> Result<Option<Loaded>, CheckpointError> {
        let head = self.read_head(opened)?;
        let Some((meta, replay_from)) = head.commit else {
            return Ok(None);
        };
        let rows = || -> Result<_, redb::Error> {
            let table = opened.database().begin_read()?.open_table(ROWS)?;
            Ok(table.range::<&[u8]>(..)?)
        };
        let rows = rows().map_err(|error| self.failed(&opened.watch, error))?;
        Ok(Some(Loaded {
            meta,
            replay_from,
            rows: Rows::new(rows, head.digest, self.file()),
        }))
    }

    /// Reads up to so many rows after this key and checks each. Gives the last key; `None` once there
    /// are no more. Waits for a [`Checkpoints::write`] that is under way.
    ///
    /// # Errors
    /// If a row is damaged, or the file cannot be read.
    pub fn verify(&self, after: &[u8], rows: usize) -> Result<Option<Vec<u8>>, CheckpointError> {
        let mut slot = self.slot();
        if let Some(failure) = &slot.failure {
            return Err(failure.clone());
        }
        let verified = contained(self.file(), || {
            let opened = self.opened(&mut slot)?;
            self.read_head(opened)?;
            let found = check_rows(opened.database(), after, rows);
            match found.map_err(|error| self.failed(&opened.watch, error))? {
                Checked::UpTo(key) => Ok(Some(key)),
                Checked::ToTheEnd => Ok(None),
                Checked::Damaged(key) => {
                    let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
                    Err(self.damaged(&format!("the row with key {key} fails its checksum")))
                }
            }
        });
        if verified.is_err() {
            // redb answers nothing any more after an error.
            slot.open = None;
        }
        verified
    }

    /// Writes a checkpoint, makes it durable and reads it back. Blocks.
    ///
    /// # Errors
    /// [`CheckpointError::NoSpace`]: this one counts as not written, a later one may succeed. All
    /// others are final: every later call answers with the same.
    pub fn write(
        &self,
        commit: Commit<impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>>,
    ) -> Result<(), CheckpointError> {
        let mut slot = self.slot();
        if let Some(failure) = &slot.failure {
            return Err(failure.clone());
        }
        let written = contained(self.file(), || {
            self.write_and_read_back(self.opened(&mut slot)?, commit)
        });
        if let Err(error) = &written {
            // redb answers nothing any more after an error: what comes next opens the file again.
            slot.open = None;
            if !error.may_succeed_later() {
                slot.failure = Some(error.clone());
            }
        }
        written
    }

    fn write_and_read_back(
        &self,
        opened: &Opened,
        commit: Commit<impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>>,
    ) -> Result<(), CheckpointError> {
        let before = self.read_head(opened)?;
        let failed = |error| self.failed(&opened.watch, error);
        opened.watch.start();
        let transaction = begin(opened.database()).map_err(failed)?;
        let writes = commit.writes.into_iter();
        let (digest, checks) = apply(&transaction, writes, before.digest)
            .map_err(failed)?
            .ok_or_else(|| self.damaged("a row that is replaced is too short for its checksum"))?;
        let head = Head {
            commit: Some((commit.meta, commit.replay_from)),
            digest,
        };
        put_head(&transaction, &head).map_err(failed)?;
        transaction.commit().map_err(|error| failed(error.into()))?;

        let unlike = opened.watch.compare().map_err(|e| self.io(e))?;
        if let Some(offset) = unlike {
            let what = format!("what was just written at offset {offset} reads back differently");
            return Err(self.damaged(&what));
        }
        if self.read_head(opened)? != head {
            return Err(self.damaged("the head that was just written reads back differently"));
        }
        let same = read_back(opened.database(), &checks).map_err(failed)?;
        if !same {
            return Err(self.damaged("a row that was just written reads back differently"));
        }
        Ok(())
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened<'a>(&self, slot: &'a mut Slot) -> Result<&'a Opened, CheckpointError> {
        if slot.open.is_none() {
            slot.open = Some(self.open_database(self.name)?);
        }
        Ok(slot.open.as_ref().expect("it was just opened"))
    }

    /// Makes the file under another name first: one with the right name is always complete.
    fn make_if_missing(&self) -> Result<(), CheckpointError> {
        let names = self.disk.list().map_err(|e| self.io(e))?;
        if names.iter().any(|name| name == NAME) {
            return Ok(());
        }
        if names.iter().any(|name| name == NAME_NEW) {
            self.disk.remove(NAME_NEW).map_err(|e| self.io(e))?;
        }
        self.disk.create(NAME_NEW).map_err(|e| self.io(e))?;
        let opened = self.open_database(NAME_NEW)?;
        self.write_first(&opened)?;
        drop(opened);
        let publish = || {
            self.disk.open(NAME_NEW)?.sync_data()?;
            self.disk.rename(NAME_NEW, NAME)?;
            self.disk.sync_folder()
        };
        publish().map_err(|e| self.io(e))
    }

    /// Makes the tables, empty.
    fn write_first(&self, opened: &Opened) -> Result<(), CheckpointError> {
        let fill = || -> Result<(), redb::Error> {
            let transaction = begin(opened.database())?;
            transaction.open_table(ROWS)?;
            let empty = Head {
                commit: None,
                digest: Digest::default(),
            };
            put_head(&transaction, &empty)?;
            Ok(transaction.commit()?)
        };
        fill().map_err(|error| self.failed(&opened.watch, error))
    }

    /// A checkpoint that was not installed before the process ended is begun again from nothing.
    fn remove_what_was_staged(&self) -> Result<(), CheckpointError> {
        let names = self.disk.list().map_err(|e| self.io(e))?;
        if names.iter().any(|name| name == NAME_STAGED) {
            self.disk.remove(NAME_STAGED).map_err(|e| self.io(e))?;
        }
        Ok(())
    }

    fn open_database(&self, name: &str) -> Result<Opened, CheckpointError> {
        let file = self.disk.open(name).map_err(|e| self.io(e))?;
        // redb would take an empty file for a new one.
        if name == NAME && file.is_empty().map_err(|e| self.io(e))? {
            return Err(self.damaged("it is empty"));
        }
        // What is found is relied upon, so it has to be durable: after kill -9 it may be in the
        // system's memory alone.
        file.sync_data().map_err(|e| self.io(e))?;
        file.forget_cached(0);
        let watch = Arc::new(Watch::new(file));
        let mut builder = redb::Builder::new();
        builder.set_cache_size(self.options.cache_bytes);
        let database = builder.create_with_backend(Backend::new(&watch));
        let database = database.map_err(|error| self.failed(&watch, error.into()))?;
        Ok(Opened {
            database: Some(database),
            watch,
        })
    }

    fn read_head(&self, opened: &Opened) -> Result<Head, CheckpointError> {
        let read = || -> Result<Option<Vec<u8>>, redb::Error> {
            let table = opened.database().begin_read()?.open_table(HEAD)?;
            Ok(table.get(HEAD_KEY)?.map(|head| head.value().to_vec()))
        };
        let bytes = read().map_err(|error| self.failed(&opened.watch, error))?;
        let bytes = bytes.ok_or_else(|| self.damaged("it has no head"))?;
        unseal(MAGIC, FORMAT_VERSION, &bytes).map_err(|error| match error {
            SealError::Damaged => self.damaged("its head fails its checksum"),
            SealError::Version(found, ours) => CheckpointError::Foreign {
                file: self.file(),
                why: format!(
                    "it has checkpoint format version {found}, this release reads {ours}; use the release that wrote it"
                ),
            },
        })
    }

    fn file(&self) -> String {
        self.disk.display(self.name)
    }

    fn damaged(&self, what: &str) -> CheckpointError {
        CheckpointError::damaged(self.file(), what)
    }

    fn io(&self, source: io::Error) -> CheckpointError {
        CheckpointError::io(self.file(), source)
    }

    /// What went wrong in terms of the disk, if it was the disk; else as redb says.
    fn failed(&self, watch: &Watch, error: redb::Error) -> CheckpointError {
        CheckpointError::from_redb(self.file(), watch, error)
    }
}

fn begin(database: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

fn put_head(transaction: &WriteTransaction, head: &Head) -> Result<(), redb::Error> {
    let bytes = seal(MAGIC, FORMAT_VERSION, head);
    transaction.open_table(HEAD)?.insert(HEAD_KEY, &bytes[..])?;
    Ok(())
}

/// Which row should have which checksum after the commit; `None`: should not be there.
type Checks = Vec<(Vec<u8>, Option<u32>)>;

/// Carries out the writes. `None`: a row that was there has no room for a checksum.
fn apply(
    transaction: &WriteTransaction,
    writes: impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>,
    mut digest: Digest,
) -> Result<Option<(Digest, Checks)>, redb::Error> {
    let mut table = transaction.open_table(ROWS)?;
    let mut checks = Checks::new();
    for (key, value) in writes {
        let stored = value.map(|value| protect(&key, &value));
        let old = match &stored {
            Some((stored, _)) => table.insert(&key[..], &stored[..])?,
            None => table.remove(&key[..])?,
        };
        if let Some(old) = old {
            let Some((crc, _)) = old.value().split_first_chunk() else {
                return Ok(None);
            };
            digest.remove(u32::from_le_bytes(*crc));
        }
        let crc = stored.map(|(_, crc)| crc);
        crc.inspect(|crc| digest.add(*crc));
        checks.push((key, crc));
    }
    Ok(Some((digest, checks)))
}

/// What a look at some rows came to.
enum Checked {
    UpTo(Vec<u8>),
    ToTheEnd,
    Damaged(Vec<u8>),
}

fn check_rows(database: &Database, after: &[u8], rows: usize) -> Result<Checked, redb::Error> {
    let table = database.begin_read()?.open_table(ROWS)?;
    let from = (Bound::Excluded(after), Bound::Unbounded);
    let mut last = None;
    for row in table.range::<&[u8]>(from)?.take(rows) {
        let (key, stored) = row?;
        if unprotect(key.value(), stored.value()).is_none() {
            return Ok(Checked::Damaged(key.value().to_vec()));
        }
        last = Some(key.value().to_vec());
    }
    Ok(last.map_or(Checked::ToTheEnd, Checked::UpTo))
}

/// True if every row is as it was written.
fn read_back(database: &Database, checks: &Checks) -> Result<bool, redb::Error> {
    let table = database.begin_read()?.open_table(ROWS)?;
    let mut later = std::collections::BTreeSet::new();
    for (key, expected) in checks.iter().rev() {
        if !later.insert(&key[..]) {
            continue; // Written again by the same checkpoint.
        }
        let found = table.get(&key[..])?;
        let found = found.map(|stored| unprotect(key, stored.value()).map(|(_, crc)| crc));
        if found != expected.map(Some) {
            return Ok(false);
        }
    }
    Ok(true)
}
