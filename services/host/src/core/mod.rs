//! One host without its surroundings: replication engine, queues and log front end, joined.
//!
//! Inputs come in through `on_…` methods between [`Core::begin_turn`] and [`Core::end_turn`]; what is
//! to be done about them comes out of `end_turn` as [`Effect`]s, in order. Nothing in here waits,
//! sleeps, or reads a clock; the only I/O is the log front end's (it opens segments). The driver in
//! `driver.rs` gives it a network, a disk thread and a clock; a simulator can give it others.

mod agreement;
mod announcements;
mod answer;
mod body_reads;
mod care;
mod checkpointing;
mod compaction;
mod departed;
mod effect;
mod executor;
mod forwarding;
mod intake;
mod keeping;
mod load;
mod looks;
mod members;
mod operations;
mod outputs;
mod parcels;
mod recovery;
mod release;
mod rendezvous;
mod repair;
mod retry;
mod scrub;
mod snapshot;
mod succession;
mod tick;
mod witness;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use shoal_queue::Machine;
use shoal_replication::{
    Engine, LinkEvent, Message, NeededFrom, NotReady, RecordNumber, Standing, Ticket,
};
use shoal_storage::{Address, BatchDone, Log, Lsn};
use shoal_types::planted::show_local_clock;
use shoal_types::{
    BodyRef, ClusterId, ClusterSpec, ErrorCode, HostId, HostReply, HostRequest, HostState,
    Incarnation, Mono, Now, Origin, PartitionPage, Query, QueryReply, Refusal, Revision, Ts,
    ViewNumber,
};

pub use answer::{Answer, StoredBody};
pub use body_reads::{BodiesRead, BodyError, BodyReads, read_body};
pub use care::Care;
pub use checkpointing::{CheckpointDone, PendingCheckpoint, Write};
pub use effect::Effect;
pub use forwarding::{Carriage, Carried, NotCarried};
pub use load::{Counted, Done};
pub use operations::OperationId;
pub(crate) use recovery::has_other_members;
pub use recovery::{Opened, RecoveryError, decode_meta, encode_meta, recover, recover_supporting};
pub use release::CheckpointPace;
pub use scrub::{ScrubLook, Scrubbed};
pub use snapshot::{
    SnapshotDone, SnapshotEvent, SnapshotJob, SnapshotJobKind, SnapshotPace, SnapshotProgress,
};
pub use succession::{Telling, Told};
pub use witness::Witness;

use crate::limits;
use crate::recent_bodies::RecentBodies;
use agreement::{Agreement, Verdict};
use compaction::Compaction;
use departed::Departed;
use forwarding::Carriages;
use intake::Intake;
use keeping::Keeping;
use load::Meter;
use operations::Operations;
use outputs::Deferred;
use parcels::Parcels;
use repair::Repairs;
use scrub::Scrub;
use snapshot::{Receiving, Sending};
use succession::Tellings;

