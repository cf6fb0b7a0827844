//! The segment log: everything that a host must remember, in the order in which it happened.
//!
//! ```text
//!   append ─▶ open block ─▶ closed blocks ─▶ Batch::write ─▶ complete
//!             (gathers)      (in order)       (one at a time)
//! ```
//! Records get their number and address at [`Log::append`] and can be read from then on. They become
//! durable in blocks: while one block is written and synced, the next one gathers (group commit), so
//! a slow disk makes for larger blocks and a fast one for short waits, without a timer. A block is
//! handed out only after the one before it is durable; recovery is built on that.
//!
//! The front end [`Log`] belongs to one thread and does no I/O once it is open. All I/O happens in
//! jobs that can be carried to any thread: [`Batch`], [`Upkeep`], [`Removal`]; and in [`LogReader`].
//!
//! - `format`: the bytes on disk; `block`, `batch`: how they get there;
//! - `walk`, `recovery`, `scan`, `verify`: how they are found again, and what is damage; `newer`: what
//!   is of a later release;
//! - `lanes`, `index_file`, `reader`: finding entries;
//! - `segment`, `spares`, `manifest`, `removal`, `upkeep`: the files.

mod batch;
mod block;
mod format;
mod index_file;
mod lanes;
mod manifest;
mod newer;
mod reader;
mod recovery;
mod removal;
mod scan;
mod segment;
mod spares;
mod types;
mod upkeep;
mod verify;
mod walk;

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use bytes::{Bytes, BytesMut};

pub use batch::{Batch, BatchDone};
pub(crate) use newer::newer_file;
pub use reader::LogReader;
pub use removal::Removal;
pub use scan::Scan;
pub use types::{
    Address, Appended, LaneSpan, LogError, LogOptions, LogRecord, Lsn, ReadError, SegmentDamage,
    SegmentInfo, Tag, TornTail,
};
pub use upkeep::Upkeep;
pub use verify::Verified;

use crate::limits::{
    LEVEL_WITHOUT_RESERVE, PAGE, RECORD_BYTES_MAX, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN,
};
use crate::{Disk, DiskVersion};
use block::{Block, SegmentStart};
use format::{BLOCK_HEADER, Chain, Checksum, RECORD_HEADER, RecordHeader, SegmentHeader, page_up};
use segment::Shared;

/// The log's front end, for one thread.
#[derive(Debug)]
pub struct Log {
    shared: Arc<Shared>,
    /// The segment that records are laid out in; none before the first record of this life.
    current: Option<Current>,
    /// The number of the newest segment, laid out or found.
    newest: u32,
    /// Segments before this one are closed and durable.
    newest_durable: u32,
    /// How the next segment and manifest are written.
    version: DiskVersion,
    /// Closed segments below this number have their index file, or it was tried.
    indexed_below: u32,
    next_lsn: Lsn,
    chain: Chain,
    durable: Lsn,
    /// The first record of the block that is being written.
    out: Option<Lsn>,
    buffer: BytesMut,
    appended_bytes: u64,
    synced_bytes: u64,
    upkeep: Weak<()>,
}

/// Where the next record goes.
#[derive(Clone, Copy, Debug)]
struct Current {
    start: SegmentStart,
    checksum: Checksum,
    /// Where the next block starts.
    at: u32,
}

impl Log {
    /// Opens the log in `disk`, or begins one in an empty folder. Whatever the scan yields is durable.
    ///
    /// # Errors
    /// If what was durable and is to be replayed is damaged or missing (what is not replayed is told by
    /// [`Scan::damage`]), if a file is of another host or format, or if the
    /// disk fails. Nothing is changed on disk then.
    ///
    /// # Panics
    /// If the segment size in `options` is out of range.
    pub fn open(disk: Arc<dyn Disk>, options: LogOptions) -> Result<(Self, Scan), LogError> {
        let size = options.segment_bytes;
        assert!(
            (SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&size) && size.is_multiple_of(PAGE),
            "segments of {size} bytes"
        );
        let found = recovery::recover(&*disk, &options)?;
        let shared = Shared::new(disk, options, found.segments, found.spares, found.manifest);
        let shared = Arc::new(shared);
        let scan = Scan::new(&shared, found.torn_tail, found.damage);
        let log = Self {
            shared,
            current: None,
            newest: found.newest,
            newest_durable: found.newest,
            version: DiskVersion::default(),
            indexed_below: 0,
            next_lsn: found.next_lsn,
            chain: found.chain,
            durable: Lsn(found.next_lsn.0 - 1),
            out: None,
            buffer: BytesMut::new(),
            appended_bytes: 0,
            synced_bytes: 0,
            upkeep: Weak::new(),
        };
        Ok((log, scan))
    }

