//! A folder of the file system.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::FallocateFlags;

use super::{Disk, DiskFile};
use crate::limits::WRITE_PARTS_MAX;

/// A [`Disk`] over a folder that exists.
#[derive(Debug)]
pub struct RealDisk {
    folder: PathBuf,
    writes: bool,
}

impl RealDisk {
    /// Over this folder. Nothing is opened or made yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            writes: true,
        }
    }

    /// The same, of files that are opened for reading alone.
    pub fn read_only(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            writes: false,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        debug_assert!(!name.contains('/'), "{name} is not a plain file name");
        self.folder.join(name)
    }
}

impl Disk for RealDisk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(self.writes)
            .open(self.path(name))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(self.path(name))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            // A name that is no UTF-8 is none of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path(name))
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    fn used_percent(&self) -> io::Result<u8> {
        volume_used_percent(&self.folder)
    }

    fn display(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    fn write_at(&self, mut offset: u64, parts: &[&[u8]]) -> io::Result<()> {
        for group in parts.chunks(WRITE_PARTS_MAX) {
            let mut slices: Vec<_> = group.iter().map(|part| IoSlice::new(part)).collect();
            let mut left = &mut slices[..];
            IoSlice::advance_slices(&mut left, 0); // drops empty parts at the front
            while !left.is_empty() {
                let written = match rustix::io::pwritev(&self.0, left, offset) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(written) => written,
                    Err(rustix::io::Errno::INTR) => continue,
                    Err(error) => return Err(error.into()),
                };
                offset += written as u64;
                IoSlice::advance_slices(&mut left, written);
            }
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        if len <= DiskFile::len(self)? {
            return Ok(());
        }
        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, len) {
            // A file system that cannot claim space ahead: the length at least is settled.
            Err(rustix::io::Errno::OPNOTSUPP) => self.0.set_len(len),
            other => Ok(other?),
        }
    }

    fn claim(&self, offset: u64, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, FallocateFlags::KEEP_SIZE, offset, len) {
            // A file system that cannot claim space ahead: writing shows whether there is some.
            Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
            other => Ok(other?),
        }
    }

    fn forget_cached(&self, offset: u64) {
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::fs::fadvise(&self.0, offset, None, rustix::fs::Advice::DontNeed)
        {
            tracing::debug!(%error, "the system keeps its cache");
        }
        #[cfg(not(target_os = "linux"))]
        let _ = offset;
    }
}

/// How full the volume of `path` is for an ordinary user, as `df` shows it: 0 to 100, rounded up.
///
/// # Errors
/// If the path does not exist or the system does not say.
pub fn volume_used_percent(path: &Path) -> io::Result<u8> {
    let volume = rustix::fs::statvfs(path)?;
    let used = u128::from(volume.f_blocks.saturating_sub(volume.f_bfree));
    let usable = used + u128::from(volume.f_bavail);
    Ok(percent(used, usable))
}

/// `part` of `whole` in percent, rounded up, at most 100; 100 of nothing.
pub(crate) fn percent(part: u128, whole: u128) -> u8 {
    if whole == 0 {
        return 100;
    }
    u8::try_from((part * 100).div_ceil(whole).min(100)).expect("at most 100")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_is_rounded_up_and_never_above_100() {
        assert_eq!(percent(0, 10), 0);
        assert_eq!(percent(1, 1_000), 1);
        assert_eq!(percent(899, 1_000), 90);
        assert_eq!(percent(11, 10), 100);
        assert_eq!(percent(0, 0), 100);
    }

    #[test]
    fn parts_land_one_after_the_other_however_many() {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(folder.path());
        let file = disk.create("f").unwrap();
        let pieces: Vec<Vec<u8>> = (0..3_000u32)
            .map(|i| vec![i as u8; (i % 7) as usize])
            .collect();
        let parts: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        file.write_at(5, &parts).unwrap();
        let whole = pieces.concat();
        let mut read = vec![0; whole.len()];
        file.read_at(5, &mut read).unwrap();
        assert_eq!(read, whole);
        assert_eq!(file.len().unwrap(), 5 + whole.len() as u64);
        let beyond = file.read_at(6, &mut read).unwrap_err();
        assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof);
    }
}
