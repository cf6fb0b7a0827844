//! The bounds of this crate, each with its reason. Those that an operator may want to choose are the
//! defaults of [`crate::FrontendConfig`].

use std::time::Duration;

/// Requests being answered, waiting receives not counted: at 1 ms each that is a million a second, so
/// a queue of them means that something behind is slow and more would only wait longer.
pub const IN_FLIGHT_MAX: usize = 1_024;
/// Bytes of request bodies in memory: 30 of the largest batches, or all of [`IN_FLIGHT_MAX`] at 256 KiB.
pub const REQUEST_BYTES_MAX: usize = 256 << 20;
/// Receives that wait for a message; each is a connection, a task and a waiter at a host, some 10 KiB.
pub const LONG_POLLS_MAX: usize = 10_000;
/// Parts of [`IN_FLIGHT_MAX`] that sends leave to the others, in percent: what makes room must get
/// through when what takes room is refused.
pub const SEND_SHARE_PERCENT: usize = 80;
/// As [`SEND_SHARE_PERCENT`], for receives; the rest is for acknowledging, extending, releasing.
pub const RECEIVE_SHARE_PERCENT: usize = 90;

/// Bytes of a body that describes settings or how to receive: 50 tags of the largest size, twice.
pub const SETTINGS_BODY_BYTES_MAX: usize = 128 << 10;
/// Bytes of a body with receipts: 1,000 of 44 digits with their quotes and separators, with room for
/// generous white space.
pub const RECEIPTS_BODY_BYTES_MAX: usize = 128 << 10;
/// Seconds for which `PurgeQueue` refuses to purge a queue again, if not configured (SQS).
pub const PURGE_PAUSE_S: u32 = 60;
/// Queues of which the last purge is remembered, some 30 bytes each. Beyond it a purge is done and not
/// remembered: the pause is for the caller's sake.
pub const PURGES_REMEMBERED_MAX: usize = 10_000;
/// Keys of a key file: each is looked up by name; a file with more wants a service of its own.
pub const KEYS_MAX: usize = 10_000;
/// Bytes of a key file: [`KEYS_MAX`] keys with 400 bytes each.
pub const KEY_FILE_BYTES_MAX: u64 = 4 << 20;
/// Characters of a wrong receipt handle that an error's text repeats: ours have 44.
pub const HANDLE_CHARS_SHOWN: usize = 100;
/// Bytes of a body with messages in JSON: a batch of 4 MiB with some escaping or as base64.
pub const MESSAGES_BODY_BYTES_MAX: usize = 8 << 20;

/// How long a request may take if it does not say, beside the time that a receive waits.
pub const DEADLINE_DEFAULT: Duration = Duration::from_secs(5);
/// How long a request may take at most; hosts remember requests until their deadlines.
pub const DEADLINE_MAX: Duration = Duration::from_secs(60);
/// How far ahead of cluster time, as far as it is known here, a command's deadline may lie: a second
/// less than hosts take, since clocks differ.
pub const STAMP_AHEAD_MAX: Duration = Duration::from_secs(59);
/// What a receive leaves of its deadline for its answer to come back.
pub const ANSWER_MARGIN: Duration = Duration::from_millis(200);

/// A host that has said nothing for so long is asked again elsewhere. A sync and two round trips take
/// a few milliseconds; a host that was cut off is sealed out of its view within half a second.
pub const HEDGE_AFTER: Duration = Duration::from_millis(600);
/// Attempts of one request: with the pauses between rounds more than fit into the default deadline, so
/// that only those with a long one are cut short.
pub const ATTEMPTS_MAX: usize = 128;
/// How much longer than the request's deadline a receive's attempts may run after another one won:
/// hosts have forgotten the request then, even if their clocks are behind.
pub const LOSER_GRACE: Duration = Duration::from_secs(1);
/// First pause after every host of a cluster was tried; it doubles up to [`ROUND_PAUSE_MAX`].
pub const ROUND_PAUSE_MIN: Duration = Duration::from_millis(10);
/// Longest pause between rounds: a cluster that becomes ready is found within it.
pub const ROUND_PAUSE_MAX: Duration = Duration::from_millis(250);
/// Attempts beyond the first that all requests together may make at once: everything under way moves
/// to another host twice. After that only as many as [`RETRY_SHARE_PERCENT`] earns.
pub const RETRY_BURST: usize = 2 * (IN_FLIGHT_MAX + LONG_POLLS_MAX);
/// Attempts beyond the first that each hundred requests earn.
pub const RETRY_SHARE_PERCENT: usize = 20;