    /// From now on segments are begun, and manifests written, in the formats of this version; before it
    /// was said, in those of the oldest. The segment that is being filled stays as it is.
    ///
    /// # Panics
    /// If it is newer than what [`LogOptions::newest`] says is read.
    pub fn set_version(&mut self, version: DiskVersion) {
        let newest = self.shared.options.newest;
        assert!(version <= newest, "version {version} is not read back");
        self.version = version;
    }

    /// Adds a record whose payload is the chunks one after the other. It can be read at once, and is
    /// durable once [`Log::complete`] answers with its number or a later one. `kind` and `tag` mean
    /// nothing to the log, except that entries can be found by their tag.
    ///
    /// Never waits and never refuses: the caller bounds [`Log::unsynced_bytes`].
    ///
    /// # Panics
    /// If the payload is over [`RECORD_BYTES_MAX`].
    pub fn append(&mut self, kind: u8, tag: Tag, chunks: &[Bytes]) -> Appended {
        let len: usize = chunks.iter().map(Bytes::len).sum();
        assert!(
            len <= RECORD_BYTES_MAX as usize,
            "a record of {len} bytes is over the limit"
        );
        let checksum = self.make_room(len as u32);
        let lsn = self.next_lsn;
        // Not under the lock: large payloads take a while.
        let header = RecordHeader::encode(lsn, kind, tag, chunks, checksum);
        let mut memory = self.shared.memory();
        let block = memory.open.as_mut().expect("room was made in it");
        let at = block.push(header, tag, chunks, &mut self.buffer);
        self.chain = block.chain_after;
        drop(memory);
        self.next_lsn = lsn.next();
        self.appended_bytes += u64::from(RECORD_HEADER) + len as u64;
        Appended { lsn, at }
    }

    /// Sees to it that the open block takes a record of this length.
    fn make_room(&mut self, len: u32) -> Checksum {
        let mut memory = self.shared.memory();
        if let (Some(block), Some(current)) = (&memory.open, &mut self.current) {
            if block.has_room(len, current.start.bytes) {
                return current.checksum;
            }
            current.at = block.end();
            memory.close();
        }
        let block_bytes = BLOCK_HEADER + RECORD_HEADER + len;
        let fits = |current: &Current| current.at + block_bytes <= current.start.bytes;
        let current = match self.current.filter(fits) {
            Some(current) => current,
            None => {
                self.newest += 1;
                self.lay_out_segment(PAGE + page_up(block_bytes))
            }
        };
        self.current = Some(current);
        let block = Block::new(current.start, current.at, self.next_lsn, self.chain);
        memory.open = Some(block);
        current.checksum
    }

    /// The newest segment, large enough for at least so many bytes.
    fn lay_out_segment(&self, needed: u32) -> Current {
        let salt = self.shared.salt(self.newest);
        let bytes = self.shared.options.segment_bytes.max(needed);
        let header = SegmentHeader {
            version: self.version,
            number: self.newest,
            salt,
            owner: self.shared.options.owner,
            first_lsn: self.next_lsn,
            chain: self.chain,
            file_bytes: (self.version > DiskVersion::V1).then_some(bytes),
        };
        Current {
            start: SegmentStart { header, bytes },
            checksum: Checksum::new(&header),
            at: PAGE,
        }
    }

