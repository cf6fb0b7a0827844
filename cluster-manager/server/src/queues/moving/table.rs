//! The moves that are under way, as the store has them, and queues that are left alone for a while.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shoal_api::plan::MoveInfo;
use shoal_planner::facts::LeftAlone;
use shoal_runtime::clock::SystemClock;
use shoal_types::{ClusterId, Micros, PartitionId, QueueId, Ts};
use tokio::sync::{Notify, Semaphore, SemaphorePermit, watch};

use super::Wanted;
use crate::limits::{
    DRAIN_QUESTIONS_AT_ONCE, DRAIN_QUESTIONS_PER_SECOND, DRAINING_MAX, FORWARDS_MAX,
    LEFT_ALONE_MAX, MOVE_AGAIN_AFTER, MOVE_PAUSE_MAX, MOVES_MAX,
};
use crate::records::{At, MoveKind, MoveRecord, MoveStage, PartitionRecord};

/// See the module. None is begun while there are [`MOVES_MAX`], or [`DRAINING_MAX`] that wait for consumers.
pub(crate) struct Table {
    moves: Mutex<Moves>,
    /// Counts those that were begun.
    begun: watch::Sender<u64>,
    /// Who may ask whether a sealed partition is empty.
    questions: Semaphore,
}

#[derive(Default)]
struct Moves {
    under_way: BTreeMap<PartitionId, UnderWay>,
    /// How many of them only wait for consumers.
    draining: usize,
    /// Queues of which a move was undone lately. At most [`LEFT_ALONE_MAX`].
    left_alone: BTreeMap<QueueId, LeftAlone>,
}

struct UnderWay {
    at: At<MoveRecord>,
    /// How far its step is, for people.
    progress: String,
    /// Told when its next step should not wait.
    wake: Arc<Notify>,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self {
            moves: Mutex::default(),
            begun: watch::Sender::new(0),
            questions: Semaphore::new(DRAIN_QUESTIONS_AT_ONCE),
        }
    }

    fn moves(&self) -> MutexGuard<'_, Moves> {
        self.moves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over a record that was read or written.
    pub(in crate::queues) fn put(&self, at: At<MoveRecord>) {
        let mut moves = self.moves();
        let before = moves.take(at.record.id);
        let is_new = before.is_none();
        moves.draining += usize::from(at.record.drains());
        let known = UnderWay {
            progress: String::new(),
            wake: before.map(|before| before.wake).unwrap_or_default(),
            at,
        };
        moves.under_way.insert(known.at.record.id, known);
        drop(moves);
        if is_new {
            self.begun.send_modify(|count| *count += 1);
        }
    }

    pub(in crate::queues) fn remove(&self, id: PartitionId) {
        self.moves().take(id);
    }

    /// The next step of a move should not wait any longer.
    pub(super) fn wake(&self, id: PartitionId) {
        if let Some(known) = self.moves().under_way.get(&id) {
            known.wake.notify_one();
        }
    }

    /// Waits before the next step of a move.
    pub(super) async fn pause(&self, id: PartitionId, pause: Duration) {
        let wake = self
            .moves()
            .under_way
            .get(&id)
            .map(|known| Arc::clone(&known.wake));
        let Some(wake) = wake else {
            return;
        };
        // Whether it was told or the time is over makes no difference.
        let _ = tokio::time::timeout(pause, wake.notified()).await;
    }

    /// The longest pause of a move.
    pub(super) fn longest_pause(&self, record: &MoveRecord) -> Duration {
        match record.drains() {
            true => drain_pause(self.moves().draining),
            false => MOVE_PAUSE_MAX,
        }
    }

    /// Waits until it may be asked whether a sealed partition is empty.
    pub(super) async fn question(&self) -> SemaphorePermit<'_> {
        let permit = self.questions.acquire().await;
        permit.expect("it is never closed")
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
        let moves = self.moves();
        moves.under_way.len() - moves.draining < MOVES_MAX && moves.draining < DRAINING_MAX
    }

    /// True if one more sealed partition may be forwarded.
    pub(super) fn may_forward(&self) -> bool {
        let moves = self.moves();
        let records = moves.under_way.values().map(|known| &known.at.record);
        let forwards: usize = records.map(|record| record.forwards.len()).sum();
        forwards < FORWARDS_MAX
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
        moves.left_alone.retain(|_, left| now < left.until);
        if moves.left_alone.len() >= LEFT_ALONE_MAX {
            let longest = moves.left_alone.iter().min_by_key(|(_, left)| left.until);
            let longest = longest.map(|(queue, _)| *queue);
            longest.and_then(|queue| moves.left_alone.remove(&queue));
        }
        let until = now.after(AGAIN_AFTER);
        moves.left_alone.insert(queue, LeftAlone { until, why });
    }

    /// Queues that are left alone.
    pub(in crate::queues) fn left_alone(&self, now: Ts) -> BTreeMap<QueueId, LeftAlone> {
        let moves = self.moves();
        let left = moves.left_alone.iter();
        let left = left.filter(|(_, left)| now < left.until);
        left.map(|(queue, left)| (*queue, left.clone())).collect()
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

impl Moves {
    fn take(&mut self, id: PartitionId) -> Option<UnderWay> {
        let known = self.under_way.remove(&id)?;
        self.draining -= usize::from(known.at.record.drains());
        Some(known)
    }
}

/// As many questions a second as may be, shared by so many draining moves.
fn drain_pause(draining: usize) -> Duration {
    let each = Duration::from_secs(1) / DRAIN_QUESTIONS_PER_SECOND as u32;
    let turns = u32::try_from(draining).unwrap_or(u32::MAX);
    each.saturating_mul(turns).max(MOVE_PAUSE_MAX)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of a thousand draining moves was asked every two seconds, for as long as nobody consumed.
    #[test]
    fn the_more_moves_wait_for_consumers_the_longer_each_pauses() {
        let pauses = [0, 1, 400, 401, 1_000, DRAINING_MAX].map(|n| drain_pause(n).as_millis());
        assert_eq!(pauses, [2_000, 2_000, 2_000, 2_005, 5_000, 81_920]);
    }

    #[test]
    fn queues_are_left_alone_for_a_while_and_not_without_bound() {
        let table = Table::new();
        let undone = |n: u64| table.note_undone(QueueId(n), Ts(n), String::new());
        (1..=LEFT_ALONE_MAX as u64 + 1).for_each(undone);
        let now = Ts(LEFT_ALONE_MAX as u64 + 1);
        let left = table.left_alone(now);
        assert_eq!(left.len(), LEFT_ALONE_MAX);
        assert!(!left.contains_key(&QueueId(1)), "the first one goes");
        assert_eq!(left[&QueueId(2)].until, Ts(2).after(AGAIN_AFTER));
        assert!(table.left_alone(now.after(AGAIN_AFTER)).is_empty());
    }
}
