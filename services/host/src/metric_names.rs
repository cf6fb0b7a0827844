//! What a host measures: names, units and meaning in one place. Each carries the label `host`.

use metrics::{Counter, Gauge, counter, gauge};
use shoal_runtime::telemetry::{Metric, MetricKind};
use shoal_types::{HostId, HostRequest, HostState};

use crate::core::{Carried, Core, SnapshotEvent, Told};

/// 1 if the host acts in its cluster's current view, else 0. Alert if 0 for a minute.
pub const ACTING: &str = "shoal_host_acting";
/// Number of the view installed last; a rate above a few an hour means that hosts drop out.
pub const VIEW: &str = "shoal_host_view_number";
/// Messages kept.
pub const MESSAGES: &str = "shoal_host_messages";
/// Bytes of message bodies kept.
pub const MESSAGE_BYTES: &str = "shoal_host_message_bytes";
/// Bytes of log on disk.
pub const LOG_BYTES: &str = "shoal_host_log_bytes";
/// Percent of the data volume in use; sends are refused from 90.
pub const DISK_USED: &str = "shoal_host_disk_used_percent";
/// Commands and queries that callers have asked for, the manager's among them. A receive counts once, however
/// long it waits: at rest nothing is asked.
pub const OPERATIONS: &str = "shoal_host_operations_total";
/// Operations that wait for their entry.
pub const IN_FLIGHT: &str = "shoal_host_operations_in_flight";
/// Receives that wait for a message.
pub const WAITING: &str = "shoal_host_receives_waiting";
/// The version of the rules by which commands are executed; the same on all hosts of a cluster, and
/// behind what the releases support until every member supports more.
pub const MACHINE_VERSION: &str = "shoal_host_machine_version";
/// 1 if some member's executed state is another one than this host's, else 0. Alert if 1 at all.
pub const STATES_DIFFER: &str = "shoal_host_states_differ";
/// 1 if the host takes no commands because its clock is off by more than clocks may differ, else 0. Alert
/// if 1 at all.
pub const CLOCK_OFF: &str = "shoal_host_clock_off";
/// 1 if the host is refused by its cluster, since its data folder was lost or set back, else 0. Alert if 1
/// at all.
pub const FORGOTTEN: &str = "shoal_host_forgotten";
/// Bytes of bodies of the snapshot that this host receives; 0 if it receives none.
pub const SNAPSHOT_BYTES: &str = "shoal_host_snapshot_bytes";
/// Bytes of bodies that the snapshot will have; 0 if none is received.
pub const SNAPSHOT_BYTES_EXPECTED: &str = "shoal_host_snapshot_bytes_expected";
/// Snapshots sent to the last chunk.
pub const SNAPSHOTS_SENT: &str = "shoal_host_snapshots_sent_total";
/// Snapshots received, found sound, and about to be installed.
pub const SNAPSHOTS_RECEIVED: &str = "shoal_host_snapshots_received_total";
/// Snapshots given up half-way; another peer, or the same one, is asked then.
pub const SNAPSHOTS_ABANDONED: &str = "shoal_host_snapshots_abandoned_total";
/// Bodies moved out of log segments that were to go.
pub const BODIES_MOVED: &str = "shoal_host_bodies_moved_total";
/// Log segments gone after their last bodies had been moved.
pub const SEGMENTS_EMPTIED: &str = "shoal_host_segments_emptied_total";
/// Bodies found damaged or unreadable on this host.
pub const BODIES_DAMAGED: &str = "shoal_host_bodies_damaged_total";
/// Damaged bodies that a peer gave.
pub const BODIES_REPAIRED: &str = "shoal_host_bodies_repaired_total";
/// Times that a damaged body was given by nobody; alert if it grows.
pub const BODIES_UNREPAIRED: &str = "shoal_host_bodies_unrepaired_total";
/// Log segments found damaged or missing; alert if it grows.
pub const SEGMENTS_DAMAGED: &str = "shoal_host_segments_damaged_total";
/// Times that the checkpoint was found damaged; alert if it grows.
pub const CHECKPOINT_DAMAGE: &str = "shoal_host_checkpoint_damage_total";
/// Damaged checkpoints that were written anew.
pub const CHECKPOINTS_MENDED: &str = "shoal_host_checkpoints_mended_total";
/// Rounds of the scrub over all that is kept.
pub const SCRUBS: &str = "shoal_host_scrubs_total";
/// Partitions of which nothing goes on to their heirs any more, because bodies cannot be read anywhere. Alert
/// above 0: the log says which and what to do.
pub const FORWARDINGS_STOPPED: &str = "shoal_host_forwardings_stopped";
/// Calls with which successors of sealed partitions were told what they have to know.
pub const SUCCESSORS_TOLD: &str = "shoal_host_successors_told_total";
/// Such calls that failed; each is made again. Alert if it goes on growing: a queue is being moved, and the
/// cluster that it moves to cannot be reached.
pub const SUCCESSORS_NOT_TOLD: &str = "shoal_host_successors_not_told_total";
/// Messages that nobody consumed and that this host brought to heirs of their partitions.
pub const FORWARDED: &str = "shoal_host_messages_forwarded_total";
/// Bytes of those messages.
pub const FORWARDED_BYTES: &str = "shoal_host_message_bytes_forwarded_total";
/// Pieces of them that could not be brought; each is tried again. Alert if it goes on growing: a cluster is
/// being drained, and the one that takes its messages over cannot be reached.
pub const NOT_FORWARDED: &str = "shoal_host_pieces_not_forwarded_total";
/// Messages that this host brought to other queues: dead letters, and what tasks move.
pub const TRANSFERRED: &str = "shoal_host_messages_transferred_total";
/// Bytes of those messages.
pub const TRANSFERRED_BYTES: &str = "shoal_host_message_bytes_transferred_total";
/// Parcels of them that were not taken; most are tried again. Alert if it goes on growing: a dead-letter queue
/// is full, or its cluster cannot be reached.
pub const NOT_TRANSFERRED: &str = "shoal_host_parcels_not_transferred_total";
/// Turns of the driver's loop.
pub const TURNS: &str = "shoal_host_turns_total";

