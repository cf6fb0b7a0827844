//! The formats of a data folder's files, counted together: what a release may write from a certain
//! machine version on is one number more.
//!
//! | disk version | segment | manifest | checkpoint |
//! |---|---|---|---|
//! | 1 | 1 | 1 | 2 |
//! | 2, of the release after this one, as it is rehearsed | 2 | 2 | 3 |
//!
//! Each of these files says its own format, so a folder may hold several. A release reads its own and
//! those of the release before it. Which one it writes it is told, file by file: a release that was put
//! back must still be able to read the folder, and this crate cannot know whether one may be put back.
//!
//! Whatever the format, a file says which one it is at the same place, under a checksum at the same place:
//! a newer file is never taken for a damaged one.

use std::fmt;

use crate::Disk;
use crate::checkpoint::newer_head;
use crate::log::newer_file;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u16)]
pub enum DiskVersion {
    /// In use.
    #[default]
    V1 = 1,
    /// Of the release after this one.
    V2 = 2,
}

/// A kind of file that has formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Versioned {
    Segment,
    Manifest,
    Checkpoint,
}

/// A file is of a format that is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnknownFormat {
    kind: Versioned,
    found: u32,
    newest: DiskVersion,
}

/// A file of a format that this release does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} cannot be used: {why}")]
pub struct NewerFile {
    /// The file.
    pub file: String,
    /// Which format it has, and which are read.
    pub why: String,
}

impl DiskVersion {
    const ALL: [Self; 2] = [Self::V1, Self::V2];

    /// The newest that this release reads.
    pub const NEWEST: Self = if cfg!(feature = "next-release") {
        Self::V2
    } else {
        Self::V1
    };

    /// Its number.
    #[must_use]
    pub fn number(self) -> u16 {
        self as u16
    }

    /// The version with this number, if this build knows one.
    #[must_use]
    pub fn numbered(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|v| v.number() == number)
    }

    pub(crate) fn format_of(self, kind: Versioned) -> u32 {
        match (kind, self) {
            (Versioned::Segment | Versioned::Manifest, Self::V1) => 1,
            (Versioned::Segment | Versioned::Manifest, Self::V2) => 2,
            (Versioned::Checkpoint, Self::V1) => 2,
            (Versioned::Checkpoint, Self::V2) => 3,
        }
    }

    /// What a file of this format is read as, by a release that reads up to `newest`.
    pub(crate) fn of_format(
        kind: Versioned,
        found: u32,
        newest: Self,
    ) -> Result<Self, UnknownFormat> {
        let mut read = Self::ALL.into_iter().filter(|version| *version <= newest);
        read.find(|version| version.format_of(kind) == found)
            .ok_or(UnknownFormat {
                kind,
                found,
                newest,
            })
    }

    /// Looks at every file of the folder that says its format, and changes nothing: for the start of a
    /// release that may have been put back. Damage is not its business; whoever opens the files finds it.
    ///
    /// # Errors
    /// If a file is of a format that a release which reads up to `newest` does not know.
    pub fn refuse_newer(disk: &dyn Disk, newest: Self) -> Result<(), NewerFile> {
        match newer_head(disk, newest).or_else(|| newer_file(disk, newest)) {
            Some((file, why)) => Err(NewerFile {
                file: disk.display(&file),
                why: why.to_string(),
            }),
            None => Ok(()),
        }
    }
}

impl fmt::Display for DiskVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number())
    }
}

impl Versioned {
    fn word(self) -> &'static str {
        match self {
            Self::Segment => "log",
            Self::Manifest => "manifest",
            Self::Checkpoint => "checkpoint",
        }
    }
}

impl fmt::Display for UnknownFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            found,
            newest,
        } = self;
        let word = kind.word();
        let oldest = DiskVersion::V1.format_of(*kind);
        write!(
            f,
            "it has {word} format version {found}, this release reads {oldest}"
        )?;
        if *newest > DiskVersion::V1 {
            write!(f, " to {}", newest.format_of(*kind))?;
        }
        f.write_str("; use the release that wrote it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Versioned; 3] = [
        Versioned::Segment,
        Versioned::Manifest,
        Versioned::Checkpoint,
    ];

    #[test]
    fn a_release_reads_its_own_formats_and_those_before_and_no_other() {
        for kind in KINDS {
            for version in DiskVersion::ALL {
                for newest in DiskVersion::ALL {
                    let read = DiskVersion::of_format(kind, version.format_of(kind), newest);
                    assert_eq!(read.ok(), (version <= newest).then_some(version));
                }
            }
            DiskVersion::of_format(kind, 0, DiskVersion::V2).unwrap_err();
            DiskVersion::of_format(kind, 9, DiskVersion::V2).unwrap_err();
        }
    }

    #[test]
    fn a_refusal_says_what_was_found_and_what_is_read() {
        let said = |newest| {
            let refused = DiskVersion::of_format(Versioned::Checkpoint, 9, newest);
            refused.unwrap_err().to_string()
        };
        assert_eq!(
            said(DiskVersion::V1),
            "it has checkpoint format version 9, this release reads 2; use the release that wrote it"
        );
        assert!(said(DiskVersion::V2).contains("this release reads 2 to 3;"));
    }
}
