//! The records of a log, in order, as a restart needs them.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::segment::{End, Segment, Shared, segment_name};
use super::walk::{BlockWalk, FoundRecord, SoundBlock};
use super::{LogError, LogRecord, Lsn, SegmentDamage, TornTail};
use crate::limits::{PAGE, READ_AHEAD};

/// The records from `replay_from` on, in order, each checked. Ends after the first error. Reads one
/// block at a time.
///
/// Segments that it has not read yet must not be removed.
#[derive(Debug)]
pub struct Scan {
    shared: Arc<Shared>,
    from: Lsn,
    /// Not begun yet, with where they ended when the log was opened.
    ahead: VecDeque<(Arc<Segment>, End)>,
    current: Option<Current>,
    torn_tail: Option<TornTail>,
    damage: Vec<SegmentDamage>,
}

#[derive(Debug)]
struct Current {
    segment: u32,
    walk: BlockWalk,
    end: End,
    block: Option<(SoundBlock, usize)>,
}

impl Scan {
    pub(super) fn new(
        shared: &Arc<Shared>,
        torn_tail: Option<TornTail>,
        damage: Vec<SegmentDamage>,
    ) -> Self {
        let from = shared.options.replay_from;
        let segments = shared.segments().into_iter();
        let with_ends = segments.map(|segment| {
            let end = segment.end();
            (segment, end)
        });
        Self {
            shared: Arc::clone(shared),
            from,
            ahead: with_ends.filter(|(_, end)| end.next_lsn > from).collect(),
            current: None,
            torn_tail,
            damage,
        }
    }

    /// What was left out at the very end, if anything.
    #[must_use]
    pub fn torn_tail(&self) -> Option<&TornTail> {
        self.torn_tail.as_ref()
    }

    /// Segments before the first record to be replayed that were found damaged or missing. What else
    /// stands in them may be damaged too: only the body's own checksum tells.
    #[must_use]
    pub fn damage(&self) -> &[SegmentDamage] {
        &self.damage
    }

    fn advance(&mut self) -> Result<Option<LogRecord>, LogError> {
        loop {
            let Some(current) = &mut self.current else {
                let Some((segment, end)) = self.ahead.pop_front() else {
                    return Ok(None);
                };
                let name = segment_name(segment.header.number);
                let opened = Current::new(&segment, end);
                self.current =
                    Some(opened.map_err(|source| self.shared.io(&name, "scanning", source))?);
                continue;
            };
            if let Some(record) = current.next_in_block() {
                if record.lsn >= self.from {
                    return Ok(Some(record));
                }
            } else if current.walk.at().offset >= current.end.offset {
                self.current = None;
            } else {
                current.next_block(&self.shared, self.from)?;
            }
        }
    }
}

impl Current {
    fn new(segment: &Arc<Segment>, end: End) -> io::Result<Self> {
        let start = End {
            offset: PAGE,
            next_lsn: segment.header.first_lsn,
            chain: segment.header.chain,
        };
        let file = Arc::clone(&segment.file);
        Ok(Self {
            segment: segment.header.number,
            walk: BlockWalk::new(file, &segment.header, start, READ_AHEAD)?,
            end,
            block: None,
        })
    }

    fn next_in_block(&mut self) -> Option<LogRecord> {
        let (block, next) = self.block.as_mut()?;
        let found: FoundRecord = *block.records.get(*next)?;
        *next += 1;
        Some(block.record(found, self.segment))
    }

    /// Takes the next block, or steps over it if nothing in it is asked for.
    fn next_block(&mut self, shared: &Shared, from: Lsn) -> Result<(), LogError> {
        let name = segment_name(self.segment);
        let failed = |source| shared.io(&name, "scanning", source);
        let offset = self.walk.at().offset;
        let damaged = |what: String| LogError::Corruption {
            file: shared.disk.display(&name),
            offset: offset.into(),
            what,
        };
        self.block = None;
        let header = self.walk.peek().map_err(failed)?;
        let header = header.map_err(|none| damaged(none.why.to_string()))?;
        if header.next_lsn() <= from {
            self.walk.skip(header);
            return Ok(());
        }
        let block = self.walk.take().map_err(failed)?;
        self.block = Some((block.map_err(|none| damaged(none.why.to_string()))?, 0));
        let at = self.walk.at();
        if at.offset >= self.end.offset && at != self.end {
            let what = "the segment ends with other contents than when the log was opened";
            return Err(damaged(what.to_owned()));
        }
        Ok(())
    }
}

impl Iterator for Scan {
    type Item = Result<LogRecord, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance();
        if next.is_err() {
            self.ahead.clear();
            self.current = None;
        }
        next.transpose()
    }
}
