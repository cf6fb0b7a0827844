//! Bounds of the state machine alone. What other parts must know too stands in
//! [`shoal_types::limits`].

/// Slots of a chunk: 256 × 32 bytes are two pages; small enough that one changed message makes a
/// checkpoint write little, large enough that a chunk's own cost vanishes (0.7 bytes per message).
pub(crate) const CHUNK_SLOTS: u64 = 256;

/// Entries of a window's block. A block is stored, forgotten and copied as a whole, so the reasons
/// are those of [`CHUNK_SLOTS`].
pub(crate) const BLOCK_ENTRIES: usize = 256;

/// Due items that a receive does for its own partition, on top of one per message asked for, when
/// the entry's own share of due work was not enough: a receive costs at most twice what it gives.
pub(crate) const DUE_ITEMS_PER_RECEIVE: usize = 16;

/// Receives with an attempt key that a partition remembers at once, about 20 MB: as many as the
/// leases it may hold, and then some that ended early. At the bound such receives are refused.
pub(crate) const ATTEMPTS_MAX: usize = 200_000;

/// Blocks of remembered requests forgotten per entry: 1,024 requests, the reason is that of
/// [`shoal_types::limits::DUE_ITEMS_PER_ENTRY`].
pub(crate) const FORGOTTEN_BLOCKS_PER_ENTRY: usize = 4;

/// Pieces (a chunk of messages or a block of a window count as [`CHUNK_SLOTS`], an index entry as
/// one) of purged and deleted partitions freed per entry: about 0.2 ms.
pub(crate) const FREED_PIECES_PER_ENTRY: usize = 16_384;

/// Deleted partitions of which the revision is kept one by one, about 5 MB. Older ones share one
/// revision below which nothing is created any more.
pub(crate) const DELETED_PARTITIONS_MAX: usize = 65_536;

/// Ready messages looked at by one peek, so that one over many expired messages stays short.
pub(crate) const PEEK_SCAN_MAX: usize = 4_096;

/// A group with more ready messages than that is crowded, and lets others go first: more than a receive
/// of SQS takes at once, so more than its tenant's consumers are about to see to.
pub(crate) const CROWDED_ABOVE: u32 = 10;

/// Of those that a crowded group would come before, one in so many waits for it: enough that it never
/// stops, and so few that the others lose a tenth at most.
pub(crate) const CROWDED_TURNS: u64 = 10;

/// Groups in one run of a line: a run is searched and moved within as a whole, 8 KB, and its own cost
/// is nothing beside that of its groups.
pub(crate) const LINE_RUN: usize = 256;
