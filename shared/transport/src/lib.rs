//! Framed, pipelined connections to a host's one port: from other hosts, from frontends, from the
//! manager.
//!
//! - [`Listener`] is a host's port, [`HostService`] what answers on it.
//! - [`HostClient`] calls one host.
//! - [`PeerLinks`] carries a host's frames to the other members of its cluster. Each host sends only
//!   on connections that it dialled itself; what it accepted only receives.
//!
//! A connection is one task: it reads, runs the calls that came in and writes whatever became ready
//! meanwhile in one go, so that a busy connection costs one wake-up and one system call for many
//! frames. What the frames of hosts among themselves mean is not known here.
//!
//! The layout of a frame is in [`frame`], who may connect to whom in [`handshake`].

mod backoff;
mod call;
mod client;
#[cfg(feature = "faults")]
pub mod faults;
pub mod frame;
pub mod handshake;
mod identity;
pub mod limits;
mod liveness;
mod mailbox;
pub mod metric_names;
mod peers;
mod reader;
mod server;
mod writer;

pub use call::Response;
pub use client::{CallError, CallErrorKind, ClientOptions, HostClient};
pub use handshake::Sought;
pub use identity::{Identity, Remote, Role};
pub use peers::{PeerEvent, PeerLinks};
pub use server::{HostService, Listener, Pusher};
