//! All queues of one cluster as a pure state machine: position and command in, outcome out.

mod checkpoint;
mod effect;
mod machine;

pub use checkpoint::{Frozen, RestoreError};
pub use effect::Effect;
pub use machine::Machine;
