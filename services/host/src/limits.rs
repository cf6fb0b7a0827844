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
/// Between two looks at how full the disk is: at 1 GB/s a look is late by 1 GB at most, which the
/// reserve above 90 % holds on all but tiny disks.
pub(crate) const DISK_LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Bytes of entries that share a frame to a peer: a turn may make more of them than one frame holds.
/// With the largest entry on top (a send of 4 MiB and its head) a frame stays below its limit of 8 MiB.
pub(crate) const FRAME_BYTES_TARGET: usize = 2 << 20;
/// Bytes of stored messages in one send: the 4 MiB that users may send, and the heads that storing
/// puts before each. With the command's own head an entry stays below the engine's 6 MiB.
pub(crate) const SEND_BYTES_MAX: usize = (4 << 20) + (1 << 19);
