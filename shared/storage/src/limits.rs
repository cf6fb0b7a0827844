//! The bounds of this crate, each with its reason.

/// The unit in which a disk loses or keeps unsynced data, and to which blocks are padded, so that an
/// acknowledged record never shares such a unit with a later write.
pub const PAGE: u32 = 4096;

/// Payload of one record: twice what fits in a frame between processes, so nothing that a host could
/// send or receive is too large to be stored. Checked before anything is allocated for a record.
pub const RECORD_BYTES_MAX: u32 = 16 << 20;

/// A block takes no further record beyond this size. It bounds one write and sync (4 MiB take about
/// 10 ms), hence the wait of the next batch, and what a scan holds in memory: this plus one record.
pub const BLOCK_BYTES_MAX: u32 = 4 << 20;

/// Smallest segment: room for its header and a block.
pub const SEGMENT_BYTES_MIN: u32 = 4 * PAGE;
/// Largest segment: offsets are 32 bits.
pub const SEGMENT_BYTES_MAX: u32 = 1 << 30;
/// Segment size unless configured: at 100 MB/s one change of segment in 0.6 s.
pub const SEGMENT_BYTES: u32 = 64 << 20;

/// Free segments kept: those that are made ahead.
pub const SPARES_MAX: usize = SPARES_READY;
/// Free segments that are made ahead: the next one; one in reserve, so that a disk that is full still
/// takes a whole segment of acknowledgements, moved bodies and view changes, which free space; and one
/// whose room is lent to the checkpoint that lets that space go.
pub const SPARES_READY: usize = 3;
/// Percent that a disk counts as full at least while it has no room for the reserve: neither sends nor
/// receives are taken by any host of the cluster then.
pub const LEVEL_WITHOUT_RESERVE: u8 = 95;

/// Distance between the entries of a segment's lane index. Reading an entry walks at most this much
/// of the log to find it; a segment of 64 MiB has at most 512 points for each lane (8 KiB).
pub const INDEX_STEP: u32 = 128 << 10;
/// Bytes of a segment's index file that are read back; one that claims more is made again. The
/// largest real one: 65,536 lanes in one segment.
pub const INDEX_FILE_BYTES_MAX: u64 = 8 << 20;
/// Bytes of the manifest: 8 million segments.
pub const MANIFEST_BYTES_MAX: u64 = 128 << 20;

/// How much a scan reads at once.
pub const READ_AHEAD: u32 = 1 << 20;

/// Chunks below this size are copied into the block (their buffers are let go); larger ones are
/// written from where they are.
pub const COPY_BELOW: usize = 4 << 10;
/// Size of the buffer into which small chunks are copied.
pub const COPY_BUFFER: usize = 64 << 10;
/// Parts of one gathering write (IOV_MAX of Linux).
pub const WRITE_PARTS_MAX: usize = 1024;

/// Memory that redb may use for pages unless configured.
pub const CHECKPOINT_CACHE_BYTES: usize = 32 << 20;
/// The checkpoint's file claims room in pieces of this size: few calls, and little that is not used.
pub const CHECKPOINT_CLAIM_BYTES: u64 = 256 << 10;
/// Bytes of rows of a checkpoint that is being staged which share a transaction: each costs two syncs,
/// and that much is held in memory meanwhile.
pub const STAGED_BYTES_PER_COMMIT: usize = 4 << 20;
/// Bytes of `checkpoint.head`: the driver's part is views and members, some KiB.
pub const HEAD_BYTES_MAX: u64 = 1 << 20;
/// Bytes of the lock and identity files that are read.
pub const SMALL_FILE_BYTES_MAX: u64 = 4 << 10;
/// Characters of the holder's command line kept in the lock file.
pub const COMMAND_CHARS_MAX: usize = 1_000;
