//! Where messages may go from one queue to another: when they die, and if a task moves them. From what the
//! manager asked, whether or not it came to that. Queues go by their first partitions, which in these runs
//! also are their names.

use std::collections::{BTreeMap, BTreeSet};

use shoal_types::{Command, MoveTo, Outcome, PartitionId, QueueId, Revision};

use super::{Kinship, Operation};
use crate::history::SimTime;

/// See the module.
#[derive(Default)]
pub(in crate::checkers) struct Ways {
    /// By queue, where its dead may go, and where tasks may move its messages.
    out: BTreeMap<PartitionId, BTreeSet<PartitionId>>,
    /// By queue, when its first message may have died.
    dies: BTreeMap<PartitionId, SimTime>,
    /// By queue, when a task may have moved its first message.
    moves: BTreeMap<PartitionId, SimTime>,
    /// By partition, all that may have been said about its dead.
    said: BTreeMap<PartitionId, Vec<Said>>,
    /// By queue and where its dead go, the least receives after which.
    least: BTreeMap<PartitionId, BTreeMap<PartitionId, u16>>,
    /// Queues of which a partition may have been deleted.
    deleted: BTreeSet<PartitionId>,
}

/// When messages die, as the manager said it once.
struct Said {
    revision: Revision,
    invoked: SimTime,
    /// When it was answered that it was done.
    done: Option<SimTime>,
    /// After so many receives, and where they go; `None`: no more.
    dies: Option<(u16, PartitionId)>,
}

/// A queue's first partition.
pub(in crate::checkers) fn first_of(queue: QueueId) -> PartitionId {
    PartitionId(queue.0)
}

impl Ways {
    pub(super) fn of(operations: &[Operation<'_>], kinship: &Kinship) -> Self {
        let mut ways = Self::default();
        for operation in operations.iter().filter(|operation| operation.possible) {
            let Some(partition) = operation.command.partition() else {
                continue;
            };
            let (root, at) = (kinship.root(partition), operation.invoked);
            match operation.command {
                Command::SetDeadLetters {
                    dead_letters,
                    revision,
                    ..
                } => {
                    let dies = dead_letters.as_deref();
                    let dies = dies.map(|said| (said.max_receives, first_of(said.to.queue)));
                    if let Some((receives, to)) = dies {
                        earliest(&mut ways.dies, root, at);
                        ways.out.entry(root).or_default().insert(to);
                        let least = ways.least.entry(root).or_default();
                        let least = least.entry(to).or_insert(receives);
                        *least = receives.min(*least);
                    }
                    let done = operation.answered;
                    let done = done.filter(|(_, outcome)| **outcome == Outcome::Done);
                    ways.said.entry(partition).or_default().push(Said {
                        revision: *revision,
                        invoked: at,
                        done: done.map(|(at, _)| at),
                        dies,
                    });
                }
                Command::StartMove { task, .. } => {
                    earliest(&mut ways.moves, root, at);
                    let to = match &task.to {
                        MoveTo::One(target) => std::slice::from_ref(target),
                        MoveTo::Origins(targets) => targets,
                    };
                    let to = to.iter().map(|target| first_of(target.queue));
                    ways.out.entry(root).or_default().extend(to);
                }
                Command::DeletePartition { .. } => {
                    ways.deleted.insert(root);
                }
                _ => {}
            }
        }
        ways
    }

    /// When the first message of a queue may have died; never, if none is known.
    pub(in crate::checkers) fn dies_from(&self, root: PartitionId) -> Option<SimTime> {
        self.dies.get(&root).copied()
    }

    /// When a task may have moved the first message of a queue.
    pub(in crate::checkers) fn moves_from(&self, root: PartitionId) -> Option<SimTime> {
        self.moves.get(&root).copied()
    }

    /// The earlier of both.
    pub(in crate::checkers) fn leaves_from(&self, root: PartitionId) -> Option<SimTime> {
        let (dies, moves) = (self.dies_from(root), self.moves_from(root));
        dies.into_iter().chain(moves).min()
    }

    /// True if messages of some queue may come to this one.
    pub(in crate::checkers) fn lead_to(&self, root: PartitionId) -> bool {
        self.out.values().any(|to| to.contains(&root))
    }

    /// All queues to which messages of one may come, over any number of others.
    pub(in crate::checkers) fn reachable(&self, root: PartitionId) -> BTreeSet<PartitionId> {
        let mut found = BTreeSet::new();
        let mut next = vec![root];
        while let Some(queue) = next.pop() {
            let out = self.out.get(&queue).into_iter().flatten();
            next.extend(out.filter(|to| found.insert(**to)));
        }
        found
    }

    /// True if messages of one queue may come to another, or back to the same.
    pub(in crate::checkers) fn lead(&self, from: PartitionId, to: PartitionId) -> bool {
        self.reachable(from).contains(&to)
    }

    /// After how many receives a message of one queue may go to the other as a dead letter; `None`: never. What
    /// died while its queue named another one goes where it names now.
    pub(in crate::checkers) fn least(&self, from: PartitionId, to: PartitionId) -> Option<u16> {
        let least = self.least.get(&from)?;
        least
            .values()
            .min()
            .filter(|_| least.contains_key(&to))
            .copied()
    }

    /// After how many receives a partition's messages surely die, if they surely do from one time to another:
    /// what was said last is known, and where they go is not deleted in the whole run.
    pub(in crate::checkers) fn surely_dies(
        &self,
        partition: PartitionId,
        from: SimTime,
        until: SimTime,
        is_lasting: impl Fn(PartitionId) -> bool,
    ) -> Option<u16> {
        let said = self.said.get(&partition)?;
        let done = said
            .iter()
            .filter(|one| one.done.is_some_and(|at| at < from));
        let last = done.map(|one| one.revision).max()?;
        let may_hold = said
            .iter()
            .filter(|one| one.revision >= last && one.invoked <= until);
        let mut most = 0;
        for one in may_hold {
            let (receives, to) = one.dies?;
            if self.deleted.contains(&to) || !is_lasting(to) {
                return None;
            }
            most = receives.max(most);
        }
        Some(most)
    }
}

fn earliest(known: &mut BTreeMap<PartitionId, SimTime>, root: PartitionId, at: SimTime) {
    let first = known.entry(root).or_insert(at);
    *first = at.min(*first);
}
