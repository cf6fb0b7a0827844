//! Every metric of the frontend: its name as a constant, and what it means.

use metrics::Unit;
use shoal_runtime::telemetry::{self, Metric, MetricKind};

/// Requests answered, by `operation` and `result` (`ok` or an error code).
pub const REQUESTS: &str = "shoal_frontend_requests_total";
/// From a request's head to its answer, by `operation`.
pub const REQUEST_SECONDS: &str = "shoal_frontend_request_seconds";
/// Requests being answered.
pub const IN_FLIGHT: &str = "shoal_frontend_in_flight_requests";
/// Bytes of request bodies in memory.
pub const REQUEST_BYTES: &str = "shoal_frontend_request_memory_bytes";
/// Receives that wait.
pub const LONG_POLLS: &str = "shoal_frontend_long_polls";
/// Attempts beyond the first, by `reason`.
pub const RETRIES: &str = "shoal_frontend_retries_total";
/// A reason to try again: a host refused.
pub(crate) const RETRY_REFUSED: &str = "refused";
/// A reason to try again: a host has not answered so far.
pub(crate) const RETRY_SILENT: &str = "silent";
/// A reason to try again: the cluster has a new view, without the host that was asked.
pub(crate) const RETRY_NEW_VIEW: &str = "new view";
/// Attempts that were not made because the retry budget was empty.
pub const RETRIES_DENIED: &str = "shoal_frontend_retries_denied_total";
/// Messages not handed out because their bytes did not match their checksum.
pub const CORRUPT_BODIES: &str = "shoal_frontend_corrupt_bodies_total";
/// Queues in the route table.
pub const ROUTES: &str = "shoal_frontend_routes";
/// Pages of the manager's feed that could not be read.
pub const FEED_FAILURES: &str = "shoal_frontend_feed_failures_total";

/// All of them, for the recorder and the documentation.
pub const ALL: &[Metric] = &[
    counter(
        REQUESTS,
        "Requests answered. Alert on the share of results busy, unavailable and internal.",
    ),
    Metric {
        name: REQUEST_SECONDS,
        kind: MetricKind::Histogram,
        unit: Unit::Seconds,
        help: "From a request's head to its answer. Waiting receives count with their wait.",
    },
    gauge(
        IN_FLIGHT,
        Unit::Count,
        "Requests being answered. At its bound requests are refused as busy.",
    ),
    gauge(
        REQUEST_BYTES,
        Unit::Bytes,
        "Bytes of request bodies in memory.",
    ),
    gauge(LONG_POLLS, Unit::Count, "Receives that wait for a message."),
    counter(
        RETRIES,
        "Attempts beyond the first. A steady rate means that a host is slow or keeps refusing.",
    ),
    counter(
        RETRIES_DENIED,
        "Attempts not made because too many had been made. Alert if it grows.",
    ),
    counter(
        CORRUPT_BODIES,
        "Messages held back because their bytes were damaged. Alert on any.",
    ),
    gauge(ROUTES, Unit::Count, "Queues that this frontend knows."),
    counter(
        FEED_FAILURES,
        "Failed attempts to follow the manager. Alert if it grows for minutes.",
    ),
];

/// Describes all of them and shows at 0 what is counted only when something goes wrong: a counter that
/// appears with its first event never grows, as far as whoever watches it can see.
pub(crate) fn begin() {
    telemetry::describe(ALL);
    shoal_transport::metric_names::begin_at_caller();
    for name in [RETRIES_DENIED, CORRUPT_BODIES, FEED_FAILURES] {
        _ = metrics::counter!(name);
    }
    for reason in [RETRY_REFUSED, RETRY_SILENT, RETRY_NEW_VIEW] {
        _ = metrics::counter!(RETRIES, "reason" => reason);
    }
}

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric {
        name,
        kind: MetricKind::Counter,
        unit: Unit::Count,
        help,
    }
}

const fn gauge(name: &'static str, unit: Unit, help: &'static str) -> Metric {
    Metric {
        name,
        kind: MetricKind::Gauge,
        unit,
        help,
    }
}
