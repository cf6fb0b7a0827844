//! Noticing what becomes of messages that go to other queues.

use shoal_queue::Machine;
use shoal_types::{Command, ErrorCode, HostId, MoveStatus, Outcome, Parcel, PartitionId, Request};

use super::World;
use crate::sometimes::{Reached, Sometimes};

impl World {
    /// A partition that has messages for others, as these hosts know; there must be none once all is at rest.
    pub(super) fn parcels_under_way(&self, hosts: &[HostId]) -> Option<String> {
        let processes = hosts
            .iter()
            .filter_map(|id| self.hosts[id].process.as_ref());
        let mut machines = processes.map(|process| process.core.machine());
        machines.find_map(|machine| {
            let sends = |id: &PartitionId| {
                let outbox = machine.outbox(*id);
                let dead = outbox.is_some_and(|outbox| outbox.dead > 0);
                dead || machine.senders().any(|sender| sender == *id)
            };
            let mut all = machine.partitions().map(|(id, _)| id);
            let sender = all.find(sends)?;
            let outbox = machine.outbox(sender);
            Some(format!("{sender} has messages for others: {outbox:?}"))
        })
    }
}

/// A host executed this; `machine` is its state a moment later. True if it is about messages that go to other
/// queues.
pub(super) fn note(
    request: &Request,
    outcome: &Outcome,
    machine: &Machine,
    reached: &mut Reached,
) -> bool {
    match &request.command {
        Command::TakeParcel {
            partition,
            from,
            parcel,
        } => note_taking(*partition, *from, parcel, outcome, machine, reached),
        Command::NextParcel { partition, taken } => {
            note_next(*partition, *taken, outcome, machine, reached);
        }
        Command::RedirectParcel { .. } if *outcome == Outcome::Done => {
            reached.note(Sometimes::ParcelRedirected);
        }
        Command::ReturnParcel { partition, .. } if *outcome == Outcome::Done => {
            reached.note(Sometimes::ParcelReturned);
            if status(*partition, machine) == Some(MoveStatus::Failed) {
                reached.note(Sometimes::TaskFailed);
            }
        }
        Command::CancelMove { partition, .. }
            if status(*partition, machine) == Some(MoveStatus::Cancelling) =>
        {
            reached.note(Sometimes::TaskCancelledOnItsWay);
        }
        Command::RedirectParcel { .. }
        | Command::ReturnParcel { .. }
        | Command::SetDeadLetters { .. }
        | Command::StartMove { .. }
        | Command::CancelMove { .. } => {}
        _ => return false,
    }
    true
}

fn note_taking(
    partition: PartitionId,
    from: PartitionId,
    parcel: &Parcel,
    outcome: &Outcome,
    machine: &Machine,
    reached: &mut Reached,
) {
    match outcome {
        Outcome::Taken { through } if parcel.number < *through => {
            reached.note(Sometimes::ParcelPassedOver);
        }
        Outcome::Taken { .. } if parcel.messages.is_empty() => {
            reached.note(Sometimes::ParcelSettled);
        }
        Outcome::Taken { .. } => note_taken(partition, from, parcel, machine, reached),
        Outcome::Refused(refusal) if refusal.code == ErrorCode::QueueFull => {
            reached.note(Sometimes::ParcelRefusedFull);
        }
        _ => {}
    }
}

fn note_taken(
    partition: PartitionId,
    from: PartitionId,
    parcel: &Parcel,
    machine: &Machine,
    reached: &mut Reached,
) {
    let is_dead = parcel.messages.iter().any(|one| one.dead_from.is_some());
    reached.note(if is_dead {
        Sometimes::DeadLettersTaken
    } else {
        Sometimes::MovedTaken
    });
    let sender = machine
        .parcel(from)
        .filter(|(to, now, _)| to.partition == partition && now.number == parcel.number);
    if sender.is_some_and(|(_, now, _)| now.messages.len() < parcel.messages.len()) {
        reached.note(Sometimes::PurgedOnItsWay);
    }
}

/// What was on its way arrived, and the next is made.
fn note_next(
    partition: PartitionId,
    taken: u64,
    outcome: &Outcome,
    machine: &Machine,
    reached: &mut Reached,
) {
    if *outcome != Outcome::Done {
        return;
    }
    let outbox = machine.outbox(partition).unwrap_or_default();
    // Only one without messages gives way to the next before it is known to have arrived.
    if outbox
        .parcel
        .is_some_and(|(number, _, messages)| number > taken + 1 && messages > 0)
    {
        reached.note(Sometimes::SettlingPutOff);
    }
    if status(partition, machine) == Some(MoveStatus::Completed) {
        reached.note(Sometimes::TaskCompleted);
    }
    let is_sealed = machine.seal_of(partition).is_some();
    let mut all = machine.partitions();
    let fifo = all.any(|(id, settings)| id == partition && settings.fifo);
    if is_sealed && fifo && outbox.dead > 0 {
        reached.note(Sometimes::DeadHoldGroups);
    }
}

fn status(partition: PartitionId, machine: &Machine) -> Option<MoveStatus> {
    Some(machine.outbox(partition)?.task?.status)
}
