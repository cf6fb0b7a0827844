//! The lanes of the current view.

use std::collections::VecDeque;
use std::sync::Arc;

use shoal_types::Ts;

use crate::{Entry, RecordNumber};

/// One host's lane in the current view: a base and entries base + 1 …
///
/// What is at or below the base was executed here and is durable here; it is no longer in memory, but
/// in the log for whoever asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lane {
    base: u64,
    entries: VecDeque<Held>,
    /// Bytes of payload in `entries`.
    bytes: usize,
    executed: u64,
    /// Bytes of payload that are not executed.
    unexecuted_bytes: usize,
    last_ts: Ts,
}

#[derive(Clone, Debug)]
struct Held {
    entry: Arc<Entry>,
    record: RecordNumber,
}

impl Lane {
    /// A lane whose entries up to `executed` are part of a checkpoint.
    pub(crate) fn from_checkpoint(executed: u64) -> Self {
        Self {
            base: executed,
            executed,
            ..Self::default()
        }
    }

    /// Index of the last entry held.
    pub(crate) fn last(&self) -> u64 {
        self.base + self.entries.len() as u64
    }

    /// Index of the last entry that is no longer in memory.
    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// Index of the last entry executed here.
    pub(crate) fn executed(&self) -> u64 {
        self.executed
    }

    /// An entry, if it is in memory.
    pub(crate) fn get(&self, index: u64) -> Option<&Arc<Entry>> {
        let place = usize::try_from(index.checked_sub(self.base + 1)?).ok()?;
        self.entries.get(place).map(|held| &held.entry)
    }

    /// The first entry that is not executed.
    pub(crate) fn head(&self) -> Option<&Arc<Entry>> {
        self.get(self.executed + 1)
    }

    /// Entries after `index` that are in memory.
    pub(crate) fn after(&self, index: u64) -> impl Iterator<Item = &Arc<Entry>> {
        let skip = usize::try_from(index.saturating_sub(self.base)).unwrap_or(usize::MAX);
        self.entries.iter().skip(skip).map(|held| &held.entry)
    }

    /// Adds the next entry.
    pub(crate) fn push(&mut self, entry: Arc<Entry>, record: RecordNumber) {
        assert!(
            entry.index == self.last() + 1,
            "lane {} of view {} has a gap: entry {} comes after {}",
            entry.lane,
            entry.view,
            entry.index,
            self.last()
        );
        assert!(
            entry.ts > self.last_ts,
            "timestamps of lane {} of view {} do not grow: {} at {} after {}",
            entry.lane,
            entry.view,
            entry.ts,
            entry.index,
            self.last_ts
        );
        self.last_ts = entry.ts;
        self.bytes += entry.payload.len();
        self.unexecuted_bytes += entry.payload.len();
        self.entries.push_back(Held { entry, record });
    }

    /// An entry that came again must be the one that is held.
    pub(crate) fn check_same(&self, entry: &Entry) {
        if let Some(held) = self.get(entry.index) {
            assert!(
                **held == *entry,
                "entry {} of lane {} of view {} differs between two hosts: {held:?} and {entry:?}",
                entry.index,
                entry.lane,
                entry.view,
            );
        }
    }

    /// Takes note that the head is executed.
    pub(crate) fn head_is_executed(&mut self) -> Arc<Entry> {
        let head = self.head().expect("an entry that can be executed is held");
        let head = head.clone();
        self.executed += 1;
        self.unexecuted_bytes -= head.payload.len();
        head
    }

    /// Drops what lies beyond the seal.
    pub(crate) fn cut(&mut self, end: u64) {
        assert!(
            self.executed <= end,
            "executed up to {} in a lane that is sealed at {end}",
            self.executed
        );
        let keep = usize::try_from(end - self.base).expect("a lane fits in memory");
        for beyond in self.entries.drain(keep..) {
            self.bytes -= beyond.entry.payload.len();
            self.unexecuted_bytes -= beyond.entry.payload.len();
        }
    }

    /// Timestamp of the last entry; 0 if it was never in memory.
    pub(crate) fn last_ts(&self) -> Ts {
        self.last_ts
    }

    /// Entries and bytes of payload that are not executed.
    pub(crate) fn unexecuted(&self) -> (u64, usize) {
        (self.last() - self.executed, self.unexecuted_bytes)
    }

    /// The record of the first entry that is not executed.
    pub(crate) fn head_record(&self) -> Option<RecordNumber> {
        let place = usize::try_from(self.executed - self.base).expect("a lane fits in memory");
        self.entries.get(place).map(|held| held.record)
    }

    /// Drops executed entries from memory: those up to `not_needed`, and as many up to `durable` as
    /// it takes to come below `bytes_max`.
    pub(crate) fn release(&mut self, not_needed: u64, durable: u64, bytes_max: usize) {
        let droppable = durable.min(self.executed);
        while self.base < droppable && (self.base < not_needed || self.bytes > bytes_max) {
            let held = self
                .entries
                .pop_front()
                .expect("above the base is in memory");
            self.bytes -= held.entry.payload.len();
            self.base += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::{HostId, ViewNumber};

    use super::*;
    use crate::Payload;

    fn entry(index: u64, ts: u64) -> Arc<Entry> {
        Arc::new(Entry {
            view: ViewNumber(1),
            lane: HostId(1),
            index,
            ts: Ts(ts),
            payload: Payload::new(vec![vec![0u8; 10].into()]),
        })
    }

    fn lane_of(entries: u64) -> Lane {
        let mut lane = Lane::default();
        for i in 1..=entries {
            lane.push(entry(i, i * 10), RecordNumber(i));
        }
        lane
    }

    #[test]
    fn memory_keeps_what_is_not_executed_or_not_durable() {
        let mut lane = lane_of(6);
        for _ in 0..4 {
            lane.head_is_executed();
        }
        lane.release(6, 3, usize::MAX);
        assert_eq!((lane.base(), lane.last(), lane.executed()), (3, 6, 4));
        lane.release(0, 6, 0);
        assert_eq!(lane.base(), 4);
        assert_eq!(lane.head().unwrap().index, 5);
        assert_eq!(lane.head_record(), Some(RecordNumber(5)));
        assert_eq!(lane.unexecuted(), (2, 20));
    }

    #[test]
    #[should_panic(expected = "has a gap")]
    fn a_gap_is_refused() {
        lane_of(2).push(entry(4, 99), RecordNumber(9));
    }

    #[test]
    #[should_panic(expected = "do not grow")]
    fn a_timestamp_that_does_not_grow_is_refused() {
        lane_of(2).push(entry(3, 20), RecordNumber(9));
    }

    #[test]
    #[should_panic(expected = "differs between two hosts")]
    fn two_entries_with_one_index_are_refused() {
        lane_of(2).check_same(&entry(2, 21));
    }

    #[test]
    #[should_panic(expected = "sealed at 1")]
    fn a_seal_below_what_was_executed_is_refused() {
        let mut lane = lane_of(2);
        lane.head_is_executed();
        lane.head_is_executed();
        lane.cut(1);
    }
}
