//! The constants of planning, each with its reason.

use shoal_types::Micros;

use crate::Heat;

/// Points on the ring per unit of a cluster's weight. With v points the share of a cluster deviates
/// by about 1/√v: 9 % at 128. Doubling them would halve the variance and double the ring; the bound
/// below makes that unnecessary.
///
/// Part of where queues go: another number places new queues elsewhere (stored ones stay).
pub const POINTS_PER_WEIGHT: usize = 128;

/// Largest weight of a cluster: keeps the ring's size foreseeable.
pub const WEIGHT_MAX: u32 = 16;

/// A cluster takes a new queue only while it has at most so many percent of its fair share of all
/// queues (the ε of consistent hashing with bounded loads is 0.25). Lower is more even; higher keeps
/// more queues on the first cluster that the ring gives.
pub const LOAD_BOUND_PERCENT: u64 = 125;

// ---- Heat

/// Windows that are kept of each cluster. Together they are 25 s: long enough that a garbage
/// collection or a burst passes, short enough that a flooded queue is helped within a minute.
pub const WINDOWS_KEPT: usize = 5;

/// A heat lasts if so many of the kept windows reached it: more than half, so that two bad windows in
/// five say nothing.
pub const WINDOWS_LASTING: usize = 3;

/// Length of a window in microseconds. Hosts report every second; five reports average out what one
/// disk sync does, and three windows make 15 s until an overheated cluster is known as one.
pub const WINDOW: Micros = 5 * SECOND;

/// Loads of single partitions that are kept of a cluster: what hosts report. The 51st of a cluster
/// that is too hot carries at most 2 % of its heat, so moving it would hardly help.
pub const LOADS_KEPT: usize = 50;

/// Relief of an overheated cluster aims below this. Far enough below 1 that the ordinary ups and downs
/// of load do not bring it back at once.
pub const RELIEF_GOAL: Heat = Heat::percent(70);

/// No cluster is given a queue that would bring it above this: above the goal, so that a fleet whose
/// mean is near the goal can still help itself, and below 1 by more than a usual burst.
pub const RECEIVER_MAX: Heat = Heat::percent(80);

/// Below this a cluster is cool, and only a cool one is given queues of an overheated one: between here
/// and 1 a cluster is neither helped nor made to help. (Where the mean is above, those below it help.)
pub const COOL: Heat = Heat::percent(60);

/// For so long after a relief began it goes on until the goal is reached, though the cluster is not
/// overheated any more: moves go one at a time, each with 15 s of measuring after it (microseconds).
pub const RELIEF_GOES_ON: Micros = 5 * 60 * SECOND;

/// A partition that carries less than this share of an overheated cluster's heat (1/100) is not worth
/// a move: a hundred of them would be needed.
pub const WORTH_MOVING: u64 = 100;

/// A queue that carries less than this may move without the clusters being measured anew before the
/// next one: sixteen of them add up to 3 % of a cluster.
pub const NEGLIGIBLE: Heat = Heat::millionths(2_000);

// ---- Pace

/// Actions of one plan. The next round comes one window later, and a person can still read so many.
pub const ACTIONS_MAX: usize = 256;

/// Moves, splits and merges in flight in the whole fleet: those of which load has not gone over yet, and
/// those that forward. Each costs about four writes of the manager's store, which commits some hundred
/// groups a second: at this number the store has time left for everything else.
pub const IN_FLIGHT_MAX: usize = 1_024;

/// Sealed partitions of the whole fleet that wait for consumers. That may last for days and costs a record
/// of a kilobyte, and a question now and then: 16 MB, and at 200 questions a second each is asked every
/// 80 s. They do not count as in flight, or the queues that nobody consumes would keep all others from
/// moving.
pub const DRAINING_MAX: usize = 16_384;

/// Sealed partitions of the whole fleet that are forwarded at the same time. Each has up to 4 MiB of bodies
/// on their way between two clusters: together a gigabyte. A quarter of what may be in flight, so that
/// forwarding that does not get on keeps nobody from being relieved.
pub const FORWARDS_MAX: usize = 256;

/// Of one plan: what is more urgent must find room in it too.
pub const FORWARDS_PER_ROUND: usize = 64;

/// Partitions of one queue in whatever stage: as many that drain as may be active. Frontends are told all of
/// them, and the manager's record has about 150 bytes of each.
pub const QUEUE_PARTITIONS_MAX: usize = 2 * PARTITIONS_MAX;

/// Partitions of a FIFO queue that may wait to be emptied when it leaves a cluster that is drained: each
/// holds back groups of the next, and whoever consumes has to go through all of them.
pub const BEHIND_MAX: usize = 16;

