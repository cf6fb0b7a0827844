//! Bounds of a load, each with its reason. They keep a slip of the finger from becoming an attack.

use std::time::Duration;

/// Messages of one load: the ledger keeps 48 bytes for each, so 480 MB at most.
pub const MESSAGES_MAX: u64 = 10_000_000;
/// Producers and consumers together: each is a task with at most one connection.
pub const WORKERS_MAX: usize = 10_000;
/// Messages sent and not yet received, where a plan bounds them; as many as a load may have in all.
pub const BACKLOG_MAX: u32 = MESSAGES_MAX as u32;
/// Queues of one load; each is created before and deleted afterwards, one after the other.
pub const QUEUES_MAX: usize = 10_000;
/// Message groups of a queue: the ledger follows each of them.
pub const GROUPS_MAX: usize = 100_000;
/// Smallest body: what names the message takes 40 bytes (see `body`).
pub const BODY_BYTES_MIN: usize = 40;
/// Longest load. Longer ones are not measurements but operation.
pub const DURATION_MAX: Duration = Duration::from_secs(24 * 3600);
/// How long after the end of the plan a producer may still send arrivals that came too fast for the
/// service. What is left then is reported as unsent.
pub const OVERRUN_MAX: Duration = Duration::from_secs(30);
/// How long queues must say that they are empty before the ledger's open entries count as lost.
/// Counts are one host's, which may execute a little later than the others.
pub const QUIET_BEFORE_EMPTY: Duration = Duration::from_secs(2);
/// Pause after a failed operation, so that a service that refuses everything is not flooded.
pub const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(20);
/// Examples kept of each kind of violation; all are counted.
pub const EXAMPLES_PER_KIND: usize = 5;
/// How much a lease may be shorter than agreed before it counts as broken: the hosts' clocks are
/// slewed by at most 500 ppm, which is 22 ms over the longest visibility that a plan may have (45 s),
/// and a timestamp may lie a little before the moment it was given.
pub const LEASE_TOLERANCE: Duration = Duration::from_millis(50);
/// Longest visibility of a plan; see [`LEASE_TOLERANCE`].
pub const VISIBILITY_MAX: Duration = Duration::from_secs(45);
