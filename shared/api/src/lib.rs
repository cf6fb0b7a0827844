//! What goes over HTTP: REST bodies, problem documents, the manager's API, and the OpenAPI document
//! that describes them.
//!
//! Servers and clients meet here, so both sides of every body stand in one place. The types check
//! what a body alone can tell (names, ranges, what excludes what); what depends on a queue is checked
//! by whoever knows the queue. This crate does no I/O and reads no clock.

mod attribute;
mod batch;
mod body;
mod field;
pub mod json;
pub mod keys;
pub mod manager;
mod object;
pub mod openapi;
mod peek;
pub mod plan;
mod problem;
pub mod query;
mod queue;
pub mod rebuild;
pub mod receipts;
mod receive;
pub mod redrive;
mod redrive_task;
pub mod routes;
mod send;
mod suggestion;
mod text;
mod timestamp;
mod whole;

pub use attribute::{AttributeBody, TypedAttribute};
pub use batch::Batch;
pub use body::checksum;
pub use field::Field;
pub use object::Object;
pub use peek::{PeekAnswer, PeekQuery, PeekedMessage};
pub use problem::{ItemError, PROBLEM_CONTENT_TYPE, Problem, ProblemFields};
pub use queue::{QueueBody, QueueCounts, QueueInfo, QueueList, QueueListQuery, QueuePartition};
pub use receipts::{
    AckRequest, ExtendRequest, ReceiptAnswer, ReceiptFailure, ReceiptItem, ReleaseRequest,
};
pub use receive::{DeadLetterSource, ReceiveAnswer, ReceiveRequest, ReceivedMessage};
pub use redrive_task::{REDRIVES_SHOWN_MAX, RedriveBody, RedriveList, RedriveTask};
pub use send::{CheckedMessage, SendAnswer, SendItemAnswer, SendMessage, SendRequest, check_label};
pub use suggestion::nearest;
pub use timestamp::Timestamp;
pub use whole::Whole;
