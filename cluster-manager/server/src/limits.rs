//! The bounds of the manager, each with its reason.

use std::time::Duration;

use shoal_api::manager::{HEARTBEAT_EVERY, HEARTBEAT_TIMEOUT};
use shoal_types::limits::REVISION_MAX;

/// Transactions of one commit of the store: at 2 KB each, 2 MB of dirty pages.
pub const COMMIT_BATCH_MAX: usize = 1_024;
/// Transactions that wait for the store. More than one batch, so that the next is full when a commit
/// ends; whoever finds no room waits.
pub const COMMIT_QUEUE_MAX: usize = 4_096;
/// Bytes of a record, far above any real one: a queue with 50 tags of full length has 80 KB.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

/// Ids reserved in the store at once. What is left of them is skipped at a restart; at one restart a
/// second, 64 bits last for half a billion years.
pub const ID_BLOCK: u64 = 1_000;

/// Hosts of the whole system. Each is asked of and heard from every second.
pub const HOSTS_MAX: usize = 10_000;
pub use shoal_types::limits::{ADDRESS_BYTES_MAX, ZONE_BYTES_MAX};
/// Bytes of what a host says is the matter with it: a paragraph, kept in memory of each host.
pub const TROUBLE_BYTES_MAX: usize = 4 << 10;
/// Queues of the whole system; the feed hands all of them to every frontend.
pub const QUEUES_MAX: u64 = 2_000_000;
/// Deletions that are remembered over a restart, newest first. A frontend that was away for longer
/// finds out at the first use of the queue, when its cluster says that it is gone.
pub const DELETIONS_KEPT_MAX: usize = 100_000;

/// Bytes of an event's text; a longer one is cut off. One that names a few hundred clusters is below.
pub const EVENT_TEXT_BYTES_MAX: usize = 4 << 10;
/// Clusters that an event names; of a change that concerns more, the first.
pub const EVENT_CLUSTERS_MAX: usize = 100;
/// Events that are kept, the newest: weeks of a fleet's life, and at about 400 bytes each 4 MB of the store.
pub const EVENTS_KEPT_MAX: u64 = 10_000;
/// Reports of one host that count in one window: one comes every second, and no window is longer than a
/// minute.
pub const REPORTS_PER_WINDOW_MAX: u64 = 64;
/// Rounds after which something that was planned or lacking and is not any more is over: a minute of 5 s
/// rounds. Each change of load is followed by three windows of measuring, in which a plan says nothing of
/// the clusters that took part.
pub const ROUNDS_UNTIL_OVER: u64 = 12;
/// Pools of which an operator is told why no cluster can be formed: a screenful. Each host may be of another.
pub const POOLS_TOLD_MAX: usize = 20;
/// Busiest partitions that operators are shown of a cluster.
pub const BUSIEST_SHOWN: usize = 5;

/// How long creating, changing or deleting a queue may take. Less than the 4 s that a frontend waits,
/// so that it is the manager who says what happened. What is not finished then goes on by itself.
pub const OPERATION_PATIENCE: Duration = Duration::from_millis(3_500);
/// How long a creation waits for a cluster that serves. At the start of a system the first cluster is
/// a moment away.
pub const CAPACITY_PATIENCE: Duration = Duration::from_millis(1_500);
/// Creations, changes and deletions under way. A host takes 1,024 calls on a connection.
pub const OPERATIONS_MAX: usize = 4_096;
/// How often what could not be finished is tried again.
pub const SETTLE_INTERVAL: Duration = Duration::from_millis(500);
/// How many of them at once.
pub const SETTLE_CONCURRENCY: usize = 64;