/// See the module.
pub struct Core {
    origin: Origin,
    engine: Engine,
    machine: Machine,
    log: Log,
    now: Now,
    operations: Operations,
    intake: Intake,
    meter: Meter,
    /// Where the payloads of entries lie that were logged and not executed yet.
    unexecuted: BTreeMap<(ViewNumber, HostId, u64), Payload>,
    /// Own entries' commands, so that they need not be decoded again.
    own: BTreeMap<Ticket, Vec<crate::batch::Placed>>,
    /// Log positions of the engine's records, from where replay would start on.
    records: VecDeque<(RecordNumber, Lsn)>,
    last_record: RecordNumber,
    persisted: RecordNumber,
    /// The record of this life: nobody sees anything of it before that is durable.
    life: RecordNumber,
    /// What waits for a record to be durable.
    deferred: Vec<(RecordNumber, Deferred)>,
    /// Who waits for a change of the members.
    changes: Vec<(OperationId, ClusterSpec)>,
    /// A batch is out: what arrives meanwhile shares the next one.
    writing: bool,
    outbox: BTreeMap<HostId, Vec<Message>>,
    effects: Vec<Effect>,
    recent: RecentBodies,
    /// True once this process took commands.
    served: bool,
    /// When it last stopped to; `None` while it takes them or before it ever did.
    suspended_since: Option<Mono>,
    tick_proposed: Option<Mono>,
    agreement: Agreement,
    /// When a raise of the version is proposed, while one is called for.
    raise_at: Option<Mono>,
    /// Why this host must end; it does nothing any more.
    stopped: Option<String>,
    checkpoint: release::CheckpointSchedule,
    snapshot_pace: SnapshotPace,
    sending: Option<Sending>,
    receiving: Receiving,
    snapshot_events: Vec<SnapshotEvent>,
    /// For whom nothing is kept any more, and what each needed when that began.
    behind: Vec<(HostId, NeededFrom)>,
    keeping: Keeping,
    compaction: Compaction,
    repairs: Repairs,
    departed: Departed,
    tellings: Tellings,
    carriages: Carriages,
    parcels: Parcels,
    /// Log segments of which some part cannot be read.
    damaged: BTreeSet<u32>,
    care: Care,
    scrub: Scrub,
    disk_used_percent: u8,
    log_bytes: u64,
    /// When, and how much had been logged by then.
    disk_looked_at: Option<(Mono, u64)>,
    witness: Option<Box<dyn Witness + Send>>,
}

/// An entry's payload within its log record.
struct Payload {
    at: Address,
    /// Bytes of the record before the payload.
    starts: usize,
}

impl Core {
    fn new(
        host: HostId,
        engine: Engine,
        machine: Machine,
        log: Log,
        checkpoint: release::CheckpointSchedule,
        scrub: Scrub,
        now: Now,
    ) -> Self {
        Self {
            origin: Origin {
                host,
                incarnation: Incarnation::default(),
            },
            engine,
            machine,
            log,
            now,
            operations: Operations::default(),
            intake: Intake::default(),
            meter: Meter::default(),
            unexecuted: BTreeMap::new(),
            own: BTreeMap::new(),
            records: VecDeque::new(),
            last_record: RecordNumber::default(),
            persisted: RecordNumber::default(),
            life: RecordNumber::default(),
            deferred: Vec::new(),
            changes: Vec::new(),
            writing: false,
            outbox: BTreeMap::new(),
            effects: Vec::new(),
            recent: RecentBodies::new(limits::RECENT_BODIES_BYTES_MAX),
            served: false,
            suspended_since: None,
            tick_proposed: None,
            agreement: Agreement::default(),
            raise_at: None,
            stopped: None,
            checkpoint,
            snapshot_pace: SnapshotPace::default(),
            sending: None,
            receiving: Receiving::default(),
            snapshot_events: Vec::new(),
            behind: Vec::new(),
            keeping: Keeping::default(),
            compaction: Compaction::default(),
            repairs: Repairs::default(),
            departed: Departed::default(),
            tellings: Tellings::default(),
            carriages: Carriages::default(),
            parcels: Parcels::default(),
            damaged: BTreeSet::new(),
            care: Care::default(),
            scrub,
            disk_used_percent: 0,
            log_bytes: 0,
            disk_looked_at: None,
            witness: None,
        }
    }

    /// Takes the time of this turn. Every `on_…` call until `end_turn` happens "now".
    pub fn begin_turn(&mut self, now: Now) {
        self.now = now;
        show_local_clock(now.wall);
    }

    /// A frontend, the manager or a client asks for something.
    pub fn on_call(&mut self, operation: OperationId, request: HostRequest, bodies: Vec<Bytes>) {
        if self.receiving.installing {
            let refusal = Refusal::not_applied(
                ErrorCode::NotReady,
                "this host is about to go on from a snapshot",
            );
            return self.answer(operation, Answer::refused(refusal));
        }
        match request {
            HostRequest::Execute { cluster, request } => {
                match self
                    .check_cluster(cluster)
                    .and_then(|()| self.admit(&request, &bodies))
                {
                    Ok(()) => self.take_in(operation, request, bodies),
                    Err(refusal) => {
                        self.meter.refused(&request.command, &refusal);
                        self.answer(operation, Answer::refused(refusal));
                    }
                }
            }
            HostRequest::Query { cluster, query } => {
                let answer = match self.check_cluster(cluster).and_then(|()| self.query(query)) {
                    Ok(answer) => answer,
                    Err(refusal) => Answer::refused(refusal),
                };
                self.answer(operation, answer);
            }
            HostRequest::Form { spec } => self.form(operation, &spec),
            HostRequest::ChangeMembers { spec } => self.change_members(operation, spec),
            HostRequest::Learn { spec } => self.learn(operation, &spec),
            // The driver knows addresses and zone; it answers Status itself.
            HostRequest::Status => unreachable!("the driver answers Status"),
        }
    }

