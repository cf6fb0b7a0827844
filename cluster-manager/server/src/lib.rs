//! The queue-cluster manager: which queue is on which cluster, who is there, what changes.
//!
//! It is never on a message's path: hosts and frontends go on with what they know while it is away.
//! What it decides (by `shoal-planner`) is written to its [`store`] first and carried out afterwards,
//! fenced by the store's revision, so that a manager that stops at any point, or an old one that still
//! believes to be in charge, can do no harm.
//!
//! - [`Manager`] is the role, [`ManagerConfig`] its settings.
//! - [`store`]: a coordination service in the small, and what every implementation must do.
//! - `fleet`: who is there; `heartbeats`: how that is known; `queues`: creating, changing, deleting;
//!   `planning`: looking after the fleet; `executor`: telling hosts until they confirm; `events`: what was
//!   decided and why; `feed`: telling frontends; `whole`: whether the store has what hosts know, and
//!   `rebuild`: making it have it; `api`: all of it over HTTP.

mod api;
mod config;
mod deletions;
mod events;
mod executor;
mod feed;
mod fleet;
mod heartbeats;
mod ids;
mod keys;
pub mod limits;
mod manager;
pub mod metric_names;
mod orders;
mod planning;
mod problem;
mod queues;
mod ranges;
mod rebuild;
mod records;
pub mod store;
mod whole;

pub use config::ManagerConfig;
pub use manager::Manager;
