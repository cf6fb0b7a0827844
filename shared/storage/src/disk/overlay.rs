//! A disk that can be written to and is not: what is written stays in memory, over a disk that is only
//! read. Whoever looks into a folder can so run the very code that would run on it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile};
use crate::limits::PAGE;

const PAGE_BYTES: u64 = PAGE as u64;

/// A [`Disk`] over another one, which it does not change.
#[derive(Debug)]
pub struct OverlayDisk {
    base: Arc<dyn Disk>,
    /// Files that were opened, made or renamed; `None`: removed.
    files: Mutex<BTreeMap<String, Option<Arc<OverlayFile>>>>,
}

impl OverlayDisk {
    /// Over this one.
    #[must_use]
    pub fn new(base: Arc<dyn Disk>) -> Self {
        Self {
            base,
            files: Mutex::default(),
        }
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Option<Arc<OverlayFile>>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, name: &str) -> io::Result<Arc<OverlayFile>> {
        let mut files = self.files();
        match files.get(name) {
            Some(Some(file)) => Ok(Arc::clone(file)),
            Some(None) => Err(io::ErrorKind::NotFound.into()),
            None => {
                let base = self.base.open(name)?;
                let len = base.len()?;
                let file = Arc::new(OverlayFile::new(Some(base), len));
                files.insert(name.to_owned(), Some(Arc::clone(&file)));
                Ok(file)
            }
        }
    }
}

impl Disk for OverlayDisk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.find(name)?)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        if self.find(name).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = Arc::new(OverlayFile::new(None, 0));
        self.files()
            .insert(name.to_owned(), Some(Arc::clone(&file)));
        Ok(file)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let files = self.files();
        let mut names = self.base.list()?;
        names.retain(|name| !files.contains_key(name));
        let there = files.iter().filter(|(_, file)| file.is_some());
        names.extend(there.map(|(name, _)| name.clone()));
        Ok(names)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let file = self.find(from)?;
        let mut files = self.files();
        files.insert(from.to_owned(), None);
        files.insert(to.to_owned(), Some(file));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.find(name)?;
        self.files().insert(name.to_owned(), None);
        Ok(())
    }

    fn sync_folder(&self) -> io::Result<()> {
        Ok(())
    }

    fn used_percent(&self) -> io::Result<u8> {
        self.base.used_percent()
    }

    fn display(&self, name: &str) -> String {
        self.base.display(name)
    }
}

/// A file whose changed pages are in memory.
#[derive(Debug)]
struct OverlayFile {
    base: Option<Arc<dyn DiskFile>>,
    changed: Mutex<Changed>,
}

#[derive(Debug)]
struct Changed {
    len: u64,
    /// Bytes of the base from here on are gone.
    base_len: u64,
    pages: BTreeMap<u64, Vec<u8>>,
}

impl OverlayFile {
    fn new(base: Option<Arc<dyn DiskFile>>, len: u64) -> Self {
        let changed = Changed {
            len,
            base_len: len,
            pages: BTreeMap::new(),
        };
        Self {
            base,
            changed: Mutex::new(changed),
        }
    }

    fn changed(&self) -> MutexGuard<'_, Changed> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A piece that lies within one page and is not changed: from the base, zeros behind its end.
    fn read_base(&self, base_len: u64, offset: u64, out: &mut [u8]) -> io::Result<()> {
        out.fill(0);
        let there = base_len.saturating_sub(offset).min(out.len() as u64) as usize;
        match &self.base {
            Some(base) if there > 0 => base.read_at(offset, &mut out[..there]),
            _ => Ok(()),
        }
    }
}

impl DiskFile for OverlayFile {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let changed = self.changed();
        if offset + out.len() as u64 > changed.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (mut at, mut out) = (offset, out);
        if changed.pages.is_empty() {
            return self.read_base(changed.base_len, at, out);
        }
        while !out.is_empty() {
            let within = (at % PAGE_BYTES) as usize;
            let step = out.len().min(PAGE as usize - within);
            let (piece, rest) = out.split_at_mut(step);
            match changed.pages.get(&(at / PAGE_BYTES)) {
                Some(page) => piece.copy_from_slice(&page[within..within + step]),
                None => self.read_base(changed.base_len, at, piece)?,
            }
            at += step as u64;
            out = rest;
        }
        Ok(())
    }

    fn write_at(&self, offset: u64, parts: &[&[u8]]) -> io::Result<()> {
        let bytes = parts.concat();
        let mut changed = self.changed();
        let (mut at, mut left) = (offset, &bytes[..]);
        while !left.is_empty() {
            let (number, within) = (at / PAGE_BYTES, (at % PAGE_BYTES) as usize);
            let step = left.len().min(PAGE as usize - within);
            if !changed.pages.contains_key(&number) {
                let mut page = vec![0; PAGE as usize];
                self.read_base(changed.base_len, number * PAGE_BYTES, &mut page)?;
                changed.pages.insert(number, page);
            }
            let page = changed.pages.get_mut(&number).expect("it was just made");
            page[within..within + step].copy_from_slice(&left[..step]);
            at += step as u64;
            left = &left[step..];
        }
        changed.len = changed.len.max(offset + bytes.len() as u64);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.changed().len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut changed = self.changed();
        if len < changed.len {
            changed.base_len = changed.base_len.min(len);
            changed.pages.retain(|number, _| number * PAGE_BYTES < len);
            if let Some(page) = changed.pages.get_mut(&(len / PAGE_BYTES)) {
                page[(len % PAGE_BYTES) as usize..].fill(0);
            }
        }
        changed.len = len;
        Ok(())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let mut changed = self.changed();
        changed.len = changed.len.max(len);
        Ok(())
    }

    fn claim(&self, _offset: u64, _len: u64) -> io::Result<()> {
        Ok(())
    }

    fn forget_cached(&self, _offset: u64) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemDisk;

    fn read(file: &dyn DiskFile, offset: u64, len: usize) -> Vec<u8> {
        let mut out = vec![0xff; len];
        file.read_at(offset, &mut out).unwrap();
        out
    }

    #[test]
    fn what_is_written_is_read_and_the_base_stays_as_it_was() {
        let base = MemDisk::new();
        let below = base.create("a").unwrap();
        below.write_at(0, &[&[7; 10_000]]).unwrap();
        base.create("b").unwrap();
        let disk = OverlayDisk::new(Arc::new(base.clone()));
        let file = disk.open("a").unwrap();
        file.write_at(4_090, &[&[1; 4], &[2; 8]]).unwrap();
        assert_eq!(
            read(&*file, 4_088, 16),
            [7, 7, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 7, 7]
        );
        file.set_len(4_092).unwrap();
        file.set_len(20_000).unwrap();
        assert_eq!(read(&*file, 4_090, 4), [1, 1, 0, 0]);
        assert_eq!(read(&*file, 9_000, 2_000), [0; 2_000]);
        assert!(file.read_at(19_999, &mut [0; 2]).is_err());
        disk.rename("a", "c").unwrap();
        disk.remove("b").unwrap();
        disk.create("d").unwrap().write_at(0, &[b"new"]).unwrap();
        let mut names = disk.list().unwrap();
        names.sort_unstable();
        assert_eq!(names, ["c", "d"]);
        assert!(disk.open("a").is_err() && disk.create("c").is_err());
        assert_eq!(read(&*disk.open("c").unwrap(), 4_090, 2), [1, 1]);

        let mut names = base.list().unwrap();
        names.sort_unstable();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(read(&*below, 0, 10_000), [7; 10_000]);
    }
}
