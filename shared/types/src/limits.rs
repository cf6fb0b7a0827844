//! Every bound that more than one part of the system must know, each with its reason. Bounds of a
//! single component stand in that component's own `limits.rs`.

use crate::Micros;

/// Characters of a queue name, `.fifo` included (SQS).
pub const QUEUE_NAME_CHARS_MAX: usize = 80;
/// Digits of an account (AWS).
pub const ACCOUNT_DIGITS: usize = 12;
/// Characters of a region: AWS's longest have 14, and one's own may say more.
pub const REGION_CHARS_MAX: usize = 32;
/// Largest message, body and attributes together, in bytes (SQS since 2025: 1 MiB).
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Messages of one send: a batch is executed in one step, and 1,000 items of 1 µs keep that at 1 ms.
pub const SEND_BATCH_MAX: usize = 1_000;
/// Bytes of one send, all messages together: one batch stays well below a frame ([`FRAME_BYTES_MAX`]).
pub const SEND_BATCH_BYTES_MAX: usize = 4 << 20;
/// Messages of one receive; the reason is that of [`SEND_BATCH_MAX`].
pub const RECEIVE_BATCH_MAX: usize = 1_000;
/// Bytes of bodies in one answer to a receive: fewer messages are given rather than a larger answer,
/// but always at least one.
pub const RECEIVE_BYTES_MAX: usize = 4 << 20;
/// Receipts of one acknowledge, extend or release; the reason is that of [`SEND_BATCH_MAX`].
pub const RECEIPT_BATCH_MAX: usize = 1_000;
/// Attributes of a message (SQS allows 10; REST is kept the same so that a message fits both).
pub const ATTRIBUTES_MAX: usize = 10;
/// Bytes of an attribute's name (SQS).
pub const ATTRIBUTE_NAME_BYTES_MAX: usize = 256;
/// Characters of a message group's or deduplication id (SQS).
pub const GROUP_CHARS_MAX: usize = 128;
/// Bytes of an `Idempotency-Key`.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 256;
/// Tags of a queue (SQS).
pub const TAGS_MAX: usize = 50;
/// Characters of a tag's key (SQS).
pub const TAG_KEY_CHARS_MAX: usize = 128;
/// Characters of a tag's value (SQS).
pub const TAG_VALUE_CHARS_MAX: usize = 256;

/// `max_receive_count` of a queue, from and to (SQS).
pub const RECEIVE_COUNT: std::ops::RangeInclusive<u32> = 1..=1_000;
/// Queues that one queue names as those it takes dead letters of (SQS).
pub const REDRIVE_SOURCES_MAX: usize = 10;
/// Bytes of a queue's policy: as many as AWS takes for most kinds of policies.
pub const POLICY_BYTES_MAX: usize = 8 << 10;
/// Characters of the name of a key for encryption: an alias of AWS's has up to 256, an ARN no more.
pub const KMS_KEY_CHARS_MAX: usize = 256;
/// Seconds for which a key of encryption is used again, from and to (SQS: a minute to a day).
pub const KMS_REUSE_S: std::ops::RangeInclusive<u32> = 60..=86_400;

/// Seconds of a visibility timeout (SQS: 12 hours).
pub const VISIBILITY_S_MAX: u32 = 43_200;
/// From a receive to the end of its lease, however often that is extended (SQS: 12 hours). A consumer
/// that hangs and extends for ever does not keep its messages for ever.
pub const LEASE_MAX: Micros = VISIBILITY_S_MAX as Micros * 1_000_000;
/// Seconds of a delay (SQS: 15 minutes).
pub const DELAY_S_MAX: u32 = 900;
/// Seconds of retention, from and to (SQS: a minute to 14 days).
pub const RETENTION_S: std::ops::RangeInclusive<u32> = 60..=1_209_600;
/// Seconds that a receive may wait (SQS).
pub const RECEIVE_WAIT_S_MAX: u32 = 20;
/// `max_message_bytes` of a queue, from and to (SQS).
pub const QUEUE_MESSAGE_BYTES: std::ops::RangeInclusive<u32> = 1_024..=(1 << 20);

/// Leased messages of a partition at once (SQS: 120,000). Bounds the leases a host keeps in memory.
pub const LEASED_MAX: usize = 120_000;
/// How long a deduplication id or attempt id is remembered (SQS: 5 minutes).
pub const DEDUPLICATION_WINDOW: Micros = 300_000_000;
/// Deduplication ids of a partition at once: 5 minutes at 3,300 a second, about 64 MB.
pub const DEDUPLICATION_IDS_MAX: usize = 1_000_000;
/// Waiters of a partition at once; each is a client's open request.
pub const WAITERS_MAX: usize = 10_000;
/// How long a receive waits at a sealed partition at most, where only what was received before and comes
/// back can still come; whoever sent it looks at the queue's other partitions then.
pub const SEALED_WAIT_MAX: Micros = 500_000;
/// How far ahead a request's deadline may lie: bounds how long its result is remembered.
pub const DEADLINE_AHEAD_MAX: Micros = 60_000_000;
/// Remembered requests of a cluster at once: 30,000 a second for the usual 10 s and as much again.
/// At the bound a host answers "busy" before replicating.
pub const REMEMBERED_REQUESTS_MAX: usize = 600_000;
/// Items of due work (expired leases, delays, retention, …) in one entry, so that no command is
/// O(what is due).
pub const DUE_ITEMS_PER_ENTRY: usize = 1_000;
/// Deliveries of one message before its lease counter would repeat; it is then no longer given out
/// by number alone but waits for its retention to end (a consumer that fails 65,535 times).
pub const LEASES_PER_MESSAGE_MAX: u16 = u16::MAX;

