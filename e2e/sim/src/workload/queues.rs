//! What the clients know together about the queues: which there are, and about how full they are.

use shoal_types::{Micros, PartitionId, PartitionSettings};

use super::limits::BACKLOG_MAX;
use crate::random::Random;

/// Where a partition is in its life, as far as its manager was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// To be created; perhaps it is already.
    Wanted,
    /// Created, to follow another one; that is to be sealed, and perhaps is already.
    Closed,
    /// Created, or sends have been taken over from what it follows.
    Open,
    /// To be sealed; perhaps it is already.
    Sealing,
    /// Sealed: only what it has is received.
    Sealed,
    /// To be deleted; perhaps it is already.
    Unwanted,
    /// Deleted.
    Gone,
}

/// A partition.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub(super) partition: PartitionId,
    pub(super) settings: PartitionSettings,
    pub(super) revision: u64,
    pub(super) state: State,
    /// Messages sent and not yet taken, as far as clients were told.
    pub(super) backlog: u64,
    /// Keyed sends so far; from this follow the keys that are in use.
    pub(super) keyed: u64,
    /// What it follows.
    pub(super) follows: Option<PartitionId>,
    /// A drain has found it empty for good.
    pub(super) drained: bool,
    /// Longest that a client gives a message before it is drawn to forget it, for this queue.
    pub(super) work: Micros,
}

/// All partitions, also deleted ones.
#[derive(Debug, Default)]
pub(super) struct Queues {
    all: Vec<Queue>,
}

impl Queues {
    pub(super) fn all(&self) -> &[Queue] {
        &self.all
    }

    pub(super) fn add(&mut self, queue: Queue) {
        self.all.push(queue);
    }

    pub(super) fn get(&self, partition: PartitionId) -> Option<&Queue> {
        self.all.iter().find(|queue| queue.partition == partition)
    }

    pub(super) fn get_mut(&mut self, partition: PartitionId) -> Option<&mut Queue> {
        self.all
            .iter_mut()
            .find(|queue| queue.partition == partition)
    }

    /// Any queue that may have messages; now and then one that is not, or not any more.
    pub(super) fn pick(&self, random: &mut Random) -> Option<&Queue> {
        self.pick_of(random, |state| takes_sends(state) || state == State::Sealed)
    }

    /// A queue that may take sends, with room for more; now and then any other.
    pub(super) fn pick_for_sending(&self, random: &mut Random) -> Option<&Queue> {
        self.pick_of(random, takes_sends)
            .filter(|queue| queue.backlog < BACKLOG_MAX)
    }

    fn pick_of(&self, random: &mut Random, fits: impl Fn(State) -> bool) -> Option<&Queue> {
        if self.all.is_empty() {
            return None;
        }
        if random.one_in(60) {
            return Some(random.choose(&self.all));
        }
        let open = self.all.iter().filter(|queue| fits(queue.state));
        let open: Vec<&Queue> = open.collect();
        (!open.is_empty()).then(|| *random.choose(&open))
    }

    /// How many partitions it follows, one after the other.
    pub(super) fn ancestors(&self, partition: PartitionId) -> usize {
        let before = |partition: &PartitionId| self.get(*partition)?.follows;
        std::iter::successors(before(&partition), before).count()
    }

    pub(super) fn in_state(&self, state: State) -> impl Iterator<Item = &Queue> {
        self.all.iter().filter(move |queue| queue.state == state)
    }

    pub(super) fn sent(&mut self, partition: PartitionId, messages: u64) {
        if let Some(queue) = self.get_mut(partition) {
            queue.backlog += messages;
        }
    }

    pub(super) fn taken(&mut self, partition: PartitionId, messages: u64) {
        if let Some(queue) = self.get_mut(partition) {
            queue.backlog = queue.backlog.saturating_sub(messages);
        }
    }

    pub(super) fn found_empty(&mut self, partition: PartitionId) {
        if let Some(queue) = self.get_mut(partition) {
            // Leased and delayed ones may be left.
            queue.backlog = queue.backlog.min(BACKLOG_MAX / 2);
        }
    }
}

/// As far as its manager knows.
fn takes_sends(state: State) -> bool {
    matches!(state, State::Open | State::Closed | State::Sealing)
}
