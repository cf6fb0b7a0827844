//! Background work: what makes commits and starts fast, and what the log can do without.

use std::sync::Arc;

use super::LogError;
use super::index_file;
use super::segment::{Segment, Shared};
use super::spares::Spare;

/// Background work of the log: a spare segment, index files. May run on any thread.
#[derive(Debug)]
#[must_use]
pub struct Upkeep {
    pub(super) shared: Arc<Shared>,
    /// Closed segments without an index file.
    pub(super) unindexed: Vec<Arc<Segment>>,
    pub(super) make_spare: bool,
    /// To be removed.
    pub(super) give_up: Option<Spare>,
    /// While it lives, no other job is handed out.
    pub(super) _token: Arc<()>,
}

impl Upkeep {
    /// Does it. Blocks for as long as writing a segment full of zeros takes.
    ///
    /// # Errors
    /// If the disk is full or cannot be written. The log can go on; a spare is tried again after the
    /// next change of segment or removal.
    pub fn run(self) -> Result<(), LogError> {
        for segment in &self.unindexed {
            index_file::store(&self.shared, segment)?;
        }
        if self.make_spare {
            self.add_spare()?;
        }
        match &self.give_up {
            Some(spare) => self.remove(spare),
            None => Ok(()),
        }
    }

    fn remove(&self, spare: &Spare) -> Result<(), LogError> {
        let removed = self.shared.disk.remove(&spare.name);
        removed.map_err(|source| {
            self.shared
                .io(&spare.name, "removing a spare segment", source)
        })
    }

    fn add_spare(&self) -> Result<(), LogError> {
        let name = self.shared.spares().new_name();
        let bytes = self.shared.options.segment_bytes.into();
        // Not under the lock: a change of segment must not wait for this.
        let made = Spare::make(&*self.shared.disk, name.clone(), bytes);
        let mut spares = self.shared.spares();
        match made {
            Ok(spare) => {
                spares.add(spare);
                Ok(())
            }
            Err(source) => {
                spares.give_up();
                Err(self.shared.io(&name, "filling a spare segment", source))
            }
        }
    }
}
