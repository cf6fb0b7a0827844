//! What a checkpoint is a checkpoint of, and the copy of it that is kept beside the database.
//!
//! The head stands in the database's table `head`, so that it changes in one transaction with the rows.
//! A copy is in `checkpoint.head`, written once the transaction is durable and read back, and before any
//! segment of the log goes. It is for what the database cannot tell of itself:
//! - that it fell back to an earlier transaction, whose log is gone: its head has a lower number than the
//!   copy's. (A higher number only says that the process ended between the two.)
//! - what this host must not forget, whatever becomes of the rows: votes are in the driver's `meta`, and
//!   no other host has them.

use serde::{Deserialize, Serialize};

use super::rows::Digest;
use crate::limits::HEAD_BYTES_MAX;
use crate::sealed::{SealError, seal, unseal};
use crate::{Disk, Lsn};

pub(super) const NAME_HEAD: &str = "checkpoint.head";
const NAME_HEAD_NEW: &str = "checkpoint.head.new";
const MAGIC: &[u8; 8] = b"SHOALCHK";
/// Version of tables, head and row protection. What stands in rows is the driver's to version.
const FORMAT_VERSION: u32 = 2;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// Counts checkpoints of this folder.
    pub(super) number: u64,
    /// None: nothing was committed yet.
    pub(super) commit: Option<(Vec<u8>, Lsn)>,
    pub(super) digest: Digest,
}

impl Head {
    pub(super) fn encode(&self) -> Vec<u8> {
        seal(MAGIC, FORMAT_VERSION, self)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, BadHead> {
        unseal(MAGIC, FORMAT_VERSION, bytes).map_err(|error| match error {
            SealError::Damaged => BadHead::Damaged,
            SealError::Version(found, ours) => BadHead::Foreign(format!(
                "it has checkpoint format version {found}, this release reads {ours}; use the release that wrote it"
            )),
        })
    }
}

/// Why bytes are no head.
pub(super) enum BadHead {
    Damaged,
    Foreign(String),
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

/// Reads the copy. `None`: there is none that is sound.
pub(super) fn kept(disk: &dyn Disk) -> std::io::Result<Option<Head>> {
    let names = disk.list()?;
    if !names.iter().any(|name| name == NAME_HEAD) {
        return Ok(None);
    }
    let file = disk.open(NAME_HEAD)?;
    let len = file.len()?;
    if len > HEAD_BYTES_MAX {
        return Ok(None);
    }
    // Relied upon from now on; after kill -9 it may be in the system's memory alone.
    file.sync_data()?;
    let mut bytes = vec![0; len as usize];
    file.read_at(0, &mut bytes)?;
    Ok(Head::decode(&bytes).ok())
}

pub(super) fn remove_if_there(disk: &dyn Disk, name: &str) -> std::io::Result<()> {
    if disk.list()?.iter().any(|known| known == name) {
        disk.remove(name)?;
    }
    Ok(())
}
