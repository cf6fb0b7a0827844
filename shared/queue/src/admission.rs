//! What is refused: malformed requests always, and before replication also what would find no room.

use shoal_types::limits::{
    DEADLINE_AHEAD_MAX, RECEIPT_BATCH_MAX, RECEIVE_BATCH_MAX, REMEMBERED_REQUESTS_MAX,
    SEND_BATCH_MAX,
};
use shoal_types::{
    Command, ErrorCode, PartitionSettings, Refusal, Request, RequestId, SendItem, Sequence, Ts,
};

use crate::description::check_description;
use crate::machine::Machine;
use crate::partition::Partition;
use crate::succession_form::check_succession_form;
use crate::version::SUCCESSION_SINCE;

fn refuse<T>(code: ErrorCode, detail: &'static str) -> Result<T, Refusal> {
    Err(Refusal::not_applied(code, detail))
}

/// Whether a request is late.
pub(crate) fn check_deadline(request: &Request, now: Ts) -> Result<(), Refusal> {
    if now > request.deadline {
        return refuse(
            ErrorCode::DeadlineExceeded,
            "the request's deadline has passed",
        );
    }
    Ok(())
}

/// Whether a command is well-formed for a partition with these settings. Executed commands are
/// checked as well: what was replicated is the same on all hosts, but need not be right.
pub(crate) fn check_form(command: &Command, settings: &PartitionSettings) -> Result<(), Refusal> {
    match command {
        Command::Send { items, .. } => check_items(items, settings),
        Command::Receive { max, .. } if !(1..=RECEIVE_BATCH_MAX).contains(&usize::from(*max)) => {
            refuse(ErrorCode::InvalidRequest, "max: not within 1 to 1000")
        }
        Command::Acknowledge { receipts, .. }
        | Command::Release { receipts, .. }
        | Command::Unreceive { receipts, .. } => check_receipts(receipts.len()),
        Command::ChangeVisibility { changes, .. } => check_receipts(changes.len()),
        _ => Ok(()),
    }
}

fn check_items(items: &[SendItem], settings: &PartitionSettings) -> Result<(), Refusal> {
    if items.len() > SEND_BATCH_MAX {
        return refuse(ErrorCode::TooLarge, "items: more than 1000 messages");
    }
    if settings.fifo && items.iter().any(|item| item.group.is_none()) {
        return refuse(
            ErrorCode::InvalidRequest,
            "group: a FIFO queue's messages need one",
        );
    }
    Ok(())
}

fn check_receipts(count: usize) -> Result<(), Refusal> {
    if count > RECEIPT_BATCH_MAX {
        return refuse(ErrorCode::TooLarge, "receipts: more than 1000");
    }
    Ok(())
}

/// Whether the partition still has numbers for so many messages.
pub(crate) fn check_numbers(partition: &Partition, items: usize) -> Result<(), Refusal> {
    if partition.last + items as u64 >= 1 << Sequence::NUMBER_BITS {
        return refuse(
            ErrorCode::QueueFull,
            "the queue's message numbers are used up",
        );
    }
    Ok(())
}

impl Machine {
    /// Cheap checks before a request is replicated, against what this host has executed so far.
    ///
    /// # Errors
    /// What the command would be refused with if it were executed now, or that there is no room for
    /// it. Nothing was applied.
    pub fn admit(&self, request: &Request, now: Ts) -> Result<(), Refusal> {
        check_deadline(request, now)?;
        if request.id != RequestId(0) {
            if request.deadline > now.after(DEADLINE_AHEAD_MAX) {
                return refuse(ErrorCode::InvalidRequest, "deadline: more than 60 s ahead");
            }
            if self.remembered.find(request.id, now).is_some() {
                return Ok(());
            }
            if self.remembered.len() >= REMEMBERED_REQUESTS_MAX {
                return refuse(ErrorCode::Busy, "too many requests within their deadlines");
            }
        }
        match &request.command {
            Command::Tick | Command::CreatePartition { .. } | Command::DeletePartition { .. } => {
                Ok(())
            }
            Command::CreateSuccessor { .. } => self.check_succession(&request.command),
            Command::CreateHeir { .. } => self.check_succession(&request.command),
            Command::Seal { partition, .. }
            | Command::Succeed { partition, .. }
            | Command::ToldDrained { partition, .. }
            | Command::Forward { partition, .. }
            | Command::NextPiece { partition, .. }
            | Command::TakePiece { partition, .. }
            | Command::EndForwarding { partition, .. } => {
                self.check_succession(&request.command)?;
                self.known(*partition).map(|_| ())
            }
            Command::SetDeadLetters { partition, .. }
            | Command::StartMove { partition, .. }
            | Command::CancelMove { partition, .. }
            | Command::NextParcel { partition, .. }
            | Command::TakeParcel { partition, .. }
            | Command::RedirectParcel { partition, .. }
            | Command::ReturnParcel { partition, .. } => {
                self.check_transfers(&request.command)?;
                self.known(*partition).map(|_| ())
            }
            Command::Describe {
                partition,
                description,
            } => {
                check_description(description)?;
                self.known(*partition).map(|_| ())
            }
            Command::RaiseVersion { .. } => refuse(
                ErrorCode::InvalidRequest,
                "hosts raise the version by themselves, when all of them support it",
            ),
            Command::Send { partition, items } => {
                let partition = self.known(*partition)?;
                check_form(&request.command, &partition.settings)?;
                if !partition.takes_sends() {
                    // Executed all the same: the answer says where to send to.
                    return Ok(());
                }
                check_numbers(partition, items.len())?;
                check_room(partition, items)
            }
            command => {
                let id = command.partition().expect("all others are about one");
                check_form(command, &self.known(id)?.settings)
            }
        }
    }
}

impl Machine {
    /// Whether a command about how partitions follow one another is well-formed, and known to the rules
    /// in force.
    pub(crate) fn check_succession(&self, command: &Command) -> Result<(), Refusal> {
        if self.version() < SUCCESSION_SINCE {
            return refuse(
                ErrorCode::NotReady,
                "partitions follow one another only once all hosts of the cluster are upgraded",
            );
        }
        check_succession_form(command)
    }
}

/// Refuses a send of which nothing would be kept. One that is partly kept, or that may repeat an
/// earlier one, is executed: the answer tells each message's fate.
fn check_room(partition: &Partition, items: &[SendItem]) -> Result<(), Refusal> {
    let keys = items.iter().filter(|item| item.deduplication.is_some());
    if keys.count() > partition.keyed_sends.room() {
        return refuse(
            ErrorCode::Busy,
            "too many deduplication ids within five minutes",
        );
    }
    let hopeless = |item: &SendItem| item.deduplication.is_none() && !partition.has_room_for(item);
    if !items.is_empty() && items.iter().all(hopeless) {
        return refuse(
            ErrorCode::QueueFull,
            "the queue has as many messages or bytes as it may have",
        );
    }
    Ok(())
}
