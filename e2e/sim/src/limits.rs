//! The bounds of a simulated world, each with its reason. Times in microseconds.

use std::time::Duration;

use shoal_types::Micros;

/// One millisecond.
pub(crate) const MS: Micros = 1_000;
/// One second.
pub(crate) const SECOND: Micros = 1_000_000;

/// A connection whose other side gives no sign for so long is closed by its dialler, as the hosts'
/// own transport does.
pub(crate) const PEER_SILENCE: Micros = 1_500 * MS;
/// How much later than [`PEER_SILENCE`] it may be noticed: the transport looks every 200 ms.
pub(crate) const PEER_SILENCE_SPREAD: Micros = 200 * MS;
/// A frontend gives up a host that says nothing for so long.
pub(crate) const CLIENT_SILENCE: Micros = 2 * SECOND;
/// How much later it may be noticed.
pub(crate) const CLIENT_SILENCE_SPREAD: Micros = 500 * MS;
/// First pause after a dial that failed, as in the hosts' transport …
pub(crate) const DIAL_PAUSE_MIN: Micros = 5 * MS;
/// … doubled up to this.
pub(crate) const DIAL_PAUSE_MAX: Micros = 100 * MS;
/// A dial that nobody answers takes so long.
pub(crate) const DIAL_TIMEOUT: Micros = 500 * MS;
/// A refused dial is reported at most so often.
pub(crate) const REFUSED_EVERY: Micros = 100 * MS;
/// Inputs that one turn of a host takes.
pub(crate) const INPUTS_PER_TURN: usize = 512;
/// Answers to peers that catch up being read at once.
pub(crate) const CATCH_UP_READS_MAX: usize = 4;
/// A host that leaves stops after so long, sealed out or not.
pub(crate) const LEAVE_PATIENCE: Micros = 2 * SECOND;

/// What the clock of the world shows when a run begins.
pub(crate) const EPOCH: Micros = 1_700_000_000 * SECOND;
/// Clocks of most hosts are right within this, so that any two agree within the half second that is
/// asked of operators, what pauses of a machine add included.
pub(crate) const CLOCK_ERROR_MAX: Micros = 150 * MS;
/// How far cluster time and the clients' clocks may lie apart at most: twice the bound that hosts
/// enforce, and what slewing and drift add within a run.
pub(crate) const SKEW_BOUND: Micros = 2 * 500 * MS + 100 * MS;

/// After the faults have ended, everything must be at rest within this: the longest pause before a
/// host that kept dropping out may join again is 30 s, twice that for two such hosts in turn; the rest
/// is for leases to run out so that everything can be drained.
pub(crate) const SETTLING_MAX: Micros = 150 * SECOND;
/// How often it is looked whether the cluster has settled.
pub(crate) const LOOK_EVERY: Micros = 100 * MS;
/// The manager asks a host again to form after so long without an answer.
pub(crate) const FORM_AGAIN: Micros = 700 * MS;
/// A round of a host's scrub: several in a run.
pub(crate) const SCRUB_ROUND: Duration = Duration::from_secs(15);
/// Checkpoint store's memory: small, so that pages go to the disk in the middle of a transaction.
pub(crate) const CHECKPOINT_CACHE_BYTES: usize = 256 << 10;
/// A write that found no room is tried again after so long, as the host's disk thread does.
pub(crate) const WRITTEN_AGAIN_WHEN_FULL: Micros = 100 * MS;
/// A frame held up for so long is news: two such in a row, and a host counts as silent.
pub(crate) const REPETITION_NOTICED: Micros = 100 * MS;
/// Changes of the view after the last news, of a fault or a process: one run in a hundred makes ten (a
/// link that loses messages for minutes, a host that only hears), none made more than 13; hosts that
/// agree to every wish for a change make dozens.
pub(crate) const VIEWS_WITHOUT_NEWS_MAX: u32 = 24;
/// Events at one run's end at the latest: a run that makes more is caught in a circle.
pub(crate) const EVENTS_MAX: u64 = 60_000_000;
/// Runs of at least so many seeds must have reached every one of the rare events.
pub(crate) const SOMETIMES_SEEDS: u64 = 200;
/// The same for what only runs reach in which queues move: those happen all the time there.
pub(crate) const SOMETIMES_SEEDS_OF_MOVES: u64 = 60;
/// Violations of one seed that are reported; the first ones tell the story.
pub(crate) const VIOLATIONS_SHOWN: usize = 8;