/// Of a queue with several partitions: how long a receive waits at one of them before it looks at the
/// others again. A message whose lease runs out comes back within a second, wherever it is.
pub const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// A wait that ends so long before its time ended for another reason: clusters' clocks are known to within
/// much less.
pub const CUT_SHORT_BY: Duration = Duration::from_millis(250);
/// Between questions where a wait ended at once, since too many wait there.
pub const NO_PLACE_TO_WAIT: Duration = Duration::from_millis(100);
/// For the answer of a partition that is one of several: longer than a host is waited for before another
/// one is asked, so that a lost host is no reason to pass a partition over, and short enough that a
/// lost cluster does not hold up what the others have.
pub const LOOK_WITHIN: Duration = Duration::from_secs(1);
/// Receives with an attempt key of which the partition that served them is remembered, about 100 bytes
/// each. Beyond it the oldest are forgotten before their time: what the key promises is a convenience.
pub const ATTEMPTS_REMEMBERED_MAX: usize = 20_000;

/// Seals remembered until the manager's word takes their place; the largest has 40 KB. A queue whose
/// seal is not remembered costs each of its sends another round trip.
pub const SEALS_MAX: usize = 1_000;
/// Clusters of which only seals have told.
pub const CLUSTERS_LEARNT_MAX: usize = 1_000;

/// Queues known at once: a million as the design wants, twice; about 700 bytes each.
pub const QUEUES_MAX: usize = 2_000_000;
/// Names remembered as missing.
pub const MISSING_NAMES_MAX: usize = 10_000;
/// How long a missing queue is not asked for again: producers that start before their queue is created
/// ask often, and half a second later they find it.
pub const MISSING_FOR: Duration = Duration::from_millis(500);
/// For a lookup that finds a queue on a cluster of which nothing is known yet: the feed brings it at
/// once if it can.
pub const CLUSTER_KNOWN_WITHIN: Duration = Duration::from_secs(1);

/// For an answer of the manager. Creating a queue includes a replicated command at its cluster.
pub const MANAGER_TIMEOUT: Duration = Duration::from_secs(4);
/// For a connection to the manager.
pub const MANAGER_CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// Bytes of an answer of the manager: a full page of the feed is about 5 MB.
pub const MANAGER_ANSWER_BYTES_MAX: usize = 64 << 20;
/// Seconds that the feed is asked to wait for something new.
pub const FEED_WAIT_S: u32 = 20;
/// First pause after the feed failed; it doubles up to [`FEED_PAUSE_MAX`].
pub const FEED_PAUSE_MIN: Duration = Duration::from_millis(50);
/// Longest pause before the feed is asked again: a manager that is back is noticed within it.
pub const FEED_PAUSE_MAX: Duration = Duration::from_secs(2);

/// Queues of one page of a list if the request does not say.
pub const LIST_LIMIT_DEFAULT: u64 = 100;
/// How long a queue's counts are waited for before the queue is shown without them.
pub const COUNTED_WITHIN: Duration = Duration::from_secs(1);
/// Messages of a peek if the request does not say.
pub const PEEK_LIMIT_DEFAULT: u64 = 10;

/// Milliseconds for which a frontend that is told to stop still serves, if not configured: twice as long as our
/// client keeps a connection that it does not use, so that it never writes to one that is just being closed,
/// and longer than waiting receives take to leave. Balancers look every few seconds; where one does, let
/// whatever stops the process wait before the signal.
pub const DRAIN_MS: u32 = 2_000;
/// The longest such time: what orchestrators give a process as a whole is mostly 30 s.
pub const DRAIN_MAX: Duration = Duration::from_secs(60);
/// When the drain begins, those who wait for messages are answered within so long, each at a time of its
/// own: 10,000 that come back to other frontends all at once would be a flood there. Far below the time that
/// connections are given to end.
pub const WAITERS_LEAVE_WITHIN: Duration = Duration::from_secs(1);
/// For answers under way when the drain ends: as long as a request may take that does not say how long, and
/// what its answer takes to be made.
pub const ANSWERED_WITHIN: Duration = Duration::from_secs(6);
/// For the whole of what is still to be done when the drain ends: [`ANSWERED_WITHIN`], the answers to what was
/// cut off, and clients that close their side late.
pub const STOP_WITHIN: Duration = Duration::from_secs(10);
