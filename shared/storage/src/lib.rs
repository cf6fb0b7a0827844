//! Durable state of one host: the segment log with group commit and the redb checkpoint, over one
//! [`Disk`] trait.
//!
//! Synchronous and free of any runtime: whoever drives decides on which thread a blocking call runs.
//! Nothing here reads a clock, and randomness comes in through options (the one exception is
//! [`DataFolder`], which draws a host's identity once from the operating system), so a simulator runs
//! this very code over [`MemDisk`] and [`FaultyDisk`].
//!
//! - [`log`]: what a host must remember, in the order in which it happened;
//! - [`checkpoint`]: the executed state, so that a restart replays only the end of the log;
//! - [`data_folder`], [`folder_lock`]: whose folder this is, and that one process has it;
//! - [`disk`]: the trait and its three implementations;
//! - [`disk_version`]: which formats all of these files have, and which release reads them.

pub mod checkpoint;
pub mod data_folder;
pub mod disk;
pub mod disk_version;
pub mod folder_lock;
pub mod limits;
pub mod log;
mod sealed;

pub use checkpoint::{
    CheckpointError, CheckpointOptions, Checkpoints, Commit, HeadOnly, Loaded, Rows, Staging,
};
pub use data_folder::{DataFolder, DataFolderError, random_u64};
pub use disk::volume_used_percent;
pub use disk::{
    Disk, DiskFile, Fault, Faults, FaultyDisk, Keep, MemDisk, Operation, OverlayDisk, RealDisk,
};
pub use disk_version::{DiskVersion, NewerFile};
pub use folder_lock::{FolderLock, LockError};
pub use log::{
    Address, Appended, Batch, BatchDone, LaneSpan, Log, LogError, LogOptions, LogReader, LogRecord,
    Lsn, ReadError, Removal, Scan, SegmentDamage, SegmentInfo, Tag, TornTail, Upkeep, Verified,
};