/// Partitions that follow a sealed one, and that one may follow: a split makes up to 32 more at a time.
pub const SUCCESSORS_MAX: usize = 33;
/// Groups that a seal names (40 KB); of a partition with more, all groups are held until it is empty.
pub const HELD_GROUPS_MAX: usize = 10_000;
/// Sends with deduplication keys told to a successor in one command: about 1 MB.
pub const KEYED_SENDS_TOLD_MAX: usize = 20_000;
/// Messages of one piece that goes on to an heir; the reason is that of [`SEND_BATCH_MAX`].
pub const PIECE_MESSAGES_MAX: usize = 1_000;
/// Bytes of bodies in one piece, but always at least one message; the reason is that of
/// [`SEND_BATCH_BYTES_MAX`].
pub const PIECE_BYTES_MAX: usize = 4 << 20;
/// Delayed messages that are looked at for one piece of a FIFO partition: those of groups in a consumer's
/// hands stay, and a piece is to cost no more than it has messages.
pub const PIECE_DELAYED_SCAN_MAX: usize = 1_000;
/// Runs of numbers that a source remembers to have gone on after a lease, some 160 KB. Beyond it
/// neighbouring runs are taken for one, and a receipt for what was deleted between them is answered as one
/// whose lease ran out.
pub const FORWARDED_RUNS_MAX: usize = 10_000;

/// Partitions of a queue that messages go to: as many as a queue is split into at most, 512, and as many again
/// as follow one of them, since ranges of those that follow each other may be in pieces for a while. An
/// instruction of 60 KB.
pub const TARGET_PARTS_MAX: usize = 512 + 4 * SUCCESSORS_MAX;
/// Queues that a task moves messages back to: each with one partition, an instruction of 100 KB.
pub const MOVE_QUEUES_MAX: usize = 1_000;
/// Partitions of all queues together that a task moves messages to; the reason is that of
/// [`MOVE_QUEUES_MAX`].
pub const MOVE_PARTS_MAX: usize = 2_000;
/// Messages that a task may be told to move in a second (SQS).
pub const MOVED_PER_SECOND_MAX: u16 = 500;
/// Partitions of which a target remembers the last parcel: a dead-letter queue of thousands of queues, some
/// 700 KB. At the bound parcels of others are refused as busy until one is forgotten.
pub const PARCEL_SOURCES_MAX: usize = 10_000;
/// Partitions that a source has to tell yet that it heard of what they took. At the bound they are told
/// before anything else goes.
pub const UNSETTLED_TARGETS_MAX: usize = TARGET_PARTS_MAX;
/// How long a target remembers the last parcel of a source: a day longer than any message is kept, so that
/// nothing is alive any more of a parcel that could be taken for a new one.
pub const PARCEL_MEMORY: Micros = (*RETENTION_S.end() as Micros + 86_400) * 1_000_000;
/// A parcel with a message that was sent further in the future than this is refused until the clocks of the
/// two clusters agree better: [`PARCEL_MEMORY`] counts on it.
pub const PARCEL_AHEAD_MAX: Micros = 3_600_000_000;

/// Bytes of what the manager notes down beside a partition: a queue with 50 tags of full length has 115 KB
/// in JSON's longest writing.
pub const DESCRIPTION_BYTES_MAX: usize = 128 << 10;
/// Partitions of one page of those that a cluster has: to gather them takes a host less than a millisecond.
pub const PARTITIONS_TOLD_MAX: usize = 1_000;
/// Bytes of descriptions in such a page, but always at least one partition: a page stays well below a frame
/// ([`FRAME_BYTES_MAX`]).
pub const PARTITIONS_TOLD_BYTES_MAX: usize = 1 << 20;

/// Partitions that a host names in a report of its load: the 51st of a host that has too much to do makes
/// at most 2 % of it, so that nothing would be won by knowing it.
pub const LOADS_TOLD_MAX: usize = 50;
/// Capacity of a host: a machine sixteen times as able as another of its fleet is not heard of.
pub const CAPACITY_MAX: u32 = 16;

/// Bytes of one frame between processes: a full batch plus its headers.
pub const FRAME_BYTES_MAX: usize = 8 << 20;
/// Bytes of a host's address, `name:port`: a DNS name has at most 253.
pub const ADDRESS_BYTES_MAX: usize = 260;
/// Bytes of the name of a zone, and of a pool: DNS and Kubernetes give a name 63.
pub const ZONE_BYTES_MAX: usize = 64;
/// Hosts of a cluster, from and to.
pub const CLUSTER_HOSTS: std::ops::RangeInclusive<usize> = 1..=5;
/// A clock further above one's own than this is not adopted, and its owner is suspected.
pub const MAX_CLOCK_SKEW: Micros = 500_000;

/// The highest of the manager's revisions. At a thousand writes a second they last for 35,000 years, and a
/// thousand times as many ids still fit in 64 bits.
pub const REVISION_MAX: u64 = 1 << 50;
/// The highest number of a cluster. They are given one after the other: a system that forms and retires a
/// cluster every hour gets there after 119 years.
pub const CLUSTER_ID_MAX: u64 = 1 << 20;
/// The highest number of a start of a host: one a second for 34,000 years.
pub const INCARNATION_MAX: u64 = 1 << 40;
/// The highest id of a queue or a partition: a block of a thousand takes a revision ([`REVISION_MAX`]).
pub const ID_MAX: u64 = 1 << 61;
