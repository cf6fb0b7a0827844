//! When a checkpoint is written, and which log segments go afterwards.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::Duration;

use shoal_storage::{LaneSpan, Lsn};
use shoal_types::Mono;
use shoal_types::planted::{Bug, planted};

use super::{Core, Effect, PendingCheckpoint, Write};

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
    started: Mono,
    /// Frozen, waiting until the log is durable up to here.
    frozen: Option<(Lsn, Box<PendingCheckpoint>)>,
    /// Being written.
    writing: bool,
    /// Replay starts here after a restart: durable and read back.
    pub(super) durable_replay_from: Lsn,
}

impl CheckpointSchedule {
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
            started: now,
            frozen: None,
            writing: false,
            durable_replay_from: replay_from,
        }
    }
}

impl Core {
    pub(super) fn checkpoint_due(&self) -> Option<Mono> {
        let schedule = &self.checkpoint;
        let idle = schedule.frozen.is_none() && !schedule.writing && !self.is_halted();
        (idle && self.log.next_lsn() > schedule.started_at)
            .then_some(schedule.started + schedule.pace.interval)
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
        let first = self
            .records
            .partition_point(|(number, _)| *number < engine.replay_from);
        let replay_from = self.records.get(first).map_or(next, |(_, lsn)| *lsn);
        let needs = self
            .records
            .back()
            .map_or(self.checkpoint.started_at, |(_, lsn)| *lsn);
        let carried = std::mem::take(&mut self.checkpoint.carried);
        let state = self.machine.freeze();
        let pending = PendingCheckpoint {
            carried,
            state,
            engine,
            replay_from,
        };
        self.checkpoint.started = self.now.mono;
        self.checkpoint.started_at = next;
        self.checkpoint.bytes = 0;
        self.checkpoint.frozen = Some((needs, Box::new(pending)));
    }

    /// A checkpoint is durable and was read back: segments that nobody needs any more go.
    pub fn on_checkpoint_written(&mut self, replay_from: Lsn) {
        self.checkpoint.writing = false;
        self.checkpoint.durable_replay_from = replay_from;
        let covered = self.records.partition_point(|(_, lsn)| *lsn < replay_from);
        self.records.drain(..covered);
        self.release_segments();
    }

    /// The disk was too full for a checkpoint: the last one stands, and what this one would have
    /// written goes along with the next. Segments may have died since, so that there is room then.
    pub fn on_checkpoint_put_off(&mut self, writes: Vec<Write>) {
        self.checkpoint.writing = false;
        // The same keys come again with every attempt: only their newest values count.
        let newest: BTreeMap<_, _> = writes.into_iter().collect();
        self.checkpoint.carried = newest.into_iter().collect();
        self.release_segments();
    }

    fn release_segments(&mut self) {
        let released = self.releasable();
        if !released.is_empty() {
            let removal = self.log.remove_segments(&released);
            self.effects.push(Effect::Remove(removal));
        }
    }

    /// Closed segments that hold no live body, nothing that replay needs, and no entry that any member
    /// may still ask for.
    fn releasable(&self) -> Vec<u32> {
        let Some(needed) = self.engine.needed_from() else {
            return Vec::new();
        };
        let live = self.machine.live_bodies();
        let covered = self.checkpoint.durable_replay_from;
        let is_needed = |span: &LaneSpan| match span.view.cmp(&needed.view) {
            Ordering::Less => false,
            Ordering::Greater => true,
            Ordering::Equal => needed
                .lanes
                .iter()
                .any(|(h, from)| *h == span.lane && span.last >= *from),
        };
        let segments = self.log.segments().into_iter();
        segments
            .filter(|s| s.closed && s.last_lsn < covered)
            .filter(|s| !live.contains_key(&s.number) || planted(Bug::LiveBodyRemoved))
            .filter(|s| !s.lanes.iter().any(is_needed) || planted(Bug::NeededEntriesRemoved))
            .map(|s| s.number)
            .collect()
    }
}
