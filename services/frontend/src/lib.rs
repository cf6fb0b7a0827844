//! The stateless edge: REST in, commands to any host of the queue's cluster out.
//!
//! - [`Frontend`] is the whole: ports, tasks, shutdown.
//! - `rest` speaks HTTP: one file per resource; bodies and errors are those of `shoal-api`.
//! - `admission` decides how much is taken on at once.
//! - `routes` knows which queue is where; it follows the manager and goes on without it.
//! - `partitions` says which of a queue's partitions a request is about; `openings` opens those that are
//!   to follow others.
//! - `dispatch` gets a command executed by some host of a cluster, whatever happens to the others.
//!
//! A frontend keeps nothing: any number of them serve the same queues, and one that is lost loses
//! only its connections.

mod admission;
mod app;
mod config;
mod dispatch;
pub mod limits;
mod manager_client;
pub mod metric_names;
mod openings;
mod partitions;
mod rest;
mod routes;
mod server;

pub use config::FrontendConfig;
pub use server::Frontend;
