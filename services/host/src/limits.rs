//! Every bound of a host, with its reason.

use std::time::Duration;

use shoal_types::Micros;

/// Client operations that wait for their entry to be executed. At a million a second and 4 ms each
/// they would be 4,000; beyond, the host answers "busy" and the frontend takes another one.
pub(crate) const OPERATIONS_MAX: usize = 16_384;
/// Bytes of commands gathered for the next entry. Two full sends fit.
pub(crate) const INTAKE_BYTES_MAX: usize = 16 << 20;
/// Bytes of one entry. A larger gathering goes out as several entries, so that a peer's frame and a
/// log record stay small; a single send may be larger (its own limit is 4 MiB).
pub(crate) const ENTRY_BYTES_TARGET: usize = 1 << 20;
/// Orders to change the members that wait for an answer: one manager asks, and asks again after a
/// timeout.
pub(crate) const CHANGES_WAITING_MAX: usize = 16;
/// Partitions that are counted each for itself between two reports of the load; what others do counts in
/// the sums alone. A partition that makes a hundredth of the load is among the first so many to be touched
/// in any second, so none is missed that could be reported. About 250 KB.
pub(crate) const PARTITIONS_COUNTED_MAX: usize = 4_096;
/// Between two reports of the load: as often as heartbeats go.
pub(crate) const LOAD_INTERVAL: Duration = Duration::from_secs(1);
/// Inputs waiting for the driver's loop. Senders wait when it is full, so no input is lost.
pub(crate) const INPUTS_MAX: usize = 8_192;
/// Inputs that one turn of the loop takes before it acts on them.
pub(crate) const INPUTS_PER_TURN: usize = 512;
/// Bytes of recent bodies kept in memory: what is consumed soon after it was sent is not read from
/// the log again.
pub(crate) const RECENT_BODIES_BYTES_MAX: usize = 16 << 20;
/// How long commands wait inside a host that has stopped acting, for the view change that usually
/// takes a few milliseconds. Afterwards they are refused, certainly not applied.
pub(crate) const HOLD_WHILE_SUSPENDED: Duration = Duration::from_millis(400);
/// How much later than the first writer each next one proposes a tick, so that they do not all do.
pub(crate) const TICK_STAGGER: Duration = Duration::from_millis(50);
/// A tick that was proposed and not executed is proposed again after so long.
pub(crate) const TICK_AGAIN: Duration = Duration::from_secs(1);
/// A raise of the machine version that was proposed and not executed is proposed again after so long.
pub(crate) const RAISE_AGAIN: Duration = Duration::from_secs(1);
/// Cluster time between two places of the order at which the hosts compare their states. Each mark is
/// told in a dozen heartbeats of 20 ms before the next one comes, so that losing some does not matter,
/// and a host that differs is found within about 0.3 s as long as entries come.
pub(crate) const MARK_INTERVAL: Micros = 250_000;
/// Own marks to hold those of others against: 16 s of them, far more than an acting host lags behind.
pub(crate) const MARKS_KEPT_MAX: usize = 64;
/// Marks remembered of each other member: 2 s of them, so that the members' newest ones, heard at
/// different moments, can be counted at one place.
pub(crate) const MARKS_HEARD_MAX: usize = 8;
/// Percent of the disk from which sends are refused.
pub(crate) const DISK_NO_SENDS_PERCENT: u8 = 90;
/// Percent of the disk from which receives are refused too; acknowledgements never are.
pub(crate) const DISK_NO_RECEIVES_PERCENT: u8 = 95;
/// Bytes of entries in one answer to a peer that catches up.
pub(crate) const CATCH_UP_BYTES: usize = 2 << 20;
/// Answers to peers that catch up being read from the log at once.
pub(crate) const CATCH_UP_READS_MAX: usize = 4;
/// Bytes of log kept for a member that is behind: about what a host sends as entries in the time in which
/// it would send a snapshot of a usual state, so that a snapshot is no worse beyond it; and what an
/// absent member may take up of the others' disks.
pub(crate) const CATCH_UP_LOG_BYTES_MAX: u64 = 2 << 30;
/// Bytes of a chunk of a snapshot: some milliseconds of a link, and what a lost chunk costs. With one
/// row and one body on top (5 MiB) it fits a frame.
pub(crate) const SNAPSHOT_CHUNK_BYTES: usize = 1 << 20;
/// Bytes of snapshots sent in a second: half of what a link of 1 Gbit/s and a disk that also serves can
/// do, so that the load in between hardly notices.
pub(crate) const SNAPSHOT_BYTES_PER_SECOND: u64 = 64 << 20;
/// Bytes of bodies received and not synced at which no more are asked for.
pub(crate) const SNAPSHOT_UNSYNCED_BYTES_MAX: u64 = 16 << 20;
/// A chunk that does not come is asked for again after so long: far longer than a round trip and the
/// wait that the rate imposes.
pub(crate) const SNAPSHOT_ASK_AGAIN: Duration = Duration::from_millis(500);
/// A peer that sends nothing for so long is given up for another one. The first chunk waits for a
/// checkpoint to be written.
pub(crate) const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(10);
/// Between a snapshot that was abandoned and the next question; doubled with each one up to 16 times,
/// since what failed (a full disk) may take a while to mend.
pub(crate) const SNAPSHOT_PAUSE: Duration = Duration::from_millis(500);
/// Damaged chunks of one snapshot after which another peer is asked.
pub(crate) const SNAPSHOT_CHUNKS_REFUSED_MAX: u32 = 16;
/// What a snapshot refers to, and every entry after it, is kept for so long after the receiver asked
/// last: it has to check, install, restart and fetch what came since.
pub(crate) const SNAPSHOT_HELD: Duration = Duration::from_secs(60);
/// Between two looks at how full the disk is, at most. One comes with every segment's worth of log as well:
/// on a tiny disk the segments made ahead are all the reserve that there is.
pub(crate) const DISK_LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Bytes of entries that share a frame to a peer: a turn may make more of them than one frame holds.
/// With the largest entry on top (a send of 4 MiB and its head) a frame stays below its limit of 8 MiB.
pub(crate) const FRAME_BYTES_TARGET: usize = 2 << 20;
/// Bytes of stored messages in one send: the 4 MiB that users may send, and the heads that storing
/// puts before each. With the command's own head an entry stays below the engine's 6 MiB.
pub(crate) const SEND_BYTES_MAX: usize = (4 << 20) + (1 << 19);
/// A segment is emptied once its live bodies are below this share of it: emptying it then frees at least
/// three times what it writes, so that a cluster that keeps few old messages writes at most a third more.
pub(crate) const EMPTIED_BELOW_PERCENT: u64 = 25;
/// The same share while a disk is tight: space counts for more than writing.
pub(crate) const EMPTIED_BELOW_PERCENT_WHEN_TIGHT: u64 = 75;
/// Percent of the fullest disk from which space is tight: well before sends are refused.
pub(crate) const DISK_TIGHT_PERCENT: u8 = 80;
/// Segments emptied in one round: one look through the messages serves all of them, and what is to be
/// moved for them (1 GiB of segments of 64 MiB, a quarter of it live) is written in a few minutes.
pub(crate) const EMPTIED_AT_ONCE_MAX: usize = 16;
/// Between two steps of emptying segments.
pub(crate) const COMPACTION_STEP: Duration = Duration::from_millis(16);
/// Bytes moved in a step (a single larger body goes alone): 16 MiB/s, a small part of what a disk takes.
pub(crate) const COMPACTION_STEP_BYTES: u64 = 256 << 10;
/// Chunks of 256 messages looked through in a step: 16,384 messages, some 20 µs; ten million take 10 s.
pub(crate) const COMPACTION_STEP_CHUNKS: usize = 64;
/// Bodies found and not yet read: beyond, no further chunks are looked through. One step may add
/// another 16,384.
pub(crate) const COMPACTION_FOUND_MAX: usize = 4_096;
/// Nothing is moved while more than this of the log waits to be written: commits come first.
pub(crate) const COMPACTION_YIELDS_ABOVE: u64 = 1 << 20;
/// Damaged bodies asked of peers at once. With the largest of 1 MiB what comes in is 64 MiB at most.
pub(crate) const REPAIRS_MAX: usize = 64;
/// How long a damaged body is asked for before whoever waits is told; some round trips and a slow disk,
/// and shorter than a client waits for an answer.
pub(crate) const REPAIR_PATIENCE: Duration = Duration::from_secs(2);
/// A peer that does not answer is passed over after so long, and asked again in its turn.
pub(crate) const REPAIR_ASKS_AGAIN: Duration = Duration::from_millis(200);
/// Bodies being read for peers at once: repairs must not keep a sound host's disk from its own work.
pub(crate) const READS_FOR_PEERS_MAX: usize = 16;
/// Answers that wait for damaged bodies at once. Each holds 4 MiB of bodies at most.
pub(crate) const HELD_ANSWERS_MAX: usize = 64;
/// Damaged segments whose bodies nobody gave are tried again after so long: a peer may be back.
pub(crate) const DAMAGED_AGAIN: Duration = Duration::from_secs(10);
/// Between two looks of the scrub.
pub(crate) const SCRUB_STEP: Duration = Duration::from_secs(1);
/// Bytes of log in a look, at least: less would read the same blocks over for nothing.
pub(crate) const SCRUB_LOOK_BYTES_MIN: u32 = 64 << 10;
/// Bytes of log in a look, at most: 8 MiB/s, which no disk notices. A round takes longer then.
pub(crate) const SCRUB_LOOK_BYTES_MAX: u32 = 8 << 20;
/// Rows of the checkpoint in a look: of 256 messages each they take some 10 ms.
pub(crate) const SCRUB_STEP_ROWS: usize = 1_000;
/// Damaged bodies that a look into a folder lists one by one; the rest is counted.
pub(crate) const DOCTOR_BODIES_LISTED: u64 = 20;
/// Bytes of log that a look into a folder reads at once.
pub(crate) const DOCTOR_READS_BYTES: u32 = 8 << 20;
/// Between two checkpoints while a disk is nearly full, at most: service resumes with the segments that
/// they let go.
pub(crate) const CHECKPOINT_INTERVAL_WHEN_FULL: Duration = Duration::from_secs(5);
/// The same while this host's disk is nearly full: its cluster waits for news of room.
pub(crate) const DISK_LOOK_INTERVAL_WHEN_FULL: Duration = Duration::from_millis(100);
/// Between lending the room of a free segment to a checkpoint and writing it: the file is removed by then.
/// If it is not, the checkpoint waits its turn once more.
pub(crate) const CHECKPOINT_AFTER_LENDING: Duration = Duration::from_millis(100);
/// Bodies of messages deleted as they were received that are remembered: what one host gives away in some
/// tenths of a second at full load, far longer than reading a body takes. About 2 MiB.
pub(crate) const DEPARTED_MAX: usize = 16_384;
/// How long they are remembered: a repair gives up before.
pub(crate) const DEPARTED_KEPT: Duration = Duration::from_secs(5);
/// Between two looks through the sealed partitions for what their successors do not know yet, as long as
/// anything happens: what a group of a queue that is being moved waits at most after its last old message,
/// besides the call itself.
pub(crate) const SUCCESSORS_LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Sealed partitions in a look: each costs well under a microsecond if nothing is to be told.
pub(crate) const SUCCESSORS_LOOK_PARTITIONS: usize = 256;
/// Message groups of sealed FIFO partitions after which a look ends; those of one more partition may be
/// looked at. Hashing the names of so many takes about half a millisecond.
pub(crate) const SUCCESSORS_LOOK_GROUPS: usize = 10_000;
/// How long a host looks after a sealed partition, in cluster time, before one is drawn anew: so long a
/// queue that is being moved waits for a host that cannot tell, now and then twice or three times. Who
/// is drawn tells again which groups are gone, which is ten calls for ten thousand groups.
pub(crate) const TELLER_TURN: Micros = 5_000_000;
/// Calls to successors at once. With 200 KB each they are 3 MB at most.
pub(crate) const TELLINGS_MAX: usize = 16;
/// Sends with deduplication keys told in a call: the successor is at it for about a millisecond.
pub(crate) const KEYED_SENDS_AT_ONCE: usize = 5_000;
/// Groups told in a call to be gone.
pub(crate) const GROUPS_GONE_AT_ONCE: usize = 1_000;
/// Before a successor that could not be told is tried again; doubled with each failure, up to the most.
pub(crate) const TELLING_PAUSE_MIN: Duration = Duration::from_millis(50);
/// The most.
pub(crate) const TELLING_PAUSE_MAX: Duration = Duration::from_secs(5);
/// So many failures, one after the other, are worth a warning: about six seconds.
pub(crate) const TELLINGS_FAILED_WORTH_A_WARNING: u32 = 7;
/// That all is told was proposed and not executed: it is proposed again after so long.
pub(crate) const TOLD_DRAINED_AGAIN: Duration = Duration::from_secs(1);
/// How long a host of another cluster may take to answer, before another one is asked.
pub(crate) const TELLING_TIMEOUT: Duration = Duration::from_secs(1);
/// The same where it is brought messages: a piece of 4 MiB, several at once, over a link of 20 Mbit/s.
pub(crate) const CARRYING_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections to hosts of other clusters. With more hosts than that to tell, some are made anew now and
/// then.
pub(crate) const OTHER_CLUSTERS_CLIENTS_MAX: usize = 64;
/// Between two looks through the partitions that have heirs as long as anything happens, unless one has just
/// taken something.
pub(crate) const FORWARDING_LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Pieces on their way to heirs at once. With their bodies they are 16 MB at most.
pub(crate) const CARRIAGES_MAX: usize = 4;
/// Partitions that send something to other queues looked at in one look for what can go: some milliseconds,
/// if each of them has a full parcel.
pub(crate) const PARCEL_LOOK_PARTITIONS: usize = 100;
/// The next piece was asked for and nothing came of it: it is asked for again after so long.
pub(crate) const NEXT_PIECE_AGAIN: Duration = Duration::from_secs(1);
/// Nothing could go: so long passes before the next look, which may hash the names of 10,000 groups.
pub(crate) const NEXT_PIECE_LOOK: Duration = Duration::from_millis(250);
/// Bodies of a piece could not be read for so long, whoever was asked: somebody should hear of it. A repair
/// gives up after 2 s, and a host that is started again is back by then.
pub(crate) const UNREADABLE_WORTH_AN_ALARM: Duration = Duration::from_secs(30);
/// It is said again after so long: whoever reads the last hour of a log is to find it.
pub(crate) const UNREADABLE_SAID_AGAIN: Duration = Duration::from_secs(600);
/// Numbers of such messages in what is said; a piece has up to 1,000.
pub(crate) const UNREADABLE_LISTED: usize = 10;
