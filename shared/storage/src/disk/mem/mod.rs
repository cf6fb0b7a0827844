//! A disk in memory that can lose what was not synced.

mod image;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Disk, DiskFile};
use image::{Contents, Draw, Handle};

/// What a crash leaves of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nothing: exactly the synced state (power loss, nothing written back yet).
    Synced,
    /// Everything: the process died, the system lives (kill -9). What was not synced is there, and
    /// still not synced.
    All,
    /// Each page, each file's length and a prefix of the folder's changes, as drawn from this seed.
    Random(u64),
}

/// A [`Disk`] in memory. Clones are the same disk. Files are sparse.
#[derive(Clone, Debug)]
pub struct MemDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Counts crashes; handles of an earlier life answer with an error.
    life: u64,
    next_file: u64,
    files: BTreeMap<u64, Contents>,
    /// Files whose removal is synced, until their last handle is gone.
    unlinked: BTreeSet<u64>,
    names: BTreeMap<String, u64>,
    synced_names: BTreeMap<String, u64>,
    /// What was done to `names` since `synced_names`.
    changes: Vec<Change>,
    /// What [`Disk::used_percent`] answers relates to this.
    capacity: Option<u64>,
}

#[derive(Clone, Debug)]
enum Change {
    Add(String, u64),
    Rename(String, String),
    Remove(String),
}

impl MemDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: Arc::default(),
        }
    }

    /// Limits the bytes of all files together: beyond, growing answers `StorageFull`.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// The machine or process stops here. Handles that are open answer with errors from now on; the
    /// disk can be used again.
    pub fn crash(&self, keep: Keep) {
        let mut state = self.state();
        state.life += 1;
        let mut draw = match keep {
            Keep::All => return,
            Keep::Synced => Draw::Nothing,
            Keep::Random(seed) => Draw::Random(seed),
        };
        let kept = draw.up_to(state.changes.len());
        let changes = std::mem::take(&mut state.changes);
        let mut names = std::mem::take(&mut state.synced_names);
        for change in changes.into_iter().take(kept) {
            change.apply(&mut names);
        }
        for file in state.files.values_mut() {
            file.crash(&mut draw);
        }
        state.unlinked.clear();
        let named: BTreeSet<u64> = names.values().copied().collect();
        state.files.retain(|file, _| named.contains(file));
        state.names.clone_from(&names);
        state.synced_names = names;
    }

    /// A disk of its own with the same contents (synced and not).
    #[must_use]
    pub fn fork(&self) -> Self {
        let state = self.state();
        let files = state.files.iter().map(|(id, file)| (*id, file.clone()));
        let copy = State {
            life: 0,
            next_file: state.next_file,
            files: files.collect(),
            unlinked: state.unlinked.clone(),
            names: state.names.clone(),
            synced_names: state.synced_names.clone(),
            changes: state.changes.clone(),
            capacity: state.capacity,
        };
        Self {
            state: Arc::new(Mutex::new(copy)),
        }
    }

    /// Changes bytes behind everybody's back, durably: `mask` is XORed into the byte at `offset`.
    ///
    /// # Panics
    /// If there is no such file or byte.
    pub fn flip(&self, name: &str, offset: u64, mask: u8) {
        let mut state = self.state();
        let id = state.names[name];
        let file = state.files.get_mut(&id).expect("named files exist");
        assert!(offset < file.now.len, "{name} has no byte {offset}");
        for image in [&mut file.now, &mut file.synced] {
            let mut byte = [0];
            image.read(offset, &mut byte);
            image.write(offset, &[byte[0] ^ mask]);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic within the disk")
    }

    fn handle(&self, id: u64) -> Arc<dyn DiskFile> {
        let state = self.state();
        Arc::new(MemFile {
            disk: self.clone(),
            life: state.life,
            id,
            _open: state.files[&id].handle(),
        })
    }
}

impl Default for MemDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl Disk for MemDisk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let id = self.state().names.get(name).copied();
        id.map(|id| self.handle(id)).ok_or_else(|| not_found(name))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        if state.names.contains_key(name) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, name));
        }
        let id = state.next_file;
        state.next_file += 1;
        state.files.insert(id, Contents::default());
        state.change(Change::Add(name.to_owned(), id));
        drop(state);
        Ok(self.handle(id))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        if !state.names.contains_key(from) {
            return Err(not_found(from));
        }
        state.change(Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        if !state.names.contains_key(name) {
            return Err(not_found(name));
        }
        state.change(Change::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_folder(&self) -> io::Result<()> {
        let state = &mut *self.state();
        for change in state.changes.drain(..) {
            state.unlinked.extend(change.apply(&mut state.synced_names));
        }
        let files = &mut state.files;
        state.unlinked.retain(|id| {
            let open = files.get(id).is_some_and(Contents::is_open);
            if !open {
                files.remove(id);
            }
            open
        });
        Ok(())
    }

    fn used_percent(&self) -> io::Result<u8> {
        let state = self.state();
        Ok(state.capacity.map_or(0, |capacity| {
            super::percent(state.used().into(), capacity.into())
        }))
    }

    fn display(&self, name: &str) -> String {
        name.to_owned()
    }
}

impl State {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }

    /// Bytes of all files that have a name.
    fn used(&self) -> u64 {
        let files = self.names.values().filter_map(|id| self.files.get(id));
        files.map(|file| file.now.len).sum()
    }
}

impl Change {
    /// Gives the file that lost its name by it.
    fn apply(&self, names: &mut BTreeMap<String, u64>) -> Option<u64> {
        match self {
            Self::Add(name, id) => names.insert(name.clone(), *id),
            Self::Rename(from, to) => {
                let id = names.remove(from).expect("changes are kept in order");
                names.insert(to.clone(), id)
            }
            Self::Remove(name) => names.remove(name),
        }
    }
}

