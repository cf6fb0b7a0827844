//! Reading closed segments again for no other reason than to see whether they are still what was
//! written: in the background of a running host, and of a folder that is looked into.

use std::sync::Arc;

use super::segment::segment_name;
use super::walk::BlockWalk;
use super::{LogError, LogReader, ReadError, SegmentDamage};
use crate::limits::{INDEX_STEP, PAGE};

/// What a look at part of a segment came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// Sound up to this offset, where a block begins.
    UpTo(u32),
    /// Sound to its end.
    ToTheEnd,
    /// A block that was written is not sound.
    Damaged(SegmentDamage),
}

impl LogReader {
    /// Checks the blocks of a segment from the one at `from` on (0: the first) until `max_bytes` are
    /// read, at least one block. Of what is not durable yet nothing is read.
    ///
    /// # Errors
    /// If the segment was removed meanwhile, or the disk cannot be read.
    pub fn verify(&self, segment: u32, from: u32, max_bytes: u32) -> Result<Verified, ReadError> {
        let segment = self.present(segment)?;
        let number = segment.header.number;
        let failed = |source| self.shared.io(&segment_name(number), "verifying", source);
        let end = segment.end().offset;
        let from = from.max(PAGE);
        if from >= end {
            return Ok(Verified::ToTheEnd);
        }
        let damage = |offset: u32, what: String| {
            let file = self.shared.disk.display(&segment_name(number));
            Verified::Damaged(SegmentDamage {
                segment: number,
                file,
                offset,
                what,
            })
        };
        let file = Arc::clone(&segment.file);
        let opened = BlockWalk::resume(file, &segment.header, from, INDEX_STEP);
        let opened = opened.map_err(failed)?;
        self.still_present(&segment)?;
        let mut walk = match opened {
            Ok(walk) => walk,
            Err(none) => return Ok(damage(from, none.why.to_string())),
        };
        while walk.at().offset < end && walk.at().offset - from < max_bytes {
            let at = walk.at().offset;
            let block = walk.take().map_err(failed)?;
            self.still_present(&segment)?;
            if let Err(none) = block {
                return Ok(damage(at, none.why.to_string()));
            }
        }
        let at = walk.at().offset;
        Ok(if at >= end {
            Verified::ToTheEnd
        } else {
            Verified::UpTo(at)
        })
    }
}

impl From<SegmentDamage> for LogError {
    fn from(damage: SegmentDamage) -> Self {
        Self::Corruption {
            file: damage.file,
            offset: damage.offset.into(),
            what: damage.what,
        }
    }
}
