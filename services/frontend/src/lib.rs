//! The stateless edge: REST and SQS in, commands to any host of the queue's cluster out.
//!
//! - [`Frontend`] is the whole: ports, tasks, shutdown.
//! - `http_api` tells the two APIs apart that share the clients' port.
//! - `rest` speaks HTTP: one file per resource; bodies and errors are those of `shoal-api`.
//! - `sqs` speaks Amazon SQS on the same port; what that is on the wire is `shoal-sqs`'s matter.
//! - `operations` is what can be done with a queue's messages, whoever asks.
//! - `admission` decides how much is taken on at once; `intake` reads bodies, never more than allowed.
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
mod http_api;
mod intake;
pub mod limits;
mod manager_client;
pub mod metric_names;
mod openings;
mod operations;
mod partitions;
mod rest;
mod routes;
mod server;
mod sqs;

pub use config::{Credentials, FrontendConfig};
pub use server::Frontend;
