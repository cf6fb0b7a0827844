//! The lane index of a closed segment, kept beside it so that a start need not read the segment.
//!
//! A cache and nothing more: written without a sync, and made again from the segment whenever it is
//! missing, damaged, of another format, or does not say exactly what the log expects.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::LogError;
use super::format::SegmentHeader;
use super::lanes::LaneIndex;
use super::segment::{Contents, End, Segment, Shared, index_name, remove_if_there};
use crate::Disk;
use crate::limits::INDEX_FILE_BYTES_MAX;
use crate::sealed::{contents, seal, unseal};

const MAGIC: &[u8; 8] = b"SHOALIDX";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct IndexFile {
    segment: u32,
    salt: u64,
    end: End,
    lanes: LaneIndex,
}

/// Reads the index of a segment that ends in this way. Its `offset` may be unknown.
pub(super) fn load(
    disk: &dyn Disk,
    header: &SegmentHeader,
    fits: impl FnOnce(&End) -> bool,
) -> Option<Contents> {
    let file = disk.open(&index_name(header.number)).ok()?;
    let len = file.len().ok().filter(|len| *len <= INDEX_FILE_BYTES_MAX)?;
    let mut bytes = vec![0; len as usize];
    file.read_at(0, &mut bytes).ok()?;
    let (version, sealed) = unseal(MAGIC, &bytes).ok()?;
    let index: IndexFile = contents(sealed).ok().filter(|_| version == VERSION)?;
    let ours = index.segment == header.number && index.salt == header.salt.0 && fits(&index.end);
    ours.then_some(Contents {
        end: index.end,
        lanes: index.lanes,
        indexed: true,
    })
}

/// Writes the index of a closed segment. Not tried again if it fails.
pub(super) fn store(shared: &Shared, segment: &Arc<Segment>) -> Result<(), LogError> {
    let contents = {
        let mut contents = segment.contents();
        contents.indexed = true;
        contents.clone()
    };
    let index = IndexFile {
        segment: segment.header.number,
        salt: segment.header.salt.0,
        end: contents.end,
        lanes: contents.lanes,
    };
    let name = index_name(segment.header.number);
    let failed = |source| shared.io(&name, "writing", source);
    remove_if_there(&*shared.disk, &name).map_err(failed)?;
    let file = shared.disk.create(&name).map_err(failed)?;
    let bytes = seal(MAGIC, VERSION, &index);
    file.write_at(0, &[&bytes]).map_err(failed)
}