fn not_found(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, name)
}

#[derive(Debug)]
struct MemFile {
    disk: MemDisk,
    life: u64,
    id: u64,
    _open: Handle,
}

impl MemFile {
    fn with<T>(&self, work: impl FnOnce(&mut Contents) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.state();
        if state.life != self.life {
            return Err(io::Error::other("this handle is of before the crash"));
        }
        work(state.files.get_mut(&self.id).expect("handles keep files"))
    }

    fn check_room(&self, new_len: u64) -> io::Result<()> {
        let state = self.disk.state();
        let len = state.files.get(&self.id).map_or(0, |file| file.now.len);
        let grows = new_len.saturating_sub(len);
        match state.capacity {
            Some(capacity) if grows > 0 && state.used() + grows > capacity => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
    }
}

impl DiskFile for MemFile {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|file| {
            if offset + out.len() as u64 > file.now.len {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            file.now.read(offset, out);
            Ok(())
        })
    }

    fn write_at(&self, offset: u64, parts: &[&[u8]]) -> io::Result<()> {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        self.check_room(offset + total as u64)?;
        self.with(|file| {
            let mut at = offset;
            for part in parts {
                file.write(at, part);
                at += part.len() as u64;
            }
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|file| {
            file.sync();
            Ok(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|file| Ok(file.now.len))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_room(len)?;
        self.with(|file| {
            file.set_len(len);
            Ok(())
        })
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        if len > DiskFile::len(self)? {
            self.set_len(len)?;
        }
        Ok(())
    }

    /// A file's length is claimed as a whole.
    fn claim(&self, _offset: u64, _len: u64) -> io::Result<()> {
        Ok(())
    }

    fn forget_cached(&self, _offset: u64) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(disk: &MemDisk, name: &str) -> Vec<u8> {
        let file = disk.open(name).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_at(0, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_crash_loses_what_was_not_synced_and_only_that() {
        let disk = MemDisk::new();
        let file = disk.create("f").unwrap();
        disk.sync_folder().unwrap();
        file.write_at(0, &[b"synced"]).unwrap();
        file.sync_data().unwrap();
        file.write_at(0, &[b"SYNC", b"ED and more"]).unwrap();
        disk.create("g").unwrap();
        let kept = disk.fork();
        disk.crash(Keep::Synced);
        assert_eq!(read(&disk, "f"), b"synced");
        assert!(disk.open("g").is_err());
        assert!(file.write_at(0, &[b"x"]).is_err(), "the old handle is dead");
        kept.crash(Keep::All);
        assert_eq!(read(&kept, "f"), b"SYNCED and more");
        assert!(kept.open("g").is_ok());
        kept.crash(Keep::Synced);
        assert_eq!(
            read(&kept, "f"),
            b"synced",
            "the next crash takes it all the same"
        );
    }

    #[test]
    fn a_removed_file_takes_no_memory_once_nobody_has_it_open() {
        let disk = MemDisk::new();
        let file = disk.create("f").unwrap();
        file.write_at(0, &[b"x"]).unwrap();
        disk.sync_folder().unwrap();
        disk.remove("f").unwrap();
        assert_eq!(disk.state().files.len(), 1, "a crash may bring it back");
        disk.sync_folder().unwrap();
        assert_eq!(file.read_at(0, &mut [0]).ok(), Some(()), "it is open");
        drop(file);
        disk.sync_folder().unwrap();
        assert_eq!(disk.state().files.len(), 0);
    }

    #[test]
    fn pages_survive_one_by_one() {
        let mut seen = BTreeSet::new();
        for seed in 0..64 {
            let disk = MemDisk::new();
            let file = disk.create("f").unwrap();
            disk.sync_folder().unwrap();
            file.set_len(3 * 4096).unwrap();
            file.sync_data().unwrap();
            file.write_at(0, &[&[7; 3 * 4096]]).unwrap();
            disk.crash(Keep::Random(seed));
            let bytes = read(&disk, "f");
            let pages: Vec<u8> = bytes.chunks(4096).map(|page| page[0]).collect();
            assert!(bytes.chunks(4096).all(|p| p.iter().all(|b| *b == p[0])));
            seen.insert(pages);
        }
        assert_eq!(seen.len(), 8, "all combinations come up");
    }

    #[test]
    fn names_survive_as_a_prefix_of_what_was_done() {
        for seed in 0..32 {
            let disk = MemDisk::new();
            disk.create("a").unwrap();
            disk.rename("a", "b").unwrap();
            disk.create("c").unwrap();
            disk.remove("b").unwrap();
            disk.crash(Keep::Random(seed));
            let names = disk.list().unwrap().concat();
            assert!(["", "a", "b", "bc", "c"].contains(&&names[..]), "{names}");
        }
    }

    #[test]
    fn a_full_disk_says_so_and_how_full_it_is() {
        let disk = MemDisk::new();
        disk.set_capacity(Some(10_000));
        let file = disk.create("f").unwrap();
        file.allocate(9_000).unwrap();
        assert_eq!(disk.used_percent().unwrap(), 90);
        let full = file.write_at(9_000, &[&[0; 2_000]]).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        file.write_at(0, &[&[1; 9_000]]).unwrap();
    }

    #[test]
    fn cut_and_grown_again_a_file_holds_zeros() {
        let disk = MemDisk::new();
        let file = disk.create("f").unwrap();
        file.write_at(0, &[&[7; 9_000]]).unwrap();
        file.set_len(5_000).unwrap();
        file.set_len(9_000).unwrap();
        let bytes = read(&disk, "f");
        assert!(bytes[..5_000].iter().all(|b| *b == 7) && bytes[5_000..].iter().all(|b| *b == 0));
    }
}
