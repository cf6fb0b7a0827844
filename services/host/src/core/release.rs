//! When a checkpoint is written, and which log segments go afterwards.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::Duration;

use shoal_replication::{EngineCheckpoint, NeededFrom};
use shoal_storage::{CheckpointError, LaneSpan, Lsn, SegmentInfo};
use shoal_types::Mono;
use shoal_types::planted::{Bug, planted};

use super::checkpointing::Contents;
use super::{CheckpointDone, Core, Effect, PendingCheckpoint, SnapshotEvent, Write};
use crate::formats::disk_version;
use crate::limits;

/// How often checkpoints are written.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointPace {
    /// One is due after so many bytes of log …
    pub log_bytes: u64,
    /// … or after so long, if anything was logged.
    pub interval: Duration,
}

impl Default for CheckpointPace {
    fn default() -> Self {
        Self {
            log_bytes: 256 << 20,
            interval: Duration::from_secs(60),
        }
    }
}

/// See the module.
pub(super) struct CheckpointSchedule {
    pace: CheckpointPace,
    /// Log position up to which the last started checkpoint covers everything.
    started_at: Lsn,
    /// Bytes of records since the last checkpoint was started.
    bytes: u64,
    /// What the last one could not write because the disk was full.
    carried: Vec<Write>,
    /// The last one found no room: the next is due then.
    again_at: Option<Mono>,
    started: Mono,
    /// Frozen, waiting until the log is durable up to here.
    frozen: Option<(Lsn, Box<PendingCheckpoint>)>,
    /// Being written.
    writing: bool,
    /// The one in force is damaged: from here on all of it is to be written anew.
    anew_at: Option<Mono>,
    /// Replay starts here after a restart: durable and read back.
    pub(super) durable_replay_from: Lsn,
}

impl CheckpointSchedule {
    /// True if one is frozen or being written.
    pub(super) fn is_under_way(&self) -> bool {
        self.frozen.is_some() || self.writing
    }

    /// A record of so many bytes was logged.
    pub(super) fn appended(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    pub(super) fn new(pace: CheckpointPace, replay_from: Lsn, now: Mono) -> Self {
        Self {
            pace,
            started_at: replay_from,
            bytes: 0,
            carried: Vec::new(),
            again_at: None,
            started: now,
            frozen: None,
            writing: false,
            anew_at: None,
            durable_replay_from: replay_from,
        }
    }
}

impl Core {
    pub(super) fn checkpoint_due(&self) -> Option<Mono> {
        let schedule = &self.checkpoint;
        let idle = !schedule.is_under_way() && !self.is_halted() && !self.lacks_state();
        let may_begin = idle && !self.holds_checkpoint() && !self.receiving.installing;
        if may_begin && self.wants_checkpoint() {
            return Some(self.now.mono);
        }
        let named = schedule.again_at.or(schedule.anew_at);
        if named.is_some() {
            return named.filter(|_| may_begin);
        }
        (may_begin && self.log.next_lsn() > schedule.started_at)
            .then_some(schedule.started + self.checkpoint_interval())
    }

    /// A disk that is nearly full does not wait: only a checkpoint lets segments go.
    fn checkpoint_interval(&self) -> Duration {
        let usual = self.checkpoint.pace.interval;
        if self.fullest_disk() >= limits::DISK_NO_SENDS_PERCENT {
            usual.min(limits::CHECKPOINT_INTERVAL_WHEN_FULL)
        } else {
            usual
        }
    }

