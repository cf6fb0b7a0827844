//! Segments as files, and what all parts of an open log share.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use super::block::{Block, Memory};
use super::format::{Chain, Salt, SegmentHeader};
use super::lanes::LaneIndex;
use super::manifest::Manifest;
use super::spares::Spares;
use super::{LogError, LogOptions, Lsn};
use crate::{Disk, DiskFile};

/// The file of a segment.
pub(super) fn segment_name(number: u32) -> String {
    format!("{number:010}.segment")
}

/// The file of a segment's lane index.
pub(super) fn index_name(number: u32) -> String {
    format!("{number:010}.index")
}

/// What a file of the log's folder is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    Segment(u32),
    Index(u32),
    Spare(u64),
    /// Not of the log.
    Other,
}

impl FileKind {
    pub(super) fn of(name: &str) -> Self {
        let number = |text: &str| -> Option<u32> {
            let digits = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten()
        };
        if let Some(n) = name.strip_suffix(".segment").and_then(number) {
            Self::Segment(n)
        } else if let Some(n) = name.strip_suffix(".index").and_then(number) {
            Self::Index(n)
        } else if let Some(n) = name.strip_prefix("spare-").and_then(|n| n.parse().ok()) {
            Self::Spare(n)
        } else {
            Self::Other
        }
    }
}

/// A place between two blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    /// Where the next block would start in the segment's file.
    pub offset: u32,
    /// The record that comes next.
    pub next_lsn: Lsn,
    /// The chain so far.
    #[serde(with = "chain_as_number")]
    pub chain: Chain,
}

mod chain_as_number {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Chain;

    pub(super) fn serialize<S: Serializer>(chain: &Chain, s: S) -> Result<S::Ok, S::Error> {
        chain.0.serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Chain, D::Error> {
        u32::deserialize(d).map(Chain)
    }
}

/// A segment whose file is there.
#[derive(Debug)]
pub(super) struct Segment {
    pub header: SegmentHeader,
    pub file: Arc<dyn DiskFile>,
    /// Length of the file.
    pub file_bytes: u64,
    contents: Mutex<Contents>,
}

/// What is durable in a segment.
#[derive(Clone, Debug)]
pub(super) struct Contents {
    pub end: End,
    pub lanes: LaneIndex,
    /// The index file is written, or that was tried.
    pub indexed: bool,
}

impl Segment {
    pub(super) fn new(
        header: SegmentHeader,
        file: Arc<dyn DiskFile>,
        file_bytes: u64,
        contents: Contents,
    ) -> Self {
        Self {
            header,
            file,
            file_bytes,
            contents: Mutex::new(contents),
        }
    }

    pub(super) fn contents(&self) -> MutexGuard<'_, Contents> {
        lock(&self.contents)
    }

    pub(super) fn end(&self) -> End {
        self.contents().end
    }

    /// A block of this segment became durable.
    pub(super) fn absorb(&self, block: &Block) {
        let mut contents = self.contents();
        assert_eq!(contents.end.next_lsn, block.first_lsn, "blocks in order");
        for record in &block.records {
            contents.lanes.note(record.tag, block.offset);
        }
        contents.end = End {
            offset: block.end(),
            next_lsn: block.next_lsn(),
            chain: block.chain_after,
        };
    }
}

/// What the log's front end, its writer, its readers and its background jobs share.
#[derive(Debug)]
pub(super) struct Shared {
    pub disk: Arc<dyn Disk>,
    pub options: LogOptions,
    segments: RwLock<BTreeMap<u32, Arc<Segment>>>,
    memory: Mutex<Memory>,
    spares: Mutex<Spares>,
    manifest: Mutex<Manifest>,
    failure: OnceLock<LogError>,
}

impl Shared {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        options: LogOptions,
        segments: BTreeMap<u32, Arc<Segment>>,
        spares: Spares,
        manifest: Manifest,
    ) -> Self {
        Self {
            disk,
            options,
            segments: RwLock::new(segments),
            memory: Mutex::default(),
            spares: Mutex::new(spares),
            manifest: Mutex::new(manifest),
            failure: OnceLock::new(),
        }
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        lock(&self.memory)
    }

    pub(super) fn spares(&self) -> MutexGuard<'_, Spares> {
        lock(&self.spares)
    }

    pub(super) fn manifest(&self) -> MutexGuard<'_, Manifest> {
        lock(&self.manifest)
    }

    /// The segment with this number, if its file is there and it was not removed.
    pub(super) fn segment(&self, number: u32) -> Option<Arc<Segment>> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.get(&number).cloned()
    }

    /// All segments, oldest first.
    pub(super) fn segments(&self) -> Vec<Arc<Segment>> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.values().cloned().collect()
    }

    /// Those of these numbers that are there, oldest first.
    pub(super) fn segments_in(&self, numbers: Range<u32>) -> Vec<Arc<Segment>> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments
            .range(numbers)
            .map(|(_, s)| Arc::clone(s))
            .collect()
    }

    /// The number of the oldest of these that is there.
    pub(super) fn first_in(&self, numbers: Range<u32>) -> Option<u32> {
        if numbers.is_empty() {
            return None;
        }
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.range(numbers).next().map(|(number, _)| *number)
    }

    pub(super) fn oldest_segment(&self) -> Option<Arc<Segment>> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.values().next().cloned()
    }

    pub(super) fn add_segment(&self, segment: Arc<Segment>) {
        let mut segments = self
            .segments
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        segments.insert(segment.header.number, segment);
    }

    pub(super) fn forget_segment(&self, number: u32) -> Option<Arc<Segment>> {
        let mut segments = self
            .segments
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        segments.remove(&number)
    }

    /// The salt of a segment to be.
    pub(super) fn salt(&self, number: u32) -> Salt {
        Salt::new(self.options.salt_seed, number)
    }

    pub(super) fn failure(&self) -> Option<&LogError> {
        self.failure.get()
    }

    /// Remembers the first failure for good.
    pub(super) fn fail(&self, error: LogError) {
        // A second failure adds nothing: nobody writes after the first.
        let _ = self.failure.set(error);
    }

    /// Names the file and what was being done with it.
    pub(super) fn io(&self, name: &str, doing: &'static str, source: io::Error) -> LogError {
        io_error(&*self.disk, name, doing, source)
    }
}

/// Names the file and what was being done with it.
pub(super) fn io_error(
    disk: &dyn Disk,
    name: &str,
    doing: &'static str,
    source: io::Error,
) -> LogError {
    LogError::Io {
        file: disk.display(name),
        doing,
        source: Arc::new(source),
    }
}

/// Removes a file, or finds that there is none.
pub(super) fn remove_if_there(disk: &dyn Disk, name: &str) -> io::Result<()> {
    match disk.remove(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// A lock whose holder panicked is taken all the same: what it guards is changed in single steps.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart_by_name() {
        assert_eq!(FileKind::of(&segment_name(7)), FileKind::Segment(7));
        assert_eq!(
            FileKind::of(&index_name(u32::MAX)),
            FileKind::Index(u32::MAX)
        );
        assert_eq!(FileKind::of("spare-12"), FileKind::Spare(12));
        for other in [
            "7.segment",
            "9999999999.segment",
            "+000000007.segment",
            "spare-x",
            "checkpoint.redb",
            "manifest",
        ] {
            assert_eq!(FileKind::of(other), FileKind::Other, "{other}");
        }
    }
}
