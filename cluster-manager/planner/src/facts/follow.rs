//! How facts change as a plan is carried out: begun, opened, drained.

use shoal_types::{ClusterId, Epoch, GroupRange, PartitionId, QueueId, Ts};

use super::{ClusterStage, Facts, Partition, PartitionStage, Queue};
use crate::limits::{HOUR, NEGLIGIBLE};
use crate::{Action, Decided, Heat, Reason};

/// A move, split or merge that is not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The queue.
    pub queue: QueueId,
    /// Where the partition is that it is about.
    pub from: ClusterId,
    /// Where load goes.
    pub to: Vec<ClusterId>,
    /// How much goes to each.
    pub carries: Heat,
    /// Partitions that are sealed by it.
    pub seals: Vec<PartitionId>,
    /// Partitions that it opens.
    pub opens: Vec<PartitionId>,
    /// Since when the old partition is sealed; `None`: it is not yet.
    pub sealed: Option<Ts>,
    /// Whether what is left in the old partition is forwarded.
    pub forwarding: Forwarding,
    /// The old partition took over what was left in another one before.
    pub is_heir: bool,
}

/// Whether what is left in a sealed partition goes on to another cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forwarding {
    /// It was not tried yet.
    #[default]
    No,
    /// It is under way.
    UnderWay,
    /// It came to nothing.
    GivenUp {
        /// From then on it may be tried again. `None`: not before what is left of the last attempts has
        /// been deleted.
        again: Option<Ts>,
        /// Where the heir was to be.
        at: ClusterId,
    },
}

impl Change {
    /// True if it only waits for consumers.
    pub(crate) fn drains(&self) -> bool {
        self.sealed.is_some() && self.forwarding != Forwarding::UnderWay
    }

    /// True if the load has not gone over yet, and there is enough of it to matter.
    pub(crate) fn unsettles(&self) -> bool {
        self.sealed.is_none() && self.carries > NEGLIGIBLE
    }
}

impl Facts {
    /// Notes that an action on a queue begins; `new_id` gives the ids of new partitions. Other actions,
    /// those that are out of date and those that cannot be carried out change nothing, and `false` comes
    /// back.
    pub fn begin(
        &mut self,
        decided: &Decided,
        now: Ts,
        mut new_id: impl FnMut() -> PartitionId,
    ) -> bool {
        let Some((epoch, mut change)) = change(&decided.action) else {
            return self.begin_forwarding(&decided.action);
        };
        let Some(mut queue) = self.queues.get(change.queue).cloned() else {
            return false;
        };
        let mut seals = change.seals.iter();
        let waits = seals.any(|sealed| self.changes.contains_key(sealed));
        let from = self.clusters.get(&change.from);
        let is_emptied = from.is_some_and(|from| from.stage == ClusterStage::Draining);
        let keeps_order = match is_emptied {
            true => !queue.may_be_followed_again(),
            false => queue.fifo && !queue.is_settled(),
        };
        if queue.epoch() != epoch || waits || keeps_order {
            return false;
        }
        let Some(successors) = successors(&queue, &decided.action) else {
            return false;
        };
        for (above, (cluster, groups)) in (1..).zip(successors) {
            let held = Partition {
                partition: new_id(),
                epoch: Epoch(epoch.0 + above),
                cluster,
                stage: PartitionStage::Held,
                groups,
                since: now,
            };
            change.opens.push(held.partition);
            queue.partitions.push(held);
        }
        self.queues.put(queue);
        self.begun(&decided.reason, now);
        for sealed in change.seals.clone() {
            self.changes.insert(sealed, change.clone());
        }
        true
    }

    /// Notes that something begins for this reason: what was begun lately decides when more is.
    pub fn begun(&mut self, reason: &Reason, now: Ts) {
        match reason {
            Reason::Overheated { cluster, .. } => {
                if let Some(cluster) = self.clusters.get_mut(cluster) {
                    cluster.relieved = Some(now);
                }
            }
            Reason::Unbalanced { .. } => self.note_balanced(now),
            _ => {}
        }
    }

