//! What the hosts of a cluster say to each other. Every message may be lost, repeated or late.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use shoal_types::{ClusterSpec, HostId, Incarnation, Revision, Ts, ViewNumber};

use crate::{Ballot, Entry, Lacks, Payload, StateReport, View};

/// One message from one member to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A new entry of the sender's lane; tells the sender's clock as well. Sent before it is durable
    /// anywhere.
    Append(Arc<Entry>),
    /// "Every entry that I send after my index `last` has a larger timestamp than `clock`."
    Clock {
        /// In this view.
        view: ViewNumber,
        /// The promise.
        announced: Announced,
    },
    /// Cumulative: what of each lane is durable at the sender.
    Ack {
        /// Of this view's lanes.
        view: ViewNumber,
        /// A writer tells its clock along.
        announced: Option<Announced>,
        /// Index of the last durable entry of each lane, aligned with the members.
        durable: Vec<u64>,
    },
    /// Every 20 ms to every member; carries what Clock and Ack carry, so that whatever was lost is
    /// made good, and what failure detection and admission need.
    Heartbeat(Heartbeat),
    /// "Would you agree to changing the view?" Binds nobody.
    PreVote {
        /// The view to be decided.
        view: ViewNumber,
        /// Why.
        reason: Reason,
    },
    /// "I would agree."
    PreVoted {
        /// The view to be decided.
        view: ViewNumber,
    },
    /// First phase of deciding a view.
    Prepare {
        /// The view to be decided.
        view: ViewNumber,
        /// The attempt.
        ballot: Ballot,
    },
    /// The answer: the sender is suspended, and no smaller ballot is taken any more.
    Promise {
        /// The view to be decided.
        view: ViewNumber,
        /// The attempt.
        ballot: Ballot,
        /// What the sender has accepted for this view, if anything.
        accepted: Option<(Ballot, View)>,
        /// What of the lanes of the view before is durable at the sender.
        durable: Vec<u64>,
        /// What of them it has at all.
        held: Vec<u64>,
        /// Its clock.
        clock: Ts,
        /// Which life of it promises.
        incarnation: Incarnation,
        /// True if it should not become a writer: it is about to stop, or its disk does not keep up.
        wants_out: bool,
        /// The members it has heard of lately.
        hears: Vec<HostId>,
    },
    /// A higher ballot was promised.
    Refused {
        /// The view to be decided.
        view: ViewNumber,
        /// The higher one.
        rival: Ballot,
    },
    /// Second phase. The entries it seals that the receiver lacks come before it, as `Entries`.
    Accept {
        /// The attempt.
        ballot: Ballot,
        /// The view, with its number.
        value: View,
    },
    /// The value and every entry that it seals are durable at the sender.
    Accepted {
        /// The view to be decided.
        view: ViewNumber,
        /// The attempt.
        ballot: Ballot,
    },
    /// A view was decided.
    Install(View),
    /// "I have installed this view and have its lanes up to here; what comes next?" Answered by
    /// `Entries`, by `Install` of the next view, or both.
    Fetch {
        /// The sender's view.
        view: ViewNumber,
        /// Index of the last entry it has of each lane, aligned with the members.
        have: Vec<u64>,
        /// The lane that it needs most: execution waits for it.
        first: HostId,
    },
    /// Entries of one view, of any lanes, in the order of each lane.
    Entries(Vec<Arc<Entry>>),
    /// To a writer: "please change the view".
    Ask {
        /// From this one.
        view: ViewNumber,
        /// What for.
        asked: Asked,
    },
    /// "An earlier life of you knew more than you do: you are not listened to." Meant for one life only.
    Forgotten {
        /// That life's number.
        incarnation: Incarnation,
        /// Which of the lives with this number; unknown if it has not said it yet.
        life: Option<u64>,
        /// What it lacks.
        lacks: Lacks,
    },
    /// To members: "this change of the members was asked for; see to it." Repeated while it is wanted.
    Change {
        /// The cluster as it is to be.
        spec: ClusterSpec,
    },
    /// To whoever may not know: "from this view on, these are the members."
    Members {
        /// A view that the sender has installed.
        view: ViewNumber,
        /// The cluster as it is in this view.
        spec: ClusterSpec,
    },
    /// The answer to a fetch: "what comes next for you after this view's entries that you have is in no
    /// log here any more."
    Gone {
        /// The view that the fetch was about.
        view: ViewNumber,
    },
    /// Between the drivers of two hosts, about a snapshot: the engine neither sends nor understands it.
    Snapshot(Payload),
    /// What one driver says to another beside the protocol. The engine neither sends nor reads it.
    Aside(Payload),
}

/// A writer's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// Entries after `last` have larger timestamps than this.
    pub clock: Ts,
    /// Index of the last entry sent.
    pub last: u64,
}

/// How the sender is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The view it has installed.
    pub view: ViewNumber,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// Drawn at random for this life: tells it from another one that claims the same number.
    pub life: u64,
    /// What it does in the view.
    pub phase: HostPhase,
    /// Its clock, if it is an acting writer.
    pub announced: Option<Announced>,
    /// The members that it does not hear.
    pub unheard: Vec<HostId>,
    /// What of each lane of the view is durable there, aligned with the members.
    pub durable: Vec<u64>,
    /// Its physical time when it sent this, before any correction.
    pub wall: Ts,
    /// Percent of its data volume in use.
    pub disk_used_percent: u8,
    /// What its driver says of the executed state.
    pub state: StateReport,
}

/// What a host does in the view it has installed.
///
/// The variants' order is the wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostPhase {
    /// Acknowledges, executes, and writes if it is a writer.
    Acting,
    /// Will act as soon as the record of the view is durable.
    Entering,
    /// Has promised to take part in deciding a later view.
    Suspended,
    /// Will never act in this view, because an earlier life of it may have. Waits for the next one.
    Barred,
    /// Is no member in this view and is to become one: catches up, counts for nothing.
    Learning,
    /// As `Learning`, but what it lacks is in no log of those it can ask.
    Stranded,
}

/// What a host asks a writer for.
///
/// The variants' order is the wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asked {
    /// To become a writer.
    Join,
    /// To be one no longer.
    Leave,
}

/// Why a view should be changed.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reason {
    /// Writers that do not work any more.
    pub missing: Vec<HostId>,
    /// Hosts that want to become writers.
    pub joining: Vec<HostId>,
    /// Writers that want to be none any more.
    pub leaving: Vec<HostId>,
    /// Writers that do not hear another one, which the sender hears.
    pub deaf: Vec<HostId>,
    /// A change of the members that was asked for, and whose newcomer, if it has one, has caught up.
    pub changing: Option<Revision>,
}

impl Reason {
    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty()
            && self.joining.is_empty()
            && self.leaving.is_empty()
            && self.deaf.is_empty()
            && self.changing.is_none()
    }
}

impl Message {
    /// An answer to a fetch with entries read from the log
    /// (see [`crate::Output::SendFromLog`]). Entries beyond the bounds of one answer are left out.
    #[must_use]
    pub fn entries(entries: impl IntoIterator<Item = Arc<Entry>>) -> Self {
        let mut bytes = 0;
        let mut kept: Vec<Arc<Entry>> = Vec::new();
        for entry in entries {
            bytes += entry.payload.len();
            let full = bytes > crate::limits::ENTRIES_BYTES_MAX
                || kept.len() == crate::limits::ENTRIES_COUNT_MAX;
            if full && !kept.is_empty() {
                break;
            }
            kept.push(entry);
        }
        Self::Entries(kept)
    }
}