/// All of them, to be described to the exporter.
pub const ALL: &[Metric] = &[
    describe(
        ACTING,
        MetricKind::Gauge,
        "1 if the host acts in its cluster's current view",
    ),
    describe(VIEW, MetricKind::Gauge, "Number of the view installed last"),
    describe(MESSAGES, MetricKind::Gauge, "Messages kept"),
    describe(
        MESSAGE_BYTES,
        MetricKind::Gauge,
        "Bytes of message bodies kept",
    ),
    describe(LOG_BYTES, MetricKind::Gauge, "Bytes of log on disk"),
    describe(
        DISK_USED,
        MetricKind::Gauge,
        "Percent of the data volume in use",
    ),
    describe(
        OPERATIONS,
        MetricKind::Counter,
        "Commands and queries that callers have asked for",
    ),
    describe(
        IN_FLIGHT,
        MetricKind::Gauge,
        "Operations that wait for their entry",
    ),
    describe(
        WAITING,
        MetricKind::Gauge,
        "Receives that wait for a message",
    ),
    describe(
        MACHINE_VERSION,
        MetricKind::Gauge,
        "Version of the rules by which commands are executed",
    ),
    describe(
        STATES_DIFFER,
        MetricKind::Gauge,
        "1 if some member's executed state is another one than this host's",
    ),
    describe(
        CLOCK_OFF,
        MetricKind::Gauge,
        "1 if the host takes no commands because its clock is off",
    ),
    describe(
        FORGOTTEN,
        MetricKind::Gauge,
        "1 if the host's cluster refuses it since its data folder was lost or set back",
    ),
    describe(
        SNAPSHOT_BYTES,
        MetricKind::Gauge,
        "Bytes of bodies of the snapshot being received",
    ),
    describe(
        SNAPSHOT_BYTES_EXPECTED,
        MetricKind::Gauge,
        "Bytes of bodies that the snapshot being received will have",
    ),
    describe(
        SNAPSHOTS_SENT,
        MetricKind::Counter,
        "Snapshots sent to the last chunk",
    ),
    describe(
        SNAPSHOTS_RECEIVED,
        MetricKind::Counter,
        "Snapshots received and found sound",
    ),
    describe(
        SNAPSHOTS_ABANDONED,
        MetricKind::Counter,
        "Snapshots given up half-way",
    ),
    describe(
        BODIES_MOVED,
        MetricKind::Counter,
        "Bodies moved out of log segments that were to go",
    ),
    describe(
        SEGMENTS_EMPTIED,
        MetricKind::Counter,
        "Log segments gone after their last bodies had been moved",
    ),
    describe(
        BODIES_DAMAGED,
        MetricKind::Counter,
        "Bodies found damaged or unreadable on this host",
    ),
    describe(
        BODIES_REPAIRED,
        MetricKind::Counter,
        "Damaged bodies that a peer gave",
    ),
    describe(
        BODIES_UNREPAIRED,
        MetricKind::Counter,
        "Times that a damaged body was given by nobody; alert if it grows",
    ),
    describe(
        SEGMENTS_DAMAGED,
        MetricKind::Counter,
        "Log segments found damaged or missing; alert if it grows",
    ),
    describe(
        CHECKPOINT_DAMAGE,
        MetricKind::Counter,
        "Times that the checkpoint was found damaged; alert if it grows",
    ),
    describe(
        CHECKPOINTS_MENDED,
        MetricKind::Counter,
        "Damaged checkpoints that were written anew",
    ),
    describe(
        SCRUBS,
        MetricKind::Counter,
        "Rounds of the scrub over all that is kept",
    ),
    describe(
        FORWARDINGS_STOPPED,
        MetricKind::Gauge,
        "Partitions of which nothing goes on to their heirs because bodies cannot be read; alert above 0",
    ),
    describe(
        SUCCESSORS_TOLD,
        MetricKind::Counter,
        "Calls that told successors of sealed partitions what they have to know",
    ),
    describe(
        SUCCESSORS_NOT_TOLD,
        MetricKind::Counter,
        "Such calls that failed and are made again",
    ),
    describe(
        FORWARDED,
        MetricKind::Counter,
        "Messages that nobody consumed and that were brought to heirs of their partitions",
    ),
    describe(
        FORWARDED_BYTES,
        MetricKind::Counter,
        "Bytes of messages that were brought to heirs of their partitions",
    ),
    describe(
        NOT_FORWARDED,
        MetricKind::Counter,
        "Pieces of such messages that could not be brought and are tried again",
    ),
    describe(
        TRANSFERRED,
        MetricKind::Counter,
        "Dead letters and messages moved by tasks that were brought to their queues",
    ),
    describe(
        TRANSFERRED_BYTES,
        MetricKind::Counter,
        "Bytes of messages that were brought to other queues",
    ),
    describe(
        NOT_TRANSFERRED,
        MetricKind::Counter,
        "Parcels of such messages that were not taken",
    ),
    describe(TURNS, MetricKind::Counter, "Turns of the driver's loop"),
];

