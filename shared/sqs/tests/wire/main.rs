//! What goes over the wire, from outside the crate: requests in both protocols, answers, errors, and what
//! AWS publishes about them.

mod answers;
mod arbitrary;
mod bad_inputs;
mod golden;
mod operations;
mod queue_attributes;
mod signatures;
mod support;
