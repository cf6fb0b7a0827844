//! Which segments were removed on purpose, so that a missing one is told from a lost one.
//!
//! The manifest says, for all segments up to the number `through`, which ones are there and where
//! each of them ends. Those after `through` must all be there, in a row; where one of them ends stands
//! in the header of the next. It is replaced as a whole (new file, sync, rename, sync of the folder)
//! **before** the first removed file is touched. So at any moment:
//!
//! - a segment up to `through` that is listed and missing, or after `through` and missing, is lost:
//!   corruption;
//! - a file up to `through` that is not listed is left over from a removal that a crash interrupted,
//!   and is removed when the log is opened.
//!
//! `through` is always the number of a closed segment, so at least one segment follows it.
//!
//! Format 1 is the two of them; format 2 says before them how many segments are listed.

use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};

use super::LogError;
use super::segment::{End, io_error, remove_if_there};
use crate::disk_version::{UnknownFormat, Versioned};
use crate::limits::MANIFEST_BYTES_MAX;
use crate::sealed::{SealError, contents, seal, unseal};
use crate::{Disk, DiskVersion};

pub(super) const NAME: &str = "manifest";
const NAME_NEW: &str = "manifest.new";
const MAGIC: &[u8; 8] = b"SHOALMAN";

/// The format of the folder's manifest, if it is one that a release which reads up to `newest` does not know.
pub(super) fn newer(disk: &dyn Disk, newest: DiskVersion) -> Option<UnknownFormat> {
    match Manifest::decode(&read(disk).ok()?.ok()?, newest) {
        Err(SealError::Format(format)) => Some(format),
        _ => None,
    }
}

/// Its bytes, or how many there are, if these are more than it can have.
fn read(disk: &dyn Disk) -> io::Result<Result<Vec<u8>, u64>> {
    let file = disk.open(NAME)?;
    let len = file.len()?;
    if len > MANIFEST_BYTES_MAX {
        return Ok(Err(len));
    }
    let mut bytes = vec![0; len as usize];
    file.read_at(0, &mut bytes)?;
    Ok(Ok(bytes))
}

/// Contents of the manifest. Without a file: nothing was ever removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// What is said holds for segments up to this number.
    pub through: u32,
    /// Those that are there, and where they end.
    pub present: BTreeMap<u32, End>,
}

impl Manifest {
    /// What the folder's manifest says, to a release that reads up to `newest`.
    pub(super) fn load(disk: &dyn Disk, newest: DiskVersion) -> Result<Self, LogError> {
        let damaged = |what: String| LogError::Corruption {
            file: disk.display(NAME),
            offset: 0,
            what,
        };
        let bytes = match read(disk) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            other => other.map_err(|source| io_error(disk, NAME, "reading", source))?,
        };
        let bytes =
            bytes.map_err(|len| damaged(format!("{len} bytes are more than it can have")))?;
        Self::decode(&bytes, newest).map_err(|error| match error {
            SealError::Damaged => damaged(error.to_string()),
            SealError::Format(format) => LogError::Foreign {
                file: disk.display(NAME),
                why: format.to_string(),
            },
        })
    }

    fn encode(&self, version: DiskVersion) -> Vec<u8> {
        let format = version.format_of(Versioned::Manifest);
        match version {
            DiskVersion::V1 => seal(MAGIC, format, self),
            DiskVersion::V2 => seal(MAGIC, format, &(self.present.len(), self)),
        }
    }

    fn decode(bytes: &[u8], newest: DiskVersion) -> Result<Self, SealError> {
        let (format, sealed) = unseal(MAGIC, bytes)?;
        let version = DiskVersion::of_format(Versioned::Manifest, format, newest);
        match version.map_err(SealError::Format)? {
            DiskVersion::V1 => contents(sealed),
            DiskVersion::V2 => {
                let (listed, manifest): (usize, Self) = contents(sealed)?;
                let is_whole = manifest.present.len() == listed;
                is_whole.then_some(manifest).ok_or(SealError::Damaged)
            }
        }
    }

    /// The manifest once `removed` are gone; `ends` knows the segments after the old `through`.
    pub(super) fn without(&self, removed: &[u32], ends: &BTreeMap<u32, End>) -> Self {
        let newest = removed.iter().copied().max().unwrap_or(0);
        let through = self.through.max(newest);
        let mut present = self.present.clone();
        if through > self.through {
            let after = ends.range(self.through + 1..=through);
            present.extend(after.map(|(number, end)| (*number, *end)));
        }
        present.retain(|number, _| !removed.contains(number));
        Self { through, present }
    }

    /// Replaces the folder's manifest, durably.
    pub(super) fn store(&self, disk: &dyn Disk, version: DiskVersion) -> Result<(), LogError> {
        let write = || {
            remove_if_there(disk, NAME_NEW)?;
            let file = disk.create(NAME_NEW)?;
            file.write_at(0, &[&self.encode(version)])?;
            file.sync_data()?;
            disk.rename(NAME_NEW, NAME)?;
            disk.sync_folder()
        };
        write().map_err(|source| io_error(disk, NAME, "writing", source))
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::Chain;
    use super::super::{Lsn, mix};
    use super::*;
    use crate::MemDisk;

    fn end(n: u32) -> End {
        End {
            offset: n * 4096,
            next_lsn: Lsn(u64::from(n) * 10),
            chain: Chain(mix(n.into()) as u32),
        }
    }

    #[test]
    fn knows_what_is_left_up_to_the_newest_removed() {
        let ends: BTreeMap<u32, End> = (1..=9).map(|n| (n, end(n))).collect();
        let first = Manifest::default().without(&[5, 2], &ends);
        assert_eq!(first.through, 5);
        assert_eq!(first.present.keys().copied().collect::<Vec<_>>(), [1, 3, 4]);
        let second = first.without(&[3], &ends);
        assert_eq!(second.through, 5);
        assert_eq!(second.present.keys().copied().collect::<Vec<_>>(), [1, 4]);
        let third = second.without(&[7], &ends);
        assert_eq!(third.present.keys().copied().collect::<Vec<_>>(), [1, 4, 6]);
        assert_eq!(third.present[&6], end(6));
    }

    #[test]
    fn comes_back_after_a_crash_and_a_damaged_one_is_refused() {
        let disk = MemDisk::new();
        let load = || Manifest::load(&disk, DiskVersion::V2);
        assert_eq!(load().unwrap(), Manifest::default());
        let manifest = Manifest {
            through: 3,
            present: [(2, end(2))].into(),
        };
        for version in [DiskVersion::V1, DiskVersion::V2] {
            manifest.store(&disk, version).unwrap();
            disk.crash(crate::Keep::Synced);
            assert_eq!(load().unwrap(), manifest);
            disk.flip("manifest", 14, 1);
            let error = load().unwrap_err();
            assert!(matches!(error, LogError::Corruption { file, .. } if file == "manifest"));
        }
    }

    #[test]
    fn one_of_a_later_release_is_refused_and_not_taken_for_a_damaged_one() {
        let disk = MemDisk::new();
        Manifest::default().store(&disk, DiskVersion::V2).unwrap();
        let error = Manifest::load(&disk, DiskVersion::V1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "manifest cannot be used: it has manifest format version 2, this release reads 1; use the \
             release that wrote it"
        );
    }
}
