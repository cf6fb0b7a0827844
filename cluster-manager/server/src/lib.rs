//! The queue-cluster manager: which queue is on which cluster, who is there, what changes.
mod ids;
mod keys;
pub mod limits;
pub mod metric_names;
mod records;
pub mod store;
