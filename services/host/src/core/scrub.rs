//! Reading everything again that is kept and rarely looked at, so that damage is found while the peers
//! still have what is damaged here: closed log segments, block by block, and the rows of the checkpoint.
//! A little at a time, so that a round over all of it takes about as long as configured.
//!
//! A damaged segment is emptied like one that is to go: what is sound in it is moved, what is not comes
//! from a peer. A damaged checkpoint is written anew: the state in memory is not affected by it.

use std::time::Duration;

use shoal_storage::{CheckpointError, Checkpoints, LogReader, ReadError, SegmentDamage, Verified};
use shoal_types::Mono;

use super::{Core, Effect};
use crate::limits;

/// How far the scrub has come.
pub(super) struct Scrub {
    /// A round over everything takes so long.
    round: Duration,
    place: Place,
    /// A look is under way.
    busy: bool,
    next: Mono,
}

/// What is looked at next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// This segment or the next that is there, from this offset on.
    Segment(u32, u32),
    /// The checkpoint's rows after this key.
    Rows(Vec<u8>),
}

impl Scrub {
    pub(super) fn new(round: Duration, now: Mono) -> Self {
        Self {
            round,
            place: Place::Segment(0, 0),
            busy: false,
            next: now + limits::SCRUB_STEP,
        }
    }
}

/// One look, to be taken on a thread that may wait for a disk.
pub struct ScrubLook(Look);

enum Look {
    Segment { number: u32, from: u32, bytes: u32 },
    Rows { after: Vec<u8>, rows: usize },
}

/// What it came to, for [`Core::on_scrubbed`].
pub struct Scrubbed(Found);

enum Found {
    Segment(u32, Result<Verified, ReadError>),
    Rows(Result<Option<Vec<u8>>, CheckpointError>),
}

impl ScrubLook {
    /// Takes it. Blocks.
    #[must_use]
    pub fn run(self, log: &LogReader, checkpoints: &Checkpoints) -> Scrubbed {
        Scrubbed(match self.0 {
            Look::Segment {
                number,
                from,
                bytes,
            } => Found::Segment(number, log.verify(number, from, bytes)),
            Look::Rows { after, rows } => Found::Rows(checkpoints.verify(&after, rows)),
        })
    }
}

impl Core {
    pub(super) fn next_scrub(&self) -> Option<Mono> {
        (!self.scrub.busy && !self.is_halted() && !self.lacks_state()).then_some(self.scrub.next)
    }

    /// Looks on, if it is time.
    pub(super) fn scrub_on(&mut self) {
        if self.next_scrub().is_none_or(|at| self.now.mono < at) {
            return;
        }
        self.scrub.next = self.now.mono + limits::SCRUB_STEP;
        self.scrub.busy = true;
        let look = match &self.scrub.place {
            Place::Rows(after) => Look::Rows {
                after: after.clone(),
                rows: limits::SCRUB_STEP_ROWS,
            },
            Place::Segment(number, from) => match self.log.next_closed(*number) {
                Some(found) => Look::Segment {
                    number: found,
                    from: if found == *number { *from } else { 0 },
                    bytes: self.bytes_per_look(),
                },
                None => Look::Rows {
                    after: Vec::new(),
                    rows: limits::SCRUB_STEP_ROWS,
                },
            },
        };
        self.effects.push(Effect::Scrub(ScrubLook(look)));
    }

    /// So many that a round takes as long as it should.
    fn bytes_per_look(&self) -> u32 {
        let looks = self.scrub.round.as_micros() / limits::SCRUB_STEP.as_micros();
        let bytes = u128::from(self.log_bytes) / looks.max(1);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        bytes.clamp(limits::SCRUB_LOOK_BYTES_MIN, limits::SCRUB_LOOK_BYTES_MAX)
    }

    /// A look was taken.
    pub fn on_scrubbed(&mut self, scrubbed: Scrubbed) {
        self.scrub.busy = false;
        self.scrub.place = match scrubbed.0 {
            Found::Segment(number, Ok(Verified::UpTo(offset))) => Place::Segment(number, offset),
            Found::Segment(number, Ok(Verified::ToTheEnd)) => Place::Segment(number + 1, 0),
            Found::Segment(number, Ok(Verified::Damaged(damage))) => {
                tracing::error!(%damage, "the scrub found a damaged log segment; emptying it");
                self.note_damaged(number);
                Place::Segment(number + 1, 0)
            }
            // Removed behind the scrub's back.
            Found::Segment(number, Err(ReadError::Removed { .. })) => Place::Segment(number + 1, 0),
            Found::Segment(number, Err(error)) => {
                tracing::error!(segment = number, %error, "the scrub cannot read a log segment; emptying it");
                self.note_damaged(number);
                Place::Segment(number + 1, 0)
            }
            Found::Rows(Ok(Some(last))) => Place::Rows(last),
            Found::Rows(Ok(None)) => {
                self.care.scrubs += 1;
                Place::Segment(0, 0)
            }
            Found::Rows(Err(error)) => {
                self.checkpoint_is_damaged(&error);
                Place::Segment(0, 0)
            }
        };
    }

    /// Segments that were found damaged when the log was opened.
    pub(super) fn note_damage(&mut self, damage: &[SegmentDamage]) {
        for damage in damage {
            self.note_damaged(damage.segment);
        }
    }

    fn note_damaged(&mut self, segment: u32) {
        if self.damaged.insert(segment) {
            self.care.damaged_segments += 1;
        }
    }
}
