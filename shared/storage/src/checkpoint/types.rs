//! The words of the store's interface.

use super::{CheckpointError, Rows};
use crate::limits::CHECKPOINT_CACHE_BYTES;
use crate::{DiskVersion, Lsn};

/// How checkpoints are kept.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointOptions {
    /// Memory for pages, in bytes.
    pub cache_bytes: usize,
    /// The newest version that is read; a newer one is refused.
    pub newest: DiskVersion,
}

impl Default for CheckpointOptions {
    fn default() -> Self {
        Self {
            cache_bytes: CHECKPOINT_CACHE_BYTES,
            newest: DiskVersion::NEWEST,
        }
    }
}

/// What one checkpoint writes, on top of the last one.
#[derive(Debug)]
pub struct Commit<W> {
    /// How it is written.
    pub version: DiskVersion,
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
    /// How it was written.
    pub version: DiskVersion,
    /// As committed.
    pub meta: Vec<u8>,
    /// As committed.
    pub replay_from: Lsn,
    /// All keys and values, read while they are asked for. The first that cannot be had ends them with
    /// an error; `meta` and `replay_from` count all the same.
    pub rows: Rows,
    /// What is wrong with the database: it is not built upon, and the next checkpoint must be a
    /// [`super::Checkpoints::rewrite`] or come from a peer.
    pub damage: Option<CheckpointError>,
}
