//! The segment log (interface; see the types).
mod types;

use std::sync::Arc;

use bytes::Bytes;
use shoal_types::{BodyRef, HostId, ViewNumber};

pub use types::*;

use crate::Disk;

/// The log's front end, for one thread. Lays out and assigns addresses; does no I/O after `open`.
#[derive(Debug)]
pub struct Log {}

impl Log {
    /// Opens or makes the log in `disk`. What the scan yields is durable.
    ///
    /// # Errors
    /// Corruption, a foreign file, or I/O.
    pub fn open(_disk: Arc<dyn Disk>, _options: LogOptions) -> Result<(Self, Scan), LogError> {
        unimplemented!()
    }
    /// Adds a record. It can be read at once and is durable once a `complete` covers it.
    pub fn append(&mut self, _kind: u8, _tag: Tag, _chunks: &[Bytes]) -> Appended {
        unimplemented!()
    }
    /// The next block to be written; `None` if there is nothing or a batch is still out. After a failed write: `None` for ever.
    pub fn take_batch(&mut self) -> Option<Batch> {
        unimplemented!()
    }
    /// Takes back a written batch; everything up to the answer is durable.
    pub fn complete(&mut self, _done: BatchDone) -> Lsn {
        unimplemented!()
    }
    /// Reads, from any thread.
    pub fn reader(&self) -> LogReader {
        unimplemented!()
    }
    /// The number of the next record.
    pub fn next_lsn(&self) -> Lsn {
        unimplemented!()
    }
    /// Everything up to here is durable.
    pub fn durable(&self) -> Lsn {
        unimplemented!()
    }
    /// Bytes appended and not yet durable; the driver bounds it.
    pub fn unsynced_bytes(&self) -> u64 {
        unimplemented!()
    }
    /// All segments, oldest first.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        unimplemented!()
    }
    /// Lets closed segments go, in any order: at once unreadable; run the job to free the space.
    pub fn remove_segments(&mut self, _numbers: &[u32]) -> Removal {
        unimplemented!()
    }
    /// Background work, if there is some: filling a spare segment with zeros, writing index files. One job at a time.
    pub fn upkeep(&mut self) -> Option<Upkeep> {
        unimplemented!()
    }
    /// Bytes of all segments (spares not counted; the open one as far as it is filled).
    pub fn bytes_used(&self) -> u64 {
        unimplemented!()
    }
    /// Fill level in percent: the larger of the volume's and of `bytes_used` in `log_bytes_max`.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn level_percent(&self) -> Result<u8, LogError> {
        unimplemented!()
    }
    /// The first failed write or sync. It is final.
    pub fn failure(&self) -> Option<LogError> {
        unimplemented!()
    }
}

/// One block on its way to disk.
#[derive(Debug)]
pub struct Batch {}

impl Batch {
    /// Writes and syncs; blocks.
    ///
    /// # Errors
    /// Final: the process must end.
    pub fn write(self) -> Result<BatchDone, LogError> {
        unimplemented!()
    }
}

/// Proof that a batch is durable.
#[derive(Debug)]
#[must_use]
pub struct BatchDone {}

/// Reads records wherever they are: on disk, on their way, or still being gathered.
#[derive(Clone, Debug)]
pub struct LogReader {}

impl LogReader {
    /// `len` bytes from `at`. The caller checks the body's own checksum.
    ///
    /// # Errors
    /// Removed segment, out of range, I/O.
    pub fn body(&self, _at: BodyRef, _len: u32) -> Result<Bytes, ReadError> {
        unimplemented!()
    }
    /// Payloads of entries `from..=to` of a lane, in order: as many as fit in `max_bytes`, at least one.
    ///
    /// # Errors
    /// `NotFound` if `from` is not there; damaged records; I/O.
    pub fn entries(
        &self,
        _view: ViewNumber,
        _lane: HostId,
        _from: u64,
        _to: u64,
        _max_bytes: usize,
    ) -> Result<Vec<Bytes>, ReadError> {
        unimplemented!()
    }
}

/// The records from `replay_from` on, in order. Ends at the first error.
#[derive(Debug)]
pub struct Scan {}

impl Scan {
    /// What was left out at the very end, if anything.
    pub fn torn_tail(&self) -> Option<&TornTail> {
        unimplemented!()
    }
}

impl Iterator for Scan {
    type Item = Result<LogRecord, LogError>;
    fn next(&mut self) -> Option<Self::Item> {
        unimplemented!()
    }
}

/// Frees the space of removed segments.
#[derive(Debug)]
#[must_use]
pub struct Removal {}

impl Removal {
    /// Blocks. The removal is durable afterwards.
    ///
    /// # Errors
    /// I/O; the log itself can go on.
    pub fn run(self) -> Result<(), LogError> {
        unimplemented!()
    }
}

/// Background work of the log.
#[derive(Debug)]
#[must_use]
pub struct Upkeep {}

impl Upkeep {
    /// Blocks. The log can go on without it (slower commits and starts).
    ///
    /// # Errors
    /// I/O, a full disk.
    pub fn run(self) -> Result<(), LogError> {
        unimplemented!()
    }
}

/// A good mixing of 64 bits (the finisher of splitmix64).
pub(crate) fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}
