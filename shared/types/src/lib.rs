//! The vocabulary of Shoal: ids, times, queue settings, the commands a cluster executes, limits and
//! error codes.
//!
//! Everything that two parts of the system must agree on stands here, so that host, frontend and
//! manager never import one another. This crate does no I/O and reads no clock.

mod command;
mod error_code;
mod forwarding;
mod id;
mod kept;
pub mod limits;
mod load;
mod message;
mod only_in_text;
mod outcome;
pub mod planted;
mod position;
mod protocol;
mod queue_name;
mod ranges;
mod receipt;
mod redrive;
mod route;
mod scope;
mod settings;
mod sqs_attributes;
mod succession;
mod time;
mod transfer;
mod wire;
mod wire_version;

pub use command::{
    AttemptKey, Command, DedupKey, Deduplication, GroupName, LeaseChange, Origin, Request, SendItem,
};
pub use error_code::{Applied, ErrorCode, Refusal};
pub use forwarding::{Forwarded, Heir, Passed, Piece, Rest};
pub use id::{
    ClusterId, Epoch, HostId, Incarnation, MachineVersion, MessageId, PartitionId, QueueId,
    RequestId, Revision, Sequence, ViewNumber,
};
pub use kept::{Description, KeptPartition, PartitionPage, Standing};
pub use load::{LoadReport, PartitionLoad};
pub use message::{Attribute, Body, MessagePayload, PayloadError};
pub use outcome::{BodyRef, Delivery, Outcome, ReceiptResult, SendResult};
pub use position::Position;
pub use protocol::{
    ClusterMember, ClusterSpec, HostReply, HostRequest, HostState, HostStatus, PartitionCounts,
    Peeked, Push, Query, QueryReply, ViewSummary, is_address,
};
pub use queue_name::{QueueName, QueueNameError};
pub use receipt::{Receipt, ReceiptError};
pub use redrive::RedriveAllow;
pub use route::{ClusterRoute, PartitionRoute, PartitionState, QueueRoute};
pub use scope::{Scope, ScopeError};
pub use settings::{PartitionSettings, Partitioning, QueueSettings, SettingsError};
pub use sqs_attributes::{DeduplicationScope, SqsAttributes, ThroughputLimit};
pub use succession::{
    GroupHash, GroupRange, HeldGroups, Inherited, KeyedSend, Seal, Succession, SuccessionStage,
    Successor, group_hash,
};
pub use time::{Micros, Mono, Now, Ts};
pub use transfer::{
    DeadFrom, DeadLetters, MoveProgress, MoveStatus, MoveTask, MoveTo, Outbox, Parcel, Parceled,
    Target, TargetPart,
};
pub use wire::{Frame, WireError, decode_frame, decode_frame_prefix, encode_frame, join};
pub use wire_version::WireVersion;