    /// Notes that load went from one cluster to others: they are measured anew.
    pub fn went_over(&mut self, change: &Change, now: Ts) {
        if change.carries > NEGLIGIBLE {
            for cluster in change.to.iter().chain([&change.from]) {
                if let Some(cluster) = self.clusters.get_mut(cluster) {
                    cluster.settled = now;
                }
            }
        }
    }

    /// Only the last hour counts, so nothing older is kept.
    fn note_balanced(&mut self, now: Ts) {
        while self
            .balanced
            .front()
            .is_some_and(|at| now.since(*at) > HOUR)
        {
            self.balanced.pop_front();
        }
        self.balanced.push_back(now);
    }

    fn begin_forwarding(&mut self, action: &Action) -> bool {
        let Action::Forward { partition, .. } = action else {
            return false;
        };
        let change = self.changes.get_mut(partition);
        change
            .map(|change| change.forwarding = Forwarding::UnderWay)
            .is_some()
    }

    /// Notes that the successors of a partition take sends, and that it is sealed, with all that they
    /// follow besides. Its load has gone over.
    pub fn opened(&mut self, partition: PartitionId, now: Ts) {
        let Some(change) = self.changes.get(&partition).cloned() else {
            return;
        };
        let Some(mut queue) = self.queues.get(change.queue).cloned() else {
            return;
        };
        for known in &mut queue.partitions {
            if change.opens.contains(&known.partition) {
                known.stage = PartitionStage::Active;
                known.since = now;
            } else if change.seals.contains(&known.partition) {
                known.stage = PartitionStage::Draining;
            }
        }
        if change.opens.len() != 1 || change.seals.len() != 1 {
            queue.resized = now;
        }
        self.queues.put(queue);
        self.went_over(&change, now);
        for sealed in &change.seals {
            if let Some(change) = self.changes.get_mut(sealed) {
                change.sealed = Some(now);
            }
        }
    }

    /// Notes that a sealed partition is empty and gone.
    pub fn drained(&mut self, partition: PartitionId) {
        let Some(change) = self.changes.remove(&partition) else {
            return;
        };
        if let Some(mut queue) = self.queues.get(change.queue).cloned() {
            queue
                .partitions
                .retain(|known| known.partition != partition);
            self.queues.put(queue);
        }
    }
}

/// What an action on a queue comes to, before its successors exist, and the epoch that it names.
fn change(action: &Action) -> Option<(Epoch, Change)> {
    let (queue, epoch, from, to, carries, seals) = match action {
        Action::Move {
            queue,
            partition,
            epoch,
            from,
            to,
            carries,
        } => (queue, epoch, from, vec![*to], carries, vec![*partition]),
        Action::Split {
            queue,
            partition,
            epoch,
            from,
            to,
            carries,
        } => (queue, epoch, from, to.clone(), carries, vec![*partition]),
        Action::Merge {
            queue,
            partition,
            epoch,
            from,
            with,
            to,
            carries,
        } => {
            let seals = vec![*partition, *with];
            (queue, epoch, from, vec![*to], carries, seals)
        }
        _ => return None,
    };
    let change = Change {
        queue: *queue,
        from: *from,
        to,
        carries: *carries,
        seals,
        opens: Vec::new(),
        sealed: None,
        forwarding: Forwarding::No,
        is_heir: false,
    };
    Some((*epoch, change))
}

/// Where the successors are to be, and which groups they are to have. `None`: as the queue is, the action
/// cannot be carried out.
fn successors(queue: &Queue, action: &Action) -> Option<Vec<(ClusterId, GroupRange)>> {
    let groups = |of: PartitionId| {
        let mut active = queue.active();
        let found = active.find(|active| active.partition == of);
        found.map(|active| active.groups)
    };
    match action {
        Action::Move { partition, to, .. } => Some(vec![(*to, groups(*partition)?)]),
        Action::Split {
            partition,
            from,
            to,
            ..
        } => {
            let clusters = [&[*from], to.as_slice()].concat();
            let parts = groups(*partition)?.split(clusters.len());
            let fits = queue.auto && parts.len() == clusters.len();
            fits.then(|| clusters.into_iter().zip(parts).collect())
        }
        Action::Merge {
            partition,
            with,
            to,
            ..
        } => {
            let joined = groups(*partition)?.joined(groups(*with)?)?;
            Some(vec![(*to, joined)])
        }
        _ => None,
    }
}