    /// The client of an operation is gone.
    pub fn on_cancel(&mut self, operation: OperationId) {
        self.changes.retain(|(waiting, _)| *waiting != operation);
        self.forget_held(operation);
        self.cancel(operation);
    }

    /// Another host of the cluster says something.
    pub fn on_message(&mut self, from: HostId, message: Message) {
        if self.receiving.installing {
            return;
        }
        if let Message::Snapshot(payload) = &message {
            return self.on_snapshot_message(from, payload);
        }
        if let Message::Aside(payload) = message {
            return self.on_aside(from, payload.contiguous());
        }
        self.engine.handle_message(from, message, self.now);
        self.pump();
    }

    /// A link to another host changed.
    pub fn on_link(&mut self, peer: HostId, event: LinkEvent) {
        if self.receiving.installing {
            return;
        }
        self.engine.handle_link(peer, event, self.now);
        self.pump();
    }

    /// A batch is on disk.
    pub fn on_written(&mut self, done: BatchDone) {
        let durable = self.log.complete(done);
        self.writing = false;
        if self.receiving.installing {
            return;
        }
        self.believe_kept(durable);
        let durable_records = self.records.partition_point(|(_, lsn)| *lsn <= durable);
        let up_to = durable_records
            .checked_sub(1)
            .map(|last| self.records[last].0);
        if let Some(up_to) = up_to.filter(|up_to| *up_to > self.persisted) {
            self.persisted = up_to;
            self.release_deferred();
            self.engine.handle_persisted(up_to, self.now);
            self.pump();
        }
    }

    /// Ask to be sealed out before a stop, so that nobody has to suspect this host.
    pub fn leave(&mut self) {
        if self.receiving.installing {
            return;
        }
        self.engine.leave(self.now);
        self.pump();
    }

    /// Ends the turn: runs timers, sends off what was gathered, starts the next sync.
    pub fn end_turn(&mut self) -> Vec<Effect> {
        if self.receiving.installing {
            return self.end_turn_at_rest();
        }
        if self
            .engine
            .next_timeout()
            .is_some_and(|at| at <= self.now.mono)
        {
            self.engine.handle_timeout(self.now);
            self.pump();
        }
        self.exchange_announcements();
        if self.stopped.is_some() {
            return std::mem::take(&mut self.effects);
        }
        self.answer_changes();
        self.note_suspension();
        self.look_at_disk();
        self.propose_tick();
        self.tell_successors();
        self.carry_on_forwarding();
        self.carry_parcels();
        self.send_off_intake();
        self.compact();
        self.go_on_repairing();
        self.scrub_on();
        self.start_checkpoint_if_due();
        self.go_on_sending();
        self.go_on_receiving();
        self.flush_outbox();
        if let Some(batch) = self.log.take_batch() {
            self.writing = true;
            self.effects.push(Effect::Write(batch));
        }
        if let Some(upkeep) = self.log.upkeep() {
            self.effects.push(Effect::Upkeep(upkeep));
        }
        std::mem::take(&mut self.effects)
    }

    /// Nothing happens any more but that what was logged becomes durable, and then the change of state.
    fn end_turn_at_rest(&mut self) -> Vec<Effect> {
        if self.stopped.is_none() {
            self.start_checkpoint_if_due();
            self.go_on_receiving();
            if let Some(batch) = self.log.take_batch() {
                self.writing = true;
                self.effects.push(Effect::Write(batch));
            }
        }
        std::mem::take(&mut self.effects)
    }

