//! The moves that are under way, as the store has them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use shoal_api::plan::MoveInfo;
use shoal_runtime::clock::SystemClock;
use shoal_types::{ClusterId, Micros, PartitionId, QueueId, Ts};
use tokio::sync::watch;

use super::Wanted;
use crate::limits::{MOVE_AGAIN_AFTER, MOVES_MAX};
use crate::records::{At, MoveKind, MoveRecord, MoveStage, PartitionRecord};

/// See the module. At most [`MOVES_MAX`] are begun.
pub(crate) struct Table {
    moves: Mutex<Moves>,
    /// Counts those that were begun.
    begun: watch::Sender<u64>,
}

#[derive(Default)]
struct Moves {
    under_way: BTreeMap<PartitionId, UnderWay>,
    /// When a move of a queue was undone last, and why. Forgotten after [`MOVE_AGAIN_AFTER`].
    undone: BTreeMap<QueueId, (Ts, String)>,
}

struct UnderWay {
    at: At<MoveRecord>,
    /// How far its step is, for people.
    progress: String,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self {
            moves: Mutex::default(),
            begun: watch::Sender::new(0),
        }
    }

    fn moves(&self) -> MutexGuard<'_, Moves> {
        self.moves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over a record that was read or written.
    pub(in crate::queues) fn put(&self, at: At<MoveRecord>) {
        let id = at.record.id;
        let progress = String::new();
        let before = self.moves().under_way.insert(id, UnderWay { at, progress });
        if before.is_none() {
            self.begun.send_modify(|count| *count += 1);
        }
    }

    pub(in crate::queues) fn remove(&self, id: PartitionId) {
        self.moves().under_way.remove(&id);
    }

    pub(super) fn get(&self, id: PartitionId) -> Option<At<MoveRecord>> {
        self.moves()
            .under_way
            .get(&id)
            .map(|known| known.at.clone())
    }

    /// The move by which this partition is being emptied.
    pub(super) fn draining(&self, partition: PartitionId) -> Option<At<MoveRecord>> {
        let moves = self.moves();
        let mut all = moves.under_way.values().map(|known| &known.at);
        all.find(|at| at.empties(partition)).cloned()
    }

    pub(super) fn ids(&self) -> Vec<PartitionId> {
        self.moves().under_way.keys().copied().collect()
    }

    /// Told when there may be a new one.
    pub(super) fn begun(&self) -> watch::Receiver<u64> {
        self.begun.subscribe()
    }

    pub(super) fn has_room(&self) -> bool {
        self.moves().under_way.len() < MOVES_MAX
    }

    /// A partition of those that are to be followed which a move follows that is under way.
    pub(super) fn follows_any(&self, wanted: &Wanted) -> Option<PartitionId> {
        let moves = self.moves();
        let followed = |partition: &PartitionId| {
            let records = moves.under_way.values().map(|known| &known.at.record);
            let mut seals = records.flat_map(|record| &record.seals);
            seals.any(|sealed| sealed.partition == *partition)
        };
        wanted.seals().find(followed)
    }

    /// Says how far a move's step is.
    pub(super) fn note(&self, id: PartitionId, progress: String) {
        if let Some(known) = self.moves().under_way.get_mut(&id) {
            known.progress = progress;
        }
    }

    /// A move of the queue was undone: it is left alone for a while.
    pub(super) fn note_undone(&self, queue: QueueId, now: Ts, why: String) {
        let mut moves = self.moves();
        moves
            .undone
            .retain(|_, (at, _)| now.since(*at) < AGAIN_AFTER);
        moves.undone.insert(queue, (now, why));
    }

    /// Why a queue is left alone, if it is.
    pub(super) fn undone_lately(&self, queue: QueueId, now: Ts) -> Option<String> {
        let moves = self.moves();
        let (at, why) = moves.undone.get(&queue)?;
        (now.since(*at) < AGAIN_AFTER).then(|| why.clone())
    }

    /// What operators are shown.
    pub(crate) fn infos(&self, clock: &SystemClock) -> Vec<MoveInfo> {
        let now = clock.now().wall;
        let moves = self.moves();
        moves
            .under_way
            .values()
            .map(|known| info(known, now))
            .collect()
    }
}

/// In microseconds, as clocks count.
const AGAIN_AFTER: Micros = MOVE_AGAIN_AFTER.as_micros() as Micros;

fn info(known: &UnderWay, now: Ts) -> MoveInfo {
    let record = &known.at.record;
    let ids = |all: &[PartitionRecord]| all.iter().map(|one| one.partition).collect();
    let places = |all: &[PartitionRecord]| all.iter().map(|one| one.cluster).collect();
    let from: Vec<ClusterId> = places(&[record.seals.as_slice(), &record.clears].concat());
    MoveInfo {
        id: record.id,
        queue: record.name.clone(),
        kind: match record.kind {
            MoveKind::Move => "move",
            MoveKind::Split => "split",
            MoveKind::Merge => "merge",
        }
        .to_owned(),
        stage: match record.stage {
            MoveStage::Creating => "creating",
            MoveStage::Sealing => "sealing",
            MoveStage::Opening => "opening",
            MoveStage::Draining if !record.forwards.is_empty() => "forwarding",
            MoveStage::Draining => "draining",
            MoveStage::Undoing => "undoing",
        }
        .to_owned(),
        seals: ids(&record.seals),
        opens: ids(&record.opens),
        from,
        to: places(&record.opens),
        text: record.text.clone(),
        progress: known.progress.clone(),
        begun_at: record.begun_at,
        under_way_s: now.since(record.begun_at) / 1_000_000,
    }
}
