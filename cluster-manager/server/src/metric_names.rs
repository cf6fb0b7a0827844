//! Every metric of the manager: its name as a constant, and what it means.

use metrics::Unit;
use shoal_runtime::telemetry::{self, Metric, MetricKind};

/// Transactions per commit of the store.
pub const COMMIT_TRANSACTIONS: &str = "shoal_manager_commit_transactions";
/// Requests answered, by `operation` and `result` (`ok` or an error code).
pub const REQUESTS: &str = "shoal_manager_requests_total";
/// From a request's head to its answer, by `operation`. Long polls are left out.
pub const REQUEST_SECONDS: &str = "shoal_manager_request_seconds";
/// Instructions that a host did not carry out at once, by `reason`.
pub const INSTRUCTION_RETRIES: &str = "shoal_manager_instruction_retries_total";
/// A host could not be reached, or cannot do it yet.
pub(crate) const RETRY_AGAIN: &str = "again";
/// The instruction came after its deadline.
pub(crate) const RETRY_LATE: &str = "late";
/// Queues whose creation, change or deletion is decided but not carried out yet.
pub const UNSETTLED: &str = "shoal_manager_unsettled_queues";
/// Queues that exist.
pub const QUEUES: &str = "shoal_manager_queues";
/// Clusters, by `state`.
pub const CLUSTERS: &str = "shoal_manager_clusters";
/// How hot each cluster is, by `cluster`: 1 is at the target.
pub const HEAT: &str = "shoal_manager_cluster_heat";
/// Hosts that are missing.
pub const CAPACITY_NEEDED: &str = "shoal_manager_capacity_needed_hosts";
/// 1 while the store lacks what hosts know.
pub const STORE_LACKING: &str = "shoal_manager_store_lacking";
/// Hosts, by `alive`: `true`, all that report; `false`, members of clusters that do not.
pub const HOSTS: &str = "shoal_manager_hosts";

/// All of them, for the recorder and the documentation.
pub const ALL: &[Metric] = &[
    Metric {
        name: COMMIT_TRANSACTIONS,
        kind: MetricKind::Histogram,
        unit: Unit::Count,
        help: "Transactions per commit of the metadata store.",
    },
    Metric {
        name: REQUESTS,
        kind: MetricKind::Counter,
        unit: Unit::Count,
        help: "Requests answered. Alert on the share of results unavailable, no_capacity and internal.",
    },
    Metric {
        name: REQUEST_SECONDS,
        kind: MetricKind::Histogram,
        unit: Unit::Seconds,
        help: "From a request's head to its answer; the feed's long polls are left out.",
    },
    Metric {
        name: INSTRUCTION_RETRIES,
        kind: MetricKind::Counter,
        unit: Unit::Count,
        help: "Instructions that a host did not carry out at once. A steady rate means that a host is in trouble.",
    },
    gauge(
        UNSETTLED,
        "Queues whose creation, change or deletion waits for their cluster. Alert if it stays above 0.",
    ),
    gauge(QUEUES, "Queues that exist."),
    gauge(CLUSTERS, "Clusters. Alert on state unavailable."),
    gauge(
        HEAT,
        "How hot a cluster is, 1 is at its target; `shoal cluster explain` says of what. Alert if it stays above 1.",
    ),
    gauge(
        CAPACITY_NEEDED,
        "Hosts that are missing: for clusters that would bring heat down, and for dead members. Alert if above 0.",
    ),
    gauge(
        HOSTS,
        "Hosts: alive, all that report; not alive, members of clusters that do not. Alert on the latter.",
    ),
    gauge(
        STORE_LACKING,
        "1 while the store lacks what hosts know, and nothing is decided: run `shoal manager rebuild`. Alert if 1.",
    ),
];

/// Describes all of them and shows at 0 what is counted only when something goes wrong: a counter that
/// appears with its first event never grows, as far as whoever watches it can see.
pub(crate) fn begin() {
    telemetry::describe(ALL);
    shoal_transport::metric_names::begin_at_caller();
    for reason in [RETRY_AGAIN, RETRY_LATE] {
        _ = metrics::counter!(INSTRUCTION_RETRIES, "reason" => reason);
    }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric {
        name,
        kind: MetricKind::Gauge,
        unit: Unit::Count,
        help,
    }
}
