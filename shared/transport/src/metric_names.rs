//! The metrics of this crate.

use metrics::{Unit, counter};
use shoal_runtime::telemetry::{Metric, MetricKind, describe};

use crate::frame::FrameError;
use crate::handshake::HandshakeError;

/// Connections accepted and alive. Label `role`: of the other side.
pub const CONNECTIONS: &str = "shoal_transport_connections";
/// Connections that did not get through the handshake. Label `reason`.
pub const HANDSHAKES_FAILED: &str = "shoal_transport_handshakes_failed_total";
/// Connections ended because of bytes that are no frame. Label `reason`.
pub const FRAMES_BAD: &str = "shoal_transport_frames_bad_total";
/// Calls that were answered "busy" here, without running. Label `side`.
pub const CALLS_BUSY: &str = "shoal_transport_calls_busy_total";
/// Calls dropped before their answer: cancelled, or the connection ended.
pub const CALLS_DROPPED: &str = "shoal_transport_calls_dropped_total";
/// Connections to peers that came up.
pub const PEER_CONNECTS: &str = "shoal_transport_peer_connects_total";
/// Connections to peers that were dropped because too much waited for them.
pub const PEER_OVERFLOWS: &str = "shoal_transport_peer_overflows_total";
/// Bytes sent to peers.
pub const PEER_SENT_BYTES: &str = "shoal_transport_peer_sent_bytes_total";

/// All of them, with what they mean.
pub const ALL: &[Metric] = &[
    Metric {
        name: CONNECTIONS,
        kind: MetricKind::Gauge,
        unit: Unit::Count,
        help: "connections accepted and alive, by the other side's role; near 1,024 new ones are refused",
    },
    Metric {
        name: HANDSHAKES_FAILED,
        kind: MetricKind::Counter,
        unit: Unit::Count,
        help: "connections that did not get through the handshake; refused: versions, ids or clusters do not fit",
    },
    Metric {
        name: FRAMES_BAD,
        kind: MetricKind::Counter,
        unit: Unit::Count,
        help: "connections ended because of bytes that are no frame; checksum: look at the network hardware",
    },
    Metric {
        name: CALLS_BUSY,
        kind: MetricKind::Counter,
        unit: Unit::Count,
        help: "calls answered busy without running; steadily growing: overload",
    },
    Metric {
        name: CALLS_DROPPED,
        kind: MetricKind::Counter,
        unit: Unit::Count,
        help: "calls whose caller was gone before the answer",
    },
    Metric {
        name: PEER_CONNECTS,
        kind: MetricKind::Counter,
        unit: Unit::Count,
        help: "connections to peers that came up; steadily growing: a flapping host or network",
    },
    Metric {
        name: PEER_OVERFLOWS,
        kind: MetricKind::Counter,
        unit: Unit::Count,
        help: "connections to peers dropped because 32 MiB waited; the peer or the network is too slow",
    },
    Metric {
        name: PEER_SENT_BYTES,
        kind: MetricKind::Counter,
        unit: Unit::Bytes,
        help: "bytes handed to the sockets of peers",
    },
];

/// Describes all of them and shows at 0 what a host's port may come to count: a counter that appears with
/// its first event never grows, as far as whoever watches it can see.
pub(crate) fn begin_at_port() {
    describe(ALL);
    for reason in HandshakeError::LABELS {
        _ = counter!(HANDSHAKES_FAILED, "reason" => reason);
    }
    for reason in FrameError::LABELS {
        _ = counter!(FRAMES_BAD, "reason" => reason);
    }
    _ = counter!(CALLS_BUSY, "side" => "host");
    for name in [
        CALLS_DROPPED,
        PEER_CONNECTS,
        PEER_OVERFLOWS,
        PEER_SENT_BYTES,
    ] {
        _ = counter!(name);
    }
}

/// Describes what whoever calls hosts may come to count, and shows it at 0.
pub fn begin_at_caller() {
    describe(ALL);
    _ = counter!(CALLS_BUSY, "side" => "client");
}
