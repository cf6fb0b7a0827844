//! A host's data folder: locked, and with an identity that is drawn once and never again.
//!
//! ```text
//! DATA/
//!   lock                  who has it open
//!   identity              whose it is, and in which format
//!   0000000001.segment …  the log (with .index, spare-N, manifest)
//!   checkpoint.redb       the executed state
//! ```
//! A folder that holds data but no identity is refused: a host with a new identity on top of old data
//! would be another host with the memory of the first.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::rand::GetRandomFlags;
use shoal_types::HostId;

use crate::limits::SMALL_FILE_BYTES_MAX;
use crate::{Disk, FolderLock, LockError, RealDisk};

const IDENTITY: &str = "identity";
const IDENTITY_NEW: &str = "identity.new";
const LOCK: &str = "lock";
const FORMAT: u32 = 1;

/// A data folder that this process has for itself.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    host: HostId,
    _lock: FolderLock,
}

/// Why a folder cannot be used as a data folder.
#[derive(Debug, thiserror::Error)]
pub enum DataFolderError {
    /// Another process has it, or it cannot be locked.
    #[error(transparent)]
    Locked(#[from] LockError),
    /// A file cannot be read or written.
    #[error("{doing} {} failed: {source}", file.display())]
    Io {
        /// The file or folder.
        file: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The folder is not what it should be.
    #[error("{} cannot be used: {why}", file.display())]
    Unusable {
        /// The file or folder.
        file: PathBuf,
        /// Why not.
        why: String,
    },
}

impl DataFolder {
    /// Opens a data folder, or makes one where there is nothing or an empty folder. It is locked for
    /// as long as the value lives.
    ///
    /// # Errors
    /// If another process has it, if it is of an unknown format, if it holds data without an identity,
    /// or if it cannot be read and written. Names the file.
    pub fn open(path: &Path) -> Result<Self, DataFolderError> {
        make_folder(path)?;
        let lock = FolderLock::take(path)?;
        let file = path.join(IDENTITY);
        let host = match File::open(&file) {
            Ok(opened) => read_identity(opened, &file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => begin(path)?,
            Err(source) => return Err(io_error(&file, "opening")(source)),
        };
        Ok(Self {
            path: path.to_owned(),
            host,
            _lock: lock,
        })
    }

    /// Whose folder this is, for whoever only looks into it: nothing is made or written.
    ///
    /// # Errors
    /// If there is no identity, or it cannot be read or is none. Names the file.
    pub fn identity_of(path: &Path) -> Result<HostId, DataFolderError> {
        let file = path.join(IDENTITY);
        let opened = File::open(&file).map_err(io_error(&file, "opening"))?;
        read_identity(opened, &file)
    }

    /// Whose folder it is.
    #[must_use]
    pub fn host(&self) -> HostId {
        self.host
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its files, for log and checkpoints.
    #[must_use]
    pub fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(RealDisk::new(&self.path))
    }
}

/// 64 bits from the operating system's source of randomness.
///
/// # Errors
/// If the system has none.
pub fn random_u64() -> io::Result<u64> {
    let mut bytes = [0u8; 8];
    let filled = rustix::rand::getrandom(&mut bytes, GetRandomFlags::empty())?;
    // Up to 256 bytes always come whole.
    assert_eq!(filled, bytes.len(), "randomness comes whole");
    Ok(u64::from_le_bytes(bytes))
}

fn io_error(file: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> DataFolderError {
    let file = file.to_owned();
    move |source| DataFolderError::Io {
        file,
        doing,
        source,
    }
}

fn sync_folder(path: &Path) -> Result<(), DataFolderError> {
    let synced = File::open(path).and_then(|folder| folder.sync_all());
    synced.map_err(io_error(path, "syncing"))
}

/// Makes the folder and sees to it that it is still there after a crash.
fn make_folder(path: &Path) -> Result<(), DataFolderError> {
    if path.is_dir() {
        return Ok(());
    }
    let absolute = std::path::absolute(path).map_err(io_error(path, "making"))?;
    let missing = absolute.ancestors().take_while(|folder| !folder.exists());
    let parents: Vec<&Path> = missing.filter_map(Path::parent).collect();
    fs::create_dir_all(path).map_err(io_error(path, "making"))?;
    parents.into_iter().try_for_each(sync_folder)
}

/// Draws the identity of a new host.
fn begin(path: &Path) -> Result<HostId, DataFolderError> {
    for entry in fs::read_dir(path).map_err(io_error(path, "listing"))? {
        let name = entry.map_err(io_error(path, "listing"))?.file_name();
        if name != LOCK && name != IDENTITY_NEW {
            return Err(DataFolderError::Unusable {
                file: path.to_owned(),
                why: format!(
                    "it holds {} but no file \"{IDENTITY}\"; give an empty folder, or put the file back",
                    name.to_string_lossy()
                ),
            });
        }
    }
    let random = random_u64().map_err(io_error(path, "drawing an identity for"))?;
    let host = HostId(random.max(1));
    let (new, file) = (path.join(IDENTITY_NEW), path.join(IDENTITY));
    let write = || {
        let mut out = File::create(&new)?;
        out.write_all(encode(host).as_bytes())?;
        out.sync_all()?;
        fs::rename(&new, &file)
    };
    write().map_err(io_error(&file, "writing"))?;
    sync_folder(path)?;
    Ok(host)
}

fn encode(host: HostId) -> String {
    let lines = format!("shoal data folder\nformat {FORMAT}\nhost {host}\n");
    let crc = crc32c::crc32c(lines.as_bytes());
    format!("{lines}check {crc:08x}\n")
}

fn read_identity(opened: File, file: &Path) -> Result<HostId, DataFolderError> {
    let mut text = String::new();
    let read = opened.take(SMALL_FILE_BYTES_MAX).read_to_string(&mut text);
    read.map_err(io_error(file, "reading"))?;
    decode(&text).map_err(|why| DataFolderError::Unusable {
        file: file.to_owned(),
        why,
    })
}

fn decode(text: &str) -> Result<HostId, String> {
    let mut lines = text.lines();
    if lines.next() != Some("shoal data folder") {
        return Err("it is not the identity of a shoal data folder".to_owned());
    }
    let format = lines.next().and_then(|line| line.strip_prefix("format "));
    match format.and_then(|number| number.parse::<u32>().ok()) {
        Some(FORMAT) => {}
        Some(other) => {
            return Err(format!(
                "the data folder has format {other}, this release reads {FORMAT}; use the release that wrote it"
            ));
        }
        None => return Err("it is damaged".to_owned()),
    }
    let host = lines.next().and_then(|line| line.strip_prefix("host "));
    let host = host.and_then(|id| id.parse::<HostId>().ok());
    host.filter(|host| host.0 != 0 && text == encode(*host))
        .ok_or_else(|| "it is damaged".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_drawn_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        let first = DataFolder::open(&path).unwrap();
        let host = first.host();
        assert_ne!(host, HostId(0));
        let refused = DataFolder::open(&path).unwrap_err().to_string();
        assert!(refused.contains("in use by process"), "{refused}");
        drop(first);
        assert_eq!(DataFolder::open(&path).unwrap().host(), host);
        let other = DataFolder::open(&folder.path().join("c")).unwrap();
        assert_ne!(other.host(), host);
    }

    #[test]
    fn data_without_an_identity_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        drop(DataFolder::open(folder.path()).unwrap());
        fs::remove_file(folder.path().join(IDENTITY)).unwrap();
        drop(DataFolder::open(folder.path()).unwrap());
        fs::remove_file(folder.path().join(IDENTITY)).unwrap();
        fs::write(folder.path().join("checkpoint.redb"), "x").unwrap();
        let error = DataFolder::open(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("it holds checkpoint.redb but no file"),
            "{error}"
        );
    }

    #[test]
    fn no_bit_of_an_identity_may_differ() {
        let text = encode(HostId(0x1f3a));
        assert_eq!(decode(&text), Ok(HostId(0x1f3a)));
        for bit in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(text) = String::from_utf8(bytes) {
                decode(&text).unwrap_err();
            }
        }
    }

    #[test]
    fn another_format_is_refused_with_its_number_and_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let text = "shoal data folder\nformat 7\nsomething else\n";
        fs::write(folder.path().join(IDENTITY), text).unwrap();
        let error = DataFolder::open(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("/identity cannot be used: the data folder has format 7"),
            "{error}"
        );
    }

    #[test]
    fn a_path_that_is_a_file_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "x").unwrap();
        let error = DataFolder::open(&path).unwrap_err().to_string();
        assert!(error.contains("file"), "{error}");
    }
}
