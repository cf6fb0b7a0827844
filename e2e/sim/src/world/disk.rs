//! A host's disk: the storage's own disk in memory, with failures, and with a point at which a crash
//! stops it in the middle of whatever is being done.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shoal_storage::{Disk, DiskFile, Keep, MemDisk};

/// Clones are the same disk.
#[derive(Clone, Debug)]
pub(super) struct SimDisk {
    memory: MemDisk,
    troubles: Arc<Mutex<Troubles>>,
}

/// What is going to go wrong.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    /// After so many more writing operations nothing is done any more: the crash comes then.
    pub stop_after: Option<u64>,
    /// The next write fails.
    pub fail_write: bool,
    /// The next sync fails.
    pub fail_sync: bool,
    /// Whatever is written takes room that is not there beyond so many bytes, as on a file system that
    /// copies what it writes.
    pub room_to_copy: Option<u64>,
    /// So many reads fail.
    pub fail_reads: u64,
    /// What has failed since this was looked at.
    pub failed: Failed,
}

/// Which failures came about.
#[derive(Clone, Debug, Default)]
pub(super) struct Failed {
    pub write: bool,
    pub sync: bool,
    pub read: bool,
    pub full: bool,
    /// The file that was being changed when the crash came.
    pub stopped_at: Option<String>,
}

impl SimDisk {
    pub(super) fn new() -> Self {
        Self {
            memory: MemDisk::new(),
            troubles: Arc::default(),
        }
    }

    /// A disk of its own with the same files, on which nothing is going to fail.
    pub(super) fn fork(&self) -> Self {
        Self {
            memory: self.memory.fork(),
            troubles: Arc::default(),
        }
    }

    pub(super) fn memory(&self) -> &MemDisk {
        &self.memory
    }

    pub(super) fn troubles(&self) -> MutexGuard<'_, Troubles> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The machine or process stops here; whatever was still to fail is forgotten.
    pub(super) fn crash(&self, keep: Keep) {
        self.memory.crash(keep);
        let mut troubles = self.troubles();
        *troubles = Troubles {
            room_to_copy: troubles.room_to_copy,
            ..Troubles::default()
        };
    }

    /// Bytes of all files.
    pub(super) fn used(&self) -> u64 {
        let names = self.memory.list().unwrap_or_default();
        let len = |name: &String| {
            self.memory
                .open(name)
                .and_then(|file| file.len())
                .unwrap_or(0)
        };
        names.iter().map(len).sum()
    }

    /// An operation that changes something is about to be done.
    fn change(&self, name: &str) -> io::Result<()> {
        let mut troubles = self.troubles();
        match &mut troubles.stop_after {
            Some(0) => {
                let stopped_at = &mut troubles.failed.stopped_at;
                stopped_at.get_or_insert_with(|| name.to_owned());
                Err(io::Error::other("the machine stopped here"))
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Takes the room that writing this needs where nothing is written over.
    fn take_room(&self, parts: &[&[u8]]) -> io::Result<()> {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        match &mut self.troubles().room_to_copy {
            Some(room) if *room < bytes as u64 => Err(io::ErrorKind::StorageFull.into()),
            Some(room) => {
                *room -= bytes as u64;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn seen<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result
            && error.kind() == io::ErrorKind::StorageFull
        {
            self.troubles().failed.full = true;
        }
        result
    }

    fn wrap(&self, name: &str, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(SimFile {
            name: name.to_owned(),
            disk: self.clone(),
            file,
        })
    }
}

impl Disk for SimDisk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(name, self.memory.open(name)?))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.change(name)?;
        Ok(self.wrap(name, self.memory.create(name)?))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.memory.list()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change(from)?;
        self.memory.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change(name)?;
        self.memory.remove(name)
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.change("")?;
        self.memory.sync_folder()
    }

    fn used_percent(&self) -> io::Result<u8> {
        self.memory.used_percent()
    }

    fn display(&self, name: &str) -> String {
        self.memory.display(name)
    }
}

#[derive(Debug)]
struct SimFile {
    name: String,
    disk: SimDisk,
    file: Arc<dyn DiskFile>,
}

impl DiskFile for SimFile {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut troubles = self.disk.troubles();
        if troubles.fail_reads > 0 {
            troubles.fail_reads -= 1;
            troubles.failed.read = true;
            return Err(io::Error::other("the disk cannot read this"));
        }
        drop(troubles);
        self.file.read_at(offset, out)
    }

    fn write_at(&self, offset: u64, parts: &[&[u8]]) -> io::Result<()> {
        let stopped = self.disk.change(&self.name);
        if stopped.is_ok() {
            self.disk.seen(self.disk.take_room(parts))?;
        }
        let fails = std::mem::take(&mut self.disk.troubles().fail_write);
        if stopped.is_ok() && !fails {
            return self.disk.seen(self.file.write_at(offset, parts));
        }
        // Whatever ends a write, some of it may be there.
        let whole = parts.concat();
        self.file.write_at(offset, &[&whole[..whole.len() / 2]])?;
        stopped?;
        self.disk.troubles().failed.write = true;
        Err(io::Error::other("the disk cannot write this"))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.change(&self.name)?;
        if std::mem::take(&mut self.disk.troubles().fail_sync) {
            self.disk.troubles().failed.sync = true;
            return Err(io::Error::other("the disk cannot sync this"));
        }
        self.file.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.change(&self.name)?;
        self.disk.seen(self.file.set_len(len))
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.disk.change(&self.name)?;
        self.disk.seen(self.file.allocate(len))
    }

    fn claim(&self, offset: u64, len: u64) -> io::Result<()> {
        self.file.claim(offset, len)
    }

    fn forget_cached(&self, offset: u64) {
        self.file.forget_cached(offset);
    }
}
