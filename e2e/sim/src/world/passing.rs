//! Noticing how queues move and messages go on to heirs: rare events, and what the manager of the queues hears of it.

use shoal_queue::Machine;
use shoal_types::{Command, Outcome, PartitionId, ReceiptResult, Request, Rest, SuccessionStage};

use super::parcels;
use crate::sometimes::{Reached, Sometimes};

/// What a host can tell its manager about a partition with an heir.
pub(super) enum News {
    /// All of it is at the heir.
    AllWentOn(Way),
    /// The heir is gone, and what it did not take stays.
    Ended(Way),
    /// Something about messages that go to other queues.
    Parcels,
}

/// From where to where messages go on.
#[derive(Clone, Copy)]
pub(super) struct Way {
    pub(super) source: PartitionId,
    pub(super) heir: PartitionId,
}

/// A host executed this; `machine` is its state a moment later.
pub(super) fn note(
    request: &Request,
    outcome: &Outcome,
    machine: &Machine,
    reached: &mut Reached,
) -> Option<News> {
    if parcels::note(request, outcome, machine, reached) {
        return Some(News::Parcels);
    }
    match (&request.command, outcome) {
        (Command::NextPiece { partition, .. }, Outcome::Done) => {
            let succession = machine.succession(*partition)?;
            if let SuccessionStage::Forwarding {
                heir,
                complete: true,
                ..
            } = succession.stage
            {
                reached.note(Sometimes::AllWentOn);
                return Some(News::AllWentOn(Way {
                    source: *partition,
                    heir: heir.partition,
                }));
            }
        }
        (Command::EndForwarding { partition, heir }, Outcome::Done) => {
            reached.note(Sometimes::ForwardingEnded);
            return Some(News::Ended(Way {
                source: *partition,
                heir: *heir,
            }));
        }
        (Command::TakePiece { from, piece, .. }, Outcome::Taken { through }) => {
            if piece.number < *through {
                reached.note(Sometimes::PieceTakenLongAgo);
            }
            if !piece.messages.is_empty() {
                reached.note(Sometimes::PieceTaken);
                note_rest(*from, &piece.rest, piece.messages.len(), machine, reached);
            }
        }
        (Command::Seal { .. }, Outcome::Sealed(_)) => reached.note(Sometimes::Sealed),
        (Command::Succeed { .. }, Outcome::Done | Outcome::Closed { .. }) if request.id.0 != 0 => {
            reached.note(Sometimes::SealShownByClient);
        }
        (Command::ToldDrained { .. }, Outcome::Done) => reached.note(Sometimes::ToldDrained),
        (Command::CreateHeir { source, .. }, Outcome::Done) => {
            let seal = machine.seal_of(*source);
            if seal.is_some_and(|(seal, _)| seal.partition != *source) {
                reached.note(Sometimes::HeirOfAnHeir);
            }
        }
        (Command::Acknowledge { partition, .. }, Outcome::Receipts(results))
            if machine.heir(*partition).is_some() && results.contains(&ReceiptResult::Expired) =>
        {
            reached.note(Sometimes::ReceiptOfWhatWentOn);
        }
        _ => {}
    }
    None
}

/// A piece went; what was left at its source?
fn note_rest(
    source: PartitionId,
    rest: &Rest,
    messages: usize,
    machine: &Machine,
    reached: &mut Reached,
) {
    let left = machine
        .counts(source)
        .map_or(0, |counts| counts.ready + counts.in_flight + counts.delayed);
    match rest {
        Rest::Nothing => {}
        // Counted among the rest are those that are on their way.
        Rest::Some { .. } if left > messages as u64 => reached.note(Sometimes::WentOnInPart),
        Rest::Some { .. } if left > 0 => reached.note(Sometimes::WentOnWhileOthersAreBefore),
        Rest::Some { .. } => {}
    }
}
