//! The loop of a host: inputs → core → effects. Everything that waits (network, disk, manager, clock)
//! is outside and reaches the loop as an input.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use shoal_api::manager::HeartbeatReply;
use shoal_replication::{LinkEvent, Message, decode_messages, encode_messages};
use shoal_runtime::clock::SystemClock;
use shoal_storage::{BatchDone, CheckpointError, Checkpoints, LogError, LogReader};
use shoal_transport::{Identity, PeerEvent, PeerLinks, Pusher, Sought};
use shoal_types::{
    ClusterMember, HostId, HostRequest, HostState, HostStatus, Push, Revision, Ts, ViewNumber,
};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::task::TaskTracker;

use crate::bodies::{self, BodyReader};
use crate::catch_up;
use crate::checkpointer;
use crate::core::{
    Answer, BodiesRead, Carried, CheckpointDone, Core, Effect, OperationId, Scrubbed, SnapshotDone,
    Told,
};
use crate::disk_thread::DiskThread;
use crate::frames;
use crate::limits;
use crate::load::LoadWatch;
use crate::metric_names::Observed;
use crate::other_clusters::OtherClusters;
use crate::recovery::Recovery;
use crate::scrubber;
use crate::snapshots::{self, Teller};
use crate::upkeep;

/// What can happen to a host.
pub(crate) enum Input {
    /// A client asks.
    Call {
        /// Names the call.
        operation: OperationId,
        /// What it asks.
        request: HostRequest,
        /// Bodies of a send.
        bodies: Vec<Bytes>,
        /// Where the answer goes, with the clock at that moment.
        reply: oneshot::Sender<(Ts, Answer)>,
    },
    /// The client of a call is gone.
    Cancel(OperationId),
    /// A link changed, or a frame came over one.
    Peer(PeerEvent),
    /// A batch was written, or could not be.
    Written(Result<BatchDone, LogError>),
    /// Bodies of an answer could not be read.
    Unreadable {
        /// The call, whose client still waits.
        operation: OperationId,
        /// The answer with what could be read.
        answer: Answer,
        /// Where the complete one goes.
        reply: oneshot::Sender<(Ts, Answer)>,
    },
    /// Bodies were read for the host's own purposes.
    BodiesRead(BodiesRead),
    /// The scrub took a look.
    Scrubbed(Scrubbed),
    /// What became of a checkpoint.
    Checkpoint(Result<CheckpointDone, CheckpointError>),
    /// What came of a job for a snapshot.
    Snapshot(Result<SnapshotDone, CheckpointError>),
    /// Entries for a peer that catches up were read.
    EntriesRead(HostId, Message),
    /// The log does not hold the entries of this view that a peer asked for.
    NotInLog(HostId, ViewNumber),
    /// A host of another cluster was told something, or could not be.
    Told(Told),
    /// A piece of what nobody consumes was carried to an heir, or could not be.
    Carried(Carried),
    /// The manager answered a heartbeat.
    Manager(HeartbeatReply),
    /// The process is about to stop.
    Leave,
}

impl From<PeerEvent> for Input {
    fn from(event: PeerEvent) -> Self {
        Self::Peer(event)
    }
}

