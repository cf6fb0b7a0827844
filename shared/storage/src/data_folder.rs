//! A host's data folder (interface).
use std::path::Path;
use std::sync::Arc;

use shoal_types::HostId;

use crate::{Disk, LockError};

/// An identified and locked data folder.
#[derive(Debug)]
pub struct DataFolder {}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataFolderError {
    /// Another process has it.
    #[error(transparent)]
    Locked(#[from] LockError),
}

impl DataFolder {
    /// Makes or opens the folder, locks it, and makes or reads its identity.
    ///
    /// # Errors
    /// Names the file.
    pub fn open(_path: &Path) -> Result<Self, DataFolderError> {
        unimplemented!()
    }
    /// Whose folder it is.
    pub fn host(&self) -> HostId {
        unimplemented!()
    }
    /// Where it is.
    pub fn path(&self) -> &Path {
        unimplemented!()
    }
    /// Its files.
    pub fn disk(&self) -> Arc<dyn Disk> {
        unimplemented!()
    }
}

/// From the operating system; for [`crate::LogOptions::salt_seed`].
///
/// # Errors
/// If the system has none.
pub fn random_u64() -> std::io::Result<u64> {
    unimplemented!()
}