    /// What became of snapshots since this was asked last.
    pub fn take_snapshot_events(&mut self) -> Vec<SnapshotEvent> {
        std::mem::take(&mut self.snapshot_events)
    }

    /// When the next turn is due even without an input.
    #[must_use]
    pub fn next_wake(&self) -> Option<Mono> {
        if self.receiving.installing {
            // At rest: only what the disk has done moves it on.
            return None;
        }
        let times = [
            self.engine.next_timeout(),
            self.next_tick(),
            self.next_telling(),
            self.next_forwarding(),
            self.next_parcel_look(),
            self.next_raise(),
            self.hold_ends(),
            self.checkpoint_due(),
            self.next_sending(),
            self.next_receiving(),
            self.next_compaction(),
            self.repairs.next(),
            self.next_scrub(),
        ];
        times.into_iter().flatten().min()
    }

    /// What this host is at the moment.
    #[must_use]
    pub fn state(&self) -> HostState {
        let follows = self.engine.is_set_aside() && self.engine.is_following();
        if (self.engine.is_ready() || follows) && !self.is_halted() {
            return HostState::Acting;
        }
        match self.engine.standing() {
            Standing::None => HostState::Unassigned,
            Standing::Learner => HostState::Learning,
            Standing::Member => HostState::Joining,
            Standing::NeedsSnapshot => HostState::NeedsSnapshot,
            Standing::Removed => HostState::Removed,
            Standing::Forgotten => HostState::Forgotten,
        }
    }

    /// True while what this host had executed is lost with its checkpoint, until a peer has given it.
    pub(super) fn lacks_state(&self) -> bool {
        self.engine.lacks_state()
    }

    /// True if this host's clock is so far off that it takes no commands.
    #[must_use]
    pub fn clock_is_off(&self) -> bool {
        matches!(self.engine.not_ready(), Some(NotReady::ClockOff { .. }))
    }

    /// True unless the clocks of a quorum show that this host's own is off, or that nobody can tell whose
    /// is right: nothing goes by its own then.
    #[must_use]
    pub fn goes_by_its_clock(&self) -> bool {
        !self.engine.is_clock_in_doubt(self.now.wall)
    }

    /// The cluster this host belongs to, if it does.
    #[must_use]
    pub fn cluster(&self) -> Option<ClusterId> {
        self.engine.spec().map(|spec| spec.cluster)
    }

    /// This host and which life of its process this is.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Operations that wait for their entry, and receives that wait for a message.
    #[must_use]
    pub fn operations(&self) -> (usize, usize) {
        (self.operations.in_flight(), self.operations.waiting())
    }

    /// Percent of the disk in use, as last looked at.
    #[must_use]
    pub fn disk_used(&self) -> u8 {
        self.disk_used_percent
    }

    /// Bytes of log on disk, as last looked at.
    #[must_use]
    pub fn log_bytes(&self) -> u64 {
        self.log_bytes
    }

    /// True if some member's executed state is known to be another one than this host's.
    #[must_use]
    pub fn states_differ(&self) -> bool {
        *self.agreement.verdict() != Verdict::Same
    }

    /// The engine, to look at.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The queues, to look at.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The log, to look at.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// What was done for the bodies that this host keeps, in this life.
    #[must_use]
    pub fn care(&self) -> Care {
        self.care
    }

    /// The fullest disk of the cluster, in percent: a message is kept on all of them.
    pub(super) fn fullest_disk(&self) -> u8 {
        self.engine.fullest_disk().max(self.disk_used_percent)
    }

    /// A body sent a moment ago, if it is still in memory.
    #[must_use]
    pub fn recent_body(&self, at: BodyRef) -> Option<Bytes> {
        self.recent.get(at)
    }

    /// The highest of the manager's revisions that this host has carried out or was told by its cluster.
    #[must_use]
    pub fn instructed(&self) -> Revision {
        let members = self.engine.spec().map(|spec| spec.revision);
        self.machine.instructed().max(members.unwrap_or_default())
    }