/// Moves off a cluster that is being drained which are in flight at the same time. An operator waits,
/// so more than one; but each move seals a partition, and its consumers have to follow.
pub const DRAIN_AT_ONCE: usize = 16;

/// A partition that was placed or moved is left alone for so long (microseconds). Its new cluster was
/// chosen by facts of the minute before: if load shifts faster than this, moving queues is no answer.
pub const PARTITION_COOL_DOWN: Micros = 10 * 60 * SECOND;

/// The same when it is only about balance, where nothing is urgent.
pub const BALANCE_COOL_DOWN: Micros = 20 * 60 * SECOND;

/// A part of a queue is split again at the earliest after so long: three windows, and the time in
/// which frontends learn of the new partitions. A flooded queue needs several splits in a row, since a
/// cluster that is flooded does not show how much more would come.
pub const SPLIT_COOL_DOWN: Micros = 20 * SECOND;

/// After a split or merge a queue is merged at the earliest after so long: an hour's lull is not a
/// reason, or a lunch break would cost a merge and a split.
pub const MERGE_COOL_DOWN: Micros = 2 * 60 * 60 * SECOND;

/// Merges of one round. Nothing is gained by merging quickly.
pub const MERGES_PER_ROUND: usize = 4;

// ---- Splitting and merging

/// A partition is split if it carries at least this percentage of its cluster's heat. Below it,
/// moving other queues away helps as much and keeps the queue in one piece.
pub const SPLIT_SHARE_PERCENT: u64 = 50;

/// A split aims at partitions that carry at most this. Pieces must be small against a cluster, or no
/// placement of them is even: 12 % of a full one is a fifth of what a cluster of a busy fleet has to do.
pub const SPLIT_TO: Heat = Heat::percent(12);

/// For balance a partition is split only if it carries at least this part of the mean (1/10): smaller
/// ones find a place as they are.
pub const WORTH_SPLITTING: u64 = 10;

/// New partitions of one split. At 32 a queue of any size is spread within minutes, and one wrong
/// measurement does not spread a queue over the whole fleet.
pub const SPLIT_AT_ONCE: usize = 32;

/// Active partitions of a queue. A receive that finds nothing asks all of them, so their number is a
/// price; 512 carry 61 clusters' worth of load.
pub const PARTITIONS_MAX: usize = 512;

/// Two partitions are merged if both together carry at most this: a quarter of what a split aims at, so
/// that load must fall to less than a quarter before a split is taken back.
pub const MERGE_BELOW: Heat = Heat::percent(3);

// ---- Balance

/// A fleet with a mean heat below this is left as it is: nobody would notice the difference.
pub const BALANCE_FLOOR: Heat = Heat::percent(20);

/// A cluster gives queues to others if its heat is above this percentage of the mean. The fleet is to
/// stay within 125 %; load shifts by some percent until the next round sees it.
pub const GIVES_ABOVE_PERCENT: u64 = 108;

/// A cluster is given queues, by any that is above the mean, if its heat is below this percentage of
/// the mean.
pub const TAKES_BELOW_PERCENT: u64 = 85;

/// For balance no cluster is brought further than so many percent beyond the mean: what was moved must
/// not have to move again.
pub const BALANCE_BAND_PERCENT: u64 = 4;

/// A partition that carries less than this part of the mean (1/100) is not worth a move for balance.
pub const WORTH_BALANCING: u64 = 100;

/// Clusters that are asked to give in one round, hottest first. Most rounds need none; if all of these
/// can give nothing, the rest of the round would be spent in vain a few times a minute.
pub const GIVERS_TRIED: usize = 256;

/// Partitions that may be moved for balance within an hour: one in so many. 1 % of all queues is what
/// users are promised at most; relief takes its part of that.
pub const BALANCE_PER_HOUR: u64 = 200;

// ---- Health

/// If more than one in so many of all hosts is silent, the manager is more likely cut off than the hosts are
/// dead, and no host is replaced. A lost zone of three silences a third.
pub const SILENT_SHARE: usize = 2;

/// Receivers that are looked at for one partition, coolest first. All are cool enough or none is; a
/// few are passed over because they have a partition of the same queue, at most [`PARTITIONS_MAX`]
/// active ones, and of those that drain as many.
pub const RECEIVERS_TRIED: usize = 2 * PARTITIONS_MAX;

/// Microseconds.
pub const SECOND: Micros = 1_000_000;
/// Microseconds.
pub const HOUR: Micros = 60 * 60 * SECOND;