    /// Freezes the state now (cheap) and hands it on when everything it refers to is durable: a
    /// checkpoint must never be ahead of the log that holds its bodies. Not during a dispute: this state
    /// may be the wrong one, and a restart can make it anew from the last checkpoint and the log.
    pub(super) fn start_checkpoint_if_due(&mut self) {
        if self.is_halted() {
            return;
        }
        let enough = self.checkpoint.bytes >= self.checkpoint.pace.log_bytes;
        let due = self
            .checkpoint_due()
            .is_some_and(|at| at <= self.now.mono || enough);
        if due {
            self.freeze();
        }
        let durable = self.log.durable_lsn();
        if self
            .checkpoint
            .frozen
            .as_ref()
            .is_some_and(|(needs, _)| *needs <= durable || planted(Bug::CheckpointAheadOfLog))
        {
            let (_, pending) = self
                .checkpoint
                .frozen
                .take()
                .expect("looked at a line above");
            self.checkpoint.writing = true;
            self.effects.push(Effect::Checkpoint(pending));
        }
    }

    fn freeze(&mut self) {
        let next = self.log.next_lsn();
        let engine = self.engine.checkpoint();
        let replay_from = self.replay_from(&engine);
        // Replay never starts beyond what is durable.
        let needs = self.log.last_lsn();
        self.frozen_to_be_sent(&engine);
        let carried = std::mem::take(&mut self.checkpoint.carried);
        let contents = if self.checkpoint.anew_at.is_some() {
            Contents::Whole(self.machine.freeze_whole())
        } else {
            let state = self.machine.freeze();
            Contents::Changes { carried, state }
        };
        let pending = PendingCheckpoint {
            contents,
            version: disk_version(self.machine.version()),
            engine,
            replay_from,
        };
        self.checkpoint.again_at = None;
        self.checkpoint.started = self.now.mono;
        self.checkpoint.started_at = next;
        self.checkpoint.bytes = 0;
        self.checkpoint.frozen = Some((needs, Box::new(pending)));
    }

    /// Where the log's scan has to start after a restart from this checkpoint of the engine.
    pub(super) fn replay_from(&self, engine: &EngineCheckpoint) -> Lsn {
        let first = self
            .records
            .partition_point(|(number, _)| *number < engine.replay_from);
        let next = self.log.next_lsn();
        let unexecuted = self.records.get(first).map_or(next, |(_, lsn)| *lsn);
        let unmoved = self.keeping.oldest().unwrap_or(next);
        unexecuted.min(unmoved)
    }

    /// What became of a checkpoint.
    pub fn on_checkpoint(&mut self, done: CheckpointDone) {
        self.checkpoint.writing = false;
        match done {
            CheckpointDone::Durable { replay_from, anew } => {
                if anew {
                    self.checkpoint.anew_at = None;
                    self.care.checkpoints_mended += 1;
                    tracing::info!("a damaged checkpoint was replaced by a new one");
                }
                self.checkpoint_written(replay_from);
            }
            CheckpointDone::NoSpace(writes) => self.checkpoint_put_off(writes),
            CheckpointDone::Damaged(error) => self.checkpoint_is_damaged(&error),
        }
    }

    /// It is durable and was read back: segments that nobody needs any more go.
    fn checkpoint_written(&mut self, replay_from: Lsn) {
        self.log.take_back_reserve();
        self.checkpoint.durable_replay_from = replay_from;
        let covered = self.records.partition_point(|(_, lsn)| *lsn < replay_from);
        self.records.drain(..covered);
        self.written_to_be_sent();
        self.release_segments();
    }

    /// The disk was too full for a checkpoint: the last one stands, and what this one would have
    /// written goes along with the next. Segments may have died since, so that there is room then.
    fn checkpoint_put_off(&mut self, writes: Vec<Write>) {
        // The same keys come again with every attempt: only their newest values count.
        let newest: BTreeMap<_, _> = writes.into_iter().collect();
        self.checkpoint.carried = newest.into_iter().collect();
        let pause = match self.log.lend_reserve() {
            Some(upkeep) => {
                tracing::warn!("a free segment gives its room to the checkpoint");
                self.effects.push(Effect::Upkeep(upkeep));
                limits::CHECKPOINT_AFTER_LENDING
            }
            // Soon, however empty the disk seems to be now: until then no segment is let go.
            None => self
                .checkpoint
                .pace
                .interval
                .min(limits::CHECKPOINT_INTERVAL_WHEN_FULL),
        };
        self.checkpoint.again_at = Some(self.now.mono + pause);
        if self.holds_checkpoint() {
            self.cannot_send("there is no room for the checkpoint that it needs");
        }
        self.release_segments();
    }

