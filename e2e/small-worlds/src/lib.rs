//! Everything that can happen to three hosts and a few batches, searched state by state over the real
//! [`shoal_replication::Engine`]; nothing of the protocol is modelled a second time here.
//!
//! A *small world* ([`World`]) is three hosts with their disks, the letters in flight between them, and
//! the history of what was executed. From each state every action is tried that the world's bounds
//! ([`Bounds`]) allow, in any order: a client submits a batch, a letter arrives, a sync completes, a host
//! crashes, a host starts, a link breaks, the next timer of a host fires, a host is told to leave. Each
//! new state is held against [`Promise::ALL`]; a panic of the engine counts as a broken promise.
//!
//! # What stands for what
//!
//! - **The network** is one of two ([`Network`]). *Ordered* does what connections do: one letter after the
//!   other from one host to another, lost with the life that sent it or was to get it. *Free* keeps every
//!   letter for ever, so that it may arrive at any time, again, or after a restart of either side. Loss
//!   needs no action there: the state in which a letter is lost does the same as the one in which it is
//!   under way for ever; and an arrival that changes nothing is left out. On an ordered network the same
//!   holds for the last letters of a link; a letter lost before others that arrive is an action, and
//!   bounded.
//! - **The disk** completes its syncs as actions of their own where the world says that it is slow; a
//!   sync covers what was written when it began. A crash keeps any number of the records that were not
//!   synced, from none to all. A fast disk is done before anything else happens.
//! - **Links**: when a host crashes, the others may learn that nobody listens there, now, later or never.
//!   A link may also just break, at one end, which makes the host behind it suspect although it is well;
//!   it may come up again at any time or never.
//! - **Time**: each host has a monotonic clock of its own which stands still, but for two actions: it
//!   jumps to the next timeout, or past the time that a broken link may take to come back. Since nothing
//!   ties the hosts' clocks together, this covers hosts of any relative speed. Wall clocks stand still
//!   for good, each at a distance that the world fixes; timestamps then grow by the logical rule alone.
//! - **Equal states**: two hosts are the same if their engines are, field by field as `Debug` shows them,
//!   and so are their disks. One field is left out: how many samples a maximum of recent gaps was taken
//!   over, which matters only after a thousand of them. Everything else, times included, tells states
//!   apart: nothing is hidden that could make a difference. States are remembered by 64-bit
//!   fingerprints: that two of five million are confused has a chance below one in a million.
//!
//! # What is not covered
//!
//! - Anything beyond the bounds: more batches, crashes, timers, or more than the world's last view. Of
//!   the timers only as many fire as the bounds say, so repetitions are rarely seen twice; in most
//!   worlds none do, and what needs one does not happen.
//! - In worlds that are too large, what the limit leaves out: the binary's table says which these are.
//!   They are searched twice, once breadth first and once depth first.
//! - A driver may give an engine several inputs before it polls. Here one letter (which may carry
//!   several messages, as one turn sent them) is one turn.
//! - Encodings (messages and records stay values), checkpoints and the removal of segments (a restart
//!   replays the whole log), bounds of memory, clocks that are wrong or move. The rig of
//!   `shared/replication/tests` and `e2e/sim` have them.
//! - That something happens at all. Only that each world *can* reach what it is there to show.

mod action;
mod bounds;
mod catalogue;
mod disk;
mod history;
mod host;
mod letter;
mod print;
mod promise;
mod search;
mod turn;
mod world;

pub use action::Action;
pub use bounds::{Bounds, Driver, Network};
pub use catalogue::{Scope, catalogue, world_named};
pub use history::Sight;
pub use promise::Promise;
pub use search::{Found, Limits, Order, search};
pub use world::{SmallWorld, World};
