//! What can go wrong with a checkpoint, whichever way redb says it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use redb::{DatabaseError, StorageError};

use super::backend::Watch;

/// Why a checkpoint is not read or written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The disk is full. The last checkpoint stands (or this one, if it was the very last write that
    /// found no space; whole in either case). A later one may succeed; it must write these rows again.
    #[error("{file}: there is no space for a checkpoint")]
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
    /// The file is sound but not ours to use.
    #[error("{file} cannot be used: {why}")]
    Foreign {
        /// The file.
        file: String,
        /// Why not.
        why: String,
    },
    /// The disk fails. Of a write or sync, this is final.
    #[error("{file} cannot be read or written: {source}")]
    Io {
        /// The file.
        file: String,
        /// What the system said.
        source: Arc<io::Error>,
    },
}

impl CheckpointError {
    /// True if the same checkpoint may succeed later.
    #[must_use]
    pub fn may_succeed_later(&self) -> bool {
        matches!(self, Self::NoSpace { .. })
    }

    /// True if what is on disk is not what was written there.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Corruption { .. })
    }

    pub(super) fn damaged(file: String, what: impl Into<String>) -> Self {
        let what = what.into();
        Self::Corruption { file, what }
    }

    pub(super) fn io(file: String, source: io::Error) -> Self {
        let source = Arc::new(source);
        Self::Io { file, source }
    }

    /// The disk's own error if there was one: after it, redb only says that there was one.
    pub(super) fn from_redb(file: String, watch: &Watch, error: redb::Error) -> Self {
        if let Some(failure) = watch.failure() {
            return if failure.out_of_space {
                Self::NoSpace { file }
            } else {
                let source = failure.error;
                Self::Io { file, source }
            };
        }
        match error {
            redb::Error::UpgradeRequired(version) => {
                let why = DatabaseError::UpgradeRequired(version).to_string();
                Self::Foreign { file, why }
            }
            redb::Error::Io(error) if error.kind() != io::ErrorKind::InvalidData => {
                Self::io(file, error)
            }
            other => Self::damaged(file, other.to_string()),
        }
    }

    pub(super) fn from_storage(file: String, error: StorageError) -> Self {
        match error {
            StorageError::Io(source) => Self::io(file, source),
            other => Self::damaged(file, other.to_string()),
        }
    }
}

/// redb answers some damage to its pages with a panic. Here it becomes an error that names the file.
pub(super) fn contained<T>(
    file: String,
    work: impl FnOnce() -> Result<T, CheckpointError>,
) -> Result<T, CheckpointError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let what = "redb cannot make sense of its pages";
        Err(CheckpointError::damaged(file, what))
    })
}
