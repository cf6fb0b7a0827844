//! What this host does as a coordinator, counted on the path: sums, a bounded map by partition, and how
//! long commits take. Whoever asks takes it away, and counting begins anew.

use std::collections::BTreeMap;

use shoal_replication::Ticket;
use shoal_types::{
    Command, ErrorCode, Micros, Mono, Outcome, PartitionId, Refusal, Request, limits as shared,
};

use super::Core;
use crate::limits;

/// What was done since it was last asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Messages sent, received or acknowledged; a command about none counts as one.
    pub operations: u64,
    /// Bytes of messages sent.
    pub bytes: u64,
    /// Messages of commands refused because there was too much to do already.
    pub refusals: u64,
    /// 99th percentile of the time from an entry's append until it was executed; 0 if there was none.
    pub commit: Micros,
    /// Those partitions that did most, with messages and bytes; at most
    /// [`shoal_types::limits::LOADS_TOLD_MAX`].
    pub partitions: Vec<(PartitionId, Counted)>,
}

/// Messages and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// As [`Done::operations`].
    pub operations: u64,
    /// As [`Done::bytes`].
    pub bytes: u64,
}

/// Counts.
#[derive(Default)]
pub(super) struct Meter {
    all: Counted,
    refusals: u64,
    /// At most [`limits::PARTITIONS_COUNTED_MAX`].
    partitions: BTreeMap<PartitionId, Counted>,
    /// When own entries were appended that are not executed yet; as many as the engine takes.
    appended: BTreeMap<Ticket, Mono>,
    commits: Times,
}

impl Meter {
    /// An own entry with a client's commands is on its way.
    pub(super) fn appended(&mut self, ticket: Ticket, now: Mono) {
        self.appended.insert(ticket, now);
    }

    /// It was executed.
    pub(super) fn executed(&mut self, ticket: Ticket, now: Mono) {
        if let Some(appended) = self.appended.remove(&ticket) {
            self.commits.add(now.since(appended));
        }
    }

    /// It was dropped.
    pub(super) fn dropped(&mut self, ticket: Ticket) {
        self.appended.remove(&ticket);
    }

    /// All that were on their way are dropped.
    pub(super) fn all_dropped(&mut self) {
        self.appended.clear();
    }

    /// A client's command was executed.
    pub(super) fn done(&mut self, request: &Request, outcome: &Outcome) {
        let Some(partition) = request.command.partition() else {
            return;
        };
        let (messages, bytes) = match (outcome, &request.command) {
            (Outcome::Sent(results), Command::Send { items, .. }) => {
                let bytes = items.iter().map(|item| u64::from(item.size)).sum();
                (results.len(), bytes)
            }
            (Outcome::Taken { .. }, Command::TakePiece { piece, .. }) => {
                let bytes = piece.messages.iter().map(|one| u64::from(one.size)).sum();
                (piece.messages.len(), bytes)
            }
            (Outcome::Taken { .. }, Command::TakeParcel { parcel, .. }) => {
                let bytes = parcel.messages.iter().map(|one| u64::from(one.size)).sum();
                (parcel.messages.len(), bytes)
            }
            (Outcome::Received(deliveries), _) => (deliveries.len(), 0),
            (Outcome::Receipts(results), _) => (results.len(), 0),
            _ => (0, 0),
        };
        self.count(partition, messages, bytes);
    }

    /// A client that waited here was given messages.
    pub(super) fn given(&mut self, partition: PartitionId, messages: usize) {
        self.count(partition, messages, 0);
    }

    fn count(&mut self, partition: PartitionId, messages: usize, bytes: u64) {
        let operations = messages.max(1) as u64;
        let has_room = self.partitions.len() < limits::PARTITIONS_COUNTED_MAX;
        let one = match self.partitions.get_mut(&partition) {
            Some(known) => Some(known),
            None if has_room => Some(self.partitions.entry(partition).or_default()),
            None => None,
        };
        for counted in one.into_iter().chain([&mut self.all]) {
            counted.operations += operations;
            counted.bytes += bytes;
        }
    }

