//! Amazon SQS on the wire: what a request asks and how an answer or an error is written, in both of SQS's
//! protocols, AWS JSON 1.0 and the older query protocol with its answers in XML.
//!
//! A request goes through three functions. [`Incoming::protocol`] says how it speaks; [`signature`] says who
//! speaks; [`read`] makes it an [`Operation`] whose parameters are all checked as far as that needs no queue.
//! What comes of it goes back through [`write_answer`] or [`write_error`]. Nothing here reads a clock, a
//! file or a socket, and no parameter is looked at in one protocol only: both are read into the same members
//! before anything is checked.

mod answers;
mod attributes;
mod error;
pub mod limits;
mod md5;
mod message;
mod names;
mod operations;
mod place;
mod protocol;
mod queue_attributes;
mod reading;
mod request;
pub mod signature;

pub use answers::{
    Answer, BatchAnswer, MoveTask, MoveTaskStatus, QueuePage, ReceivedMessage, SentMessage,
    write_answer, write_error,
};
pub use error::{ErrorKind, Fault, SqsError};
pub use md5::{md5_of_attributes, md5_of_body};
pub use message::MessageToSend;
pub use names::{AttributeNames, SystemAttribute, SystemAttributeNames, sequence_number};
pub use operations::*;
pub use place::{arn, queue_from_arn, queue_from_url, queue_url};
pub use protocol::Protocol;
pub use queue_attributes::{
    Change, QueueAttribute, QueueAttributeNames, QueueAttributes, QueueFacts, RedrivePolicy,
};
pub use request::{Incoming, read};
