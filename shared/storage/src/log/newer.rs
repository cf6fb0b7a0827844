//! Which file of a log is of a format that is not known here. Nothing is changed, and nothing else is read.

use super::format::{HeaderError, SEGMENT_HEADER, SegmentHeader};
use super::manifest;
use super::segment::FileKind;
use crate::disk_version::UnknownFormat;
use crate::{Disk, DiskVersion};

/// Its name and format, to a release that reads up to `newest`. What cannot be read is not judged here.
pub(crate) fn newer_file(disk: &dyn Disk, newest: DiskVersion) -> Option<(String, UnknownFormat)> {
    if let Some(format) = manifest::newer(disk, newest) {
        return Some((manifest::NAME.to_owned(), format));
    }
    let names = disk.list().ok()?.into_iter();
    let mut segments = names.filter(|name| matches!(FileKind::of(name), FileKind::Segment(_)));
    segments.find_map(|name| {
        let mut bytes = [0; SEGMENT_HEADER];
        disk.open(&name).ok()?.read_at(0, &mut bytes).ok()?;
        match SegmentHeader::decode(&bytes, newest) {
            Err(HeaderError::Format(format)) => Some((name, format)),
            _ => None,
        }
    })
}
