//! One host: its machine, its disk, and the process on it if one runs.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use shoal_host::core::{
    Answer, BodiesRead, Care, CheckpointDone, Core, OperationId, Scrubbed, SnapshotDone,
};
use shoal_replication::{LinkEvent, Message, Reason};
use shoal_storage::{BatchDone, Checkpoints, LogReader, Lsn};
use shoal_types::{HostId, HostRequest, MachineVersion, Micros, Request, ViewNumber};

use super::Event;
use super::carriages::Brought;
use super::clock::{MachineClock, ProcessClock};
use super::disk::SimDisk;
use super::jobs::Job;
use super::members::MemberCall;
use super::snapshots::Rested;
use super::tellings::Said;
use super::told::Told;
use super::witness::Steps;
use crate::actions::JobKind;
use crate::history::{CallId, SimTime};
use crate::options::ClockOptions;

/// See the module.
pub(super) struct Host {
    pub(super) id: HostId,
    pub(super) disk: SimDisk,
    pub(super) clock: MachineClock,
    /// The machine has power.
    pub(super) powered: bool,
    pub(super) process: Option<Process>,
    /// The process stands still.
    pub(super) frozen: bool,
    /// What happened to it meanwhile.
    pub(super) postponed: Vec<Event>,
    /// Starts of its process, begun and not, finished or not.
    pub(super) lives: u64,
    /// A start is under way.
    pub(super) starting: bool,
    /// The process is killed while it starts the next time.
    pub(super) kill_in_start: bool,
    /// The process is killed in the middle of the next job of this kind.
    pub(super) kill_in_job: Option<JobKind>,
    /// Its power goes with the next vote that it sends, and comes back after so long.
    pub(super) power_off_at_vote: Option<Micros>,
    /// What it has told others.
    pub(super) told: Told,
    /// The newest machine version that its release supports.
    pub(super) supports: MachineVersion,
    /// Files of it were damaged.
    pub(super) damaged: bool,
    /// Among that, the end of its log.
    pub(super) tail_lost: bool,
    /// Its data folder was set back or wiped.
    pub(super) set_back: bool,
    /// An earlier copy of its data folder.
    pub(super) copy: Option<SimDisk>,
    /// Its disk was made to fail or to be full, at some time.
    pub(super) had_disk_trouble: bool,
    /// It does not come back: gone for good, or it refused its own data.
    pub(super) away: bool,
    pub(super) disk_slower: u64,
    pub(super) disk_stalled_until: SimTime,
    pub(super) turn_longer: Micros,
    /// How often clients are cut off from it.
    pub(super) client_cuts: u32,
    /// It was told to form, and said that it did.
    pub(super) formed: bool,
    /// It began to put a snapshot in the place of its state, at some time.
    pub(super) installs: bool,
    /// How it stood when it did, to be held against its next life.
    pub(super) rested: Option<Rested>,
    /// Up to where its log was durable when its last process ended.
    pub(super) durable_at_end: Option<Lsn>,
}

impl Host {
    pub(super) fn new(id: HostId, clock: ClockOptions, supports: MachineVersion) -> Self {
        Self {
            id,
            disk: SimDisk::new(),
            clock: MachineClock::new(clock),
            powered: true,
            process: None,
            frozen: false,
            postponed: Vec::new(),
            lives: 0,
            starting: false,
            kill_in_start: false,
            kill_in_job: None,
            power_off_at_vote: None,
            told: Told::default(),
            supports,
            damaged: false,
            tail_lost: false,
            set_back: false,
            copy: None,
            had_disk_trouble: false,
            away: false,
            disk_slower: 1,
            disk_stalled_until: SimTime(0),
            turn_longer: 0,
            client_cuts: 0,
            formed: false,
            installs: false,
            rested: None,
            durable_at_end: None,
        }
    }

    /// The process, if it is this life of it that runs.
    pub(super) fn life(&mut self, life: u64) -> Option<&mut Process> {
        self.process.as_mut().filter(|process| process.life == life)
    }

    /// True if a process runs and does something.
    pub(super) fn is_alive(&self) -> bool {
        self.process.is_some() && !self.frozen
    }
}

