//! Replication inside a cluster: every host takes commands, all hosts execute them in one order.
//!
//! Each host owns a *lane*, a log that only it appends to. Timestamps merge the lanes into one
//! order; an entry is executed once it is *stable* (no smaller timestamp can come any more) and
//! *committed* (a quorum of the members has it on disk). A *view* says whose lanes count; whatever
//! is unusual (a host died, restarted, wants in or out) is a change of the view, which seals the
//! lanes of the one before.
//!
//! The crate is pure: inputs in, outputs out. It reads no clock, opens no file and no socket, draws
//! no random number that its configuration did not seed. [`Engine`] is where to start reading; its
//! documentation says in which order a driver calls it.

mod checkpoint;
mod config;
mod engine;
mod entry;
mod formation;
pub mod limits;
mod link;
mod message;
mod message_wire;
mod output;
mod payload;
mod record;
mod record_numbers;
mod status;
mod view;
mod wire;

pub use checkpoint::{EngineCheckpoint, NeededFrom};
pub use config::{EngineConfig, Timings};
pub use engine::Engine;
pub use entry::Entry;
pub use formation::FormError;
pub use link::LinkEvent;
pub use message::{Announced, Asked, Heartbeat, HostPhase, Message, Reason};
pub use message_wire::{decode_messages, encode_messages};
pub use output::{NotReady, Output, Ticket};
pub use payload::Payload;
pub use record::Record;
pub use record_numbers::RecordNumber;
pub use status::Status;
pub use view::{Ballot, View};
pub use wire::DecodeError;
