//! One cluster whose hosts can be hurt: the same story told to processes and to containers.
//!
//! A test speaks to [`Cluster`]; [`Processes`](crate::Processes) does it to real processes on this
//! machine, the crate `shoal-containers` to containers. What a driver cannot do on the machine at hand
//! it says beforehand ([`Cluster::can`]), so that a test can skip itself and say why, instead of
//! passing without having tested anything.

mod disk;
mod fleet;
mod links;
mod processes;
mod tracer;

use std::io::Write as _;

use anyhow::{Result, bail};

pub use disk::LoopDisk;
pub use fleet::Fleet;
pub use links::{End, LinkFault, Links};
pub use processes::{Processes, ProcessesOptions};

/// Something that can be done to a cluster beyond stopping and starting its hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// [`Cluster::cut`] in one direction.
    Cut,
    /// [`Cluster::fill_disk`].
    FullDisk,
    /// [`Cluster::fail_sync`] and [`Cluster::slow_sync`].
    Sync,
    /// [`Cluster::lose_power`].
    PowerLoss,
}

/// A manager, frontends and clusters of hosts, which are numbered from 0 through all clusters.
#[allow(
    async_fn_in_trait,
    reason = "a test awaits each call where it makes it; nothing is sent between threads"
)]
pub trait Cluster {
    /// The frontend's `http://…`, or those of several with commas between them.
    fn endpoint(&self) -> String;

    /// How many hosts there are.
    fn hosts(&self) -> usize;

    /// What its system says of it.
    fn fleet(&self) -> Fleet {
        Fleet::at(&self.endpoint())
    }

    /// What can be done here.
    ///
    /// # Errors
    /// Says what is missing.
    fn can(&self, fault: Fault) -> Result<(), String>;

    /// Ends a host's process without warning (`SIGKILL`), and waits for nothing.
    async fn kill(&mut self, host: usize) -> Result<()>;

    /// Asks a host to end (`SIGTERM`) and waits until it has, which must be in good order.
    async fn terminate(&mut self, host: usize) -> Result<()>;

    /// Starts a host that ended, on what its disk has. Waits for nothing.
    async fn restart(&mut self, host: usize) -> Result<()>;

    /// Waits until a host acts in its cluster's view.
    async fn ready(&mut self, host: usize) -> Result<()>;

    /// A host is lost for good, and what its disk had; another one, with an empty disk, takes its place and
    /// its number. Waits until that one acts.
    async fn replace(&mut self, host: usize) -> Result<()>;

    /// A host stands still, its connections stay open.
    async fn freeze(&mut self, host: usize) -> Result<()>;

    /// It goes on.
    async fn thaw(&mut self, host: usize) -> Result<()>;

    /// Nothing that a host sends reaches another one any more; nobody is told.
    async fn cut(&mut self, from: usize, to: usize) -> Result<()>;

    /// Nothing reaches a host and nothing leaves it: its peers, frontends and the manager's calls.
    async fn isolate(&mut self, host: usize) -> Result<()>;

    /// Undoes every [`Cluster::cut`] and [`Cluster::isolate`].
    async fn heal(&mut self) -> Result<()>;

    /// Something else takes room on a host's disk, until so many percent of it are in use.
    async fn fill_disk(&mut self, host: usize, percent: u8) -> Result<()> {
        bail!("host {host}: its disk cannot be filled to {percent} % here")
    }

    /// What [`Cluster::fill_disk`] took is given back.
    async fn free_disk(&mut self, host: usize) -> Result<()> {
        bail!("host {host}: its disk was not filled")
    }

    /// A host's next sync fails with an input/output error.
    async fn fail_sync(&mut self, host: usize) -> Result<()> {
        bail!("host {host}: its syncs cannot be made to fail here")
    }

    /// Each of a host's syncs takes so many milliseconds longer from now on, until it is restarted.
    async fn slow_sync(&mut self, host: usize, milliseconds: u32) -> Result<()> {
        bail!("host {host}: its syncs cannot be made {milliseconds} ms slower here")
    }

    /// These hosts lose their power at once: what was not synced is gone, and so are their processes.
    /// Their disks are there again afterwards, the hosts wait for [`Cluster::restart`].
    async fn lose_power(&mut self, hosts: &[usize]) -> Result<()> {
        bail!("hosts {hosts:?}: power cannot be taken from them here")
    }

    /// The end of what a host has logged.
    async fn log(&mut self, host: usize) -> Result<String>;
}

/// Says on standard error, past the capturing of test output, that a test did not run, and why.
/// `.ci/run` repeats these lines at its end.
pub fn skipped(test: &str, why: &str) {
    // Nowhere else to complain, should even this fail.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
}
