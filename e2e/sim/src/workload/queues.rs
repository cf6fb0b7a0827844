//! What the clients know together about the queues: which there are, and about how full they are.

use shoal_types::{Micros, PartitionId, PartitionSettings, Seal};

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
    /// Sealed, and what it has is to go on to an heir; perhaps it does already.
    Forwarding,
    /// The same, and it does.
    Forwarded,
    /// All of it is at its heir.
    WentOn,
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
    /// Whose messages it takes over.
    pub(super) inherits: Option<PartitionId>,
    /// What it showed when it was sealed; as an heir what it was created with.
    pub(super) seal: Option<Box<Seal>>,
    /// Where its messages go on to.
    pub(super) heir: Option<PartitionId>,
    /// An heir that is deleted before anything can be brought there.
    pub(super) vanishes: bool,
    /// Consumers seldom look there: so there is something that goes on to an heir.
    pub(super) left_alone: bool,
    /// The queue, by its first partition, to which its dead were said to go last.
    pub(super) dead_go_to: Option<PartitionId>,
    /// Its consumers fall over every other message.
    pub(super) crashes: bool,
    /// A drain has found it empty, for good unless messages come from other queues.
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
        self.pick_of(random, |queue| may_have_messages(queue.state))
    }

    /// The same for consumers, who do not look everywhere all the time.
    pub(super) fn pick_for_receiving(&self, random: &mut Random) -> Option<&Queue> {
        let picked = self.pick(random)?;
        (!picked.left_alone || random.one_in(8)).then_some(picked)
    }

    /// A queue that may take sends, with room for more; now and then any other.
    pub(super) fn pick_for_sending(&self, random: &mut Random) -> Option<&Queue> {
        self.pick_of(random, |queue| takes_sends(queue.state))
            .filter(|queue| queue.backlog < BACKLOG_MAX)
    }

    fn pick_of(&self, random: &mut Random, fits: impl Fn(&Queue) -> bool) -> Option<&Queue> {
        if self.all.is_empty() {
            return None;
        }
        if random.one_in(60) {
            return Some(random.choose(&self.all));
        }
        let open = self.all.iter().filter(|queue| fits(queue));
        let open: Vec<&Queue> = open.collect();
        (!open.is_empty()).then(|| *random.choose(&open))
    }

    /// How many partitions it follows, one after the other.
    pub(super) fn ancestors(&self, partition: PartitionId) -> usize {
        let before = |partition: &PartitionId| self.get(*partition)?.follows;
        std::iter::successors(before(&partition), before).count()
    }

    /// Whose messages it takes over at last, and what that follows in the end: its queue's first partition.
    pub(super) fn root(&self, partition: PartitionId) -> PartitionId {
        let before = |partition: &PartitionId| {
            let queue = self.get(*partition)?;
            queue.inherits.or(queue.follows)
        };
        let all = std::iter::successors(Some(partition), before);
        all.last().expect("at least itself")
    }

    /// How many partitions there are of the same queue, itself included: as many are emptied one after
    /// the other.
    pub(super) fn relatives(&self, partition: PartitionId) -> usize {
        let root = self.root(partition);
        let there = self.all.iter().filter(|queue| queue.state != State::Gone);
        there
            .filter(|queue| self.root(queue.partition) == root)
            .count()
    }

    /// True if nothing is to be received from it or its heirs any more.
    pub(super) fn is_emptied(&self, partition: PartitionId) -> bool {
        let queue = self.get(partition);
        let mut heirs = self.all.iter().filter(|q| q.inherits == Some(partition));
        queue.is_none_or(|queue| queue.drained || queue.state == State::Gone)
            && heirs.all(|heir| self.is_emptied(heir.partition))
    }

    /// True if a drain has found all empty.
    pub(super) fn all_are_drained(&self) -> bool {
        let mut all = self.all.iter();
        all.all(|queue| queue.drained || queue.state == State::Gone)
    }

    /// True if messages may still come to it, or are held back for others: from or by what it follows,
    /// or whose messages it takes over.
    pub(super) fn waits_for_others(&self, partition: PartitionId) -> bool {
        let Some(queue) = self.get(partition) else {
            return false;
        };
        let source = queue.inherits.and_then(|source| self.get(source));
        let source_is_there = source.is_some_and(|source| source.state != State::Gone);
        let waits = |before: PartitionId| !self.is_emptied(before);
        source_is_there || queue.follows.is_some_and(waits)
    }

    /// True if messages go on from some partition to another.
    pub(super) fn some_go_on(&self) -> bool {
        let goes_on = [State::Forwarding, State::Forwarded, State::WentOn];
        self.all.iter().any(|queue| goes_on.contains(&queue.state))
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

/// As far as its manager knows. Some that have none are asked all the same: receipts of theirs are about.
fn may_have_messages(state: State) -> bool {
    let sealed = matches!(
        state,
        State::Sealed | State::Forwarding | State::Forwarded | State::WentOn
    );
    takes_sends(state) || sealed
}

/// As far as its manager knows.
fn takes_sends(state: State) -> bool {
    matches!(state, State::Open | State::Closed | State::Sealing)
}
