//! What the planner is told of queues and their moves: kept as they change, and brought into the facts
//! before a round.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use shoal_planner::Heat;
use shoal_planner::facts::{Change, Facts, Forwarding, Partition, PartitionStage, Queue};
use shoal_types::{PartitionId, Partitioning, QueueId, QueueName, Ts};

use crate::records::{self, MoveRecord, MoveStage, PartitionRecord, QueueRecord, QueueStage};

/// What is kept from round to round.
#[derive(Default)]
pub(super) struct Known {
    pub(super) facts: Facts,
    pub(super) names: Names,
    /// When the window began that the next round ends.
    pub(super) window_began: Ts,
    /// As the facts have them.
    moves: BTreeMap<PartitionId, MoveRecord>,
    /// Moves of which only partitions are left that have to be deleted.
    clearing: BTreeSet<PartitionId>,
}

/// The planner knows queues by their ids alone.
pub(super) type Names = BTreeMap<QueueId, QueueName>;

/// What changed since the last round, as it is now. Bounded by the queues and by the moves under way.
#[derive(Default)]
pub(crate) struct QueueNews(Mutex<News>);

#[derive(Default)]
struct News {
    /// `None`: gone.
    queues: BTreeMap<QueueId, Option<QueueRecord>>,
    moves: BTreeMap<PartitionId, MoveRecord>,
}

impl QueueNews {
    /// A queue is new or has changed.
    pub(crate) fn changed(&self, record: &QueueRecord) {
        self.with(|news| news.queues.insert(record.queue, Some(record.clone())));
    }

    /// A queue is gone.
    pub(crate) fn gone(&self, queue: QueueId) {
        self.with(|news| news.queues.insert(queue, None));
    }

    /// A move began, is in another stage, or is over.
    pub(crate) fn move_changed(&self, record: &MoveRecord) {
        self.with(|news| news.moves.insert(record.id, record.clone()));
    }

    fn with<T>(&self, change: impl FnOnce(&mut News) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Brings the facts up to date.
    pub(super) fn tell(&self, known: &mut Known, now: Ts) {
        let News { queues, moves } = self.with(std::mem::take);
        for (queue, record) in queues {
            match record {
                Some(record) => {
                    known.facts.queues.put(facts_of(&record));
                    known.names.insert(queue, record.name);
                }
                None => {
                    known.facts.queues.remove(queue);
                    known.names.remove(&queue);
                }
            }
        }
        for record in moves.into_values() {
            known.put_move(record, now);
        }
    }
}

impl Known {
    /// Nothing, and a window that begins now.
    pub(super) fn since(now: Ts) -> Self {
        Self {
            window_began: now,
            ..Self::default()
        }
    }

    fn put_move(&mut self, record: MoveRecord, now: Ts) {
        let before = self.moves.remove(&record.id);
        for sealed in before.iter().flat_map(|before| &before.seals) {
            self.facts.changes.remove(&sealed.partition);
        }
        // What is left then concerns partitions that no queue has any more.
        let clears = matches!(record.stage, MoveStage::Undoing) || record.seals.is_empty();
        match clears && !record.is_over() {
            true => self.clearing.insert(record.id),
            false => self.clearing.remove(&record.id),
        };
        self.facts.clearing = self.clearing.len();
        if clears {
            return;
        }
        let open = |record: &MoveRecord| record.stage == MoveStage::Draining;
        for sealed in &record.seals {
            let change = change(&record, sealed);
            // Those that were open when this process began have been measured since.
            if before.as_ref().is_some_and(|before| !open(before)) && open(&record) {
                self.facts.went_over(&change, now);
            }
            self.facts.changes.insert(sealed.partition, change);
        }
        self.moves.insert(record.id, record);
    }
}

fn change(record: &MoveRecord, sealed: &PartitionRecord) -> Change {
    let ids = |all: &[PartitionRecord]| all.iter().map(|one| one.partition).collect();
    let to = record.opens.iter().map(|opened| opened.cluster);
    let is_heir = record.heirs.contains(&sealed.partition);
    Change {
        queue: record.queue,
        from: sealed.cluster,
        to: to.filter(|to| *to != sealed.cluster).collect(),
        carries: Heat::millionths(record.carries),
        seals: ids(&record.seals),
        opens: ids(&record.opens),
        // For the planner a change is sealed once its load has gone over.
        sealed: record
            .sealed_at
            .filter(|_| record.stage == MoveStage::Draining)
            .map(|sealed_at| if is_heir { sealed.since } else { sealed_at }),
        forwarding: forwarding(record, sealed.partition),
        is_heir,
    }
}

fn forwarding(record: &MoveRecord, sealed: PartitionId) -> Forwarding {
    if record.forward_of(sealed).is_some() {
        return Forwarding::UnderWay;
    }
    let Some(given_up) = record.given_up(sealed) else {
        return Forwarding::No;
    };
    let may = record.may_forward(sealed).is_ok();
    Forwarding::GivenUp {
        again: may.then(|| given_up.again()),
        at: given_up.at,
    }
}

fn facts_of(record: &QueueRecord) -> Queue {
    let partitions = record.partitions.iter().map(|partition| Partition {
        partition: partition.partition,
        epoch: partition.epoch,
        cluster: partition.cluster,
        stage: match (record.stage, partition.stage) {
            (QueueStage::Active, records::PartitionStage::Active) => PartitionStage::Active,
            // What is being created, changed or deleted stays where it is.
            (_, records::PartitionStage::Held | records::PartitionStage::Active) => {
                PartitionStage::Held
            }
            (_, records::PartitionStage::Draining) => PartitionStage::Draining,
        },
        groups: partition.groups,
        since: partition.since,
    });
    Queue {
        queue: record.queue,
        fifo: record.settings.fifo,
        auto: record.settings.partitions == Partitioning::Auto,
        resized: record.resized_at,
        partitions: partitions.collect(),
    }
}
