//! Reading back what was appended, from any thread.

use std::sync::Arc;

use bytes::Bytes;
use shoal_types::{BodyRef, HostId, ViewNumber};

use super::block::Block;
use super::segment::{Segment, Shared, segment_name};
use super::walk::BlockWalk;
use super::{LogError, ReadError, Tag};
use crate::limits::{INDEX_STEP, PAGE};

/// Reads records wherever they are: on disk, on their way there, or still being gathered.
#[derive(Clone, Debug)]
pub struct LogReader {
    pub(super) shared: Arc<Shared>,
}

impl LogReader {
    /// `len` bytes from `at`, as they are: the caller checks the body's own checksum.
    ///
    /// # Errors
    /// If the segment was removed, if nothing was written there, or if the disk cannot be read.
    pub fn body(&self, at: BodyRef, len: u32) -> Result<Bytes, ReadError> {
        // Memory first: what is no longer there when we look is on disk by then.
        if let Some(bytes) = self.shared.memory().body(at, len) {
            return Ok(bytes);
        }
        let segment = self.present(at.segment)?;
        let beyond = || ReadError::OutOfRange {
            segment: at.segment,
            offset: at.offset,
        };
        let end = at.offset.checked_add(len).ok_or_else(beyond)?;
        if at.offset < PAGE || end > segment.end().offset {
            return Err(beyond());
        }
        let mut bytes = vec![0; len as usize];
        let read = segment.file.read_at(at.offset.into(), &mut bytes);
        read.map_err(|source| {
            let name = segment_name(at.segment);
            self.shared.io(&name, "reading a body", source)
        })?;
        self.still_present(&segment)?;
        Ok(bytes.into())
    }

    /// The payloads of entries `from..=to` of a lane, in order and without a gap: as many as fit in
    /// `max_bytes`, but at least one. Ends early where the log holds no next one.
    ///
    /// # Errors
    /// [`ReadError::NotFound`] if entry `from` is not there; if a record on the way is damaged; if
    /// the disk cannot be read.
    pub fn entries(
        &self,
        view: ViewNumber,
        lane: HostId,
        from: u64,
        to: u64,
        max_bytes: usize,
    ) -> Result<Vec<Bytes>, ReadError> {
        // Memory first, as in `body`. A block may be found in both; its entries count once.
        let unsynced = self.shared.memory().snapshot();
        let mut wanted = Wanted {
            next: Tag {
                view,
                lane,
                index: from,
            },
            to,
            room: max_bytes,
            found: Vec::new(),
            full: false,
        };
        for segment in self.shared.segments() {
            if wanted.is_complete() {
                break;
            }
            let start = segment.contents().lanes.find(view, lane, wanted.next.index);
            if let Some(start) = start {
                self.collect(&segment, start, &mut wanted)?;
            }
        }
        for block in unsynced {
            wanted.take_from(&block);
        }
        if wanted.found.is_empty() && from <= to {
            return Err(ReadError::NotFound {
                view,
                lane,
                index: from,
            });
        }
        Ok(wanted.found)
    }

    /// Walks the segment's blocks from one that is sound (the index says) to its end.
    fn collect(
        &self,
        segment: &Arc<Segment>,
        start: u32,
        wanted: &mut Wanted,
    ) -> Result<(), ReadError> {
        let number = segment.header.number;
        let failed = |source| {
            let name = segment_name(number);
            self.shared.io(&name, "reading entries", source)
        };
        let damaged = |offset: u32, what: String| {
            ReadError::from(LogError::Corruption {
                file: self.shared.disk.display(&segment_name(number)),
                offset: offset.into(),
                what,
            })
        };
        let end = segment.end().offset;
        let walk = BlockWalk::resume(
            Arc::clone(&segment.file),
            &segment.header,
            start,
            INDEX_STEP,
        );
        let outcome = walk.map_err(failed)?;
        // Used again by now? Then what was read means nothing.
        self.still_present(segment)?;
        let mut walk = outcome.map_err(|none| damaged(start, none.why.to_string()))?;
        while walk.at().offset < end && !wanted.is_complete() {
            let at = walk.at().offset;
            let block = walk.take().map_err(failed)?;
            self.still_present(segment)?;
            let block = block.map_err(|none| damaged(at, none.why.to_string()))?;
            for record in &block.records {
                wanted.offer(record.placed.tag, || block.payload(record.placed));
            }
        }
        Ok(())
    }

    pub(super) fn present(&self, number: u32) -> Result<Arc<Segment>, ReadError> {
        let removed = ReadError::Removed { segment: number };
        self.shared.segment(number).ok_or(removed)
    }

    /// A removed segment's file is used again; what was read from it in the meantime is no good.
    pub(super) fn still_present(&self, segment: &Arc<Segment>) -> Result<(), ReadError> {
        self.present(segment.header.number).map(|_| ())
    }
}

/// Entries that are looked for, in order.
struct Wanted {
    next: Tag,
    to: u64,
    /// Bytes that may still be added.
    room: usize,
    found: Vec<Bytes>,
    full: bool,
}

impl Wanted {
    fn is_complete(&self) -> bool {
        self.full || self.next.index > self.to
    }

    fn offer(&mut self, tag: Tag, payload: impl FnOnce() -> Bytes) {
        if tag != self.next || self.is_complete() {
            return;
        }
        let payload = payload();
        if payload.len() > self.room && !self.found.is_empty() {
            self.full = true;
            return;
        }
        self.room = self.room.saturating_sub(payload.len());
        self.found.push(payload);
        self.next.index += 1;
    }

    fn take_from(&mut self, block: &Block) {
        for record in &block.records {
            self.offer(record.tag, || {
                let payload = block.read(record.offset, record.len);
                payload.expect("a record lies within its block")
            });
        }
    }
}
