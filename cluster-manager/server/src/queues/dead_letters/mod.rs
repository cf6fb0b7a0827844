//! Where dead letters go: the queues that have a dead-letter queue are told where it is.
//!
//! ```text
//!  a queue, its dead-letter queue, or the hosts of that one's clusters have changed
//!      ──► what is to be told is written down ──► all partitions of the queue are told ──► that they know is written
//! ```
//! What is told is compared with what was decided last, so looking once too often writes nothing. The revision of
//! the decision is the fence: a manager that dies anywhere leaves a record from which the next one goes on, and
//! an instruction that is late changes nothing.

mod check;
mod keep;
mod table;
mod target;
mod tell;

pub(super) use table::Table;
pub(super) use target::target_of;
