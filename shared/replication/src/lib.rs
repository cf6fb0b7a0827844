//! Replication inside a cluster: every host takes commands, all hosts execute them in one order.
//!
//! Each host owns a *lane*, a log that only it appends to. Timestamps merge the lanes into one
//! order; an entry is executed once it is *stable* (no smaller timestamp can come any more) and
//! *committed* (a quorum of the members has it on disk). A *view* says whose lanes count; whatever
//! is unusual (a host died, restarted, wants in or out) is a change of the view, which seals the
//! lanes of the one before. The members change through the same mechanism, one at a time.
//!
//! The crate is pure: inputs in, outputs out. It reads no clock, opens no file and no socket, draws
//! no random number that its configuration did not seed. [`Engine`] is where to start reading; its
//! documentation says in which order a driver calls it.

mod acceptor;
mod acknowledgement;
mod attempt;
mod backoff;
mod catch_up;
mod checkpoint;
mod clock;
mod config;
mod engine;
mod entry;
mod execution;
mod formation;
mod glance;
mod hearing;
mod install;
mod jitter;
mod joining;
mod lane;
pub mod limits;
mod link;
mod membership;
mod memory;
mod message;
mod message_wire;
mod normal_operation;
mod order;
mod output;
mod payload;
mod peer;
mod quorum;
mod receive;
mod record;
mod record_numbers;
mod replay;
mod snapshot;
mod state_report;
mod status;
mod suspicion;
mod timer;
mod view;
mod view_change;
mod windowed_max;
mod wire;
mod writers;

pub use checkpoint::{EngineCheckpoint, NeededFrom};
pub use config::{EngineConfig, Timings};
pub use engine::Engine;
pub use entry::Entry;
pub use formation::FormError;
pub use link::LinkEvent;
pub use membership::{ChangeError, ChangeState, LearnError, Standing};
pub use memory::{Forgotten, Lacks};
pub use message::{Announced, Asked, Heartbeat, HostPhase, Message, Reason};
pub use message_wire::{decode_messages, encode_messages};
pub use output::{NotReady, Output, Ticket};
pub use payload::Payload;
pub use record::Record;
pub use record_numbers::RecordNumber;
pub use snapshot::NotInstallable;
pub use state_report::{StateMark, StateReport};
pub use status::{LaneStatus, Status};
pub use view::{Ballot, View};
pub use wire::DecodeError;
