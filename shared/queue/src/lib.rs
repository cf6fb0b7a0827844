//! All queues of one cluster as a pure state machine: position and command in, outcome out.
//!
//! Every host of a cluster feeds its [`Machine`] the same entries in the same order and so comes to
//! the same state, the same answers and the same [`Effect`]s. There is no clock in here, no
//! randomness and no I/O: time is the executing entry's timestamp, bodies are places in the host's
//! log ([`shoal_types::BodyRef`]) that the machine carries but never compares.
//!
//! To read it, begin with `machine.rs` (entries and queries) and `execute.rs` (what each command
//! does). Below them:
//!
//! | files | what |
//! |---|---|
//! | `partition`, `sending`, `receiving`, `receipts`, `due` | one partition and what it does |
//! | `contents`, `slots`, `chunk`, `bits` | its messages, 32 bytes each, and their indexes |
//! | `groups`, `turns`, `line`, `link` | groups: in order in FIFO queues, in fair turns in standard ones |
//! | `window`, `keyed_window`, `positions`, `deduplication`, `attempts`, `remembered`, `waiters` | what is kept for a time |
//! | `succession`, `succession_form`, `lineage`, `sealing`, `inheriting`, `held` | how partitions follow one another |
//! | `forwards`, `forwarding`, `taking`, `numbers` | how what nobody consumes goes on to an heir |
//! | `transfer_commands`, `transfer_form`, `transfers`, `dying`, `parcels`, `moving`, `arriving` | how dead letters and tasks take messages to other queues |
//! | `deleted`, `remains` | what stays of deleted and purged partitions |
//! | `description` | what the manager noted down beside partitions |
//! | `stored`, `chunk_extras`, `checkpoint`, `restore`, `row_bodies` | the state on disk, and on its way to another host |
//! | `version`, `hash`, `full_hash`, `live_bodies`, `body_search`, `memory`, `limits`, `admission` | the rest |
//!
//! The promises kept here: numbers without a gap; a lease in one consumer's hands at a time, fenced by
//! its receipt; nothing delivered after its acknowledged delete; a FIFO group strictly in order; a
//! request or deduplication id repeated in time changes nothing. No command's cost grows with the
//! backlog.

mod admission;
mod arriving;
mod attempts;
mod bits;
mod body_search;
mod checkpoint;
mod chunk;
mod chunk_extras;
mod contents;
mod deduplication;
mod deleted;
mod description;
mod due;
mod dying;
mod effect;
mod execute;
mod forwarding;
mod forwards;
mod full_hash;
mod groups;
mod hash;
#[cfg(test)]
mod hash_covers_everything;
#[cfg(test)]
mod hash_covers_succession;
#[cfg(test)]
mod hash_covers_transfers;
#[cfg(test)]
mod hash_covers_turns;
mod held;
mod inheriting;
mod keyed_window;
mod limits;
mod line;
mod lineage;
mod link;
mod live_bodies;
mod machine;
mod memory;
mod moving;
mod numbers;
mod parcels;
mod partition;
mod positions;
mod receipts;
mod receiving;
mod remains;
mod remembered;
mod restore;
mod row_bodies;
mod sealing;
mod sending;
mod slots;
mod stored;
mod succession;
mod succession_form;
mod taking;
mod transfer_commands;
mod transfer_form;
mod transfers;
mod turns;
mod version;
mod waiters;
mod window;

pub use body_search::{PlacedBody, SearchedUpTo};
pub use checkpoint::Frozen;
pub use effect::Effect;
pub use live_bodies::LiveInSegment;
pub use machine::Machine;
pub use restore::RestoreError;
pub use row_bodies::{RowBodies, RowBody};
pub use version::{MACHINE_VERSION_MAX, MACHINE_VERSION_MIN, MACHINE_VERSION_NEXT};
