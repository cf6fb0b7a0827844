//! Emptying log segments: of a closed segment that a few messages hold on to, or that is damaged, the
//! live bodies get another place, and the next checkpoint lets it go.
//!
//! ```text
//!  a checkpoint is durable ─▶ choose segments ─▶ look for their bodies among the messages
//!                                                 │ a few chunks of messages at a time
//!                                                 ▼
//!            next checkpoint ◀─ append again ◀─ read and check, a batch at a time
//!                                                 │ what fails its check is asked of a peer
//! ```
//! All of it is done in small steps with pauses in between, so that commits hardly notice, and no step
//! grows with the number of messages. Losing the process anywhere costs nothing: what was appended
//! twice is the same body twice.

use std::cmp::Reverse;
use std::collections::{BTreeSet, VecDeque};

use shoal_queue::{PlacedBody, SearchedUpTo};
use shoal_storage::SegmentInfo;
use shoal_types::Mono;
use shoal_types::planted::{Bug, planted};

use super::body_reads::{BodiesRead, BodyReads, ReadFor};
use super::{Core, Effect};
use crate::kept_body::KeptBody;
use crate::limits;

/// Segments that are being emptied.
#[derive(Default)]
pub(super) struct Compaction {
    segments: BTreeSet<u32>,
    /// Segments of earlier rounds that are still there.
    emptied: BTreeSet<u32>,
    /// How far the messages were looked through; `None` once all were.
    search: Option<SearchedUpTo>,
    /// Found and not read yet.
    found: VecDeque<PlacedBody>,
    /// A batch is being read.
    reading: bool,
    /// The next step is due then.
    next: Mono,
    /// Damaged segments are looked at again then.
    next_damaged: Mono,
}

impl Compaction {
    /// Begins a round, unless one is under way.
    fn begin(&mut self, segments: BTreeSet<u32>) {
        if self.segments.is_empty() && !segments.is_empty() {
            tracing::info!(?segments, "moving the live bodies out of log segments");
            self.segments = segments;
            self.search = Some(SearchedUpTo::default());
        }
    }

    fn has_ended(&self) -> bool {
        self.search.is_none() && self.found.is_empty() && !self.reading
    }
}

impl Core {
    /// A checkpoint is durable and what could go has gone: of the segments that only bodies hold on to,
    /// those go next that cost least. `closed`: closed, covered by the checkpoint, asked for by nobody.
    pub(super) fn choose_segments_to_empty(&mut self, closed: &[SegmentInfo]) {
        let tight = self.fullest_disk() >= limits::DISK_TIGHT_PERCENT;
        let share = if tight {
            limits::EMPTIED_BELOW_PERCENT_WHEN_TIGHT
        } else {
            limits::EMPTIED_BELOW_PERCENT
        };
        let live = self.machine.live_bodies();
        let mut chosen: Vec<(bool, u64, u32)> = closed
            .iter()
            .filter_map(|segment| {
                let live = live.get(&segment.number).filter(|live| live.bytes > 0)?;
                let few = live.bytes * 100 < segment.bytes * share;
                let damaged = self.damaged.contains(&segment.number);
                (few || damaged).then_some((damaged, live.bytes, segment.number))
            })
            .collect();
        chosen
            .sort_unstable_by_key(|(damaged, bytes, number)| (Reverse(*damaged), *bytes, *number));
        chosen.truncate(limits::EMPTIED_AT_ONCE_MAX);
        let chosen = chosen.into_iter().map(|(.., number)| number);
        self.compaction.begin(chosen.collect());
    }

    /// Segments that are known to be damaged do not wait for a checkpoint; and as long as something in
    /// them was given by nobody, it is asked for again now and then.
    fn empty_damaged_segments(&mut self) {
        self.compaction.next_damaged = self.now.mono + limits::DAMAGED_AGAIN;
        let live = self.machine.live_bodies();
        let has_bodies = |number: &u32| live.get(number).is_some_and(|live| live.bytes > 0);
        let damaged = self.damaged.iter().copied().filter(has_bodies);
        let chosen = damaged.take(limits::EMPTIED_AT_ONCE_MAX).collect();
        self.compaction.begin(chosen);
    }

    /// These segments go.
    pub(super) fn note_released(&mut self, segments: &[u32]) {
        for segment in segments {
            self.damaged.remove(segment);
            self.care.emptied += u64::from(self.compaction.emptied.remove(segment));
        }
    }

    /// When the next step of emptying segments is due.
    pub(super) fn next_compaction(&self) -> Option<Mono> {
        if self.compaction.reading || self.is_halted() || self.repairs.is_busy() {
            return None;
        }
        if self.compaction.segments.is_empty() {
            return (!self.damaged.is_empty()).then_some(self.compaction.next_damaged);
        }
        Some(self.compaction.next)
    }

    /// A step, if one is due: looks on, or reads what was found.
    pub(super) fn compact(&mut self) {
        if self.next_compaction().is_none_or(|at| self.now.mono < at) {
            return;
        }
        self.compaction.next = self.now.mono + limits::COMPACTION_STEP;
        if self.compaction.segments.is_empty() {
            return self.empty_damaged_segments();
        }
        let tight = self.fullest_disk() >= limits::DISK_TIGHT_PERCENT;
        if self.log.unsynced_bytes() > limits::COMPACTION_YIELDS_ABOVE && !tight {
            return;
        }
        self.look_on();
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(body) = self.compaction.found.front()
            && (batch.is_empty() || bytes + u64::from(body.size) <= limits::COMPACTION_STEP_BYTES)
        {
            bytes += u64::from(body.size);
            batch.extend(self.compaction.found.pop_front());
        }
        if !batch.is_empty() {
            self.compaction.reading = true;
            self.effects.push(Effect::ReadBodies(BodyReads {
                reason: ReadFor::Keeping,
                bodies: batch,
            }));
        } else if self.compaction.has_ended() {
            let emptied = std::mem::take(&mut self.compaction.segments);
            self.compaction.emptied.extend(emptied);
        }
    }

    fn look_on(&mut self) {
        let compaction = &mut self.compaction;
        let Some(from) = compaction.search else {
            return;
        };
        if compaction.found.len() >= limits::COMPACTION_FOUND_MAX {
            return;
        }
        let segments = &compaction.segments;
        let mut found = Vec::new();
        compaction.search = self.machine.find_bodies(
            from,
            limits::COMPACTION_STEP_CHUNKS,
            |segment| segments.contains(&segment),
            &mut found,
        );
        compaction.found.extend(found);
    }

    /// Bodies that this host asked to be read were read, or could not be.
    pub fn on_bodies_read(&mut self, read: BodiesRead) {
        let BodiesRead { reason, found } = read;
        if let ReadFor::Peer(peer) = reason {
            for (body, bytes) in found {
                self.give_body(peer, &body, bytes.ok());
            }
            return;
        }
        self.compaction.reading = false;
        for (body, bytes) in found {
            // Whoever deleted or moved the message meanwhile was faster.
            if self.machine.body_of(body.partition, body.sequence) != Some(body) {
                continue;
            }
            match bytes {
                Ok(bytes) => {
                    self.care.moved += 1;
                    self.keep_body(KeptBody::of(&body), bytes);
                }
                Err(error) => self.repair(&body, &error),
            }
        }
        if planted(Bug::RelocatedBeforeDurable) {
            self.release_segments();
        }
    }
}
