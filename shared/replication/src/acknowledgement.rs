//! Who has what of the current view's lanes on disk.

use std::collections::VecDeque;

use shoal_types::Mono;

use crate::RecordNumber;
use crate::quorum::Quorum;

/// The durable vectors of all members, this host's own included. A vector holds the index of the last
/// durable entry of each lane; its elements never go down while the view lasts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Acknowledgements {
    /// This host's row: the last one, beyond the members', if it is none of them.
    me: usize,
    /// The members' rows come first.
    by: Vec<Vec<u64>>,
    members: usize,
    /// Own entries of the log that are not durable yet, in the log's order.
    unsynced: VecDeque<Unsynced>,
    unsynced_bytes: usize,
}

#[derive(Clone, Debug)]
struct Unsynced {
    record: RecordNumber,
    lane: usize,
    index: u64,
    bytes: usize,
    since: Mono,
}

impl Acknowledgements {
    /// Of a new view; `durable` is what this host has of its lanes (zeros unless it was restored).
    pub(crate) fn new(me: usize, durable: Vec<u64>) -> Self {
        let members = durable.len();
        let me = me.min(members);
        let mut by = vec![vec![0; members]; members.max(me + 1)];
        by[me] = durable;
        Self {
            me,
            by,
            members,
            ..Self::default()
        }
    }

    /// What of each lane is durable here.
    pub(crate) fn own(&self) -> &[u64] {
        self.by.get(self.me).map_or(&[], Vec::as_slice)
    }

    /// An entry was given to the log.
    pub(crate) fn wrote(
        &mut self,
        record: RecordNumber,
        lane: usize,
        index: u64,
        bytes: usize,
        since: Mono,
    ) {
        self.unsynced_bytes += bytes;
        self.unsynced.push_back(Unsynced {
            record,
            lane,
            index,
            bytes,
            since,
        });
    }

    /// An entry was found in the log at the start.
    pub(crate) fn replayed(&mut self, lane: usize, index: u64) {
        self.by[self.me][lane] = index;
    }

    /// The log is durable up to a record. True if that made entries durable.
    pub(crate) fn synced(&mut self, up_to: RecordNumber) -> bool {
        let mut more = false;
        while let Some(first) = self.unsynced.front()
            && first.record <= up_to
        {
            let durable = &mut self.by[self.me][first.lane];
            assert!(
                first.index == *durable + 1,
                "the durable index of a lane goes from {durable} to {}",
                first.index
            );
            *durable = first.index;
            self.unsynced_bytes -= first.bytes;
            self.unsynced.pop_front();
            more = true;
        }
        more
    }

    /// A member says what it has. Late messages say less than is known; they change nothing.
    pub(crate) fn acknowledged(&mut self, member: usize, durable: &[u64]) {
        for (known, said) in self.by[member].iter_mut().zip(durable) {
            *known = (*known).max(*said);
        }
    }

    /// True if a quorum of the members has the entry on disk.
    pub(crate) fn committed(&self, lane: usize, index: u64) -> bool {
        let members = &self.by[..self.members];
        let count = members
            .iter()
            .filter(|durable| durable[lane] >= index)
            .count();
        Quorum::of(self.members).reached_by(count)
    }

    /// Index up to which every member has the lane on disk.
    pub(crate) fn by_all(&self, lane: usize) -> u64 {
        let members = &self.by[..self.members];
        let all = members.iter().map(|durable| durable[lane]);
        all.min().unwrap_or(0)
    }

    /// Since when the oldest entry waits for its sync.
    pub(crate) fn oldest_unsynced(&self) -> Option<Mono> {
        self.unsynced.front().map(|first| first.since)
    }

    /// True if a quorum without this host has the oldest entry that waits for its sync here.
    pub(crate) fn others_have_oldest_unsynced(&self) -> bool {
        let first = self.unsynced.front();
        first.is_some_and(|first| self.committed(first.lane, first.index))
    }

    /// Bytes of payload that wait for a sync.
    pub(crate) fn unsynced_bytes(&self) -> usize {
        self.unsynced_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_outside_has_counts_for_nothing() {
        let mut acks = Acknowledgements::new(7, vec![0; 3]);
        acks.wrote(RecordNumber(1), 0, 1, 5, Mono(1));
        acks.synced(RecordNumber(1));
        acks.acknowledged(1, &[1, 0, 0]);
        assert_eq!(acks.own(), [1, 0, 0]);
        assert!(!acks.committed(0, 1));
        acks.acknowledged(2, &[1, 0, 0]);
        assert!(acks.committed(0, 1));
        assert_eq!(acks.by_all(0), 0);
    }

    #[test]
    fn own_entries_count_only_once_they_are_synced() {
        let mut acks = Acknowledgements::new(0, vec![0; 3]);
        acks.wrote(RecordNumber(7), 1, 1, 5, Mono(1));
        acks.wrote(RecordNumber(9), 1, 2, 5, Mono(2));
        acks.acknowledged(2, &[0, 2, 0]);
        assert!(!acks.committed(1, 1));
        assert!(acks.synced(RecordNumber(8)));
        assert!(acks.committed(1, 1) && !acks.committed(1, 2));
        assert_eq!((acks.own(), acks.unsynced_bytes()), (&[0, 1, 0][..], 5));
        acks.acknowledged(2, &[0, 1, 0]);
        assert_eq!((acks.by_all(1), acks.by[2][1]), (0, 2));
    }
}