    /// A client's command was not let in.
    pub(super) fn refused(&mut self, command: &Command, refusal: &Refusal) {
        if refusal.code == ErrorCode::Busy {
            let messages = match command {
                Command::Send { items, .. } => items.len(),
                _ => 1,
            };
            self.refusals += messages as u64;
        }
    }

    fn take(&mut self) -> Done {
        let all = std::mem::take(&mut self.all);
        let counted = std::mem::take(&mut self.partitions);
        Done {
            operations: all.operations,
            bytes: all.bytes,
            refusals: std::mem::take(&mut self.refusals),
            commit: std::mem::take(&mut self.commits).percentile_99(),
            partitions: largest(counted, all),
        }
    }
}

/// Those with the largest share of all operations or of all bytes.
fn largest(counted: BTreeMap<PartitionId, Counted>, all: Counted) -> Vec<(PartitionId, Counted)> {
    let mut counted: Vec<_> = counted.into_iter().collect();
    let share = |one: &Counted| {
        let of_operations = u128::from(one.operations) * u128::from(all.bytes.max(1));
        let of_bytes = u128::from(one.bytes) * u128::from(all.operations.max(1));
        of_operations.max(of_bytes)
    };
    counted.sort_by_key(|(_, one)| std::cmp::Reverse(share(one)));
    counted.truncate(shared::LOADS_TOLD_MAX);
    counted
}

impl Core {
    /// What this host did as a coordinator since this was asked last.
    pub fn take_done(&mut self) -> Done {
        self.meter.take()
    }
}

/// How often a commit took how long, to an eighth: eight counters for each power of two.
struct Times([u32; Self::BUCKETS]);

impl Default for Times {
    fn default() -> Self {
        Self([0; Self::BUCKETS])
    }
}

impl Times {
    /// Up to 2^36 µs, which is 19 hours; what takes longer counts as that.
    const POWERS: usize = 36;
    const BUCKETS: usize = (Self::POWERS - 2) * 8;

    fn add(&mut self, time: Micros) {
        let bucket = Self::bucket(time.min((1 << Self::POWERS) - 1));
        self.0[bucket] = self.0[bucket].saturating_add(1);
    }

    /// Times below 8 have one counter each; above, the three bits after the first one tell which.
    fn bucket(time: Micros) -> usize {
        let power = (63 - (time | 1).leading_zeros()) as usize;
        match power {
            0..=2 => time as usize,
            _ => (power - 2) * 8 + ((time >> (power - 3)) & 7) as usize,
        }
    }

    /// The largest time of a bucket.
    fn largest_of(bucket: usize) -> Micros {
        match bucket {
            0..8 => bucket as Micros,
            _ => {
                let (power, eighth) = (bucket / 8 + 2, (bucket % 8) as Micros);
                (1 << power) + ((eighth + 1) << (power - 3)) - 1
            }
        }
    }

