//! One process per folder.
//!
//! An exclusive `flock` on the file `lock`, so it ends with the process, however that ends. The file
//! says who holds it; what it says means nothing while nobody does. It is never removed: a lock on a
//! removed file would exclude nobody.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::limits::{COMMAND_CHARS_MAX, SMALL_FILE_BYTES_MAX};

const NAME: &str = "lock";

/// The exclusive right to a folder. Ends when dropped, and with the process in any case.
#[derive(Debug)]
pub struct FolderLock {
    /// Open: that is the lock.
    _file: File,
}

/// Why a folder is not ours.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{} is in use by {holder}", folder.display())]
    Held {
        /// The folder.
        folder: PathBuf,
        /// Process id and command line, as far as known.
        holder: String,
    },
    /// The lock file cannot be used.
    #[error("cannot lock {}: {source}", file.display())]
    Io {
        /// The lock file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl FolderLock {
    /// Takes the lock of a folder that exists, or says who has it. Does not wait.
    ///
    /// # Errors
    /// If another process (or this one) has it, or the lock file cannot be written.
    pub fn take(folder: &Path) -> Result<Self, LockError> {
        let path = folder.join(NAME);
        let failed = |source| LockError::Io {
            file: path.clone(),
            source,
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(failed)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(LockError::Held {
                    folder: folder.to_owned(),
                    holder: read_holder(&mut file),
                });
            }
            Err(error) => return Err(failed(error.into())),
        }
        write_holder(&mut file).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

impl FolderLock {
    /// Takes the lock of a folder that is only looked into: nothing is written, and a folder that was
    /// never locked is not locked now.
    ///
    /// # Errors
    /// If a process has it, or the lock file cannot be read.
    pub fn look(folder: &Path) -> Result<Option<Self>, LockError> {
        let path = folder.join(NAME);
        let failed = |source| LockError::Io {
            file: path.clone(),
            source,
        };
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(Errno::WOULDBLOCK) => Err(LockError::Held {
                folder: folder.to_owned(),
                holder: read_holder(&mut file),
            }),
            Err(error) => Err(failed(error.into())),
        }
    }
}

fn write_holder(file: &mut File) -> io::Result<()> {
    let arguments = std::env::args_os().map(|a| a.to_string_lossy().into_owned());
    let command = arguments.collect::<Vec<_>>().join(" ");
    let command: String = command.chars().take(COMMAND_CHARS_MAX).collect();
    let text = format!("process {} ({command})", std::process::id());
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(text.as_bytes())
}

/// What the holder wrote; between its lock and its writing there is nothing yet.
fn read_holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(SMALL_FILE_BYTES_MAX).read_to_string(&mut text) {
        Ok(_) if !text.is_empty() => text,
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_taker_learns_who_the_first_is() {
        let folder = tempfile::tempdir().unwrap();
        let lock = FolderLock::take(folder.path()).unwrap();
        let refused = FolderLock::take(folder.path()).unwrap_err().to_string();
        let me = format!("is in use by process {} (", std::process::id());
        assert!(refused.contains(&me), "{refused}");
        assert!(refused.contains(&*folder.path().to_string_lossy()));
        drop(lock);
        FolderLock::take(folder.path()).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_locked_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("nothing");
        let error = FolderLock::take(&missing).unwrap_err().to_string();
        assert!(error.contains("nothing/lock"), "{error}");
    }
}
