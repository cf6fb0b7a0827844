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
use shoal_transport::{Identity, PeerEvent, PeerLinks, Pusher};
use shoal_types::{ClusterMember, HostId, HostRequest, HostState, HostStatus, Push, Ts};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::catch_up;
use crate::checkpointer::{self, Written};
use crate::core::{Answer, Core, Effect, OperationId};
use crate::disk_thread::DiskThread;
use crate::frames;
use crate::limits;
use crate::metric_names::Observed;
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
    /// What became of a checkpoint.
    Checkpoint(Written),
    /// Entries for a peer that catches up were read.
    EntriesRead(HostId, Message),
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
    pub(crate) reader: LogReader,
    pub(crate) catch_up_reads: Arc<Semaphore>,
    pub(crate) identity: Identity,
    pub(crate) links: PeerLinks<Input>,
    pub(crate) pusher: Pusher,
    pub(crate) inputs: mpsc::Receiver<Input>,
    /// For what the loop starts and hears of later.
    pub(crate) later: mpsc::Sender<Input>,
    pub(crate) status: watch::Sender<HostStatus>,
    pub(crate) replies: BTreeMap<OperationId, oneshot::Sender<(Ts, Answer)>>,
    pub(crate) observed: Observed,
    /// Set once `Leave` came: the loop ends when the host is sealed out or this passed.
    pub(crate) leave_until: Option<tokio::time::Instant>,
}

/// How long a stopping host waits to be sealed out.
const LEAVE_PATIENCE: Duration = Duration::from_secs(2);

impl Driver {
    /// Runs until the host has left after `Leave`, or must stop.
    pub(crate) async fn run(mut self) -> Result<(), DriverError> {
        let mut batch = Vec::with_capacity(limits::INPUTS_PER_TURN);
        self.connect_to_members();
        loop {
            self.core.begin_turn(self.clock.now());
            for input in batch.drain(..) {
                self.take(input)?;
            }
            let effects = self.core.end_turn();
            self.carry_out(effects)?;
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

    fn take(&mut self, input: Input) -> Result<(), DriverError> {
        match input {
            Input::Call {
                operation,
                request,
                bodies,
                reply,
            } => {
                self.replies.insert(operation, reply);
                self.core.on_call(operation, request, bodies);
            }
            Input::Cancel(operation) => {
                self.replies.remove(&operation);
                self.core.on_cancel(operation);
            }
            Input::Peer(event) => self.take_peer_event(event),
            Input::Written(written) => self.core.on_written(written?),
            Input::Checkpoint(Written::Durable { replay_from }) => {
                self.core.on_checkpoint_written(replay_from);
            }
            Input::Checkpoint(Written::DiskFull { writes }) => {
                self.core.on_checkpoint_put_off(writes)
            }
            Input::Checkpoint(Written::Failed(error)) => return Err(error.into()),
            Input::EntriesRead(to, message) => self.send(to, &[message]),
            Input::Manager(reply) => self.take_manager_news(reply),
            Input::Leave => {
                self.leave_until = Some(tokio::time::Instant::now() + LEAVE_PATIENCE);
                self.core.leave();
            }
        }
        Ok(())
    }

    fn take_peer_event(&mut self, event: PeerEvent) {
        match event {
            PeerEvent::Up { peer, incarnation } => {
                self.core.on_link(peer, LinkEvent::Up { incarnation });
            }
            PeerEvent::Closed { peer } => self.core.on_link(peer, LinkEvent::Closed),
            PeerEvent::Refused { peer } => self.core.on_link(peer, LinkEvent::Refused),
            PeerEvent::Frame { from, bytes, .. } => match decode_messages(bytes) {
                Ok(messages) => {
                    for message in messages {
                        self.core.on_message(from, message);
                    }
                }
                Err(error) => tracing::warn!(peer = %from, %error, "a peer's frame cannot be read"),
            },
        }
    }

    /// The manager knows where the other members listen now.
    fn take_manager_news(&mut self, reply: HeartbeatReply) {
        if let (Some(spec), Some(mine)) = (reply.cluster, self.core.cluster())
            && spec.cluster == mine
        {
            self.links.set_members(&self.only_members(spec.members));
        }
    }

    /// The manager may know of hosts that are not members yet; links are for members.
    fn only_members(&self, mut listed: Vec<ClusterMember>) -> Vec<ClusterMember> {
        let members = &self.core.engine().view().members;
        listed.retain(|member| members.contains(&member.host));
        listed
    }

    /// Dials the members as formation listed them; the manager corrects addresses later.
    fn connect_to_members(&mut self) {
        if let Some(spec) = self.core.engine().spec() {
            self.identity.set_cluster(spec.cluster);
            self.links.set_members(&spec.members);
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) -> Result<(), DriverError> {
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
                    catch_up::read(wanted, to, &self.reader, &self.catch_up_reads, &self.later);
                }
                Effect::PushView(cluster, view) => {
                    // The first view comes with formation: only now are there members to dial.
                    self.connect_to_members_if_new();
                    self.pusher.push_all(&Push::View { cluster, view });
                }
                Effect::Checkpoint(pending) => {
                    checkpointer::write(*pending, &self.checkpoints, &self.later);
                }
                Effect::Upkeep(upkeep) => upkeep::start("upkeep of the log", move || upkeep.run()),
                Effect::Remove(removal) => {
                    upkeep::start("removing log segments", move || removal.run())
                }
                Effect::Fatal(reason) => return Err(DriverError::Protocol(reason)),
            }
        }
        Ok(())
    }

    fn connect_to_members_if_new(&mut self) {
        if self.status.borrow().cluster.is_none() {
            self.connect_to_members();
        }
    }

    fn send(&self, to: HostId, messages: &[Message]) {
        for frame in frames::split(messages) {
            // A frame that cannot be sent is lost like any other; the engine repeats what matters.
            self.links.send(to, encode_messages(frame));
        }
    }

    fn publish_status(&mut self) {
        let core = &self.core;
        self.observed.update(core);
        self.status.send_if_modified(|status| {
            let state = core.state();
            let view = core.engine().view();
            let changed = status.state != state
                || status.view.number != view.number
                || status.cluster != core.cluster();
            if changed {
                tracing::info!(view = %view.number, ?state, "host state changed");
                status.state = state;
                status.view = view.summary();
                status.cluster = core.cluster();
            }
            status.clock = core.clock();
            let (messages, bytes) = core.machine().totals();
            (status.messages, status.message_bytes) = (messages, bytes);
            status.disk_used_percent = core.disk_used();
            changed
        });
    }

    fn has_left(&self) -> bool {
        let Some(until) = self.leave_until else {
            return false;
        };
        let sealed_out =
            self.core.engine().is_sealed_out() || self.core.state() == HostState::Unassigned;
        sealed_out || tokio::time::Instant::now() >= until
    }

    /// Pending for ever if nothing is due.
    fn sleep_until_due(&self) -> impl Future<Output = ()> + use<> {
        let due = self.core.next_wake();
        let now = self.clock.now().mono;
        let leave_until = self.leave_until;
        async move {
            let until_due = due.map(|due| Duration::from_micros(due.since(now)));
            let until_left =
                leave_until.map(|at| at.saturating_duration_since(tokio::time::Instant::now()));
            match until_due.into_iter().chain(until_left).min() {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        }
    }
}