const fn describe(name: &'static str, kind: MetricKind, help: &'static str) -> Metric {
    Metric {
        name,
        kind,
        unit: metrics::Unit::Count,
        help,
    }
}

/// Handles to all of them, so that the loop looks none up by name.
pub(crate) struct Observed {
    acting: Gauge,
    view: Gauge,
    messages: Gauge,
    message_bytes: Gauge,
    log_bytes: Gauge,
    disk_used: Gauge,
    operations: Counter,
    in_flight: Gauge,
    waiting: Gauge,
    machine_version: Gauge,
    states_differ: Gauge,
    clock_off: Gauge,
    forgotten: Gauge,
    snapshot_bytes: Gauge,
    snapshot_bytes_expected: Gauge,
    snapshots_sent: Counter,
    snapshots_received: Counter,
    snapshots_abandoned: Counter,
    bodies_moved: Counter,
    segments_emptied: Counter,
    bodies_damaged: Counter,
    bodies_repaired: Counter,
    bodies_unrepaired: Counter,
    segments_damaged: Counter,
    checkpoint_damage: Counter,
    checkpoints_mended: Counter,
    scrubs: Counter,
    forwardings_stopped: Gauge,
    successors_told: Counter,
    successors_not_told: Counter,
    forwarded: Counter,
    forwarded_bytes: Counter,
    not_forwarded: Counter,
    transferred: Counter,
    transferred_bytes: Counter,
    not_transferred: Counter,
    turns: Counter,
}

