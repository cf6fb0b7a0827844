//! What a host measures: names, units and meaning in one place. Each carries the label `host`.

use metrics::{Counter, Gauge, counter, gauge};
use shoal_runtime::telemetry::{Metric, MetricKind};
use shoal_types::{HostId, HostState};

use crate::core::Core;

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
/// Operations that wait for their entry.
pub const IN_FLIGHT: &str = "shoal_host_operations_in_flight";
/// Receives that wait for a message.
pub const WAITING: &str = "shoal_host_receives_waiting";
/// The version of the rules by which commands are executed; the same on all hosts of a cluster, and
/// behind what the releases support until every member supports more.
pub const MACHINE_VERSION: &str = "shoal_host_machine_version";
/// 1 if some member's executed state is another one than this host's, else 0. Alert if 1 at all.
pub const STATES_DIFFER: &str = "shoal_host_states_differ";
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
    in_flight: Gauge,
    waiting: Gauge,
    machine_version: Gauge,
    states_differ: Gauge,
    turns: Counter,
}

impl Observed {
    pub(crate) fn new(host: HostId) -> Self {
        let host = host.to_string();
        let gauge = |name: &'static str| gauge!(name, "host" => host.clone());
        Self {
            acting: gauge(ACTING),
            view: gauge(VIEW),
            messages: gauge(MESSAGES),
            message_bytes: gauge(MESSAGE_BYTES),
            log_bytes: gauge(LOG_BYTES),
            disk_used: gauge(DISK_USED),
            in_flight: gauge(IN_FLIGHT),
            waiting: gauge(WAITING),
            machine_version: gauge(MACHINE_VERSION),
            states_differ: gauge(STATES_DIFFER),
            turns: counter!(TURNS, "host" => host.clone()),
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
        self.turns.increment(1);
    }
}