/// A process that runs.
pub(super) struct Process {
    pub(super) life: u64,
    pub(super) core: Core,
    pub(super) reader: LogReader,
    pub(super) checkpoints: Checkpoints,
    pub(super) clock: ProcessClock,
    pub(super) steps: Steps,
    pub(super) inbox: VecDeque<Input>,
    pub(super) turn_planned: bool,
    pub(super) wake_planned: Option<SimTime>,
    /// What its disk does at the moment.
    pub(super) jobs: BTreeMap<u64, Job>,
    pub(super) last_job: u64,
    /// Its own connections to the others, for sending.
    pub(super) links: BTreeMap<HostId, Link>,
    /// The version of the engine's neighbours that were dialled last.
    pub(super) dialled: Option<u64>,
    /// Who waits for an answer.
    pub(super) callers: BTreeMap<OperationId, Caller>,
    pub(super) catch_up_reads: usize,
    /// Pieces that it brings to heirs at the moment.
    pub(super) carriages: usize,
    /// It stops then at the latest.
    pub(super) leave_until: Option<SimTime>,
    /// It has installed a snapshot, and goes on from there once its disk has nothing to do.
    pub(super) restarts: bool,
    /// A sync failed: what the system's memory holds is not what the disk has.
    pub(super) lost_trust: bool,
    pub(super) seen: Seen,
}

/// What was noticed about a process from outside.
#[derive(Default)]
pub(super) struct Seen {
    /// The pre-vote sent last, and how often.
    pub(super) pre_vote: Option<(ViewNumber, Reason, u32)>,
    /// The view for which it has a ballot of its own under way.
    pub(super) proposes: ViewNumber,
    /// The last entry of its lane that it sent.
    pub(super) appended: (ViewNumber, u64),
    /// In which view it asked to be let in, and how often.
    pub(super) asked_in: (ViewNumber, u32),
    /// The last step executed was one of an entry: its state can be compared by the position alone.
    pub(super) after_entry: bool,
    /// What was done for its bodies.
    pub(super) care: Care,
    /// The view installed last.
    pub(super) view: ViewNumber,
}

/// What can happen to a process.
pub(super) enum Input {
    Call {
        operation: OperationId,
        caller: Caller,
        request: Box<HostRequest>,
        bodies: Vec<Bytes>,
    },
    Cancel(CallId),
    /// Bodies of an answer could not be read.
    Unreadable {
        operation: OperationId,
        caller: Caller,
        answer: Box<Answer>,
    },
    BodiesRead(BodiesRead),
    Scrubbed(Scrubbed),
    Link(HostId, LinkEvent),
    Frame {
        from: HostId,
        messages: Vec<Message>,
    },
    Written(BatchDone),
    Checkpoint(CheckpointDone),
    Snapshot(SnapshotDone),
    EntriesRead(HostId, Message),
    /// The log does not hold the entries of this view that a peer asked for.
    NotInLog(HostId, ViewNumber),
    /// A successor was told something, or could not be.
    Told(shoal_host::core::Told),
    /// A piece was brought to its heir, or could not be.
    Carried(shoal_host::core::Carried),
    /// The process must stop at once.
    Failed(String),
    Leave,
}

/// Who waits for an answer.
#[derive(Clone)]
pub(super) enum Caller {
    /// A client.
    Client {
        call: CallId,
        /// What it asked, to understand the answer.
        request: Box<Request>,
        since: SimTime,
        /// It came in while the host took no commands.
        held: bool,
    },
    /// The manager, who formed or repeated, rightly or wrongly.
    Manager { right: bool },
    /// The manager, who orders that the members change.
    Members(MemberCall),
    /// A host that tells a successor what it follows.
    Successor(Box<Said>),
    /// A host that brings a piece of what its partition has to the heir.
    Source(Box<Brought>),
}

/// A process's connection to another host, for sending only.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) state: LinkState,
    pub(super) pause: Micros,
    pub(super) refused_at: Option<SimTime>,
}

#[derive(Debug)]
pub(super) enum LinkState {
    /// To be dialled again at some time.
    Down,
    Up {
        /// Which connection: tells events of this one from those of earlier ones.
        connection: u64,
        life: u64,
        /// The last frame arrives then; later ones not before.
        arrives: SimTime,
        /// Nothing is heard from the other side since then.
        silent_since: Option<SimTime>,
        /// Frames that a cut holds up.
        held: Vec<Vec<Message>>,
    },
}
