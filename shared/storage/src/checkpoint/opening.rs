//! Opening the store: what is there, whether it is the newest, and whether all of it is sound.
//!
//! redb checks nothing that it reads. Rows carry checksums of our own; whether the pages around them are
//! sound, and which are free, is checked here once, since whatever is built on a page that wrongly counts
//! as free destroys another. Of a database that is not sound nothing is used but rows that check out.

use std::sync::{Arc, Mutex};

use redb::DatabaseError;

use super::backend::{Backend, Watch};
use super::error::{CheckpointError, contained};
use super::head::{self, Head};
use super::transaction::{begin, put_head};
use super::{
    CheckpointOptions, Checkpoints, Damage, NAME, NAME_NEW, NAME_STAGED, Opened, ROWS, Slot,
};
use crate::Disk;

impl Checkpoints {
    /// Opens the store, or makes an empty one if there is no file. Reads all pages of the file.
    ///
    /// A damaged database does not fail this as long as the copy of its head says what it was:
    /// [`Loaded::damage`](super::Loaded::damage) tells.
    ///
    /// # Errors
    /// If the file is damaged and nothing is known of it, is of another format, or cannot be read. It is
    /// never made anew then.
    pub fn open(disk: Arc<dyn Disk>, options: CheckpointOptions) -> Result<Self, CheckpointError> {
        let checkpoints = Self::named(disk, options, NAME);
        // Before anything is changed: it may be of a later release, which this one was put back after.
        let kept = head::kept(&*checkpoints.disk, options.newest)?;
        let kept = kept.filter(|head| head.commit.is_some());
        // What was not put in force before the process ended is begun again from nothing.
        for name in [NAME_STAGED, NAME_NEW] {
            let removed = head::remove_if_there(&*checkpoints.disk, name);
            removed.map_err(|error| checkpoints.io(error))?;
        }
        if kept.is_none() {
            checkpoints.make_if_missing()?;
        }
        // What is found may have got its name a moment before the process ended.
        let synced = checkpoints.disk.sync_folder();
        synced.map_err(|error| checkpoints.io(error))?;
        *checkpoints.slot() = checkpoints.find(kept)?;
        Ok(checkpoints)
    }

    pub(super) fn named(
        disk: Arc<dyn Disk>,
        options: CheckpointOptions,
        name: &'static str,
    ) -> Self {
        Self {
            disk,
            options,
            name,
            slot: Mutex::default(),
            staged: Mutex::default(),
        }
    }

    fn find(&self, kept: Option<Head>) -> Result<Slot, CheckpointError> {
        let found = contained(self.file(), || {
            let opened = self.open_database(NAME)?;
            let head = self.read_head(&opened)?;
            Ok((opened, head))
        });
        let lost = |head, error| Slot {
            head,
            damage: Some(Damage {
                error,
                has_rows: false,
            }),
            ..Slot::default()
        };
        let (mut opened, head) = match (found, kept) {
            (Ok((_, head)), Some(kept)) if !is_newest(&head, &kept) => {
                let error = self.damaged("it is not the checkpoint that was written last");
                return Ok(lost(kept, error));
            }
            (Ok((opened, head)), kept) => {
                let copied = kept.is_some_and(|kept| kept.number == head.number);
                if !copied && head.commit.is_some() {
                    self.copy_again(&head)?;
                }
                (opened, head)
            }
            (Err(error), Some(kept)) if error.is_damage() => return Ok(lost(kept, error)),
            (Err(error), _) => return Err(error),
        };
        let checked = contained(self.file(), || self.check_pages(&mut opened));
        Ok(match checked {
            Ok(()) => Slot {
                open: Some(opened),
                head,
                ..Slot::default()
            },
            Err(error) if error.is_damage() => Slot {
                head,
                damage: Some(Damage {
                    error,
                    has_rows: true,
                }),
                ..Slot::default()
            },
            // A full disk: what redb would mend, it mends when it is opened next.
            Err(error) if error.may_succeed_later() => Slot {
                head,
                ..Slot::default()
            },
            Err(error) => return Err(error),
        })
    }

    /// The process ended between writing the two. Without room, the next checkpoint writes the copy.
    fn copy_again(&self, head: &Head) -> Result<(), CheckpointError> {
        match self.keep(head) {
            Err(error) if !error.may_succeed_later() => Err(error),
            _ => Ok(()),
        }
    }

    /// Reads every page from the device and checks it, and which of them are free. What redb can mend by
    /// itself, it mends. Not while rows are being read: then nothing is checked.
    pub(super) fn check_pages(&self, opened: &mut Opened) -> Result<(), CheckpointError> {
        opened.watch.forget_cached();
        let database = opened
            .database
            .as_mut()
            .expect("it is there until the drop");
        match database.check_integrity() {
            Ok(true) | Err(DatabaseError::TransactionInProgress) => Ok(()),
            Ok(false) => {
                let file = self.file();
                tracing::warn!(file, "the checkpoint's list of free pages was made anew");
                Ok(())
            }
            Err(error) => Err(self.failed(&opened.watch, error.into())),
        }
    }

    /// Makes the file under another name first: one with the right name is always complete.
    fn make_if_missing(&self) -> Result<(), CheckpointError> {
        let names = self.disk.list().map_err(|e| self.io(e))?;
        if names.iter().any(|name| name == NAME) {
            return Ok(());
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
    pub(super) fn write_first(&self, opened: &Opened) -> Result<(), CheckpointError> {
        let fill = || -> Result<(), redb::Error> {
            let transaction = begin(opened.database())?;
            transaction.open_table(ROWS)?;
            put_head(&transaction, &Head::default())?;
            Ok(transaction.commit()?)
        };
        fill().map_err(|error| self.failed(&opened.watch, error))
    }

    pub(super) fn open_database(&self, name: &str) -> Result<Opened, CheckpointError> {
        let file = self.disk.open(name).map_err(|error| match error.kind() {
            // The store was there before, or has just been made.
            std::io::ErrorKind::NotFound => self.damaged("it is missing"),
            _ => self.io(error),
        })?;
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
}

/// True unless the database fell back to a checkpoint before the one of the copy, or is another one.
fn is_newest(head: &Head, kept: &Head) -> bool {
    head.number > kept.number || head == kept
}
