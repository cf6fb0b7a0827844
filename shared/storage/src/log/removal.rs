//! Letting segments go.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::LogError;
use super::segment::{End, Segment, Shared, index_name, remove_if_there, segment_name};
use super::spares::Spare;
use crate::DiskVersion;

/// Frees the space of removed segments. Dropped without [`Removal::run`], the segments stay unreadable
/// until the log is opened again, and are back then.
#[derive(Debug)]
#[must_use]
pub struct Removal {
    pub(super) shared: Arc<Shared>,
    /// How the manifest is written.
    pub(super) version: DiskVersion,
    pub(super) removed: Vec<Arc<Segment>>,
    /// Ends of the closed segments that stay.
    pub(super) ends: BTreeMap<u32, End>,
}

impl Removal {
    /// True if there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty()
    }

    /// Makes the removal durable, then keeps the files as spares or deletes them. Blocks.
    ///
    /// # Errors
    /// If the disk cannot be written. The log itself can go on; segments may be back after a restart.
    pub fn run(self) -> Result<(), LogError> {
        if self.removed.is_empty() {
            return Ok(());
        }
        let numbers: Vec<u32> = self.removed.iter().map(|s| s.header.number).collect();
        let mut manifest = self.shared.manifest();
        let shorter = manifest.without(&numbers, &self.ends);
        shorter.store(&*self.shared.disk, self.version)?;
        *manifest = shorter;
        drop(manifest);
        for segment in &self.removed {
            self.free(segment)?;
        }
        Ok(())
    }

    fn free(&self, segment: &Segment) -> Result<(), LogError> {
        let disk = &*self.shared.disk;
        let name = segment_name(segment.header.number);
        let failed = |source| self.shared.io(&name, "removing", source);
        remove_if_there(disk, &index_name(segment.header.number)).map_err(failed)?;
        let mut spares = self.shared.spares();
        spares.given_up = false;
        let full_size = segment.file_bytes == self.shared.options.segment_bytes.into();
        if !full_size || spares.is_full() {
            return disk.remove(&name).map_err(failed);
        }
        let spare = spares.new_name();
        disk.rename(&name, &spare).map_err(failed)?;
        spares.add(Spare {
            name: spare,
            file: Arc::clone(&segment.file),
            bytes: segment.file_bytes,
        });
        Ok(())
    }
}
