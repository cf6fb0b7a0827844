//! The commands by which what nobody consumes goes on to an heir, and what a host asks that carries pieces.

use shoal_types::{
    BodyRef, Command, ErrorCode, Heir, Outcome, PartitionId, PartitionSettings, Piece, Refusal,
    Revision,
};

use crate::Effect;
use crate::execute::{Executed, fenced};
use crate::lineage::Lineage;
use crate::machine::Machine;
use crate::partition::{Partition, Step};

impl Machine {
    /// One of the commands about heirs; they are well-formed.
    pub(crate) fn pass_on(
        &mut self,
        command: &Command,
        bodies: &[BodyRef],
        effects: &mut Vec<Effect>,
    ) -> Executed {
        match command {
            Command::CreateHeir {
                partition,
                settings,
                revision,
                source,
                seal,
            } => {
                if self.partitions.contains_key(partition) {
                    return self.configure_heir(*partition, *settings, *revision, *source, effects);
                }
                if !self.deleted.may_create(*partition, *revision) {
                    return Err(fenced());
                }
                let mut heir = Partition::new(*partition, *settings, *revision);
                heir.lineage = Some(Box::new(Lineage::heir(*source, seal)));
                self.insert(heir, effects);
                self.sealed.insert(*partition);
                Ok(Outcome::Done)
            }
            Command::Forward {
                partition,
                heir,
                revision,
            } => self.on_known(*partition, effects, |partition, _| {
                partition.forward_to(heir, *revision)
            }),
            Command::NextPiece {
                partition,
                heir,
                taken,
            } => self.on_known(*partition, effects, |partition, step| {
                partition.next_piece(*heir, *taken, step)
            }),
            Command::TakePiece {
                partition,
                from,
                piece,
            } => self.on_known(*partition, effects, |partition, step| {
                partition.take_piece(*from, piece, bodies, step)
            }),
            Command::EndForwarding { partition, heir } => {
                self.on_known(*partition, effects, |partition, step| {
                    partition.end_forwarding(*heir, step)
                })
            }
            _ => unreachable!("the caller has looked"),
        }
    }

    /// What it makes ready is given to those who wait.
    pub(crate) fn on_known(
        &mut self,
        id: PartitionId,
        effects: &mut Vec<Effect>,
        act: impl FnOnce(&mut Partition, &mut Step<'_>) -> Executed,
    ) -> Executed {
        self.known(id)?;
        let done = self.on_partition(id, effects, |partition, step| {
            let outcome = act(partition, step)?;
            partition.serve_waiters(step);
            Ok(outcome)
        });
        done.expect("it is known")
    }

    /// The partition exists.
    fn configure_heir(
        &mut self,
        id: PartitionId,
        settings: PartitionSettings,
        revision: Revision,
        source: PartitionId,
        effects: &mut Vec<Effect>,
    ) -> Executed {
        let partition = self.known(id)?;
        if partition.revision >= revision {
            return Ok(Outcome::Done);
        }
        if partition.inheritance().map(|known| known.source) != Some(source) {
            return Err(Refusal::not_applied(
                ErrorCode::InvalidRequest,
                "source: cannot change",
            ));
        }
        self.configure(id, settings, revision, effects)
    }

    /// The piece of a partition's messages that is on its way to its heir, and where this host has their
    /// bodies. `None` if none is.
    #[must_use]
    pub fn piece(&self, partition: PartitionId) -> Option<(&Heir, Piece, Vec<BodyRef>)> {
        self.partitions.get(&partition)?.piece()
    }

    /// True if a piece of a partition's messages is on its way.
    #[must_use]
    pub fn has_piece(&self, partition: PartitionId) -> bool {
        let partition = self.partitions.get(&partition);
        let forwarding = partition.and_then(|partition| partition.forwarding());
        forwarding.is_some_and(|forwarding| forwarding.piece.is_some())
    }

    /// To whom a partition's messages go on, if it has an heir, and what has been made of it: the last
    /// piece's number.
    #[must_use]
    pub fn heir(&self, partition: PartitionId) -> Option<(&Heir, u64)> {
        let forwarding = self.partitions.get(&partition)?.forwarding()?;
        Some((&forwarding.heir, forwarding.pieces))
    }

    /// True if no piece is on its way and there may be something for the next one. Costs as much as
    /// hashing the names of the groups that are left.
    #[must_use]
    pub fn may_make_piece(&self, partition: PartitionId) -> bool {
        let partition = self.partitions.get(&partition);
        partition.is_some_and(|partition| partition.may_make_piece())
    }
}
