//! Segments in waiting: files of full size, filled with zeros ahead or used before, so that a change
//! of segment costs a rename and writing into one changes neither its size nor its extents.

use std::io;
use std::sync::Arc;

use crate::limits::{SPARES_MAX, SPARES_READY};
use crate::{Disk, DiskFile};

/// How much of a new spare is written and synced at once: a commit that comes in between waits for
/// this much, not for the whole file.
const FILL_STEP: usize = 1 << 20;

/// The spares of an open log.
#[derive(Debug)]
pub(super) struct Spares {
    ready: Vec<Spare>,
    next: u64,
    /// No room for another; not tried again until something changes.
    pub given_up: bool,
    /// The last attempt to make one found no room, and none has come since.
    no_room: bool,
    /// The room of one is lent to something else.
    lent: bool,
}

/// A file that may become a segment.
#[derive(Debug)]
pub(super) struct Spare {
    pub name: String,
    pub file: Arc<dyn DiskFile>,
    pub bytes: u64,
}

impl Spares {
    /// None, and names not used by these numbers.
    pub(super) fn after(used: impl Iterator<Item = u64>) -> Self {
        Self {
            ready: Vec::new(),
            next: used.max().map_or(1, |n| n + 1),
            given_up: false,
            no_room: false,
            lent: false,
        }
    }

    /// True if fewer are ready than there should be.
    pub(super) fn are_few(&self) -> bool {
        self.ready.len() + usize::from(self.lent) < SPARES_READY
    }

    /// One whose room may be used for something else until it is given back; never the last one.
    pub(super) fn lend(&mut self) -> Option<Spare> {
        if self.lent || self.ready.len() < 2 {
            return None;
        }
        self.lent = true;
        self.ready.pop()
    }

    /// What was lent may be made again.
    pub(super) fn give_back(&mut self) {
        self.lent = false;
    }

    /// There is no room to make another.
    pub(super) fn give_up(&mut self) {
        self.given_up = true;
        self.no_room = true;
    }

    /// True if what is ready is all that there will be until something is freed.
    pub(super) fn are_short(&self) -> bool {
        self.lent || self.no_room && self.are_few()
    }

    pub(super) fn is_full(&self) -> bool {
        self.ready.len() >= SPARES_MAX
    }

    pub(super) fn add(&mut self, spare: Spare) {
        self.ready.push(spare);
        self.given_up = false;
        self.no_room = false;
    }

    /// Takes one of exactly this size.
    pub(super) fn take(&mut self, bytes: u64) -> Option<Spare> {
        let found = self.ready.iter().position(|spare| spare.bytes == bytes)?;
        Some(self.ready.swap_remove(found))
    }

    /// A file name that no spare had before.
    pub(super) fn new_name(&mut self) -> String {
        self.next += 1;
        format!("spare-{}", self.next - 1)
    }
}

impl Spare {
    /// Makes one, filled with zeros. Leaves nothing behind if that fails.
    pub(super) fn make(disk: &dyn Disk, name: String, bytes: u64) -> io::Result<Self> {
        let file = disk.create(&name)?;
        // All of the room is claimed first: a disk that does not have it says so at once.
        match file.allocate(bytes).and_then(|()| fill(&*file, bytes)) {
            Ok(()) => Ok(Self { name, file, bytes }),
            Err(error) => {
                // The error that counts is the first one.
                let _ = disk.remove(&name);
                Err(error)
            }
        }
    }
}

fn fill(file: &dyn DiskFile, bytes: u64) -> io::Result<()> {
    let zeros = vec![0; FILL_STEP.min(bytes as usize)];
    let mut at = 0;
    while at < bytes {
        let step = (bytes - at).min(zeros.len() as u64);
        file.write_at(at, &[&zeros[..step as usize]])?;
        file.sync_data()?;
        at += step;
    }
    Ok(())
}