    /// The next block to be written: all that was appended since the last one, up to a few MiB.
    /// `None` if there is nothing, or while a batch is out; after a failed write, for ever.
    #[must_use]
    pub fn take_batch(&mut self) -> Option<Batch> {
        if self.out.is_some() {
            return None;
        }
        let mut memory = self.shared.memory();
        if memory.closed.is_empty() {
            if let (Some(block), Some(current)) = (&memory.open, &mut self.current) {
                current.at = block.end();
            }
            memory.close();
        }
        let block = Arc::clone(memory.closed.front()?);
        drop(memory);
        self.out = Some(block.first_lsn);
        Some(Batch {
            shared: Arc::clone(&self.shared),
            block,
        })
    }

    /// Takes back a written batch. Everything up to and with the answer is durable.
    ///
    /// # Panics
    /// If it is not the batch that was handed out last.
    pub fn complete(&mut self, done: BatchDone) -> Lsn {
        assert_eq!(self.out.take(), Some(done.first_lsn), "one batch at a time");
        let block = self.shared.memory().closed.pop_front();
        let block = block.expect("a block that is out is in memory");
        let headers = u64::from(RECORD_HEADER) * block.records.len() as u64;
        let payloads: u64 = block
            .records
            .iter()
            .map(|record| u64::from(record.len))
            .sum();
        self.synced_bytes += headers + payloads;
        self.newest_durable = block.segment;
        self.durable = Lsn(block.next_lsn().0 - 1);
        self.durable
    }

    /// True while a batch is out.
    #[must_use]
    pub fn writing(&self) -> bool {
        self.out.is_some()
    }

    /// Reads from any thread.
    #[must_use]
    pub fn reader(&self) -> LogReader {
        LogReader {
            shared: Arc::clone(&self.shared),
        }
    }

    /// The number that the next record gets.
    #[must_use]
    pub fn next_lsn(&self) -> Lsn {
        self.next_lsn
    }

    /// The newest record, 0 if there never was one.
    #[must_use]
    pub fn last_lsn(&self) -> Lsn {
        Lsn(self.next_lsn.0 - 1)
    }

    /// Everything up to here is durable.
    #[must_use]
    pub fn durable_lsn(&self) -> Lsn {
        self.durable
    }

    /// The oldest record that is still there; the next one if there is none.
    #[must_use]
    pub fn first_lsn(&self) -> Lsn {
        let oldest = self.shared.oldest_segment();
        oldest.map_or(Lsn(self.durable.0 + 1), |oldest| oldest.header.first_lsn)
    }

    /// Bytes appended in this life, record headers included.
    #[must_use]
    pub fn appended_bytes(&self) -> u64 {
        self.appended_bytes
    }

    /// Bytes of a segment, unless one record is larger.
    #[must_use]
    pub fn segment_bytes(&self) -> u32 {
        self.shared.options.segment_bytes
    }

    /// Bytes appended and not durable yet. All of them are in memory.
    #[must_use]
    pub fn unsynced_bytes(&self) -> u64 {
        self.appended_bytes - self.synced_bytes
    }

    /// All segments with a file, oldest first.
    #[must_use]
    pub fn segments(&self) -> Vec<SegmentInfo> {
        let info = |segment: &Arc<segment::Segment>| {
            let contents = segment.contents();
            SegmentInfo {
                version: segment.header.version,
                number: segment.header.number,
                first_lsn: segment.header.first_lsn,
                last_lsn: Lsn(contents.end.next_lsn.0 - 1),
                bytes: segment.file_bytes,
                closed: segment.header.number < self.newest_durable,
                lanes: contents.lanes.spans(),
            }
        };
        self.shared.segments().iter().map(info).collect()
    }

    /// Closed segments without a sound index file beside them.
    #[must_use]
    pub fn unindexed(&self) -> Vec<u32> {
        let closed = self.shared.segments_in(0..self.newest_durable);
        let unindexed = closed.iter().filter(|segment| !segment.contents().indexed);
        unindexed.map(|segment| segment.header.number).collect()
    }

    /// The first closed segment from this number on.
    #[must_use]
    pub fn next_closed(&self, from: u32) -> Option<u32> {
        self.shared.first_in(from..self.newest_durable)
    }

