//! Which release each process is of, and going over to another one.

use anyhow::{Result, ensure};

use super::Processes;
use crate::bench::Bench;
use crate::binary::Release;
use crate::process::{Process, Signal};

impl Processes<'_> {
    /// A host's next processes are of this release.
    pub fn install(&mut self, host: usize, release: Release) {
        self.hosts[host].release = release;
    }

    /// The release of a host's next processes.
    #[must_use]
    pub fn installed(&self, host: usize) -> Release {
        self.hosts[host].release
    }

    /// The manager is asked to end, and started from this release on the same data.
    ///
    /// # Errors
    /// If it does not end in good order, or is not started.
    pub async fn restart_manager(&mut self, release: Release) -> Result<()> {
        end(&mut self.manager).await?;
        self.manager = manager(self.bench, release, &self.manager_url, self.hosts.len())?;
        Ok(())
    }

    /// The frontend is asked to end, and started from this release.
    ///
    /// # Errors
    /// If it does not end in good order, or is not started.
    pub async fn restart_frontend(&mut self, release: Release) -> Result<()> {
        end(&mut self.frontend).await?;
        self.frontend = frontend(self.bench, release, &self.endpoint, &self.manager_url)?;
        Ok(())
    }
}

async fn end(process: &mut Process) -> Result<()> {
    process.signal(Signal::TERM)?;
    let status = process.ended().await?;
    ensure!(status.success(), "{status}: {}", process.log_tail());
    Ok(())
}

pub(super) fn manager(
    bench: &Bench,
    release: Release,
    url: &str,
    cluster_size: usize,
) -> Result<Process> {
    let words = [
        "manager".to_owned(),
        format!("--listen={}", address(url)),
        "--admin=127.0.0.1:0".to_owned(),
        format!("--data={}", bench.folder().join("manager").display()),
        format!("--cluster-size={cluster_size}"),
    ];
    let command = bench.shoal_of(release, words)?;
    Process::start("manager", command, bench.folder())
}

pub(super) fn frontend(
    bench: &Bench,
    release: Release,
    url: &str,
    manager_url: &str,
) -> Result<Process> {
    let words = [
        "frontend".to_owned(),
        format!("--listen={}", address(url)),
        "--admin=127.0.0.1:0".to_owned(),
        format!("--manager={manager_url}"),
    ];
    let command = bench.shoal_of(release, words)?;
    Process::start("frontend", command, bench.folder())
}

fn address(url: &str) -> &str {
    url.trim_start_matches("http://")
}
