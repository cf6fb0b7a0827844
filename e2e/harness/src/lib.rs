//! Starts real Shoal processes for tests and takes them down again.
//!
//! ```no_run
//! shoal_harness::run(async |bench| {
//!     let dev = bench.dev().processes().start().await?;
//!     let host = dev.role("h1")?;
//!     host.kill9().await?;
//!     host.start_again(bench)?.ready().await
//! });
//! ```
//!
//! The binary is the one that cargo builds from this very source; none that happens to lie around is
//! ever taken. Each test has a folder of its own, which stays, with its path printed, if the test
//! fails. Everything that a test started ends with it, even if the test itself is killed.

mod bench;
mod binary;
mod cluster;
mod dev;
pub mod limits;
mod port;
mod process;
mod role;
mod turn;
pub mod wait;

pub use bench::{Bench, run, run_within};
pub use binary::Release;
pub use cluster::{
    Cluster, End, Fault, Fleet, LinkFault, Links, LoopDisk, Processes, ProcessesOptions, skipped,
};
pub use dev::{Dev, DevOptions};
pub use port::free_address;
pub use process::{Process, Signal};
pub use role::{Restarted, Role};
