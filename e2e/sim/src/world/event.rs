//! What can happen in a world.

use bytes::Bytes;
use shoal_host::core::{BodyReads, Carriage, Carried};
use shoal_replication::Message;
use shoal_types::{HostId, HostRequest, ViewSummary};

use super::bodies::ToBeRead;
use super::carriages::Brought;
use super::process::Wanted;
use super::tellings::Said;
use crate::actions::Action;
use crate::history::{CallId, SimTime, Told};

/// What is going to happen. Events of a process name its life: they mean no later one.
pub(super) enum Event {
    Turn {
        host: HostId,
        life: u64,
    },
    Wake {
        host: HostId,
        life: u64,
    },
    JobEnds {
        host: HostId,
        life: u64,
        job: u64,
    },
    EntriesRead {
        host: HostId,
        life: u64,
        to: HostId,
        wanted: Wanted,
    },
    /// The bodies of an answer are read.
    AnswerRead(Box<ToBeRead>),
    /// Bodies that no client waits for are read.
    BodiesRead {
        host: HostId,
        life: u64,
        reads: Box<BodyReads>,
    },
    Starts {
        host: HostId,
        life: u64,
    },
    StartAgain {
        host: HostId,
    },
    Dial {
        from: HostId,
        life: u64,
        to: HostId,
    },
    Dialled {
        from: HostId,
        life: u64,
        to: HostId,
    },
    Refused {
        from: HostId,
        life: u64,
        to: HostId,
    },
    Frame {
        from: HostId,
        sender: u64,
        to: HostId,
        life: u64,
        messages: Vec<Message>,
    },
    LinkBreaks {
        from: HostId,
        to: HostId,
        connection: u64,
    },
    LinkSilent {
        from: HostId,
        to: HostId,
        connection: u64,
        since: SimTime,
    },
    CallArrives {
        call: CallId,
        host: HostId,
        request: Box<HostRequest>,
        bodies: Vec<Bytes>,
    },
    CancelArrives {
        call: CallId,
        host: HostId,
    },
    AnswerArrives {
        call: CallId,
        told: Box<Told>,
    },
    CallBreaks {
        call: CallId,
    },
    ClientsGiveUp {
        host: HostId,
    },
    ViewTold {
        view: Box<ViewSummary>,
    },
    TellingArrives(Box<Said>),
    TellingFails(Box<Said>),
    Told {
        said: Box<Said>,
        told: Box<shoal_host::core::Told>,
    },
    /// The bodies of a piece are read.
    CarriageRead {
        host: HostId,
        life: u64,
        carriage: Box<Carriage>,
    },
    CarriageArrives(Box<Brought>),
    CarriageFails(Box<Brought>),
    Carried {
        brought: Box<Brought>,
        carried: Box<Carried>,
    },
    Clients,
    Form {
        host: HostId,
    },
    ManageMembers,
    Act(Action),
    Fault,
    Suspicions,
    Heal,
    Look,
}

impl Event {
    /// The process that does this, and so does not while it stands still.
    pub(super) fn done_by(&self) -> Option<HostId> {
        match self {
            Self::Turn { host, .. }
            | Self::Wake { host, .. }
            | Self::JobEnds { host, .. }
            | Self::EntriesRead { host, .. }
            | Self::BodiesRead { host, .. }
            | Self::CarriageRead { host, .. } => Some(*host),
            Self::AnswerRead(read) => Some(read.host),
            Self::Dial { from, .. }
            | Self::Dialled { from, .. }
            | Self::Refused { from, .. }
            | Self::LinkBreaks { from, .. }
            | Self::LinkSilent { from, .. } => Some(*from),
            _ => None,
        }
    }
}
