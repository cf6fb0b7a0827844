//! The commands by which messages go to other queues, and what a host asks that carries parcels.

use shoal_types::{
    BodyRef, Command, ErrorCode, Outbox, Parcel, PartitionId, Refusal, Sequence, TargetPart, Ts,
};

use crate::Effect;
use crate::execute::Executed;
use crate::machine::Machine;
use crate::transfer_form::check_transfer_form;
use crate::version::TRANSFERS_SINCE;

impl Machine {
    /// Whether a command about dead letters, tasks and parcels is well-formed, and known to the rules in force.
    pub(crate) fn check_transfers(&self, command: &Command) -> Result<(), Refusal> {
        if self.version() < TRANSFERS_SINCE {
            return Err(Refusal::not_applied(
                ErrorCode::NotReady,
                "messages go to other queues only once all hosts of the cluster are upgraded",
            ));
        }
        check_transfer_form(command)
    }

    /// One of the commands about transfers; they are well-formed.
    pub(crate) fn transfer(
        &mut self,
        command: &Command,
        bodies: &[BodyRef],
        effects: &mut Vec<Effect>,
    ) -> Executed {
        let id = command.partition().expect("they are about one");
        self.on_known(id, effects, |partition, step| match command {
            Command::SetDeadLetters {
                dead_letters,
                revision,
                ..
            } => partition.set_dead_letters(dead_letters.as_deref(), *revision),
            Command::StartMove { task, revision, .. } => partition.start_move(task, *revision),
            Command::CancelMove { task, revision, .. } => partition.cancel_move(*task, *revision),
            Command::NextParcel { taken, .. } => partition.next_parcel(*taken, step),
            Command::TakeParcel { from, parcel, .. } => {
                partition.take_parcel(*from, parcel, bodies, step)
            }
            Command::RedirectParcel { parcel, seal, .. } => {
                partition.redirect_parcel(*parcel, seal, step)
            }
            Command::ReturnParcel { parcel, .. } => partition.return_parcel(*parcel, step),
            _ => unreachable!("the caller has looked"),
        })
    }

    /// The partitions that have parcels to be carried, or will have without anything else happening, by id.
    pub fn senders(&self) -> impl Iterator<Item = PartitionId> {
        self.senders.iter().copied()
    }

    /// The parcel of a partition that is on its way, whom it is for, and where this host has the bodies.
    /// `None` if none is.
    #[must_use]
    pub fn parcel(&self, partition: PartitionId) -> Option<(&TargetPart, Parcel, Vec<BodyRef>)> {
        self.partitions.get(&partition)?.parcel()
    }

    /// The numbers that the messages of the parcel on its way have in the partition that sends it, in the
    /// parcel's order.
    #[must_use]
    pub fn parcel_numbers(&self, partition: PartitionId) -> Vec<Sequence> {
        let partition = self.partitions.get(&partition);
        partition.map_or_else(Vec::new, |partition| partition.parcel_numbers())
    }

    /// The number of the last parcel that a partition made; 0: none.
    #[must_use]
    pub fn parcels_made(&self, partition: PartitionId) -> u64 {
        let partition = self.partitions.get(&partition);
        let sends = partition.and_then(|partition| partition.sends());
        sends.map_or(0, |known| known.parcels)
    }

    /// True if there may be something for the next parcel of a partition at this time, and none is on its way
    /// that could not be put off.
    #[must_use]
    pub fn may_make_parcel(&self, partition: PartitionId, now: Ts) -> bool {
        let partition = self.partitions.get(&partition);
        partition.is_some_and(|partition| partition.may_make_parcel(now))
    }

    /// When a partition's task may make its next parcel, if one runs.
    #[must_use]
    pub fn next_parcel_of_task(&self, partition: PartitionId) -> Option<Ts> {
        self.partitions.get(&partition)?.next_parcel_of_task()
    }

    /// What a partition sends to other queues. `None` if there is no such partition.
    #[must_use]
    pub fn outbox(&self, partition: PartitionId) -> Option<Outbox> {
        Some(self.partitions.get(&partition)?.outbox_state())
    }
}
