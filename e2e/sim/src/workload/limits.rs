//! Bounds of the clients, each with its reason. Times are microseconds.

use shoal_types::Micros;

/// One second.
pub(crate) const SECOND: Micros = 1_000_000;
/// One millisecond.
pub(crate) const MILLISECOND: Micros = 1_000;

/// Clients of a run: at four operations a second each, as many as a judge gets through in no time.
pub(crate) const CLIENTS_MAX: u64 = 40;
/// Queues that exist at once. Few, so that clients meet.
pub(crate) const QUEUES_MAX: u64 = 5;
/// Queues that exist at once where messages go from one to another: so that most have another one of their
/// kind.
pub(crate) const QUEUES_MIN_FOR_DEAD_LETTERS: u64 = 3;
/// Receives after which messages die, at most: few, so that it happens all the time.
pub(crate) const RECEIVES_MAX: u64 = 4;
/// Longest lease of a receive by a consumer that falls over each message.
pub(crate) const CRASH_VISIBILITY_MAX: Micros = 600 * MILLISECOND;
/// Of a hundred batches that such a consumer receives, so many are never heard of again.
pub(crate) const CRASHES_PERCENT: u64 = 60;
/// Partitions made in a run, deleted ones included.
pub(crate) const PARTITIONS_MAX: u64 = 40;
/// Partitions that follow one another, at most: each is emptied only after the one before, and a run has
/// its time.
pub(crate) const ANCESTORS_MAX: usize = 3;
/// Partitions of one queue at a time, with heirs and those that follow one another: for the same reason.
pub(crate) const RELATIVES_MAX: usize = 5;
/// Mean pause of the manager where queues move: a move takes several instructions, one after the other.
pub(crate) const MANAGER_PAUSE_MAX_IN_MOVES: Micros = 1_500 * MILLISECOND;
/// Messages of a queue that are sent and not yet taken, as far as clients know. Producers rest above:
/// the reference model looks at every message for every question.
pub(crate) const BACKLOG_MAX: u64 = 120;
/// Attempts of one operation. A frontend has the same kind of bound.
pub(crate) const ATTEMPTS_MAX: usize = 24;
/// Receipts that a consumer keeps to show again when they are stale.
pub(crate) const OLD_RECEIPTS_MAX: usize = 24;
/// Batches that a consumer works on at the same time.
pub(crate) const HELD_MAX: usize = 4;

/// Longest lease, extensions included: short, so that leases run out all the time.
pub(crate) const VISIBILITY_MAX: Micros = 4 * SECOND;
/// Longest delay of a message, at its sending or its release.
pub(crate) const DELAY_MAX: Micros = 3 * SECOND;
/// Longest wait of a receive.
pub(crate) const WAIT_MAX: Micros = 3 * SECOND;
/// From the beginning of an operation to its deadline, its wait included.
pub(crate) const PATIENCE_MAX: Micros = WAIT_MAX + 4 * SECOND;
/// How long something that began before the drain may still keep a message from being received: an
/// operation executed just before its deadline, its lease or delay, and a clock that is off.
pub(crate) const OUTSTANDING_MAX: Micros = PATIENCE_MAX + VISIBILITY_MAX + 2 * SECOND;

/// Another host is asked as well if the first is silent for so long, as frontends do.
pub(crate) const HEDGE_AFTER: Micros = 600 * MILLISECOND;
/// A host that failed is asked only if there is no better one, for so long.
pub(crate) const FAILING_FOR: Micros = 250 * MILLISECOND;
/// Pauses between rounds over all hosts, from and to.
pub(crate) const ROUND_PAUSE: std::ops::Range<Micros> = 10 * MILLISECOND..250 * MILLISECOND;

/// Empty receives in a row that make a queue drained at a host.
pub(crate) const EMPTY_ROUNDS: u32 = 3;
/// Pause after an empty receive of a drain.
pub(crate) const DRAIN_PAUSE: Micros = 150 * MILLISECOND;
/// Lease of a receive that drains: long enough to acknowledge, short in case the answer gets lost.
pub(crate) const DRAIN_VISIBILITY: Micros = 2 * SECOND;
/// Patience of an operation of a drain.
pub(crate) const DRAIN_PATIENCE: Micros = 2 * SECOND;
