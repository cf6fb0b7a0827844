//! The receives that wait at a partition, by age. What they want stands in `remembered.rs`.

use std::collections::BTreeSet;

use shoal_types::Ts;
use shoal_types::limits::WAITERS_MAX;

/// Waiters by their position among the remembered requests: the lower, the older.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    /// Those that lease. They get nothing while the partition has no room for a lease.
    leasing: BTreeSet<u64>,
    /// Those whose messages are deleted at once.
    taking: BTreeSet<u64>,
    ends: BTreeSet<(Ts, u64)>,
}

impl Waiters {
    pub(crate) fn has_room(&self) -> bool {
        self.ends.len() < WAITERS_MAX
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(crate) fn insert(&mut self, position: u64, until: Ts, takes: bool) {
        if takes {
            self.taking.insert(position);
        } else {
            self.leasing.insert(position);
        }
        self.ends.insert((until, position));
    }

    pub(crate) fn remove(&mut self, position: u64, until: Ts) {
        self.taking.remove(&position);
        self.leasing.remove(&position);
        let was_there = self.ends.remove(&(until, position));
        assert!(was_there, "a waiter is registered at its partition");
    }

    /// The oldest one that could be served.
    pub(crate) fn oldest(&self, may_lease: bool) -> Option<u64> {
        let leasing = self.leasing.first().filter(|_| may_lease);
        leasing
            .into_iter()
            .chain(self.taking.first())
            .min()
            .copied()
    }

    /// The one whose wait ends first.
    pub(crate) fn first_end(&self) -> Option<(Ts, u64)> {
        self.ends.first().copied()
    }

    pub(crate) fn positions(&self) -> impl Iterator<Item = u64> {
        self.ends.iter().map(|(_, position)| *position)
    }

    pub(crate) fn memory(&self) -> usize {
        crate::memory::tree(self.ends.len(), 24)
    }
}
