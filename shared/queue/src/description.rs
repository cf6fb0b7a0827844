//! What the manager noted down beside partitions, and what a manager that lost its store is told of them.

use std::ops::Bound;

use shoal_types::limits::{DESCRIPTION_BYTES_MAX, PARTITIONS_TOLD_BYTES_MAX, PARTITIONS_TOLD_MAX};
use shoal_types::{
    Description, ErrorCode, KeptPartition, Outcome, PartitionId, Refusal, Revision, Standing,
};

use crate::Effect;
use crate::execute::{Executed, fenced};
use crate::machine::Machine;
use crate::partition::Partition;

/// A description, and whether a checkpoint has it.
#[derive(Debug)]
pub(crate) struct Described {
    description: Description,
    /// Changed since the last freeze.
    dirty: bool,
}

impl Described {
    /// As a checkpoint has it.
    pub(crate) fn restore(description: Description) -> Self {
        Self {
            description,
            dirty: false,
        }
    }

    pub(crate) fn get(&self) -> &Description {
        &self.description
    }

    /// The whole of it, if it changed since the last freeze.
    pub(crate) fn freeze(&mut self) -> Option<Description> {
        std::mem::take(&mut self.dirty).then(|| self.description.clone())
    }

    /// The next freeze contains it.
    pub(crate) fn mark(&mut self) {
        self.dirty = true;
    }

    /// Bytes.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>() + self.description.bytes.len()
    }
}

/// Whether a description has the length that is kept.
pub(crate) fn check_description(description: &Description) -> Result<(), Refusal> {
    if description.bytes.len() <= DESCRIPTION_BYTES_MAX {
        return Ok(());
    }
    Err(Refusal::not_applied(
        ErrorCode::TooLarge,
        "description.bytes: more than 131072",
    ))
}

impl Partition {
    fn describe(&mut self, description: &Description) -> Executed {
        let kept = self.description.as_ref().map(|kept| kept.get().revision);
        if kept > Some(description.revision) {
            return Err(fenced());
        }
        if kept < Some(description.revision) {
            self.description = Some(Box::new(Described {
                description: description.clone(),
                dirty: true,
            }));
        }
        Ok(Outcome::Done)
    }

    /// The highest revision of an instruction that it carried out.
    pub(crate) fn instructed(&self) -> Revision {
        let described = self.description.as_ref();
        let described = described.map_or(Revision(0), |kept| kept.get().revision);
        let transfers = self.transfers.as_ref();
        let transfers = transfers.map_or(Revision(0), |known| known.instructed());
        self.revision.max(described).max(transfers)
    }

    fn kept(&self) -> KeptPartition {
        KeptPartition {
            partition: self.id,
            settings: self.settings,
            revision: self.instructed(),
            description: self.description.as_ref().map(|kept| kept.get().clone()),
            standing: self.stands(),
        }
    }

    fn stands(&self) -> Standing {
        let Some(seal) = self.seal() else {
            return match self.is_closed() {
                true => Standing::Closed {
                    waits_for: self.waits_for(),
                },
                false => Standing::Open,
            };
        };
        let successors = seal.successors.iter().map(|one| one.partition).collect();
        let lineage = self.lineage.as_ref().map(|lineage| lineage.record());
        let forwarding = lineage.and_then(|record| record.forwarding.as_ref());
        let inheritance = lineage.and_then(|record| record.inheritance.as_ref());
        match (forwarding.filter(|to| !to.ended), inheritance) {
            (Some(to), _) => Standing::Forwarding {
                successors,
                heir: to.heir.partition,
            },
            (None, Some(from)) => Standing::Heir {
                of: from.source,
                successors,
            },
            (None, None) => Standing::Sealed { successors },
        }
    }
}

impl Machine {
    pub(crate) fn describe(
        &mut self,
        id: PartitionId,
        description: &Description,
        effects: &mut Vec<Effect>,
    ) -> Executed {
        self.known(id)?;
        check_description(description)?;
        let described =
            self.on_partition(id, effects, |partition, _| partition.describe(description));
        described.expect("it is known")
    }

    /// Partitions with ids above `after`, or all, ascending, and whether there are more: at most `limit`, and as
    /// many as [`shoal_types::limits`] allow in one page, but at least one if there is any.
    #[must_use]
    pub fn kept(&self, after: Option<PartitionId>, limit: usize) -> (Vec<KeptPartition>, bool) {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut above = self.partitions.range((start, Bound::Unbounded));
        let (mut page, mut bytes) = (Vec::new(), 0);
        for (_, partition) in above.by_ref().take(limit.clamp(1, PARTITIONS_TOLD_MAX)) {
            let kept = partition.kept();
            bytes += kept.description.as_ref().map_or(0, |kept| kept.bytes.len());
            page.push(kept);
            if bytes >= PARTITIONS_TOLD_BYTES_MAX {
                break;
            }
        }
        (page, above.next().is_some())
    }

    /// The highest revision of all instructions of the manager that were carried out, also on partitions
    /// that are gone.
    #[must_use]
    pub fn instructed(&self) -> Revision {
        self.instructed
    }

    /// What [`Self::instructed`] is, from what is kept of the instructions: after a restore.
    pub(crate) fn derive_instructed(&self) -> Revision {
        let partitions = self.partitions.values();
        let partitions = partitions.map(|partition| partition.instructed()).max();
        let deleted = self.deleted.iter().map(|(_, revision)| revision).max();
        let known = partitions.max(deleted).unwrap_or_default();
        known.max(self.deleted.floor())
    }
}
