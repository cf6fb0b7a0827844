//! A disk whose operations fail when told to.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Disk, DiskFile};

/// What can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// [`Disk::open`].
    Open,
    /// [`Disk::create`].
    Create,
    /// [`Disk::list`].
    List,
    /// [`Disk::rename`].
    Rename,
    /// [`Disk::remove`].
    Remove,
    /// [`Disk::sync_folder`].
    SyncFolder,
    /// [`DiskFile::read_at`].
    Read,
    /// [`DiskFile::write_at`]: half of the bytes are written, then the error comes.
    Write,
    /// [`DiskFile::sync_data`].
    SyncData,
    /// [`DiskFile::set_len`] and [`DiskFile::allocate`], if they let the file grow.
    Grow,
}

/// A failure to come.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Which operation fails.
    pub operation: Operation,
    /// Only on files whose name contains this; empty: on all.
    pub name: String,
    /// So many of these succeed before.
    pub after: u64,
    /// So many fail; `u64::MAX`: from then on always.
    pub times: u64,
    /// What it fails with.
    pub error: io::ErrorKind,
}

/// Plain fields, to be set at any time through [`FaultyDisk::faults`].
#[derive(Debug, Default)]
pub struct Faults {
    /// What is going to fail. The first that matches counts.
    pub planned: Vec<Fault>,
    /// If set, what [`Disk::used_percent`] says.
    pub used_percent: Option<u8>,
    /// Calls so far of [`DiskFile::sync_data`].
    pub syncs: u64,
}

impl Faults {
    fn hit(&mut self, operation: Operation, name: &str) -> io::Result<()> {
        if operation == Operation::SyncData {
            self.syncs += 1;
        }
        let matches = |f: &&mut Fault| f.operation == operation && name.contains(&f.name);
        let Some(fault) = self.planned.iter_mut().find(matches) else {
            return Ok(());
        };
        if fault.after > 0 {
            fault.after -= 1;
            return Ok(());
        }
        if fault.times == 0 {
            return Ok(());
        }
        if fault.times != u64::MAX {
            fault.times -= 1;
        }
        Err(io::Error::new(
            fault.error,
            format!("planned {operation:?}"),
        ))
    }
}

/// A decorator that lets operations of another disk fail. Clones share their faults.
#[derive(Clone, Debug)]
pub struct FaultyDisk {
    inner: Arc<dyn Disk>,
    faults: Arc<Mutex<Faults>>,
}

impl FaultyDisk {
    /// Without faults so far.
    pub fn new(inner: Arc<dyn Disk>) -> Self {
        Self {
            inner,
            faults: Arc::default(),
        }
    }

    /// The faults, to be changed.
    ///
    /// # Panics
    /// If another thread panicked while it changed them.
    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults
            .lock()
            .expect("no panic while faults are changed")
    }

    fn hit(&self, operation: Operation, name: &str) -> io::Result<()> {
        self.faults().hit(operation, name)
    }

    fn wrap(&self, name: &str, inner: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(FaultyFile {
            name: name.to_owned(),
            disk: self.clone(),
            inner,
        })
    }
}

impl Disk for FaultyDisk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.hit(Operation::Open, name)?;
        Ok(self.wrap(name, self.inner.open(name)?))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.hit(Operation::Create, name)?;
        Ok(self.wrap(name, self.inner.create(name)?))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.hit(Operation::List, "")?;
        self.inner.list()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.hit(Operation::Rename, from)?;
        self.inner.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.hit(Operation::Remove, name)?;
        self.inner.remove(name)
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.hit(Operation::SyncFolder, "")?;
        self.inner.sync_folder()
    }

    fn used_percent(&self) -> io::Result<u8> {
        let set = self.faults().used_percent;
        set.map_or_else(|| self.inner.used_percent(), Ok)
    }

    fn display(&self, name: &str) -> String {
        self.inner.display(name)
    }
}

#[derive(Debug)]
struct FaultyFile {
    /// As it was opened; a later rename does not change it.
    name: String,
    disk: FaultyDisk,
    inner: Arc<dyn DiskFile>,
}

impl DiskFile for FaultyFile {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.hit(Operation::Read, &self.name)?;
        self.inner.read_at(offset, out)
    }

    fn write_at(&self, offset: u64, parts: &[&[u8]]) -> io::Result<()> {
        let Err(error) = self.disk.hit(Operation::Write, &self.name) else {
            return self.inner.write_at(offset, parts);
        };
        let whole = parts.concat();
        self.inner.write_at(offset, &[&whole[..whole.len() / 2]])?;
        Err(error)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.hit(Operation::SyncData, &self.name)?;
        self.inner.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if len > self.inner.len()? {
            self.disk.hit(Operation::Grow, &self.name)?;
        }
        self.inner.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        if len > self.inner.len()? {
            self.disk.hit(Operation::Grow, &self.name)?;
        }
        self.inner.allocate(len)
    }

    fn claim(&self, offset: u64, len: u64) -> io::Result<()> {
        self.inner.claim(offset, len)
    }

    fn forget_cached(&self, offset: u64) {
        self.inner.forget_cached(offset);
    }
}