/// Why the loop ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DriverError {
    /// The log could not be written or synced; what was not acknowledged may be lost, nothing else.
    #[error("the log cannot be written any more; the host stops at once")]
    Log(#[from] LogError),
    /// The checkpoint store is damaged or failed.
    #[error("the checkpoint cannot be written any more; the host stops")]
    Checkpoint(#[from] CheckpointError),
    /// A snapshot is in the place of this host's state, and cannot be gone on from.
    #[error("this host cannot go on from the snapshot that it installed")]
    Restart(#[source] anyhow::Error),
    /// The protocol says that this host must not go on.
    #[error("this host must stop: {0}")]
    Protocol(String),
}

/// The loop and all it reaches.
pub(crate) struct Driver {
    pub(crate) core: Core,
    pub(crate) clock: SystemClock,
    pub(crate) disk: DiskThread,
    pub(crate) checkpoints: Arc<Checkpoints>,
    pub(crate) recovery: Recovery,
    pub(crate) reader: LogReader,
    pub(crate) bodies: BodyReader,
    /// What was begun for the core and reads or writes its disk, but for the log's own thread.
    pub(crate) jobs: TaskTracker,
    pub(crate) teller: Teller,
    pub(crate) catch_up_reads: Arc<Semaphore>,
    pub(crate) identity: Identity,
    pub(crate) links: PeerLinks<Input>,
    /// Which version of the engine's neighbours the links are for.
    pub(crate) dialled: Option<u64>,
    /// Where hosts listen by now, as the manager told.
    pub(crate) listed: Vec<ClusterMember>,
    pub(crate) other_clusters: OtherClusters,
    pub(crate) pusher: Pusher,
    pub(crate) inputs: mpsc::Receiver<Input>,
    /// For what the loop starts and hears of later.
    pub(crate) later: mpsc::Sender<Input>,
    pub(crate) status: watch::Sender<HostStatus>,
    /// The highest revision that the manager answered a heartbeat with.
    pub(crate) manager_at: Revision,
    pub(crate) replies: BTreeMap<OperationId, oneshot::Sender<(Ts, Answer)>>,
    pub(crate) observed: Observed,
    pub(crate) load: LoadWatch,
    /// What another host takes this one for.
    pub(crate) sought: Option<String>,
    /// Set once `Leave` came: the loop ends when the host is sealed out or this passed.
    pub(crate) leave_until: Option<tokio::time::Instant>,
}

/// How the loop goes on.
#[derive(PartialEq, Eq)]
enum Then {
    GoOn,
    /// With another core.
    Restart,
}

/// How long a stopping host waits to be sealed out.
const LEAVE_PATIENCE: Duration = Duration::from_secs(2);

impl Driver {
    /// Runs until the host has left after `Leave`, or must stop.
    pub(crate) async fn run(mut self) -> Result<(), DriverError> {
        let mut batch = Vec::with_capacity(limits::INPUTS_PER_TURN);
        loop {
            self.follow_system_time();
            self.core.begin_turn(self.clock.now());
            for input in batch.drain(..) {
                self.take(input)?;
            }
            let effects = self.core.end_turn();
            self.dial_new_neighbours();
            if self.carry_out(effects)? == Then::Restart {
                self.restart().await?;
            }
            self.publish_status();
            if self.has_left() {
                return Ok(());
            }
            let wake = self.sleep_until_due();
            tokio::select! {
                biased;
                n = self.inputs.recv_many(&mut batch, limits::INPUTS_PER_TURN) => {
                    assert!(n > 0, "the loop itself holds a sender, so inputs never end");
                }
                () = wake => {}
            }
        }
    }

    /// As long as nothing goes by this host's clock, the system's time is taken over as it is: once
    /// somebody sets it right it is right here. Otherwise it would take hours, since clocks in use never
    /// jump.
    fn follow_system_time(&self) {
        if !self.core.goes_by_its_clock() {
            self.clock.set_to_system_time();
        }
    }

    fn take(&mut self, input: Input) -> Result<(), DriverError> {
        match input {
            Input::Call {
                operation,
                request,
                bodies,
                reply,
            } => {
                self.observed.called(&request);
                self.replies.insert(operation, reply);
                self.core.on_call(operation, request, bodies);
            }
            Input::Cancel(operation) => {
                self.replies.remove(&operation);
                self.core.on_cancel(operation);
            }
            Input::Unreadable {
                operation,
                answer,
                reply,
            } => {
                self.replies.insert(operation, reply);
                self.core.on_unreadable(operation, answer);
            }
            Input::BodiesRead(read) => self.core.on_bodies_read(read),
            Input::Scrubbed(scrubbed) => self.core.on_scrubbed(scrubbed),
            Input::Peer(event) => self.take_peer_event(event),
            Input::Written(written) => self.core.on_written(written?),
            Input::Checkpoint(came) => self.core.on_checkpoint(came?),
            Input::Snapshot(came) => self.core.on_snapshot_job(came?),
            Input::EntriesRead(to, message) => self.send(to, &[message]),
            Input::NotInLog(to, view) => self.core.on_not_in_log(to, view),
            Input::Told(told) => {
                self.observed.told(&told);
                self.core.on_told(told);
            }
            Input::Carried(carried) => {
                self.observed.carried(&carried);
                self.core.on_carried(carried);
            }
            Input::Manager(reply) => self.take_manager_news(reply),
            Input::Leave => {
                self.begin_to_leave();
                self.core.leave();
            }
        }
        Ok(())
    }

    pub(crate) fn begin_to_leave(&mut self) {
        self.leave_until = Some(tokio::time::Instant::now() + LEAVE_PATIENCE);
    }

    fn take_peer_event(&mut self, event: PeerEvent) {
        match event {
            PeerEvent::Up {
                peer,
                incarnation,
                assigned,
            } => {
                let up = LinkEvent::Up {
                    incarnation,
                    assigned,
                };
                self.core.on_link(peer, up);
            }
            PeerEvent::Sought(sought) => self.is_sought(sought),
            PeerEvent::Closed { peer } => self.core.on_link(peer, LinkEvent::Closed),
            PeerEvent::Refused { peer } => self.core.on_link(peer, LinkEvent::Refused),
            PeerEvent::Frame {
                from,
                version,
                bytes,
                ..
            } => match decode_messages(version, bytes) {
                Ok(messages) => {
                    for message in messages {
                        self.core.on_message(from, message);
                    }
                }
                Err(error) => tracing::warn!(peer = %from, %error, "a peer's frame cannot be read"),
            },
        }
    }

    /// Perhaps this host stands where a member lost its disk.
    fn is_sought(&mut self, sought: Sought) {
        let Sought {
            by,
            cluster,
            meant,
            is,
        } = sought;
        if self.sought.is_none() {
            tracing::warn!(%by, %meant, "a host looks for another one at this address");
        }
        let cluster = cluster.map_or_else(|| "a cluster".to_owned(), |cluster| cluster.to_string());
        self.sought = Some(format!(
            "belongs to no cluster yet, and {by} of {cluster} looks for {meant} at this address: if {meant} \
             lost its data folder, put this host into its place with `shoal host replace {meant} {is}`"
        ));
    }

    /// The manager knows where the other members listen now.
    fn take_manager_news(&mut self, reply: HeartbeatReply) {
        // A manager that lost its store is told by this how far it had been.
        self.manager_at = self.manager_at.max(reply.revision);
        if let (Some(spec), Some(mine)) = (reply.cluster, self.core.cluster())
            && spec.cluster == mine
        {
            self.listed = spec.members;
            self.dial_neighbours();
        }
    }

    /// Dials whom the engine wants to talk with, if these are others than before: the members, a newcomer,
    /// a host that may not know that it was removed.
    fn dial_new_neighbours(&mut self) {
        if self.dialled != Some(self.core.engine().neighbours_version()) {
            self.dial_neighbours();
        }
    }

    /// The lists of members name addresses; where the manager knows later ones, those count.
    fn dial_neighbours(&mut self) {
        let engine = self.core.engine();
        if let Some(cluster) = self.core.cluster() {
            self.identity.set_cluster(cluster);
        }
        let mut neighbours = engine.neighbours();
        for neighbour in &mut neighbours {
            let listed = self.listed.iter().find(|m| m.host == neighbour.host);
            if let Some(listed) = listed {
                neighbour.address.clone_from(&listed.address);
            }
        }
        self.dialled = Some(engine.neighbours_version());
        self.links.set_members(&neighbours);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) -> Result<Then, DriverError> {
        let mut then = Then::GoOn;
        for effect in effects {
            match effect {
                Effect::SendPeer { to, messages } => self.send(to, &messages),
                Effect::Write(batch) => self.disk.write(batch),
                Effect::Answer { operation, answer } => {
                    if let Some(reply) = self.replies.remove(&operation) {
                        // A client that left in this very moment is cancelled by an input to come.
                        let _ = reply.send((self.core.clock(), answer));
                    }
                }
                Effect::SendEntries {
                    to,
                    view,
                    lane,
                    from,
                    up_to,
                } => {
                    let wanted = catch_up::Wanted {
                        view,
                        lane,
                        from,
                        up_to,
                    };
                    let reads = (&self.catch_up_reads, &self.jobs);
                    catch_up::read(wanted, to, &self.reader, reads, &self.later);
                }
                Effect::PushView(cluster, view) => {
                    self.pusher.push_all(&Push::View { cluster, view });
                }
                Effect::ReadBodies(reads) => {
                    let (reader, later) = (self.reader.clone(), self.later.clone());
                    bodies::read_beside(reads, reader, &self.jobs, later);
                }
                Effect::Scrub(look) => {
                    scrubber::look(
                        look,
                        &self.reader,
                        &self.checkpoints,
                        &self.jobs,
                        &self.later,
                    );
                }
                Effect::Tell(telling) => self.other_clusters.tell(*telling, &self.later),
                Effect::Carry(carriage) => {
                    self.other_clusters
                        .carry(*carriage, &self.bodies, &self.later);
                }
                Effect::Checkpoint(pending) => {
                    checkpointer::write(*pending, &self.checkpoints, &self.jobs, &self.later);
                }
                Effect::Upkeep(upkeep) => {
                    upkeep::start(&self.jobs, "upkeep of the log", move || upkeep.run())
                }
                Effect::Remove(removal) => {
                    upkeep::start(&self.jobs, "removing log segments", move || removal.run())
                }
                Effect::Snapshot(job) => {
                    snapshots::start(job, &self.checkpoints, &self.jobs, &self.later);
                }
                Effect::Restart => then = Then::Restart,
                Effect::Fatal(reason) => return Err(DriverError::Protocol(reason)),
            }
        }
        Ok(then)
    }

    fn send(&self, to: HostId, messages: &[Message]) {
        for frame in frames::split(messages) {
            // A frame that cannot be sent is lost like any other; the engine repeats what matters.
            self.links
                .send(to, |version| encode_messages(version, frame));
        }
    }

    fn publish_status(&mut self) {
        let now = self.clock.now().mono;
        self.teller.tell(&mut self.core, &self.observed, now);
        let load = self.load.look(&mut self.core, now);
        let (core, sought, manager_at) = (&self.core, &self.sought, self.manager_at);
        self.observed.update(core);
        self.status.send_if_modified(|status| {
            let state = core.state();
            let view = core.engine().view();
            let trouble = match state {
                HostState::Unassigned => sought.clone(),
                _ => core.trouble(),
            };
            let changed = status.state != state
                || status.view.number != view.number
                || status.cluster != core.cluster()
                || status.trouble != trouble;
            if changed {
                let why = trouble.as_deref().unwrap_or_default();
                tracing::info!(view = %view.number, ?state, why, "host state changed");
                status.state = state;
                status.trouble = trouble;
                status.view = view.summary();
                status.cluster = core.cluster();
            }
            if let Some(load) = load {
                status.load = load;
            }
            status.clock = core.clock();
            status.revision = core.instructed().max(manager_at);
            let (messages, bytes) = core.machine().totals();
            (status.messages, status.message_bytes) = (messages, bytes);
            status.disk_used_percent = core.disk_used();
            status.executed = core.machine().executed();
            status.state_hash = core.machine().state_hash();
            changed
        });
    }

    fn has_left(&self) -> bool {
        let Some(until) = self.leave_until else {
            return false;
        };
        let outside = matches!(
            self.core.state(),
            HostState::Unassigned | HostState::Learning | HostState::Removed | HostState::Forgotten
        );
        outside || self.core.engine().is_sealed_out() || tokio::time::Instant::now() >= until
    }

    /// Until the core has something to do or a report is due.
    fn sleep_until_due(&self) -> impl Future<Output = ()> + use<> {
        let report = self.load.due();
        let due = self.core.next_wake().map_or(report, |due| due.min(report));
        let now = self.clock.now().mono;
        let leave_until = self.leave_until;
        async move {
            let until_due = Duration::from_micros(due.since(now));
            let until_left =
                leave_until.map(|at| at.saturating_duration_since(tokio::time::Instant::now()));
            let wait = until_left.map_or(until_due, |left| left.min(until_due));
            tokio::time::sleep(wait).await;
        }
    }
}