    fn check_cluster(&self, cluster: ClusterId) -> Result<(), Refusal> {
        match self.cluster() {
            Some(mine) if mine == cluster => Ok(()),
            Some(mine) => Err(Refusal::not_applied(
                ErrorCode::StaleRoute,
                format!("this host belongs to cluster {mine}, not {cluster}"),
            )),
            None => Err(Refusal::not_applied(
                ErrorCode::StaleRoute,
                "this host belongs to no cluster yet",
            )),
        }
    }

    fn query(&self, query: Query) -> Result<Answer, Refusal> {
        if self.is_halted() {
            return Err(self.not_serving());
        }
        if self.lacks_state() {
            let detail =
                "this host's checkpoint is damaged, and it waits for the state of another host";
            return Err(Refusal::not_applied(ErrorCode::NotReady, detail));
        }
        // Created a moment ago, it may not have been executed here yet: another host may know it.
        let missing = || Refusal::not_applied(ErrorCode::StaleRoute, "no such partition here");
        match query {
            Query::Counts { partition } => {
                let counts = self.machine.counts(partition).ok_or_else(missing)?;
                Ok(Answer::reply(HostReply::Query(QueryReply::Counts(counts))))
            }
            Query::Peek { partition, limit } => {
                let found = self
                    .machine
                    .peek(partition, usize::from(limit))
                    .ok_or_else(missing)?;
                Ok(Answer::peeked(partition, found, &self.recent))
            }
            Query::Succession { partition } => {
                let succession = self.machine.succession(partition).ok_or_else(missing)?;
                let reply = QueryReply::Succession(succession);
                Ok(Answer::reply(HostReply::Query(reply)))
            }
            Query::Outbox { partition } => {
                let outbox = self.machine.outbox(partition).ok_or_else(missing)?;
                let reply = QueryReply::Outbox(Box::new(outbox));
                Ok(Answer::reply(HostReply::Query(reply)))
            }
            Query::Partitions { after, limit } => {
                let spec = self.engine.spec().cloned();
                let cluster = spec.ok_or_else(|| self.not_serving())?;
                let (partitions, more) = self.machine.kept(after, usize::from(limit));
                let page = PartitionPage {
                    partitions,
                    more,
                    cluster,
                    instructed: self.machine.instructed(),
                };
                let reply = QueryReply::Partitions(page);
                Ok(Answer::reply(HostReply::Query(reply)))
            }
        }
    }

    fn answer(&mut self, operation: OperationId, answer: Answer) {
        let executed = matches!(answer.result, Ok(HostReply::Outcome(_)));
        let answer = if executed && self.is_halted() {
            Answer::refused(announcements::in_doubt())
        } else {
            answer
        };
        self.effects.push(Effect::Answer { operation, answer });
    }

    /// Cluster time as this host knows it.
    #[must_use]
    pub fn clock(&self) -> Ts {
        let known = self.engine.clock();
        known.max(self.engine.physical(self.now.wall).unwrap_or(known))
    }

    fn note_suspension(&mut self) {
        if self.serves() {
            self.served = true;
            self.suspended_since = None;
        } else if self.served && self.suspended_since.is_none() {
            self.suspended_since = Some(self.now.mono);
        }
    }

    fn look_at_disk(&mut self) {
        let interval = if self.disk_used_percent >= limits::DISK_NO_SENDS_PERCENT {
            limits::DISK_LOOK_INTERVAL_WHEN_FULL
        } else {
            limits::DISK_LOOK_INTERVAL
        };
        let logged = self.log.appended_bytes();
        let segment = u64::from(self.log.segment_bytes());
        if self
            .disk_looked_at
            .is_some_and(|(at, before)| self.now.mono < at + interval && logged < before + segment)
        {
            return;
        }
        self.disk_looked_at = Some((self.now.mono, logged));
        self.log_bytes = self.log.bytes_used();
        match self.log.level_percent() {
            Ok(percent) => self.disk_used_percent = percent,
            Err(error) => tracing::warn!(%error, "cannot tell how full the disk is"),
        }
        self.engine.set_disk_level(self.disk_used_percent);
    }
}
