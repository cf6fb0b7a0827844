//! One process per folder (interface).
use std::path::Path;

/// Held as long as it lives, and no longer than the process.
#[derive(Debug)]
pub struct FolderLock {}

/// Why a folder is not locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error("{path} is in use by {holder}")]
    Held {
        /// The lock file.
        path: String,
        /// Pid and command line.
        holder: String,
    },
    /// I/O.
    #[error("{path}: {source}")]
    Io {
        /// The lock file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl FolderLock {
    /// Locks the folder, or says who has it.
    ///
    /// # Errors
    /// Names the holder or the file.
    pub fn take(_folder: &Path) -> Result<Self, LockError> {
        unimplemented!()
    }
}
