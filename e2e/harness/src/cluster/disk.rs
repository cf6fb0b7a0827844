//! A small disk of its own for a host: an ext4 file system in a file, mounted through a loop device.
//!
//! Its power can be taken: the file system is shut down without flushing anything, so that what no
//! sync made durable is gone after the next mount, as after a power failure. (Killing processes is no
//! power loss: the kernel still has what they wrote.) And it can be full.
//!
//! It takes root, loop devices and a few programs; [`LoopDisk::available`] says what is missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use rustix::fs::statvfs;

/// Smallest file system worth a probe: mkfs gives it a journal.
const PROBE_BYTES: u64 = 16 << 20;
/// What takes room on a disk that is to be full.
const BALLAST: &str = "ballast";
/// `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`. Perl, since it is there wherever mkfs is,
/// and this is no reason for unsafe code.
const SHUT_DOWN: &str = r#"open(my $f, "<", $ARGV[0]) or die "open: $!\n"; my $flags = pack("L", 2); ioctl($f, 0x8004587D, $flags) or die "shutdown: $!\n";"#;

/// A file system that can lose its power. Unmounted when dropped; a test that is itself killed leaves
/// it mounted.
#[derive(Debug)]
pub struct LoopDisk {
    image: PathBuf,
    mounted: PathBuf,
}

impl LoopDisk {
    /// Tries one out in this folder.
    ///
    /// # Errors
    /// Says what is missing.
    pub fn available(folder: &Path) -> Result<(), String> {
        if !rustix::process::getuid().is_root() {
            return Err("mounting a file system takes root".to_owned());
        }
        probe(folder).map_err(|error| format!("no file system on a loop device: {error:#}"))
    }

    /// A new file system of so many bytes, mounted at `{folder}/{name}`.
    ///
    /// # Errors
    /// If it cannot be made or mounted.
    pub fn make(folder: &Path, name: &str, bytes: u64) -> Result<Self> {
        let image = folder.join(format!("{name}.ext4"));
        let mounted = folder.join(name);
        fs::File::create(&image)?.set_len(bytes)?;
        fs::create_dir_all(&mounted)?;
        // No blocks kept for root: percentages mean what they say.
        let mut mkfs = Command::new("mkfs.ext4");
        mkfs.args(["-q", "-F", "-m", "0"]).arg(&image);
        run(mkfs)?;
        mount(&image, &mounted)?;
        Ok(Self { image, mounted })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.mounted
    }

    /// From this moment on nothing reaches the disk: every write and sync fails.
    ///
    /// # Errors
    /// If the file system does not do it.
    pub fn lose_power(&mut self) -> Result<()> {
        let mut perl = Command::new("perl");
        perl.args(["-e", SHUT_DOWN]).arg(&self.mounted);
        run(perl)
    }

    /// After [`LoopDisk::lose_power`]: what had been made durable is there again. Nobody may have a
    /// file open.
    ///
    /// # Errors
    /// If it cannot be mounted again.
    pub fn back(&mut self) -> Result<()> {
        self.unmount()?;
        mount(&self.image, &self.mounted)
    }

    /// Something takes room until so many percent are in use.
    ///
    /// # Errors
    /// If more is in use already, or writing fails.
    pub fn fill(&self, percent: u8) -> Result<()> {
        if percent == 100 {
            return self.fill_to_the_last();
        }
        let stat = statvfs(&self.mounted)?;
        let used = stat.f_blocks - stat.f_bfree;
        let wanted = stat.f_blocks * u64::from(percent) / 100;
        ensure!(wanted >= used, "{used} of {} in use", stat.f_blocks);
        let ballast = fs::File::create(self.mounted.join(BALLAST))?;
        let bytes = (wanted - used) * stat.f_frsize;
        rustix::fs::fallocate(&ballast, rustix::fs::FallocateFlags::empty(), 0, bytes)
            .context("no room for the ballast")
    }

    /// Takes all the space that there is, to the last block, whoever else may want it.
    fn fill_to_the_last(&self) -> Result<()> {
        let ballast = fs::File::create(self.mounted.join(BALLAST))?;
        let (mut taken, mut step) = (0, 16 << 20);
        while step >= 4 << 10 {
            let flags = rustix::fs::FallocateFlags::empty();
            match rustix::fs::fallocate(&ballast, flags, taken, step) {
                Ok(()) => taken += step,
                Err(rustix::io::Errno::NOSPC) => step /= 2,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// What [`LoopDisk::fill`] took is free again.
    ///
    /// # Errors
    /// If nothing was taken.
    pub fn free(&self) -> Result<()> {
        Ok(fs::remove_file(self.mounted.join(BALLAST))?)
    }

    fn unmount(&self) -> Result<()> {
        let mut umount = Command::new("umount");
        umount.arg(&self.mounted);
        run(umount)
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        if let Err(error) = self.unmount() {
            eprintln!("{} stays mounted: {error:#}", self.mounted.display());
        }
    }
}

/// A disk that loses its power has what was synced, and nothing else.
fn probe(folder: &Path) -> Result<()> {
    let mut disk = LoopDisk::make(folder, "probe", PROBE_BYTES)?;
    let (synced, unsynced) = (disk.path().join("synced"), disk.path().join("unsynced"));
    fs::write(&synced, "here")?;
    fs::File::open(&synced)?.sync_all()?;
    fs::File::open(disk.path())?.sync_all()?;
    fs::write(&unsynced, "gone")?;
    disk.lose_power()?;
    disk.back()?;
    ensure!(fs::read(&synced)? == b"here", "what was synced is gone");
    ensure!(!unsynced.exists(), "what was not synced is still there");
    Ok(())
}

fn mount(image: &Path, at: &Path) -> Result<()> {
    let mut mount = Command::new("mount");
    mount.args(["-t", "ext4", "-o", "loop"]).arg(image).arg(at);
    run(mount)
}

fn run(mut command: Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    // Where Debian has such programs, whether or not root's shell looks there.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    let output = command
        .output()
        .with_context(|| format!("{name} cannot be started"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name}: {}", said.trim());
    Ok(())
}
