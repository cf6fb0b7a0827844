//! How violations name what they are about.

use shoal_types::{Command, Outcome};

use super::facts::Operation;
use crate::history::{Call, Told};

fn kind(command: &Command) -> &'static str {
    match command {
        Command::CreatePartition { .. } => "create",
        Command::ConfigurePartition { .. } => "configure",
        Command::DeletePartition { .. } => "delete",
        Command::Send { .. } => "send",
        Command::Receive { auto_ack: true, .. } => "receive and delete",
        Command::Receive { .. } => "receive",
        Command::Acknowledge { .. } => "acknowledge",
        Command::ChangeVisibility { .. } => "extend",
        Command::Release { .. } => "release",
        Command::Unreceive { .. } => "unreceive",
        Command::Purge { .. } => "purge",
        Command::CancelWaiter { .. } => "cancel",
        Command::Tick => "tick",
        Command::RaiseVersion { .. } => "raise the version",
        Command::CreateSuccessor { .. } => "create a successor",
        Command::Seal { .. } => "seal",
        Command::Succeed { .. } => "succeed",
        Command::ToldDrained { .. } => "told that it is drained",
        Command::Describe { .. } => "describe",
        Command::CreateHeir { .. } => "create an heir",
        Command::Forward { .. } => "forward",
        Command::NextPiece { .. } => "make the next piece",
        Command::TakePiece { .. } => "take a piece",
        Command::EndForwarding { .. } => "end the forwarding",
        Command::SetDeadLetters { .. } => "say when messages die",
        Command::StartMove { .. } => "start to move messages",
        Command::CancelMove { .. } => "cancel the move of messages",
        Command::NextParcel { .. } => "make the next parcel",
        Command::TakeParcel { .. } => "take a parcel",
        Command::RedirectParcel { .. } => "redirect a parcel",
        Command::ReturnParcel { .. } => "return a parcel",
    }
}

/// A call with its times, as violations name it.
pub(super) fn call(call: &Call) -> String {
    let Call {
        id,
        client,
        host,
        invoked,
        ..
    } = call;
    let what = kind(&call.request.command);
    let told = match &call.returned {
        Some((at, told)) => format!("{at}, {}", brief(told)),
        None => "never".to_owned(),
    };
    format!(
        "call {} ({what} by client {client} at {host}, {invoked} to {told})",
        id.0
    )
}

/// An operation with its times.
pub(super) fn operation(operation: &Operation<'_>) -> String {
    let what = kind(operation.command);
    let first = operation.calls[0];
    let told = match operation.answered {
        Some((at, _)) => at.to_string(),
        None => "never".to_owned(),
    };
    format!(
        "call {} ({what} by client {}, {} to {told}, {} attempts)",
        first.id.0,
        first.client,
        operation.invoked,
        operation.calls.len()
    )
}

fn brief(told: &Told) -> String {
    match told {
        Told::Outcome(Outcome::Received(deliveries), _) => {
            format!("{} messages", deliveries.len())
        }
        Told::Outcome(outcome, _) => format!("{outcome:?}"),
        Told::Refused(refusal) => format!("{} (applied: {:?})", refusal.code, refusal.applied),
        Told::Broken => "broken".to_owned(),
    }
}