    /// 99 of 100 took at most so long; 0 if there was none.
    fn percentile_99(&self) -> Micros {
        let all: u64 = self.0.iter().map(|count| u64::from(*count)).sum();
        let wanted = (all * 99).div_ceil(100);
        let mut seen = 0;
        let found = self.0.iter().position(|count| {
            seen += u64::from(*count);
            seen >= wanted && seen > 0
        });
        found.map_or(0, Self::largest_of)
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::{Applied, RequestId, SendItem, SendResult, Sequence, Ts};

    use super::*;

    fn request(command: Command) -> Request {
        Request {
            id: RequestId(1),
            deadline: Ts::MAX,
            origin: Default::default(),
            command,
        }
    }

    fn send(partition: u64, messages: usize, size: u32) -> (Request, Outcome) {
        let item = SendItem {
            size,
            crc: 0,
            delay: None,
            ttl: None,
            group: None,
            deduplication: None,
        };
        let items = vec![item; messages];
        let partition = PartitionId(partition);
        let sent = vec![SendResult::Accepted(Sequence(1)); messages];
        (
            request(Command::Send { partition, items }),
            Outcome::Sent(sent),
        )
    }

    #[test]
    fn messages_count_a_command_about_none_counts_as_one_and_what_was_taken_is_gone() {
        let mut meter = Meter::default();
        let (sent, outcome) = send(7, 10, 100);
        meter.done(&sent, &outcome);
        let receipts = Vec::new();
        let partition = PartitionId(7);
        let acknowledged = request(Command::Acknowledge {
            partition,
            receipts,
        });
        meter.done(&acknowledged, &Outcome::Receipts(Vec::new()));
        meter.given(PartitionId(8), 3);
        meter.done(&request(Command::Tick), &Outcome::Done);
        let done = meter.take();
        assert_eq!((done.operations, done.bytes), (14, 1_000));
        let of = |operations, bytes| Counted { operations, bytes };
        assert_eq!(
            done.partitions,
            [(PartitionId(7), of(11, 1_000)), (PartitionId(8), of(3, 0))]
        );
        assert_eq!(meter.take(), Done::default());
    }

    #[test]
    fn only_too_much_to_do_is_a_refusal_that_counts() {
        let mut meter = Meter::default();
        let (sent, _) = send(1, 5, 1);
        let refusal = |code| Refusal {
            code,
            applied: Applied::No,
            detail: "".into(),
        };
        meter.refused(&sent.command, &refusal(ErrorCode::Busy));
        meter.refused(&sent.command, &refusal(ErrorCode::QueueNotFound));
        assert_eq!(meter.take().refusals, 5);
    }

    /// A busy partition among many more than are counted.
    #[test]
    fn partitions_are_counted_up_to_a_bound_and_the_busiest_are_told() {
        let mut meter = Meter::default();
        for n in 0..2 * limits::PARTITIONS_COUNTED_MAX as u64 {
            let (sent, outcome) = send(n, 1, 1);
            meter.done(&sent, &outcome);
            if n % 10 == 0 {
                let (sent, outcome) = send(42, 1, 1);
                meter.done(&sent, &outcome);
            }
        }
        assert_eq!(meter.partitions.len(), limits::PARTITIONS_COUNTED_MAX);
        let done = meter.take();
        assert_eq!(done.partitions.len(), shared::LOADS_TOLD_MAX);
        assert_eq!(done.partitions[0].0, PartitionId(42));
        assert!(done.operations > 2 * limits::PARTITIONS_COUNTED_MAX as u64);
    }

    #[test]
    fn the_99th_percentile_is_right_to_an_eighth() {
        for time in [0, 1, 7, 8, 9, 1_000, 4_321, 1_000_000, u64::MAX] {
            let mut times = Times::default();
            times.add(time);
            let told = times.percentile_99();
            let time = time.min((1 << Times::POWERS) - 1);
            assert!((time..=time + time / 8).contains(&told), "{time}: {told}");
        }
        let mut times = Times::default();
        (0..990).for_each(|_| times.add(1_000));
        (0..10).for_each(|_| times.add(50_000));
        assert!(times.percentile_99() < 1_125);
        times.add(50_000);
        assert!(times.percentile_99() >= 50_000);
    }

    #[test]
    fn a_commit_lasts_from_append_to_execution_and_dropped_ones_do_not_count() {
        let mut meter = Meter::default();
        meter.appended(Ticket(1), Mono(1_000));
        meter.appended(Ticket(2), Mono(1_000));
        meter.executed(Ticket(1), Mono(5_000));
        meter.dropped(Ticket(2));
        meter.executed(Ticket(2), Mono(900_000));
        let commit = meter.take().commit;
        assert!((4_000..=4_500).contains(&commit), "{commit}");
    }
}
