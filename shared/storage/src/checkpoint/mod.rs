//! Checkpoints: the executed state of a host in redb, so that a restart replays only the end of the
//! log.
//!
//! The file `checkpoint.redb` has two tables. `rows` holds keys and values of the state, each value
//! behind its own CRC-32C over key and value, since redb does not check what it reads. `head` holds
//! one sealed value ([`head`]): the driver's `meta`, the LSN at which replay begins, and how many rows
//! there are with the sum of their checksums, so that a row that went missing is noticed as well.
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
//! succeed. A database that is found damaged, at the start ([`opening`]) or later, is not built upon any
//! more: [`Checkpoints::rewrite`] makes a new one of the whole state, beside it. Any other failure is
//! final.

mod backend;
mod error;
mod head;
mod opening;
mod rows;
mod staging;
mod transaction;
mod types;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{Database, ReadableDatabase, TableDefinition};

use crate::Disk;
use crate::sealed::SealError;
use backend::Watch;
pub use error::CheckpointError;
use error::contained;
use head::Head;
pub(crate) use head::newer_head;
pub use rows::Rows;
pub use staging::{HeadOnly, Staging};
use transaction::{Checked, apply, begin, check_rows, put_head, read_back};
pub use types::{CheckpointOptions, Commit, Loaded};

const NAME: &str = "checkpoint.redb";
const NAME_NEW: &str = "checkpoint.redb.new";
const NAME_STAGED: &str = "checkpoint.redb.staged";
const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");
const HEAD: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("head");
const HEAD_KEY: &str = "head";

/// The store of checkpoints.
#[derive(Debug)]
pub struct Checkpoints {
    disk: Arc<dyn Disk>,
    options: CheckpointOptions,
    /// Its file's.
    name: &'static str,
    slot: Mutex<Slot>,
    /// How many were staged: only the last one's file is there.
    staged: Mutex<u64>,
}

/// The open database.
#[derive(Debug, Default)]
struct Slot {
    /// None: to be opened again, after a full disk.
    open: Option<Opened>,
    /// The first failure that is final.
    failure: Option<CheckpointError>,
    /// What the newest checkpoint is, whatever the database says.
    head: Head,
    damage: Option<Damage>,
}

