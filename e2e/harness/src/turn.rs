//! One test at a time: real systems under load disturb one another on a small machine.

use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

/// This test's turn, over all test threads and processes of this user. Ends when dropped, and with
/// the process.
pub(crate) struct Turn {
    _lock: File,
}

impl Turn {
    /// Waits for it; the tests before have bounds of their own.
    pub(crate) fn take() -> Result<Self> {
        let path = path();
        let lock =
            File::create(&path).with_context(|| format!("cannot open {}", path.display()))?;
        lock.lock().context("cannot wait for the other tests")?;
        Ok(Self { _lock: lock })
    }
}

fn path() -> PathBuf {
    let user = rustix::process::getuid().as_raw();
    std::env::temp_dir().join(format!("shoal-e2e-{user}.lock"))
}
