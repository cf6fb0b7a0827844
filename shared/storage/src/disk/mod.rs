//! The one narrow door to storage. Log and checkpoints see a [`Disk`]: a flat folder of named files.
//!
//! What a `Disk` promises, and what the rest of the crate is allowed to rely on:
//! - bytes written are read back by later reads at once, but survive a crash only after a successful
//!   [`DiskFile::sync_data`] (which covers the file's length too);
//! - created, renamed and removed names survive a crash only after [`Disk::sync_folder`]; those that
//!   were not synced survive as a prefix of the order in which they were done;
//! - without a sync, each 4 KiB block of a file survives or is lost on its own.

mod faulty;
mod mem;
mod overlay;
mod real;

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

pub use faulty::{Fault, Faults, FaultyDisk, Operation};
pub use mem::{Keep, MemDisk};
pub use overlay::OverlayDisk;
pub(crate) use real::percent;
pub use real::{RealDisk, volume_used_percent};

/// A flat folder of files. Names hold no path separator.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Opens a file that exists, for reading and writing.
    ///
    /// # Errors
    /// `NotFound`, or whatever the system says.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Makes a new, empty file.
    ///
    /// # Errors
    /// `AlreadyExists`, or whatever the system says.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// The names of all files, in no particular order.
    ///
    /// # Errors
    /// Whatever the system says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Gives a file another name, replacing whatever had it. Atomic.
    ///
    /// # Errors
    /// Whatever the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file's name. Open handles go on working.
    ///
    /// # Errors
    /// Whatever the system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes creations, renames and removals durable.
    ///
    /// # Errors
    /// Whatever the system says; final, as for [`DiskFile::sync_data`].
    fn sync_folder(&self) -> io::Result<()>;

    /// How full the volume is, 0 to 100, rounded up.
    ///
    /// # Errors
    /// Whatever the system says.
    fn used_percent(&self) -> io::Result<u8>;

    /// The name under which people find this file, for error messages.
    fn display(&self, name: &str) -> String;
}

/// An open file. All offsets are in bytes from its start. Several threads may use one handle.
pub trait DiskFile: Debug + Send + Sync + 'static {
    /// Fills `out` from `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file ends before, or whatever the system says.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;

    /// Writes the parts one after the other from `offset`. The file grows if need be.
    ///
    /// # Errors
    /// Whatever the system says. Some of the bytes may have been written.
    fn write_at(&self, offset: u64, parts: &[&[u8]]) -> io::Result<()>;

    /// Makes the contents and the length durable.
    ///
    /// # Errors
    /// Whatever the system says. Final: pages that could not be written count as clean afterwards, so
    /// a second call may succeed with the data gone. Never call it again on this file.
    fn sync_data(&self) -> io::Result<()>;

    /// The file's length.
    ///
    /// # Errors
    /// Whatever the system says.
    fn len(&self) -> io::Result<u64>;

    /// True if the file has no bytes.
    ///
    /// # Errors
    /// As [`DiskFile::len`].
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts the file or lets it grow with zeros.
    ///
    /// # Errors
    /// Whatever the system says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Lets the file grow to `len` with zeros and claims the space, so that writing there cannot run
    /// out of it. Never shrinks.
    ///
    /// # Errors
    /// `StorageFull`, or whatever the system says.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Claims the space of a range within the file, so that writing there cannot run out of it.
    ///
    /// # Errors
    /// `StorageFull`, or whatever the system says.
    fn claim(&self, offset: u64, len: u64) -> io::Result<()>;

    /// Drops what the system remembers of the (synced) contents from `offset` on, so that the next
    /// read comes from the device. Best effort.
    fn forget_cached(&self, offset: u64);
}