/// The database is not what it should be.
#[derive(Clone, Debug)]
struct Damage {
    error: CheckpointError,
    /// Its head is the newest one, so the rows are worth reading: each is checked.
    has_rows: bool,
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

impl Slot {
    /// That it may be read and built upon.
    fn usable(&self) -> Result<(), CheckpointError> {
        let damage = self.damage.as_ref().map(|damage| &damage.error);
        match self.failure.as_ref().or(damage) {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// redb answers nothing any more after an error: what comes next opens the file again.
    fn note(&mut self, error: &CheckpointError) {
        self.open = None;
        if error.is_damage() && self.damage.is_none() {
            self.damage = Some(Damage {
                error: error.clone(),
                has_rows: true,
            });
        }
    }
}

impl Checkpoints {
    /// The last checkpoint, if there is one. Waits for a [`Checkpoints::write`] that is under way; a
    /// later one does not change what the rows yield.
    ///
    /// # Errors
    /// If it cannot be read, or is of another format.
    pub fn load(&self) -> Result<Option<Loaded>, CheckpointError> {
        let mut slot = self.slot();
        let damage = slot.damage.clone();
        let found = match &damage {
            Some(damage) if !damage.has_rows => Err(damage.error.clone()),
            _ => contained(self.file(), || {
                let opened = self.opened(&mut slot)?;
                let head = self.read_head(opened)?;
                Ok((self.rows(opened, &head)?, head))
            }),
        };
        let (rows, head, damage) = match found {
            Ok((rows, head)) => (rows, head, damage.map(|damage| damage.error)),
            Err(error) if error.is_damage() => {
                slot.open = None;
                let rows = Rows::lost(error.clone());
                (rows, slot.head.clone(), Some(error))
            }
            Err(error) => return Err(error),
        };
        let version = head.version;
        Ok(head.commit.map(|(meta, replay_from)| Loaded {
            version,
            meta,
            replay_from,
            rows,
            damage,
        }))
    }

    fn rows(&self, opened: &Opened, head: &Head) -> Result<Rows, CheckpointError> {
        let range = || -> Result<_, redb::Error> {
            let table = opened.database().begin_read()?.open_table(ROWS)?;
            Ok(table.range::<&[u8]>(..)?)
        };
        let range = range().map_err(|error| self.failed(&opened.watch, error))?;
        Ok(Rows::new(range, head.digest, self.file()))
    }

    /// Reads up to so many rows after this key and checks each. Gives the last key; `None` once there
    /// are no more, and then all pages of the file were checked as well, in one go.
    ///
    /// # Errors
    /// If something is damaged, or the file cannot be read.
    pub fn verify(&self, after: &[u8], rows: usize) -> Result<Option<Vec<u8>>, CheckpointError> {
        let mut slot = self.slot();
        slot.usable()?;
        let verified = contained(self.file(), || {
            let opened = self.opened(&mut slot)?;
            self.read_head(opened)?;
            let found = check_rows(opened.database(), after, rows);
            match found.map_err(|error| self.failed(&opened.watch, error))? {
                Checked::UpTo(key) => Ok(Some(key)),
                Checked::ToTheEnd => self.check_pages(opened).map(|()| None),
                Checked::Damaged(key) => {
                    let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
                    Err(self.damaged(&format!("the row with key {key} fails its checksum")))
                }
            }
        });
        if let Err(error) = &verified {
            slot.note(error);
        }
        verified
    }

    /// Writes a checkpoint, makes it durable and reads it back. Blocks.
    ///
    /// # Errors
    /// [`CheckpointError::NoSpace`]: this one counts as not written, a later one may succeed.
    /// [`CheckpointError::Corruption`]: the database is damaged, and only [`Checkpoints::rewrite`] goes on
    /// from here. All others are final: every later call answers with the same.
    pub fn write(
        &self,
        commit: Commit<impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>>,
    ) -> Result<(), CheckpointError> {
        let mut slot = self.slot();
        slot.usable()?;
        let written = contained(self.file(), || {
            let opened = self.opened(&mut slot)?;
            let number = self.read_head(opened)?.number + 1;
            self.write_and_read_back(opened, commit, number)
        });
        let kept = written.and_then(|head| {
            slot.head = head;
            self.keep(&slot.head)
        });
        if let Err(error) = &kept {
            slot.note(error);
            if !error.may_succeed_later() && !error.is_damage() {
                slot.failure = Some(error.clone());
            }
        }
        kept
    }

    /// Writes a checkpoint of the whole state into a new file, reads it back, and puts it in the place of
    /// the one in force. Blocks. Of `writes`, deletions mean nothing.
    ///
    /// # Errors
    /// [`CheckpointError::NoSpace`]: nothing is changed, a later one may succeed. All others are final.
    pub fn rewrite(
        &self,
        commit: Commit<impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>>,
    ) -> Result<(), CheckpointError> {
        let mut slot = self.slot();
        if let Some(failure) = &slot.failure {
            return Err(failure.clone());
        }
        let gathered = contained(self.file(), || {
            let mut staged = self.gather(NAME_NEW)?;
            for (key, value) in commit.writes {
                staged.put(value.map(|value| (key, value)))?;
            }
            staged.read_back()?.try_for_each(|row| row.map(drop))?;
            Ok(staged)
        });
        let commit = Commit {
            version: commit.version,
            meta: commit.meta,
            replay_from: commit.replay_from,
            writes: [],
        };
        let rewritten = gathered.and_then(|staged| self.put_in_force(&mut slot, staged, commit));
        if let Err(error) = &rewritten {
            // What is incomplete would only take up room; the error that counts is the first one.
            let _ = head::remove_if_there(&*self.disk, NAME_NEW);
            if !error.may_succeed_later() {
                slot.failure = Some(error.clone());
            }
        }
        rewritten
    }

    fn write_and_read_back(
        &self,
        opened: &Opened,
        commit: Commit<impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>>,
        number: u64,
    ) -> Result<Head, CheckpointError> {
        let before = self.read_head(opened)?;
        let failed = |error| self.failed(&opened.watch, error);
        opened.watch.start();
        let transaction = begin(opened.database()).map_err(failed)?;
        let writes = commit.writes.into_iter();
        let (digest, checks) = apply(&transaction, writes, before.digest)
            .map_err(failed)?
            .ok_or_else(|| self.damaged("a row that is replaced is too short for its checksum"))?;
        let head = Head {
            version: commit.version,
            number,
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
        Ok(head)
    }

    /// Keeps a copy of the head beside the database.
    fn keep(&self, head: &Head) -> Result<(), CheckpointError> {
        head::keep(&*self.disk, head).map_err(|error| self.no_space_or_io(error))
    }

    /// Of what is begun anew: nothing that was there before is touched by a full disk.
    fn no_space_or_io(&self, error: io::Error) -> CheckpointError {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                CheckpointError::NoSpace { file: self.file() }
            }
            _ => self.io(error),
        }
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened<'a>(&self, slot: &'a mut Slot) -> Result<&'a mut Opened, CheckpointError> {
        if slot.open.is_none() {
            slot.open = Some(self.open_database(self.name)?);
        }
        Ok(slot.open.as_mut().expect("it was just opened"))
    }

    fn read_head(&self, opened: &Opened) -> Result<Head, CheckpointError> {
        let read = || -> Result<Option<Vec<u8>>, redb::Error> {
            let table = opened.database().begin_read()?.open_table(HEAD)?;
            Ok(table.get(HEAD_KEY)?.map(|head| head.value().to_vec()))
        };
        let bytes = read().map_err(|error| self.failed(&opened.watch, error))?;
        let bytes = bytes.ok_or_else(|| self.damaged("it has no head"))?;
        Head::decode(&bytes, self.options.newest).map_err(|bad| match bad {
            SealError::Damaged => self.damaged("its head fails its checksum"),
            SealError::Format(format) => CheckpointError::Foreign {
                file: self.file(),
                why: format.to_string(),
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
