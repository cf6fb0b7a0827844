//! A queue's attributes: their names, reading those that are set, and showing those that are asked for.

mod names;
mod redrive;
mod set;
mod shown;

pub use names::{QueueAttribute, QueueAttributeNames};
pub use redrive::RedrivePolicy;
pub use set::{Change, QueueAttributes};
pub use shown::QueueFacts;
