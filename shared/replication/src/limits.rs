//! Every bound of replication, with its reason.

use std::time::Duration;

/// Bytes of one entry's payload: a full send batch (4 MiB of bodies) with its heads and some small
/// commands beside it, and an entry with its head fits a frame of 8 MiB.
pub const ENTRY_BYTES_MAX: usize = 6 << 20;
/// Bytes of payload in one answer to a fetch, unless a single entry is larger: enough to keep a link
/// busy over a round trip, small enough not to delay a heartbeat behind it (2 MiB take 2 ms at
/// 10 Gbit/s).
pub const ENTRIES_BYTES_MAX: usize = 2 << 20;
/// Entries in one answer to a fetch: bounds the head of the frame (about 40 bytes each).
pub const ENTRIES_COUNT_MAX: usize = 4096;
/// Messages in one frame: a driver's turn has at most a few hundred inputs.
pub const MESSAGES_PER_FRAME_MAX: usize = 4096;
/// Own entries that wait for execution. Group commit keeps this at a few; hundreds mean that the
/// cluster does not keep up or is about to change its view.
pub const UNEXECUTED_ENTRIES_MAX: u64 = 1024;
/// Bytes of own entries that wait for execution: at 1 GB/s of disk this is 64 ms of work.
pub const UNEXECUTED_BYTES_MAX: usize = 64 << 20;
/// Bytes of one lane's entries that wait for execution here: twice what its host may have waiting
/// there. A host beyond this cannot execute what others can (it does not hear one of them); it takes no
/// more of the lane and fetches it later.
pub const LANE_UNEXECUTED_BYTES_MAX: usize = 2 * UNEXECUTED_BYTES_MAX;
/// Bytes of executed entries of one lane that stay in memory for peers that have not acknowledged
/// them; what is older is read from the log. With five members at most 160 MiB.
pub const LANE_MEMORY_BYTES_MAX: usize = 32 << 20;
/// Bytes written and not yet synced at which a host asks to be sealed out: its disk does not keep up.
pub const UNSYNCED_BYTES_MAX: usize = 64 << 20;
/// Bytes written and not yet synced at which a host takes no more entries until its disk gets on.
pub const UNSYNCED_BYTES_REFUSED: usize = 2 * UNSYNCED_BYTES_MAX;
/// Sealed entries that a host may lack and still become a writer of the next view: it must fetch
/// them before it acts, and until then the others wait for its clock.
pub const JOIN_LAG_ENTRIES: u64 = 64;
/// Entries of the current view that a newcomer may lack when a member starts the change that makes it
/// one: what three busy writers append within a few heartbeats, since it shows by heartbeats how far it
/// is. It fetches them in one or two answers.
pub const NEWCOMER_LAG_ENTRIES: u64 = 1024;
/// Views kept beside those that a member may ask for, so that a newcomer can follow from the beginning
/// as long as the logs reach back. At about 150 bytes each they add 40 KB to a checkpoint.
pub const PAST_VIEWS_MAX: usize = 256;
/// Removed hosts that are told so when they come back: as many as replacing the largest cluster host by
/// host leaves behind. Older ones are the manager's to tell.
pub const PARTED_MAX: usize = 5;
/// Samples over which "recent" is taken for gaps between heartbeats and for syncs: 20 s of heartbeats.
pub const RECENT_SAMPLES: u32 = 1000;
/// Least time between two `Install`s sent to a peer that speaks of an old view.
pub const HINT_INTERVAL: Duration = Duration::from_millis(20);