/// Moves, splits and merges under way, but for those that only wait for consumers: what a plan may have in
/// flight.
pub const MOVES_MAX: usize = shoal_planner::limits::IN_FLIGHT_MAX;
/// Those that only wait for consumers.
pub const DRAINING_MAX: usize = shoal_planner::limits::DRAINING_MAX;
/// Sealed partitions that are forwarded at the same time.
pub const FORWARDS_MAX: usize = shoal_planner::limits::FORWARDS_MAX;
/// For a cluster to carry out one step of a move, before it is said what it waits for and tried again.
pub const MOVE_STEP_TIMEOUT: Duration = Duration::from_secs(2);
/// A move whose successors cannot be created for so long is undone: longer than a view change or the
/// restart of a host takes.
pub const MOVE_PATIENCE: Duration = Duration::from_secs(30);
/// A queue of which a move was undone is left alone for so long: what was in the way hardly goes sooner.
pub const MOVE_AGAIN_AFTER: Duration = Duration::from_secs(300);
/// Queues that are left alone at the same time. Beyond it the one that has been for longest is tried again
/// early: so many are undone within [`MOVE_AGAIN_AFTER`] only if a good part of the fleet refuses.
pub const LEFT_ALONE_MAX: usize = 4_096;
/// After a forwarding that came to nothing before it is tried again; doubles each time up to
/// [`FORWARD_AGAIN_MAX`].
pub const FORWARD_AGAIN_MIN: Duration = Duration::from_secs(60);
/// The longest of these pauses: an hour is little against how long nobody has consumed.
pub const FORWARD_AGAIN_MAX: Duration = Duration::from_secs(3_600);
/// Partitions of one move that are still to be deleted while more of it is forwarded. Each attempt that comes
/// to nothing leaves one, and the move's record names them all.
pub const CLEARS_MAX: usize = 16;
/// Between attempts at a step of a move; doubles up to [`MOVE_PAUSE_MAX`].
pub const MOVE_PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest of these pauses, but for those that wait for consumers: see [`DRAIN_QUESTIONS_PER_SECOND`].
pub const MOVE_PAUSE_MAX: Duration = Duration::from_secs(2);
/// So many draining moves are asked in a second whether they are empty; the more there are, the longer each
/// pauses. A question is one call of one host.
pub const DRAIN_QUESTIONS_PER_SECOND: usize = 200;
/// So many at once, also when a manager starts and all are due: a quarter of the calls that a host takes on a
/// connection. A cluster that does not answer holds each up for [`MOVE_STEP_TIMEOUT`].
pub const DRAIN_QUESTIONS_AT_ONCE: usize = 256;

/// Queues that may have the same dead-letter queue: a partition takes parcels of so many others. Those that are
/// told where it is, each time it moves, are so many too.
pub const DEAD_LETTER_SOURCES_MAX: usize = shoal_types::limits::PARCEL_SOURCES_MAX;
/// How often it is looked whether queues have to be told where their dead letters go.
pub const TELL_INTERVAL: Duration = Duration::from_millis(200);
/// Queues that are told at once: as many as are settled at once.
pub const TELL_CONCURRENCY: usize = SETTLE_CONCURRENCY;
/// A queue that could not be told is tried again after so long: what is in the way is mostly a view change.
pub const TELL_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Tasks that move messages, under way at the same time: each is asked about once in [`REDRIVE_INTERVAL`].
pub const REDRIVES_MAX: usize = 1_000;
/// Tasks that are over and still shown, of each queue: as many as SQS shows.
pub const REDRIVES_KEPT_MAX: usize = 10;
/// How often tasks are asked how far they are.
pub const REDRIVE_INTERVAL: Duration = Duration::from_millis(500);
/// How many of them at once.
pub const REDRIVE_CONCURRENCY: usize = 64;

/// For one host's answer to an instruction: several times what a replicated command takes when a host
/// has just failed.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);
/// Between rounds over all hosts of a cluster; doubles up to [`ROUND_PAUSE_MAX`].
pub const ROUND_PAUSE_MIN: Duration = Duration::from_millis(20);
/// The longest of these pauses.
pub const ROUND_PAUSE_MAX: Duration = Duration::from_millis(500);
/// How far ahead the deadline of an instruction lies, in the cluster's time. Its result is remembered
/// until then; the most that clusters take is 60 s, and their clock is known only roughly.
pub const INSTRUCTION_DEADLINE: Duration = Duration::from_secs(20);
/// Between attempts to make a host confirm its new cluster; doubles up to [`FORM_PAUSE_MAX`].
pub const FORM_PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest of these pauses.
pub const FORM_PAUSE_MAX: Duration = Duration::from_secs(1);

