//! The one place that writes the log: a block, its segment if it is the first in it, and the sync.

use std::io::ErrorKind;
use std::sync::Arc;

use shoal_types::planted::{Bug, planted};

use super::block::{Block, SegmentStart};
use super::lanes::LaneIndex;
use super::segment::{Contents, End, Segment, Shared, remove_if_there, segment_name};
use super::spares::Spare;
use super::{LogError, Lsn};
use crate::limits::PAGE;

/// Up to a page of zeros after a block.
static ZEROS: [u8; PAGE as usize] = [0; PAGE as usize];

/// One block on its way to disk. Dropped without [`Batch::write`], it is lost, and the log never hands
/// out another.
#[derive(Debug)]
#[must_use]
pub struct Batch {
    pub(super) shared: Arc<Shared>,
    pub(super) block: Arc<Block>,
}

/// Proof that a batch is durable, to be given to [`super::Log::complete`].
#[derive(Debug)]
#[must_use]
pub struct BatchDone {
    pub(super) first_lsn: Lsn,
}

impl Batch {
    /// Bytes that will be written.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::from(self.block.end() - self.block.offset)
    }

    /// Writes and syncs. Blocks until the records are durable.
    ///
    /// # Errors
    /// [`LogError::NoSpace`]: nothing was written, since there is no room for the next segment; the same
    /// batch may be written later. All others are final: what lies on disk is unknown from here on, a
    /// second sync may claim success with the data gone, and the log writes nothing any more. The process
    /// must end; a restart reads what is there.
    pub fn write(&self) -> Result<BatchDone, LogError> {
        if let Some(error) = self.shared.failure() {
            return Err(error.clone());
        }
        self.write_block().inspect_err(|error| {
            if !error.may_succeed_later() {
                tracing::error!(%error, "the log cannot be written");
                self.shared.fail(error.clone());
            }
        })?;
        Ok(BatchDone {
            first_lsn: self.block.first_lsn,
        })
    }

    fn write_block(&self) -> Result<(), LogError> {
        let segment = match self.block.start {
            Some(start) => self.begin_segment(start)?,
            None => {
                let segment = self.shared.segment(self.block.segment);
                segment.expect("the segment being written is never removed")
            }
        };
        let failed = |doing| {
            let name = segment_name(self.block.segment);
            move |source| self.shared.io(&name, doing, source)
        };
        let header = self.block.header();
        let mut parts: Vec<&[u8]> = vec![&header];
        parts.extend(self.block.parts());
        parts.push(&ZEROS[..self.block.padding()]);
        let offset = self.block.offset.into();
        let written = segment.file.write_at(offset, &parts);
        written.map_err(failed("writing"))?;
        let synced = segment.file.sync_data();
        if !planted(Bug::SyncErrorIgnored) {
            synced.map_err(failed("syncing"))?;
        }
        segment.absorb(&self.block);
        Ok(())
    }

    /// There is no room for a segment, or the disk fails. The log is as it was before.
    fn no_spare(&self, name: &str, spare: &str, error: std::io::Error) -> LogError {
        let full = matches!(
            error.kind(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded
        );
        if !full {
            return self.shared.io(name, "beginning the segment", error);
        }
        // What was begun of it takes up room; a start removes what cannot be removed now.
        let _ = remove_if_there(&*self.shared.disk, spare);
        let file = self.shared.disk.display(name);
        LogError::NoSpace { file }
    }

    /// Makes the segment's file: complete under another name first, so that a file with a segment's
    /// name always has a sound header. The block before is durable, so this header proves it.
    fn begin_segment(&self, start: SegmentStart) -> Result<Arc<Segment>, LogError> {
        let disk = &self.shared.disk;
        let name = segment_name(start.header.number);
        let failed = |source| self.shared.io(&name, "beginning the segment", source);
        let spare = self.shared.spares().take(start.bytes.into());
        let spare = match spare {
            Some(spare) => spare,
            None => {
                let spare_name = self.shared.spares().new_name();
                let made = disk.create(&spare_name).and_then(|file| {
                    file.allocate(start.bytes.into())?;
                    Ok(file)
                });
                let file = made.map_err(|error| self.no_spare(&name, &spare_name, error))?;
                Spare {
                    name: spare_name,
                    file,
                    bytes: start.bytes.into(),
                }
            }
        };
        let header = start.header.encode();
        let padding = &ZEROS[header.len()..];
        spare
            .file
            .write_at(0, &[&header, padding])
            .map_err(failed)?;
        spare.file.sync_data().map_err(failed)?;
        disk.rename(&spare.name, &name).map_err(failed)?;
        if !planted(Bug::SegmentNameNotSynced) {
            disk.sync_folder().map_err(failed)?;
        }
        self.shared.spares().given_up = false;
        let contents = Contents {
            end: End {
                offset: PAGE,
                next_lsn: start.header.first_lsn,
                chain: start.header.chain,
            },
            lanes: LaneIndex::default(),
            indexed: false,
        };
        let segment = Segment::new(start.header, spare.file, spare.bytes, contents);
        let segment = Arc::new(segment);
        self.shared.add_segment(Arc::clone(&segment));
        Ok(segment)
    }
}