impl Observed {
    pub(crate) fn new(host: HostId) -> Self {
        let host = host.to_string();
        let gauge = |name: &'static str| gauge!(name, "host" => host.clone());
        let counter = |name: &'static str| counter!(name, "host" => host.clone());
        Self {
            acting: gauge(ACTING),
            view: gauge(VIEW),
            messages: gauge(MESSAGES),
            message_bytes: gauge(MESSAGE_BYTES),
            log_bytes: gauge(LOG_BYTES),
            disk_used: gauge(DISK_USED),
            operations: counter(OPERATIONS),
            in_flight: gauge(IN_FLIGHT),
            waiting: gauge(WAITING),
            machine_version: gauge(MACHINE_VERSION),
            states_differ: gauge(STATES_DIFFER),
            clock_off: gauge(CLOCK_OFF),
            forgotten: gauge(FORGOTTEN),
            snapshot_bytes: gauge(SNAPSHOT_BYTES),
            snapshot_bytes_expected: gauge(SNAPSHOT_BYTES_EXPECTED),
            snapshots_sent: counter!(SNAPSHOTS_SENT, "host" => host.clone()),
            snapshots_received: counter!(SNAPSHOTS_RECEIVED, "host" => host.clone()),
            snapshots_abandoned: counter!(SNAPSHOTS_ABANDONED, "host" => host.clone()),
            bodies_moved: counter(BODIES_MOVED),
            segments_emptied: counter(SEGMENTS_EMPTIED),
            bodies_damaged: counter(BODIES_DAMAGED),
            bodies_repaired: counter(BODIES_REPAIRED),
            bodies_unrepaired: counter(BODIES_UNREPAIRED),
            segments_damaged: counter(SEGMENTS_DAMAGED),
            checkpoint_damage: counter(CHECKPOINT_DAMAGE),
            checkpoints_mended: counter(CHECKPOINTS_MENDED),
            scrubs: counter(SCRUBS),
            forwardings_stopped: gauge(FORWARDINGS_STOPPED),
            successors_told: counter(SUCCESSORS_TOLD),
            successors_not_told: counter(SUCCESSORS_NOT_TOLD),
            forwarded: counter(FORWARDED),
            forwarded_bytes: counter(FORWARDED_BYTES),
            not_forwarded: counter(NOT_FORWARDED),
            transferred: counter(TRANSFERRED),
            transferred_bytes: counter(TRANSFERRED_BYTES),
            not_transferred: counter(NOT_TRANSFERRED),
            turns: counter(TURNS),
        }
    }

    /// Once per turn: plain stores.
    pub(crate) fn update(&self, core: &Core) {
        let (messages, bytes) = core.machine().totals();
        let (in_flight, waiting) = core.operations();
        self.acting.set(if core.state() == HostState::Acting {
            1.0
        } else {
            0.0
        });
        self.view.set(core.engine().view().number.0 as f64);
        self.messages.set(messages as f64);
        self.message_bytes.set(bytes as f64);
        self.log_bytes.set(core.log_bytes() as f64);
        self.disk_used.set(f64::from(core.disk_used()));
        self.in_flight.set(in_flight as f64);
        self.waiting.set(waiting as f64);
        self.machine_version
            .set(f64::from(core.machine().version().0));
        self.states_differ.set(f64::from(core.states_differ()));
        self.clock_off.set(f64::from(core.clock_is_off()));
        let forgotten = core.state() == HostState::Forgotten;
        self.forgotten.set(f64::from(forgotten));
        let progress = core.snapshot_progress();
        let (bytes, of) = progress.map_or((0, 0), |progress| (progress.bytes, progress.of));
        self.snapshot_bytes.set(bytes as f64);
        self.snapshot_bytes_expected.set(of as f64);
        let care = core.care();
        self.bodies_moved.absolute(care.moved);
        self.segments_emptied.absolute(care.emptied);
        self.bodies_damaged.absolute(care.damaged);
        self.bodies_repaired.absolute(care.repaired);
        self.bodies_unrepaired.absolute(care.unrepaired);
        self.segments_damaged.absolute(care.damaged_segments);
        self.checkpoint_damage.absolute(care.checkpoint_damage);
        self.checkpoints_mended.absolute(care.checkpoints_mended);
        self.scrubs.absolute(care.scrubs);
        self.forwardings_stopped
            .set(core.forwardings_stopped() as f64);
        self.turns.increment(1);
    }

    /// A caller asks for something.
    pub(crate) fn called(&self, request: &HostRequest) {
        if let HostRequest::Execute { .. } | HostRequest::Query { .. } = request {
            self.operations.increment(1);
        }
    }

    /// A successor was told something, or could not be.
    pub(crate) fn told(&self, told: &Told) {
        let counter = if told.is_known() {
            &self.successors_told
        } else {
            &self.successors_not_told
        };
        counter.increment(1);
    }

    /// A piece was brought to an heir, or a parcel to another queue, or could not be.
    pub(crate) fn carried(&self, carried: &Carried) {
        let (all, all_bytes, failed) = match carried.is_parcel() {
            true => (
                &self.transferred,
                &self.transferred_bytes,
                &self.not_transferred,
            ),
            false => (&self.forwarded, &self.forwarded_bytes, &self.not_forwarded),
        };
        match carried.taken() {
            Some((messages, bytes)) => {
                all.increment(messages);
                all_bytes.increment(bytes);
            }
            None => failed.increment(1),
        }
    }

    /// Something became of a snapshot.
    pub(crate) fn snapshot_event(&self, event: &SnapshotEvent) {
        match event {
            SnapshotEvent::Sent { .. } => self.snapshots_sent.increment(1),
            SnapshotEvent::Verified { .. } => self.snapshots_received.increment(1),
            SnapshotEvent::Abandoned { .. } => self.snapshots_abandoned.increment(1),
            _ => {}
        }
    }
}
