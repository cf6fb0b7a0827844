//! What a checkpoint is a checkpoint of, and the copy of it that is kept beside the database.
//!
//! The head stands in the database's table `head`, so that it changes in one transaction with the rows.
//! A copy is in `checkpoint.head`, written once the transaction is durable and read back, and before any
//! segment of the log goes. It is for what the database cannot tell of itself:
//! - that it fell back to an earlier transaction, whose log is gone: its head has a lower number than the
//!   copy's. (A higher number only says that the process ended between the two.)
//! - what this host must not forget, whatever becomes of the rows: votes are in the driver's `meta`, and
//!   no other host has them.
//!
//! Format 2 is the head's fields; format 3 has the checksum of the driver's part before them.

use serde::{Deserialize, Serialize};

use super::CheckpointError;
use super::rows::Digest;
use crate::disk_version::{UnknownFormat, Versioned};
use crate::limits::HEAD_BYTES_MAX;
use crate::sealed::{SealError, contents, seal, unseal};
use crate::{Disk, DiskVersion, Lsn};

pub(super) const NAME_HEAD: &str = "checkpoint.head";
const NAME_HEAD_NEW: &str = "checkpoint.head.new";
const MAGIC: &[u8; 8] = b"SHOALCHK";
/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// Version of head, tables and row protection. What stands in rows is the driver's to version.
    #[serde(skip)]
    pub(super) version: DiskVersion,
    /// Counts checkpoints of this folder.
    pub(super) number: u64,
    /// None: nothing was committed yet.
    pub(super) commit: Option<(Vec<u8>, Lsn)>,
    pub(super) digest: Digest,
}

impl Head {
    pub(super) fn encode(&self) -> Vec<u8> {
        let format = self.version.format_of(Versioned::Checkpoint);
        match self.version {
            DiskVersion::V1 => seal(MAGIC, format, self),
            DiskVersion::V2 => seal(MAGIC, format, &(self.meta_crc(), self)),
        }
    }

    /// As a release reads it that knows up to `newest`.
    pub(super) fn decode(bytes: &[u8], newest: DiskVersion) -> Result<Self, SealError> {
        let (format, sealed) = unseal(MAGIC, bytes)?;
        let version = DiskVersion::of_format(Versioned::Checkpoint, format, newest);
        let version = version.map_err(SealError::Format)?;
        let head: Self = match version {
            DiskVersion::V1 => contents(sealed)?,
            DiskVersion::V2 => {
                let (meta_crc, head): (u32, Self) = contents(sealed)?;
                let is_whole = head.meta_crc() == meta_crc;
                is_whole.then_some(head).ok_or(SealError::Damaged)?
            }
        };
        Ok(Self { version, ..head })
    }

    fn meta_crc(&self) -> u32 {
        let meta = self.commit.as_ref().map(|(meta, _)| &meta[..]);
        crc32c::crc32c(meta.unwrap_or_default())
    }
}

/// Writes the copy: the old one or the new one is there at any moment, whole.
pub(super) fn keep(disk: &dyn Disk, head: &Head) -> std::io::Result<()> {
    remove_if_there(disk, NAME_HEAD_NEW)?;
    let file = disk.create(NAME_HEAD_NEW)?;
    file.write_at(0, &[&head.encode()])?;
    file.sync_data()?;
    disk.rename(NAME_HEAD_NEW, NAME_HEAD)?;
    disk.sync_folder()
}

/// Reads the copy, relied upon from now on. `None`: there is none that is sound.
pub(super) fn kept(disk: &dyn Disk, newest: DiskVersion) -> Result<Option<Head>, CheckpointError> {
    let bytes = read(disk).map_err(|error| CheckpointError::io(disk.display(NAME_HEAD), error))?;
    match bytes.map(|bytes| Head::decode(&bytes, newest)) {
        Some(Ok(head)) => Ok(Some(head)),
        Some(Err(SealError::Format(format))) => Err(CheckpointError::Foreign {
            file: disk.display(NAME_HEAD),
            why: format.to_string(),
        }),
        Some(Err(SealError::Damaged)) | None => Ok(None),
    }
}

/// The copy's name and format, if it is of one that is not known.
pub(crate) fn newer_head(disk: &dyn Disk, newest: DiskVersion) -> Option<(String, UnknownFormat)> {
    match Head::decode(&read(disk).ok()??, newest) {
        Err(SealError::Format(format)) => Some((NAME_HEAD.to_owned(), format)),
        _ => None,
    }
}

fn read(disk: &dyn Disk) -> std::io::Result<Option<Vec<u8>>> {
    let names = disk.list()?;
    if !names.iter().any(|name| name == NAME_HEAD) {
        return Ok(None);
    }
    let file = disk.open(NAME_HEAD)?;
    let len = file.len()?;
    if len > HEAD_BYTES_MAX {
        return Ok(None);
    }
    // After kill -9 it may be in the system's memory alone.
    file.sync_data()?;
    let mut bytes = vec![0; len as usize];
    file.read_at(0, &mut bytes)?;
    Ok(Some(bytes))
}

pub(super) fn remove_if_there(disk: &dyn Disk, name: &str) -> std::io::Result<()> {
    if disk.list()?.iter().any(|known| known == name) {
        disk.remove(name)?;
    }
    Ok(())
}
