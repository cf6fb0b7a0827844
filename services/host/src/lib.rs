//! One host of a cluster.
//!
//! - [`core`]: engine, queues and log joined, without anything that waits;
//! - the driver's loop gives it a network, a disk thread, a clock and the manager's news;
//! - [`Host`] starts all of it and stops it.
//!
//! What a command does is decided in `shoal-queue`, in which order in `shoal-replication`, how it is
//! kept in `shoal-storage`; here they only meet.

mod batch;
mod between_hosts;
mod bodies;
mod catch_up;
mod checkpointer;
mod config;
pub mod core;
mod disk_thread;
pub mod doctor;
mod driver;
mod formats;
mod frames;
mod heartbeat;
mod host;
mod kept_body;
mod limits;
mod load;
pub mod metric_names;
mod next_release;
mod other_clusters;
mod recent_bodies;
mod recovery;
mod restart;
mod scrubber;
mod service;
mod snapshots;
mod upkeep;

pub use config::HostConfig;
pub use formats::disk_version;
pub use host::Host;
pub use next_release::NEXT_RELEASE;
