//! Checkpoints of the executed state in redb (interface).
use std::io;
use std::sync::Arc;

use crate::{Disk, Lsn};

/// How checkpoints are kept.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointOptions {
    /// Memory for pages, in bytes.
    pub cache_bytes: usize,
}

/// What one checkpoint writes, in one transaction.
#[derive(Debug)]
pub struct Commit<W> {
    /// Opaque to the storage: executed position, lanes, views …
    pub meta: Vec<u8>,
    /// Where the log's scan begins after a restart.
    pub replay_from: Lsn,
    /// Keys with their new values; `None` deletes.
    pub writes: W,
}

/// The stored checkpoint.
#[derive(Debug)]
pub struct Loaded {
    /// As committed.
    pub meta: Vec<u8>,
    /// As committed.
    pub replay_from: Lsn,
    /// All rows, streamed.
    pub rows: Rows,
}

/// All keys and values in key order, each checked; ends at the first error.
#[derive(Debug)]
pub struct Rows {}
impl Iterator for Rows {
    type Item = Result<(Vec<u8>, Vec<u8>), CheckpointError>;
    fn next(&mut self) -> Option<Self::Item> {
        unimplemented!()
    }
}

/// Why a checkpoint is not read or written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The disk is full. The transaction is undone, the last checkpoint stands, a later one may succeed.
    #[error("{file}: no space left for a checkpoint")]
    NoSpace {
        /// The file.
        file: String,
    },
    /// The file is damaged.
    #[error("{file} is damaged: {what}")]
    Corruption {
        /// The file.
        file: String,
        /// What is wrong.
        what: String,
    },
    /// Another format.
    #[error("{file} cannot be used: {why}")]
    Foreign {
        /// The file.
        file: String,
        /// Why not.
        why: String,
    },
    /// I/O; final.
    #[error("{file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// What the system said.
        source: Arc<io::Error>,
    },
}

/// The checkpoint store.
#[derive(Debug)]
pub struct Checkpoints {}

impl Checkpoints {
    /// Opens or makes the store.
    ///
    /// # Errors
    /// Damage, another format, I/O.
    pub fn open(
        _disk: Arc<dyn Disk>,
        _options: CheckpointOptions,
    ) -> Result<Self, CheckpointError> {
        unimplemented!()
    }
    /// The last checkpoint, if there is one.
    ///
    /// # Errors
    /// Damage, I/O.
    pub fn load(&self) -> Result<Option<Loaded>, CheckpointError> {
        unimplemented!()
    }
    /// Writes a checkpoint on top of the last one, makes it durable and reads it back.
    ///
    /// # Errors
    /// `NoSpace` leaves everything as it was; all others are final.
    pub fn write(
        &self,
        _commit: Commit<impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>>,
    ) -> Result<(), CheckpointError> {
        unimplemented!()
    }
}