    /// Nothing is built upon it any more: everything that it should say is in memory, and is written anew.
    pub(super) fn checkpoint_is_damaged(&mut self, error: &CheckpointError) {
        self.care.checkpoint_damage += 1;
        if self.lacks_state() {
            tracing::error!(%error, "the checkpoint is damaged; asking the other members for their state");
            return;
        }
        tracing::error!(%error, "the checkpoint is damaged; writing it anew");
        self.checkpoint.anew_at = Some(self.now.mono);
        if self.holds_checkpoint() {
            self.cannot_send("the checkpoint that it needs is damaged");
        }
    }

    pub(super) fn release_segments(&mut self) {
        if self.receiving.installing {
            return;
        }
        self.let_those_far_behind();
        self.departed.forget_old(self.now.mono);
        let unneeded = self.unneeded();
        let live = self.machine.live_bodies();
        let (kept, released): (Vec<_>, Vec<_>) = unneeded
            .into_iter()
            .partition(|s| live.contains_key(&s.number) && !planted(Bug::LiveBodyRemoved));
        if !released.is_empty() {
            let released: Vec<u32> = released.iter().map(|segment| segment.number).collect();
            self.note_released(&released);
            let removal = self.log.remove_segments(&released);
            self.effects.push(Effect::Remove(removal));
        }
        self.choose_segments_to_empty(&kept);
    }

    /// Keeps nothing for whoever would hold on to too much of the log: it needs a snapshot when it is back.
    fn let_those_far_behind(&mut self) {
        let segments = self.log.segments();
        let most = self.snapshot_pace.catch_up_bytes;
        let holds_on_to = |needed: &NeededFrom| -> u64 {
            let kept = segments
                .iter()
                .skip_while(|s| !s.lanes.iter().any(|span| is_needed(span, needed)));
            kept.map(|s| s.bytes).sum()
        };
        let others = self.engine.needed_by_others();
        // Whoever was let behind is so until it shows that it has got further.
        self.behind.retain(|known| others.contains(known));
        for (host, needed) in others {
            let known = self.behind.iter().any(|(behind, _)| *behind == host);
            if !known && holds_on_to(&needed) > most {
                self.behind.push((host, needed));
                self.snapshot_events.push(SnapshotEvent::LetBehind { host });
            }
        }
        let behind = self.behind.iter().map(|(host, _)| *host).collect();
        self.engine.let_behind(behind);
    }

    /// Closed segments that hold nothing that replay or a snapshot under way needs, and no entry that any
    /// member may still ask for. Live bodies may lie in them.
    fn unneeded(&self) -> Vec<SegmentInfo> {
        let Some(needed) = self.engine.needed_from() else {
            return Vec::new();
        };
        let covered = self.checkpoint.durable_replay_from;
        let is_needed = |span: &LaneSpan| is_needed(span, &needed);
        let departed = self.departed.segments();
        let segments = self.log.segments().into_iter();
        segments
            .filter(|s| s.closed && s.last_lsn < covered)
            .filter(|s| !self.is_being_sent(s.number) && !self.is_being_received(s.number))
            .filter(|s| !departed.contains(&s.number))
            .filter(|s| !s.lanes.iter().any(is_needed))
            .collect()
    }
}

/// True if some of these entries may still be asked for.
fn is_needed(span: &LaneSpan, needed: &NeededFrom) -> bool {
    match span.view.cmp(&needed.view) {
        Ordering::Less => false,
        Ordering::Greater => true,
        Ordering::Equal => needed
            .lanes
            .iter()
            .any(|(host, from)| *host == span.lane && span.last >= *from),
    }
}
