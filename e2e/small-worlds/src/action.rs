//! What may happen next in a world.

use std::sync::Arc;

use crate::letter::{Letter, News};
use crate::print::Printed;

/// One thing that happens. Hosts are named by their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A client submits a batch.
    Submit(usize),
    /// A letter arrives.
    Arrive(Arc<Printed<Letter>>),
    /// The first letter of a link is lost.
    Lose {
        /// Its sender.
        from: usize,
        /// Its receiver.
        to: usize,
    },
    /// A host notices what has become of its link to another one.
    Notice {
        /// Who.
        host: usize,
        /// The other one.
        peer: usize,
        /// What.
        news: News,
    },
    /// The host's sync is complete.
    Sync(usize),
    /// The process is gone, and all but so many of the records that were not synced.
    Crash {
        /// Which.
        host: usize,
        /// Records.
        kept: usize,
    },
    /// The process starts.
    Start(usize),
    /// The link from a host to another one breaks.
    Break {
        /// Who notices.
        host: usize,
        /// Who is suspected.
        peer: usize,
    },
    /// The host's next timer fires.
    Timeout(usize),
    /// The host is told to leave.
    Leave(usize),
}
