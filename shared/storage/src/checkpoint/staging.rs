//! A checkpoint that another host sent, gathered beside the one in force and put in its place in one
//! step.
//!
//! It is gathered in a file of its own, `checkpoint.redb.staged`, of the same form but without a head
//! that says what it is a checkpoint of. Installing writes that head, and then gives the file the name
//! of the one in force: a rename, which a crash leaves done or not done. What a crash left behind is
//! removed when the store is opened.

use std::sync::Arc;

use super::error::contained;
use super::rows::Rows;
use super::{CheckpointError, Checkpoints, Commit, Head, NAME, NAME_STAGED, ROWS, apply, begin};
use super::{put_head, read_back};
use crate::Lsn;
use crate::limits::STAGED_BYTES_PER_COMMIT;

type Row = (Vec<u8>, Vec<u8>);

/// Rows of a checkpoint to be. Dropped, they are of no use; the next one to be staged, or the next start,
/// removes them.
#[derive(Debug)]
pub struct Staging {
    store: Checkpoints,
    gathered: Vec<Row>,
    bytes: usize,
}

impl Checkpoints {
    /// Begins to gather a checkpoint beside the one in force. What was gathered before is gone.
    ///
    /// # Errors
    /// If the disk is full or fails.
    pub fn stage(&self) -> Result<Staging, CheckpointError> {
        let store = Self {
            disk: Arc::clone(&self.disk),
            options: self.options,
            name: NAME_STAGED,
            slot: Default::default(),
        };
        self.remove_what_was_staged()?;
        store
            .disk
            .create(NAME_STAGED)
            .map_err(|error| store.io(error))?;
        let opened = contained(store.file(), || {
            let opened = store.open_database(NAME_STAGED)?;
            store.write_first(&opened)?;
            Ok(opened)
        })?;
        store.slot().open = Some(opened);
        Ok(Staging {
            store,
            gathered: Vec::new(),
            bytes: 0,
        })
    }

    /// Puts what was gathered in the place of the checkpoint in force, from which a start then begins.
    /// Blocks. What is staged must have been read back before: here only its head is.
    ///
    /// # Errors
    /// If the disk is full or fails. Either the old checkpoint or the new one is in force then, whole;
    /// the store must be opened anew to know which.
    pub fn install(
        &self,
        staged: Staging,
        meta: Vec<u8>,
        replay_from: Lsn,
    ) -> Result<(), CheckpointError> {
        assert!(
            staged.gathered.is_empty(),
            "what is staged is read back before"
        );
        let store = staged.store;
        store.write(Commit {
            meta,
            replay_from,
            writes: [],
        })?;
        // Both are closed before: closing writes, and what is in force must not change any more.
        let mut slot = self.slot();
        store.slot().open = None;
        slot.open = None;
        let publish = || {
            self.disk.open(NAME_STAGED)?.sync_data()?;
            self.disk.rename(NAME_STAGED, NAME)?;
            self.disk.sync_folder()
        };
        publish().map_err(|error| self.io(error))
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
            let head = Head {
                commit: None,
                digest,
            };
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
            let range = || -> Result<_, redb::Error> {
                use redb::ReadableDatabase as _;
                let table = opened.database().begin_read()?.open_table(ROWS)?;
                Ok(table.range::<&[u8]>(..)?)
            };
            let range = range().map_err(|error| store.failed(&opened.watch, error))?;
            Ok(Rows::new(range, head.digest, store.file()))
        })
    }
}
