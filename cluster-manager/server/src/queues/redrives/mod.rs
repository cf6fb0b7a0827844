//! Tasks that move a queue's messages to other queues: asked for, carried on until they are over, shown.
//!
//! What is wanted is written first. Then each partition that the queue had is told to begin, and asked how far it
//! is until it is at its end; that is written too. Hosts carry the messages, so a task goes on while no manager is
//! there, and the next one asks on.

mod carry_on;
mod order;
mod part;
mod table;

pub(super) use table::Table;
