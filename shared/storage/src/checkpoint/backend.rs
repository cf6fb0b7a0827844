//! redb's storage over a [`DiskFile`], and a watch on what goes through it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use crate::DiskFile;
use crate::limits::CHECKPOINT_CLAIM_BYTES;

/// The file as redb sees it.
#[derive(Debug)]
pub(super) struct Backend {
    watch: Arc<Watch>,
}

/// Remembers the first failure, and what a transaction wrote, to compare it with the device.
#[derive(Debug)]
pub(super) struct Watch {
    file: Arc<dyn DiskFile>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    failure: Option<Failure>,
    /// Pieces written since [`Watch::start`], not overlapping: offset, then length and CRC-32C.
    written: BTreeMap<u64, (usize, u32)>,
    /// Parts of the file whose room is claimed, each of [`CHECKPOINT_CLAIM_BYTES`].
    claimed: BTreeSet<u64>,
}

/// A failure of the disk.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub error: Arc<io::Error>,
    /// The disk was full when the file was to grow or be written; nothing that was there is touched.
    /// A failed sync never counts as that.
    pub out_of_space: bool,
}

impl Watch {
    pub(super) fn new(file: Arc<dyn DiskFile>) -> Self {
        Self {
            file,
            seen: Mutex::default(),
        }
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        self.seen().failure.clone()
    }

    /// The next reads come from the device.
    pub(super) fn forget_cached(&self) {
        self.file.forget_cached(0);
    }

    /// Forgets what was written before.
    pub(super) fn start(&self) {
        self.seen().written.clear();
    }

    /// Reads everything back that was written since the start. Answers where it differs.
    pub(super) fn compare(&self) -> io::Result<Option<u64>> {
        let written = std::mem::take(&mut self.seen().written);
        self.file.forget_cached(0);
        let mut bytes = Vec::new();
        for (offset, (len, crc)) in written {
            bytes.resize(len, 0);
            self.file.read_at(offset, &mut bytes)?;
            if crc32c::crc32c(&bytes) != crc {
                return Ok(Some(offset));
            }
        }
        Ok(None)
    }

    /// Claims the room of these bytes: a full disk shows here, not in a sync.
    fn claim(&self, offset: u64, len: usize) -> io::Result<()> {
        let last = (offset + len as u64).saturating_sub(1) / CHECKPOINT_CLAIM_BYTES;
        for part in offset / CHECKPOINT_CLAIM_BYTES..=last {
            if !self.seen().claimed.contains(&part) {
                let start = part * CHECKPOINT_CLAIM_BYTES;
                self.file.claim(start, CHECKPOINT_CLAIM_BYTES)?;
                self.seen().claimed.insert(part);
            }
        }
        Ok(())
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn noted<T>(&self, result: io::Result<T>, may_run_out: bool) -> io::Result<T> {
        result.map_err(|error| {
            let full = matches!(
                error.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            );
            let error = Arc::new(error);
            let again = io::Error::new(error.kind(), Arc::clone(&error));
            self.seen().failure.get_or_insert(Failure {
                error,
                out_of_space: full && may_run_out,
            });
            again
        })
    }
}

impl Seen {
    fn note_write(&mut self, offset: u64, data: &[u8]) {
        let end = offset + data.len() as u64;
        let before = self.written.range(..end).rev();
        let overlapping = before.take_while(|(at, (len, _))| *at + *len as u64 > offset);
        let overlapping: Vec<u64> = overlapping.map(|(at, _)| *at).collect();
        for at in overlapping {
            self.written.remove(&at);
        }
        self.written
            .insert(offset, (data.len(), crc32c::crc32c(data)));
    }
}

impl Backend {
    pub(super) fn new(watch: &Arc<Watch>) -> Self {
        Self {
            watch: Arc::clone(watch),
        }
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.watch.noted(self.watch.file.len(), false)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.watch
            .noted(self.watch.file.read_at(offset, out), false)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let file = &self.watch.file;
        // redb doubles the file; room is claimed for what is written, as it is.
        self.watch.noted(file.set_len(len), true)?;
        let mut seen = self.watch.seen();
        seen.written.split_off(&len);
        seen.claimed.split_off(&(len / CHECKPOINT_CLAIM_BYTES));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.watch.noted(self.watch.file.sync_data(), false)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let written = self.watch.claim(offset, data.len());
        let written = written.and_then(|()| self.watch.file.write_at(offset, &[data]));
        self.watch.noted(written, true)?;
        self.watch.seen().note_write(offset, data);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Disk, MemDisk};

    #[test]
    fn what_differs_from_what_was_written_is_found() {
        let disk = MemDisk::new();
        let watch = Arc::new(Watch::new(disk.create("f").unwrap()));
        let backend = Backend::new(&watch);
        backend.set_len(20_000).unwrap();
        backend.write(0, &[1; 100]).unwrap();
        watch.start();
        backend.write(4_096, &[2; 4_096]).unwrap();
        backend.write(8_192, &[3; 8_192]).unwrap();
        backend.write(4_096, &[4; 4_096]).unwrap();
        backend.write(12_288, &[5; 10]).unwrap();
        assert_eq!(watch.compare().unwrap(), None);
        watch.start();
        backend.write(4_096, &[2; 4_096]).unwrap();
        disk.flip("f", 0, 1);
        disk.flip("f", 5_000, 1);
        assert_eq!(watch.compare().unwrap(), Some(4_096));
    }
}