    /// Lets closed segments go, in any order. They cannot be read from now on; the job frees their
    /// space. A checkpoint that covers all of their records must be durable and read back.
    ///
    /// # Panics
    /// If one of them is not closed, or is not there.
    pub fn remove_segments(&mut self, numbers: &[u32]) -> Removal {
        let newest_durable = self.newest_durable;
        let remove = |number: &u32| {
            assert!(*number < newest_durable, "segment {number} is not closed");
            let segment = self.shared.forget_segment(*number);
            segment.unwrap_or_else(|| panic!("there is no segment {number}"))
        };
        let removed: Vec<_> = numbers.iter().map(remove).collect();
        let closed = self.shared.segments().into_iter();
        let closed = closed.filter(|segment| segment.header.number < newest_durable);
        let ends: BTreeMap<_, _> = closed.map(|s| (s.header.number, s.end())).collect();
        Removal {
            shared: Arc::clone(&self.shared),
            version: self.version,
            removed,
            ends,
        }
    }

    /// Gives up a free segment, so that a full disk has room for a checkpoint: the job removes its file.
    /// Until [`Log::take_back_reserve`] none is made in its place, and the disk counts as full. `None` if
    /// one is lent already, or the log needs those that there are.
    #[must_use]
    pub fn lend_reserve(&mut self) -> Option<Upkeep> {
        let spare = self.shared.spares().lend()?;
        Some(Upkeep {
            shared: Arc::clone(&self.shared),
            unindexed: Vec::new(),
            make_spare: false,
            give_up: Some(spare),
            _token: Arc::new(()),
        })
    }

    /// The reserve is made again once there is room.
    pub fn take_back_reserve(&mut self) {
        self.shared.spares().give_back();
    }

    /// Background work, if there is some and none is under way. Ask after each completed batch.
    #[must_use]
    pub fn upkeep(&mut self) -> Option<Upkeep> {
        if self.upkeep.upgrade().is_some() {
            return None;
        }
        let make_spare = {
            let spares = self.shared.spares();
            spares.are_few() && !spares.given_up
        };
        let mut unindexed = self
            .shared
            .segments_in(self.indexed_below..self.newest_durable);
        unindexed.retain(|segment| !segment.contents().indexed);
        if unindexed.is_empty() {
            // Asked after every batch: what is done once is not looked at again.
            self.indexed_below = self.newest_durable;
        }
        if !make_spare && unindexed.is_empty() {
            return None;
        }
        let token = Arc::new(());
        self.upkeep = Arc::downgrade(&token);
        Some(Upkeep {
            shared: Arc::clone(&self.shared),
            unindexed,
            make_spare,
            give_up: None,
            _token: token,
        })
    }

    /// Bytes of the log: closed segments with their whole file, the open one as far as it is filled,
    /// and what is still in memory. Spares do not count.
    #[must_use]
    pub fn bytes_used(&self) -> u64 {
        let bytes = |segment: &Arc<segment::Segment>| {
            if segment.header.number < self.newest_durable {
                segment.file_bytes
            } else {
                segment.end().offset.into()
            }
        };
        let on_disk: u64 = self.shared.segments().iter().map(bytes).sum();
        on_disk + self.unsynced_bytes()
    }

    /// How full the disk is for this log, in percent: the volume, or the share of `log_bytes_max` in
    /// use, whichever is more; and [`LEVEL_WITHOUT_RESERVE`] at least, if there is no room for the
    /// segment that is held in reserve. Whoever asks now and then lets that be tried again.
    ///
    /// # Errors
    /// If the system does not say how full the volume is.
    pub fn level_percent(&self) -> Result<u8, LogError> {
        let disk = &self.shared.disk;
        let volume = disk.used_percent();
        let volume = volume.map_err(|e| self.shared.io(".", "measuring the volume", e))?;
        let quota = self.shared.options.log_bytes_max;
        let share = |most: u64| crate::disk::percent(self.bytes_used().into(), most.into());
        let mut spares = self.shared.spares();
        spares.given_up = false;
        let reserve = if spares.are_short() {
            LEVEL_WITHOUT_RESERVE
        } else {
            0
        };
        Ok(quota.map_or(0, share).max(volume).max(reserve))
    }

    /// The failed write or sync after which nothing is written any more.
    #[must_use]
    pub fn failure(&self) -> Option<LogError> {
        self.shared.failure().cloned()
    }
}

/// Mixes 64 bits well (the finisher of splitmix64).
pub(crate) fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}
