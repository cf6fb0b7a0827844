//! The words of the log's interface.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use shoal_types::{BodyRef, HostId, ViewNumber};

use crate::{DiskVersion, limits};

/// Log sequence number: counts the records of one host's log from 1, without a gap. 0 is before all.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Lsn(pub u64);

impl Lsn {
    /// The first record's.
    pub const FIRST: Self = Self(1);

    /// The one after this.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a record can be found by: the entry `index` of a lane. All zero: not an entry, and not found
/// by [`super::LogReader::entries`].
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Tag {
    /// The entry's view.
    pub view: ViewNumber,
    /// The host whose lane it stands in.
    pub lane: HostId,
    /// Its place in the lane, from 1.
    pub index: u64,
}

impl Tag {
    /// Of a record that is no entry.
    pub const NONE: Self = Self {
        view: ViewNumber(0),
        lane: HostId(0),
        index: 0,
    };

    /// True for entries.
    #[must_use]
    pub fn is_entry(self) -> bool {
        self.index != 0
    }
}

/// Where a record's payload lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Address {
    /// The segment's number.
    pub segment: u32,
    /// Bytes from the start of the segment's file to the payload's first byte.
    pub offset: u32,
}

impl Address {
    /// The place of something `offset` bytes into the payload.
    ///
    /// # Panics
    /// If it lies beyond what a segment can hold, so not in the payload.
    #[must_use]
    pub fn body(self, offset: usize) -> BodyRef {
        let within = u32::try_from(offset).ok();
        BodyRef {
            segment: self.segment,
            offset: within
                .and_then(|within| self.offset.checked_add(within))
                .expect("a body lies within its record"),
        }
    }
}

/// What [`super::Log::append`] settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The record's number.
    pub lsn: Lsn,
    /// Where its payload will lie, and can be read from at once.
    pub at: Address,
}

/// A record as a scan finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Its number.
    pub lsn: Lsn,
    /// As appended.
    pub kind: u8,
    /// As appended.
    pub tag: Tag,
    /// Where the payload lies.
    pub at: Address,
    /// As appended, in one piece.
    pub payload: Bytes,
}

/// How a log is opened.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Whose log this is. Files of another host are refused.
    pub owner: HostId,
    /// Mixed into every checksum of the segments made in this life, so that nothing left over in a
    /// used file is mistaken for ours. Random, and different at every opening.
    pub salt_seed: u64,
    /// Size of a segment's file in bytes, a multiple of 4,096, within
    /// [`limits::SEGMENT_BYTES_MIN`] and [`limits::SEGMENT_BYTES_MAX`]. May differ from before. A
    /// record that does not fit gets a segment of its own size.
    pub segment_bytes: u32,
    /// Where the scan begins: the checkpoint's `replay_from`, else [`Lsn::FIRST`]. The log must still
    /// hold every record from here on.
    pub replay_from: Lsn,
    /// The newest version that is read; files of a newer one are refused.
    pub newest: DiskVersion,
    /// Bytes that the log should stay below; counts as a full disk in [`super::Log::level_percent`].
    pub log_bytes_max: Option<u64>,
}

impl LogOptions {
    /// Of this host, from the first record on, with default sizes.
    #[must_use]
    pub fn new(owner: HostId, salt_seed: u64) -> Self {
        Self {
            owner,
            salt_seed,
            segment_bytes: limits::SEGMENT_BYTES,
            replay_from: Lsn::FIRST,
            newest: DiskVersion::NEWEST,
            log_bytes_max: None,
        }
    }
}

/// An unfinished write that was found at the very end of the log and left out.
///
/// It was never acknowledged, or it was acknowledged and rotted since: a block that nothing follows
/// cannot tell. Whoever can (peers that remember what this host acknowledged) must be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The file. It keeps the torn bytes.
    pub file: String,
    /// Where the unfinished block starts.
    pub offset: u64,
    /// The first record that is not there.
    pub lsn: Lsn,
}

/// What is known of a segment, to decide whether it may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// How it is written.
    pub version: DiskVersion,
    /// Its number, as in [`BodyRef::segment`].
    pub number: u32,
    /// Its first record.
    pub first_lsn: Lsn,
    /// Its last record; before `first_lsn` if it has none.
    pub last_lsn: Lsn,
    /// What it takes on disk.
    pub bytes: u64,
    /// Nothing will be added, and all of it is durable: [`super::Log::remove_segments`] takes it.
    pub closed: bool,
    /// Which entries it holds, by view and lane.
    pub lanes: Vec<LaneSpan>,
}

/// The entries of one lane within a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneSpan {
    /// The lane's view.
    pub view: ViewNumber,
    /// The lane's host.
    pub lane: HostId,
    /// Smallest index.
    pub first: u64,
    /// Largest index.
    pub last: u64,
}

/// A closed segment that cannot be read in part or as a whole. The checkpoint covers all of it, so that
/// nothing is replayed from it: only bodies, and entries for peers, are lost with it here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentDamage {
    /// The segment's number.
    pub segment: u32,
    /// Its file.
    pub file: String,
    /// Bytes from the start of the file to the first place that is not sound.
    pub offset: u32,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for SegmentDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file, offset, what, ..
        } = self;
        write!(f, "{file} is damaged at offset {offset}: {what}")
    }
}

/// Why the log cannot go on. Cloneable, since it is final and asked for again.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    /// What was once durable is damaged or gone. Nothing was changed.
    #[error(
        "{file} is damaged at offset {offset}: {what}. Nothing was changed; restore the file, or replace this host (`shoal host replace`)"
    )]
    Corruption {
        /// The damaged file.
        file: String,
        /// Where in it.
        offset: u64,
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
    /// There is no room for another segment. Nothing was changed; the same may succeed later.
    #[error("{file}: there is no space for another segment")]
    NoSpace {
        /// The file.
        file: String,
    },
    /// A read, write or sync failed. Of a write or sync, this is final.
    #[error("{file}: {doing} failed: {source}")]
    Io {
        /// The file.
        file: String,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: Arc<io::Error>,
    },
}

impl LogError {
    /// True if the same may succeed later.
    #[must_use]
    pub fn may_succeed_later(&self) -> bool {
        matches!(self, Self::NoSpace { .. })
    }
}

/// Why something is not read from the log.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// The segment was removed (or never was).
    #[error("segment {segment} is no longer in the log")]
    Removed {
        /// The segment's number.
        segment: u32,
    },
    /// The log does not hold this entry.
    #[error("entry {index} of lane {lane} in view {view} is not in the log")]
    NotFound {
        /// The entry's view.
        view: ViewNumber,
        /// Its lane.
        lane: HostId,
        /// Its index.
        index: u64,
    },
    /// Nothing was ever written there.
    #[error("nothing lies at offset {offset} of segment {segment}")]
    OutOfRange {
        /// The segment's number.
        segment: u32,
        /// Bytes from the start of its file.
        offset: u32,
    },
    /// The file is damaged or cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
}
