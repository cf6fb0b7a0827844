//! A checkpoint that is gathered beside the one in force and put in its place in one step: the state of
//! another host (`checkpoint.redb.staged`), or all of this host's own, written anew (`checkpoint.redb.new`).
//!
//! It is of the same form but without a head that says what it is a checkpoint of. Putting it in force
//! writes that head, and then gives the file the name of the one in force: a rename, which a crash leaves
//! done or not done. What a crash left behind is removed when the store is opened.

use std::sync::{Arc, MutexGuard, PoisonError};

use super::error::contained;
use super::rows::Rows;
use super::transaction::{apply, begin, put_head, read_back};
use super::{CheckpointError, Checkpoints, Commit, Head, NAME, NAME_STAGED, Slot, head};
use crate::limits::STAGED_BYTES_PER_COMMIT;

type Row = (Vec<u8>, Vec<u8>);

/// What a checkpoint is one of, whose rows are staged already.
pub type HeadOnly = Commit<[(Vec<u8>, Option<Vec<u8>>); 0]>;

/// Rows of a checkpoint to be, for [`Checkpoints::install`] or [`Checkpoints::discard`].
#[derive(Debug)]
pub struct Staging {
    store: Checkpoints,
    /// Which of those staged it is.
    number: u64,
    gathered: Vec<Row>,
    bytes: usize,
}

impl Checkpoints {
    /// Begins to gather a checkpoint beside the one in force. What was staged before is gone.
    ///
    /// # Errors
    /// If the disk is full or fails.
    pub fn stage(&self) -> Result<Staging, CheckpointError> {
        let mut staged = self.staged();
        *staged += 1;
        let staging = self.gather(NAME_STAGED)?;
        Ok(Staging {
            number: *staged,
            ..staging
        })
    }

    /// Throws away what was staged, and frees its space unless something else is staged by now.
    ///
    /// # Errors
    /// If the disk fails. The next start removes it then.
    pub fn discard(&self, staging: Staging) -> Result<(), CheckpointError> {
        let staged = self.staged();
        if staging.number != *staged {
            return Ok(());
        }
        drop(staging);
        let removed = head::remove_if_there(&*self.disk, NAME_STAGED);
        removed.map_err(|error| self.io(error))
    }

    fn staged(&self) -> MutexGuard<'_, u64> {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a file of this name.
    pub(super) fn gather(&self, name: &'static str) -> Result<Staging, CheckpointError> {
        let store = Self::named(Arc::clone(&self.disk), self.options, name);
        let created =
            head::remove_if_there(&*self.disk, name).and_then(|()| self.disk.create(name));
        created.map_err(|error| store.no_space_or_io(error))?;
        let opened = contained(store.file(), || {
            let opened = store.open_database(name)?;
            store.write_first(&opened)?;
            Ok(opened)
        })
        .inspect_err(|_| {
            // Incomplete, it would only take up room; the error that counts is the first one.
            let _ = head::remove_if_there(&*self.disk, name);
        })?;
        store.slot().open = Some(opened);
        Ok(Staging {
            store,
            number: 0,
            gathered: Vec::new(),
            bytes: 0,
        })
    }

    /// Puts what was gathered in the place of the checkpoint in force, from which a start then begins.
    /// Blocks. What is staged must have been read back before: here only its head is.
    ///
    /// # Errors
    /// [`CheckpointError::NoSpace`]: nothing is changed, and what was staged is gone. After any other
    /// either the old checkpoint or the new one is in force, whole; the store must be opened anew to know
    /// which.
    pub fn install(&self, staged: Staging, commit: HeadOnly) -> Result<(), CheckpointError> {
        let mut slot = self.slot();
        let installed = self.put_in_force(&mut slot, staged, commit);
        if let Err(CheckpointError::NoSpace { .. }) = installed {
            // It could not even take its head; the error that counts is the first one.
            let _ = head::remove_if_there(&*self.disk, NAME_STAGED);
        }
        installed
    }

    pub(super) fn put_in_force(
        &self,
        slot: &mut Slot,
        staged: Staging,
        commit: HeadOnly,
    ) -> Result<(), CheckpointError> {
        assert!(
            staged.gathered.is_empty(),
            "what is staged is read back before"
        );
        let store = staged.store;
        let number = slot.head.number + 1;
        let head = contained(store.file(), || {
            let mut staged = store.slot();
            store.write_and_read_back(store.opened(&mut staged)?, commit, number)
        })?;
        // Both are closed before: closing writes, and what is in force must not change any more.
        store.slot().open = None;
        slot.open = None;
        let publish = || {
            self.disk.open(store.name)?.sync_data()?;
            self.disk.rename(store.name, NAME)?;
            self.disk.sync_folder()
        };
        publish().map_err(|error| self.io(error))?;
        slot.damage = None;
        slot.head = head;
        // Without room for the copy the next checkpoint writes it, before any segment goes.
        match self.keep(&slot.head) {
            Err(error) if !error.may_succeed_later() => Err(error),
            _ => Ok(()),
        }
    }
}

impl Staging {
    /// Adds rows, each key once. Blocks now and then.
    ///
    /// # Errors
    /// If the disk is full or fails. Nothing of this checkpoint is of use then.
    pub fn put(&mut self, rows: impl IntoIterator<Item = Row>) -> Result<(), CheckpointError> {
        for (key, value) in rows {
            self.bytes += key.len() + value.len();
            self.gathered.push((key, value));
        }
        if self.bytes < STAGED_BYTES_PER_COMMIT {
            return Ok(());
        }
        self.write_gathered()
    }

    fn write_gathered(&mut self) -> Result<(), CheckpointError> {
        self.bytes = 0;
        let rows = std::mem::take(&mut self.gathered);
        let writes = rows.into_iter().map(|(key, value)| (key, Some(value)));
        let store = &self.store;
        contained(store.file(), || {
            let mut slot = store.slot();
            let opened = store.opened(&mut slot)?;
            let failed = |error| store.failed(&opened.watch, error);
            let before = store.read_head(opened)?;
            let transaction = begin(opened.database()).map_err(failed)?;
            let applied = apply(&transaction, writes, before.digest).map_err(failed)?;
            let (digest, checks) = applied.ok_or_else(|| store.damaged("a row has no checksum"))?;
            let head = Head { digest, ..before };
            put_head(&transaction, &head).map_err(failed)?;
            transaction.commit().map_err(|error| failed(error.into()))?;
            if !read_back(opened.database(), &checks).map_err(failed)? {
                return Err(store.damaged("a row that was just written reads back differently"));
            }
            Ok(())
        })
    }

    /// Everything that was added, durable, and read from the device.
    ///
    /// # Errors
    /// If the disk is full or fails, or does not give back what was written.
    pub fn read_back(&mut self) -> Result<Rows, CheckpointError> {
        self.write_gathered()?;
        let store = &self.store;
        contained(store.file(), || {
            let mut slot = store.slot();
            // Opened anew, nothing comes from memory.
            slot.open = None;
            let opened = store.opened(&mut slot)?;
            let head = store.read_head(opened)?;
            store.rows(opened, &head)
        })
    }
}
