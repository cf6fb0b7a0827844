//! A real process: signals to it, its log, its end.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, kill_process, test_kill_process};

use crate::limits::{GONE, LOG_TAIL_BYTES};
use crate::wait;

pub use rustix::process::Signal;

/// Tells `shoal` not to outlive this process; children of `shoal dev` get it from there.
const PARENT_VARIABLE: &str = "SHOAL_DEV_PARENT";

/// A process that this test started. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; its standard error goes to `{folder}/{name}.log`, behind what an earlier one
    /// of that name wrote.
    ///
    /// # Errors
    /// If the program or the log file cannot be opened.
    pub fn start(name: &str, mut command: Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log)?;
        // The kernel watches the thread that starts a child. Tests start theirs from the test's own
        // thread, so children end with the test, whatever becomes of it.
        let child = command
            .env(PARENT_VARIABLE, std::process::id().to_string())
            .stdin(Stdio::null())
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {name}: {command:?}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// Its id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// If it is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        send(self.pid(), signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// If that takes longer than [`GONE`].
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        wait::until(&what, GONE, async || {
            self.child.try_wait()?.context("it still runs")
        })
        .await
    }

    /// `Some` if it has ended.
    ///
    /// # Errors
    /// If the system cannot tell.
    pub fn has_ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// What it wrote to standard error, at least the end of it.
    #[must_use]
    pub fn log_tail(&self) -> String {
        log_tail(&self.log)
    }

    pub(crate) fn child_mut(&mut self) -> &mut Child {
        &mut self.child
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process by its id.
pub(crate) fn send(pid: u32, signal: Signal) -> Result<()> {
    Ok(kill_process(to_pid(pid)?, signal)?)
}

/// Waits until no process has this id any more.
pub(crate) async fn gone(pid: u32) -> Result<()> {
    let to_test = to_pid(pid)?;
    wait::until(&format!("the end of process {pid}"), GONE, async || {
        let is_gone = test_kill_process(to_test).is_err() || has_only_its_name_left(pid);
        ensure!(is_gone, "it still runs");
        Ok(())
    })
    .await
}

/// True if it has ended and only its parent has not asked how. An orphan's parent is the system's
/// first process, which in a container may never ask.
///
/// The first thread may be done while another one still frees a gigabyte, with the files of both, and
/// with them the lock of a data folder, open: a system with five million messages could not be started
/// again after this said that the old one was gone. So no other thread may be there.
fn has_only_its_name_left(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let behind_name = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
    let is_zombie = behind_name.is_some_and(|fields| fields.starts_with('Z'));
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map(Iterator::count);
    is_zombie && threads.is_ok_and(|threads| threads <= 1)
}

pub(crate) fn log_tail(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let start = bytes.len().saturating_sub(LOG_TAIL_BYTES);
    String::from_utf8_lossy(&bytes[start..]).into_owned()
}

fn to_pid(pid: u32) -> Result<Pid> {
    Pid::from_raw(pid.cast_signed()).context("0 is no process")
}
