//! What an engine wants done.

use std::sync::Arc;

use shoal_types::limits::MAX_CLOCK_SKEW;
use shoal_types::{HostId, Position, ViewNumber};

use crate::{Entry, Forgotten, Message, Record, RecordNumber, View};

/// One thing to do. A driver carries them out in the order in which they are polled.
#[derive(Clone, Debug)]
pub enum Output {
    /// Append to the log, then report with [`crate::Engine::handle_persisted`] once it is durable.
    Persist {
        /// Consecutive.
        number: RecordNumber,
        /// What to append.
        record: Record,
    },
    /// Send now. It may get lost; the engine repeats what matters.
    Send {
        /// To this member.
        to: HostId,
        /// What to send.
        message: Message,
    },
    /// Keep, and send only after [`crate::Engine::handle_persisted`] was called with at least `after`.
    SendAfterPersisted {
        /// The record that must be durable before.
        after: RecordNumber,
        /// To this member.
        to: HostId,
        /// What to send.
        message: Message,
    },
    /// A peer needs entries that are no longer in memory. Read them from the log, at least one and
    /// at most [`crate::limits::ENTRIES_BYTES_MAX`] bytes of them in one message, and send that as
    /// [`Message::Entries`]; the peer asks again for the rest. If the log does not hold the first of
    /// them (that it cannot be read is something else), say so with
    /// [`crate::Engine::handle_not_in_log`].
    SendFromLog {
        /// The peer.
        to: HostId,
        /// The entries' view.
        view: ViewNumber,
        /// The entries' lane.
        lane: HostId,
        /// Index of the first one.
        from: u64,
        /// Index of the last one that it needs.
        to_index: u64,
    },
    /// Execute the entry's commands. Positions strictly grow, and every host gets the same entries in
    /// the same order.
    Execute {
        /// The entry's place in the order.
        position: Position,
        /// The entry.
        entry: Arc<Entry>,
        /// If it is a batch that was submitted here in this life of the process: which. Its clients
        /// can be answered now.
        ticket: Option<Ticket>,
    },
    /// A view is installed; stands at the same place among the `Execute`s on every host.
    ViewInstalled {
        /// The view.
        view: View,
    },
    /// The batch was cut off by the seal of its view: it was not and never will be executed. Its
    /// clients should try another host, with the same request ids.
    Dropped {
        /// Which batch.
        ticket: Ticket,
    },
    /// This host was removed from its cluster: it does and sends nothing any more. What became of its
    /// own batches that were neither executed nor dropped before, it will never know.
    Removed,
    /// Another host remembers more of this one than it knows: its data folder was lost or set back. It
    /// does and sends nothing any more. What became of its own batches that were neither executed nor
    /// dropped before, it will never know.
    Forgotten(Forgotten),
}

/// Names a batch that was submitted here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Why a batch was not taken. Nothing of it was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// The host belongs to no cluster.
    #[error("the host belongs to no cluster yet")]
    NotFormed,
    /// The host takes no part in its view at the moment: starting, catching up, or the view is being
    /// changed.
    #[error("the host does not act in the current view")]
    NotActing,
    /// The host follows the order, but writes no lane in this view.
    #[error("the host is no writer of the current view")]
    NotWriter,
    /// Too few members can be reached to commit anything.
    #[error("too few members of the cluster can be reached")]
    NoQuorum,
    /// Too few members have shown their clocks for this host to know whether its own is right.
    #[error("the host cannot tell yet whether its clock is right")]
    ClockUnsure,
    /// The host's clock is further off what a quorum agrees on than clocks may differ.
    #[error(
        "the host's clock is {} {} those of a majority of its cluster, and {} ms are allowed: set the \
         system's time right",
        roughly(*ahead),
        if *ahead < 0 { "behind" } else { "ahead of" },
        MAX_CLOCK_SKEW / 1_000
    )]
    ClockOff {
        /// Microseconds ahead; negative: behind.
        ahead: i64,
    },
    /// The host is about to stop.
    #[error("the host is about to stop")]
    Leaving,
    /// The host is no member of its cluster: not yet, or not any more.
    #[error("the host is no member of its cluster")]
    NotMember,
    /// As much waits for execution as may ([`crate::limits`]).
    #[error("the host has as much to do as it may have")]
    Busy,
}

/// In words that stay the same while clocks jitter.
fn roughly(micros: i64) -> String {
    match micros.unsigned_abs() {
        2_000_000.. => format!(
            "{} s",
            micros.unsigned_abs().saturating_add(500_000) / 1_000_000
        ),
        _ => "too far".to_owned(),
    }
}