/// A manager listens at least for so long before it decides anything, unless it is told not to at all: every
/// host that is up begins a heartbeat within it, and half a second is left for that to arrive.
pub const LISTEN_MIN: Duration = HEARTBEAT_EVERY.saturating_add(Duration::from_millis(500));
/// Between looks at whether all hosts that the store knows have reported.
pub const LISTEN_LOOK: Duration = Duration::from_millis(50);
/// Starts of a manager of which is kept what revisions they left out, some 60 bytes each: hosts of a lost
/// store report before there were so many.
pub const LEFT_OUT_KEPT_MAX: usize = 256;
/// Revisions that a manager leaves out at its start, at least: more than one gives in the time that it takes
/// to notice that another one has its store.
pub const START_REVISIONS_LEFT_OUT_MIN: u64 = 1 << 20;
/// At most. How many is drawn, so that two managers that start from copies of one store do not go on at the
/// same revision. Half of all revisions ([`shoal_types::limits::REVISION_MAX`]) last for 16 million starts.
pub const START_REVISIONS_LEFT_OUT_MAX: u64 = 1 << 26;
/// Above this, revisions are not left out any more: the rest is for what is written.
pub const REVISIONS_SPENT_MAX: u64 = REVISION_MAX / 2;

/// After the start of a manager before its store is rebuilt: a heartbeat that was on its way to the one
/// before is given up, and the next one comes.
pub const REBUILD_LISTEN: Duration = HEARTBEAT_EVERY.saturating_add(HEARTBEAT_TIMEOUT);
/// For a cluster to tell a store that is being rebuilt what it keeps, before it is said that it does not:
/// longer than a view change or the restart of a host takes.
pub const REBUILD_PATIENCE: Duration = Duration::from_secs(20);
/// Partitions of one page of it: what hosts give at most.
pub const REBUILD_PAGE: u16 = shoal_types::limits::PARTITIONS_TOLD_MAX as u16;
/// For one page: a megabyte, of a host that has other things to do.
pub const REBUILD_PAGE_TIMEOUT: Duration = Duration::from_secs(5);
/// Partitions of one cluster: as many as there may be queues in the whole system.
pub const REBUILD_PARTITIONS_MAX: usize = QUEUES_MAX as usize;
/// Records that are written at once while a store is rebuilt: more than enough to fill a commit.
pub const REBUILD_CONCURRENCY: usize = 256;
/// Rounds of asking all clusters, since what is found may have to be fenced first.
pub const REBUILD_ROUNDS_MAX: usize = 5;
/// Revisions that a rebuilt store leaves out above the highest that anybody was heard to know: what a
/// manager writes within the second between two heartbeats, a thousand times over.
pub const REBUILD_REVISIONS_LEFT_OUT: u64 = 1 << 20;
/// Events about findings of one rebuilding: so that it does not drive out all others.
pub const REBUILD_EVENTS_MAX: usize = 200;

/// For a cluster's answer to a change of its members, before its state is looked at again: a newcomer that
/// has much to fetch takes longer, and asking again does no harm.
pub const CHANGE_TIMEOUT: Duration = Duration::from_secs(5);
/// Between attempts to have a change carried out; doubles up to [`CHANGE_PAUSE_MAX`].
pub const CHANGE_PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest of these pauses.
pub const CHANGE_PAUSE_MAX: Duration = Duration::from_secs(2);
/// Members with which a cluster survives the loss of one. Fewer must be confirmed.
pub const MEMBERS_SAFE_MIN: usize = 3;
/// Members that an operator may ask for. A fifth costs as much as the fourth and survives no more until a
/// sixth could come; one more than this is there for a moment while a member is replaced.
pub const MEMBERS_ASKED_MAX: usize = 4;

/// Connections to the API: frontends with a long poll each and some requests, hosts with one each.
pub const API_CONNECTIONS_MAX: usize = 20_000;
/// Bytes of a request's body: settings with 50 tags of full length in JSON's longest writing.
pub const API_BODY_BYTES_MAX: usize = 256 << 10;
/// For tasks to end after the shutdown.
pub const STOP_GRACE: Duration = Duration::from_secs(10);
