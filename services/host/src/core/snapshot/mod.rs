//! Snapshots: a host whose missing entries are in no log any more gets the executed state from a peer,
//! with the bodies that are still needed, and then goes on from there like after any restart.
//!
//! It is pulled, chunk by chunk, from one peer at a time.
//!
//! ```text
//!  receiver                              sender
//!  ask 0      ──────────────────────▶    writes a checkpoint, keeps what it refers to
//!             ◀──────────────────────    0: header
//!  ask 1, 2 … ──────────────────────▶
//!             ◀──────────────────────    rows of the checkpoint, each followed by its bodies
//!  bodies into the log, rows staged      last: counts and a checksum over everything
//!  checks, syncs, installs, restarts
//! ```
//! - `wire`: what is said and how chunks are cut;
//! - `sending`, `reader`: the sender; `receiving`, `chunks`: the receiver;
//! - `jobs`: what both do on a thread that may wait for a disk.
//!
//! Nothing that is in force changes before everything was checked and is durable; the change itself is
//! one step of [`shoal_storage::Checkpoints::install`].

mod chunks;
mod jobs;
mod reader;
mod receiving;
mod sending;
mod wire;

use shoal_types::HostId;

pub use jobs::{SnapshotDone, SnapshotJob, SnapshotJobKind};
pub(super) use receiving::Receiving;
pub(super) use sending::Sending;

use crate::limits;

/// How snapshots are made, and how long a host is kept from needing one.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotPace {
    /// Bytes of log kept for a member that is behind. Beyond it is let behind: it needs a snapshot when
    /// it is back.
    pub catch_up_bytes: u64,
    /// Bytes of a chunk, but for what one row or body is larger.
    pub chunk_bytes: usize,
    /// Bytes that are sent in a second at most.
    pub bytes_per_second: u64,
}

impl Default for SnapshotPace {
    fn default() -> Self {
        Self {
            catch_up_bytes: limits::CATCH_UP_LOG_BYTES_MAX,
            chunk_bytes: limits::SNAPSHOT_CHUNK_BYTES,
            bytes_per_second: limits::SNAPSHOT_BYTES_PER_SECOND,
        }
    }
}

/// What became of snapshots, for logs and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotEvent {
    /// A peer is given a snapshot.
    SendingBegun {
        /// The peer.
        to: HostId,
    },
    /// A peer has been sent all of it.
    Sent {
        /// The peer.
        to: HostId,
        /// Bytes of all chunks.
        bytes: u64,
    },
    /// This host asks a peer for a snapshot.
    Asked {
        /// The peer.
        from: HostId,
        /// It is another one than was asked before.
        other: bool,
    },
    /// A chunk came damaged and is asked for again.
    ChunkRefused {
        /// Of which peer.
        from: HostId,
    },
    /// A chunk or the question for it was lost, and is asked for again.
    ChunkAskedAgain {
        /// Of which peer.
        from: HostId,
    },
    /// What was received so far is thrown away.
    Abandoned {
        /// Of which peer.
        from: HostId,
        /// For people.
        why: String,
    },
    /// All of it is here and sound, and is about to be installed.
    Verified {
        /// Of which peer.
        from: HostId,
        /// Bytes of all chunks.
        bytes: u64,
    },
    /// Nothing is kept for this member any more.
    LetBehind {
        /// The member.
        host: HostId,
    },
}

/// How far a snapshot has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotProgress {
    /// The peer that sends it.
    pub from: HostId,
    /// Bytes of bodies that are here.
    pub bytes: u64,
    /// Bytes of bodies of all messages in it.
    pub of: u64,
}
