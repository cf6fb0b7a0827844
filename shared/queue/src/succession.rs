//! How partitions follow one another: the commands of it, and what a sealed partition's host asks to
//! tell the successors.

use shoal_types::planted::{Bug, planted};
use shoal_types::{
    ErrorCode, GroupHash, Inherited, KeyedSend, Outcome, PartitionId, PartitionSettings, Refusal,
    Revision, Seal, Succession, SuccessionStage, Successor,
};

use crate::Effect;
use crate::execute::{Executed, fenced};
use crate::lineage::Lineage;
use crate::machine::Machine;
use crate::partition::Partition;

impl Machine {
    /// Makes a partition that is closed until it was told of all that it follows.
    pub(crate) fn create_successor(
        &mut self,
        id: PartitionId,
        settings: PartitionSettings,
        revision: Revision,
        succeeds: &[PartitionId],
        effects: &mut Vec<Effect>,
    ) -> Executed {
        if let Some(partition) = self.partitions.get(&id) {
            if partition.revision >= revision {
                return Ok(Outcome::Done);
            }
            let lineage = partition.lineage.as_ref();
            if !lineage.is_some_and(|lineage| lineage.record().follows_just(succeeds)) {
                return Err(Refusal::not_applied(
                    ErrorCode::InvalidRequest,
                    "succeeds: cannot change",
                ));
            }
            return self.configure(id, settings, revision, effects);
        }
        if !self.deleted.may_create(id, revision) {
            return Err(fenced());
        }
        let mut partition = Partition::new(id, settings, revision);
        partition.lineage = Some(Box::new(Lineage::following(succeeds)));
        self.insert(partition, effects);
        Ok(Outcome::Done)
    }

    /// Takes no sends from here on. Who waits there is answered, and so looks elsewhere.
    pub(crate) fn seal(
        &mut self,
        id: PartitionId,
        successors: &[Successor],
        revision: Revision,
        effects: &mut Vec<Effect>,
    ) -> Executed {
        self.known(id)?;
        let sealed = self.on_partition(id, effects, |partition, step| {
            let outcome = partition.seal_for(successors, revision, step.now)?;
            partition.end_all_waits(step);
            Ok(outcome)
        });
        let outcome = sealed.expect("it is known")?;
        self.sealed.insert(id);
        Ok(outcome)
    }

    /// What a successor is told; messages that it lets go of are given to those who wait.
    pub(crate) fn succeed(
        &mut self,
        id: PartitionId,
        seal: &Seal,
        news: &Inherited,
        effects: &mut Vec<Effect>,
    ) -> Executed {
        self.known(id)?;
        let told = self.on_partition(id, effects, |partition, step| {
            let outcome = partition.succeed(seal, news, step)?;
            partition.serve_waiters(step);
            Ok(outcome)
        });
        told.expect("it is known")
    }

    pub(crate) fn told_drained(
        &mut self,
        id: PartitionId,
        successors: &[PartitionId],
        effects: &mut Vec<Effect>,
    ) -> Executed {
        self.known(id)?;
        let noted = self.on_partition(id, effects, |partition, _| {
            partition.note_told_drained(successors)
        });
        noted.expect("it is known")
    }

    /// How far a partition is in following others and being followed. `None` if there is no such
    /// partition.
    #[must_use]
    pub fn succession(&self, partition: PartitionId) -> Option<Succession> {
        let partition = self.partitions.get(&partition)?;
        let stage = if let Some((heir, passed, complete)) = partition.passed() {
            SuccessionStage::Forwarding {
                seal: Box::new(partition.seal().expect("it is sealed").clone()),
                heir: Box::new(heir.clone()),
                passed,
                complete,
            }
        } else if let Some(sealed) = partition.sealed() {
            SuccessionStage::Sealed {
                seal: Box::new(sealed.seal.clone()),
                told_drained: sealed.told_drained.clone(),
            }
        } else if partition.is_closed() {
            SuccessionStage::Closed {
                waits_for: partition.waits_for(),
            }
        } else {
            SuccessionStage::Open
        };
        Some(Succession {
            stage,
            messages: partition.contents.messages(),
        })
    }

    /// The sealed partitions, by id.
    pub fn sealed(&self) -> impl Iterator<Item = PartitionId> {
        self.sealed.iter().copied()
    }

    /// The seal of a partition, and the successors that have been told that it is drained, ascending.
    /// `None` if there is no such partition or it is not sealed.
    #[must_use]
    pub fn seal_of(&self, partition: PartitionId) -> Option<(&Seal, &[PartitionId])> {
        let sealed = self.partitions.get(&partition)?.sealed()?;
        Some((&sealed.seal, &sealed.told_drained))
    }

    /// True if a sealed partition has no message left, and nothing it follows has either: what its
    /// successors are told as [`Inherited::Drained`]. It stays so. Never of one that has an heir: what is
    /// left of it is the heir's to tell, which shows the same seal.
    #[must_use]
    pub fn is_drained(&self, partition: PartitionId) -> bool {
        let partition = self.partitions.get(&partition);
        partition
            .is_some_and(|partition| partition.is_drained() || planted(Bug::DrainedToldTooEarly))
    }

    /// The sends that the seal of a partition counts, from a place in their order on, to be told as
    /// [`Inherited::KeyedSends`]: at most `max`, and never more than
    /// [`shoal_types::limits::KEYED_SENDS_TOLD_MAX`]. The place of one that counts no more is taken by
    /// one that counts for nobody. `None` if there is no such partition, it is not sealed, or an heir.
    #[must_use]
    pub fn keyed_sends_at_seal(
        &self,
        partition: PartitionId,
        first: u32,
        max: usize,
    ) -> Option<Vec<KeyedSend>> {
        let partition = self.partitions.get(&partition)?;
        partition.keyed_sends_at_seal(first, max, self.executed.ts)
    }

    /// Those of the groups that the seal of a partition names that have no message any more, neither
    /// here nor in what it follows: to be told as [`Inherited::GroupsGone`]. Ascending. Costs as much as
    /// hashing the names of the groups that are left. `None` if there is no such partition or it is not
    /// sealed.
    #[must_use]
    pub fn groups_gone(&self, partition: PartitionId) -> Option<Vec<GroupHash>> {
        self.partitions.get(&partition)?.groups_gone()
    }
}
