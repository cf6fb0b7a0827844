//! What clients asked and were told, sorted by what it is about. No judgement in here, and nothing
//! that hosts know.
//!
//! Attempts of one operation are one operation: it began with its first attempt, and what any attempt
//! was told counts. Whatever may have happened without anybody being told is kept as "possible".

#[cfg(test)]
mod heirs;
mod kinship;
mod partitions;
mod stories;
mod ways;

use std::collections::BTreeMap;

use bytes::Bytes;
use shoal_types::{
    Applied, AttemptKey, Command, Delivery, Epoch, Micros, Outcome, PartitionId, Receipt,
    ReceiptResult, RequestId, SendItem, SendResult, Sequence,
};

use kinship::Kinship;
pub(super) use partitions::PartitionFacts;
pub(super) use stories::Story;

use ways::Ways;
pub(super) use ways::first_of;

use super::words;
use crate::history::{Call, SimTime, Told};

/// See the module.
pub(super) struct Facts<'a> {
    pub(super) calls: &'a [Call],
    pub(super) operations: Vec<Operation<'a>>,
    pub(super) sent: Vec<Sent<'a>>,
    pub(super) delivered: Vec<Delivered<'a>>,
    pub(super) shown: Vec<Shown>,
    /// By the partition that messages were sent to, with what is known of its heirs.
    pub(super) partitions: BTreeMap<PartitionId, PartitionFacts>,
    /// When each receive attempt was made first, told or not: what it leased then it gives again.
    pub(super) attempts: BTreeMap<(PartitionId, AttemptKey), SimTime>,
    pub(super) kinship: Kinship,
    /// Where messages may go from one queue to another.
    pub(super) ways: Ways,
    /// All that is known of each message that has a number, by the partition that it was sent to: heirs'
    /// messages are their sources'.
    pub(super) stories: BTreeMap<(PartitionId, Sequence), Story>,
}

/// All attempts of one operation.
pub(super) struct Operation<'a> {
    pub(super) command: &'a Command,
    pub(super) bodies: &'a [Bytes],
    pub(super) deadline: shoal_types::Ts,
    pub(super) id: RequestId,
    pub(super) calls: Vec<&'a Call>,
    /// When its first attempt began.
    pub(super) invoked: SimTime,
    /// What it was told first, other than a refusal.
    pub(super) answered: Option<(SimTime, &'a Outcome)>,
    /// Nobody can say that it did not happen: it was answered, or an attempt's end is not known.
    pub(super) possible: bool,
}

/// A message as a client sent it.
pub(super) struct Sent<'a> {
    pub(super) operation: usize,
    /// Where it was sent to.
    pub(super) partition: PartitionId,
    pub(super) item: &'a SendItem,
    pub(super) body: &'a Bytes,
    pub(super) invoked: SimTime,
    pub(super) answered: Option<(SimTime, SendResult)>,
    /// It may be in the queue: accepted, or not known.
    pub(super) possible: bool,
}

/// A message as a client received it.
pub(super) struct Delivered<'a> {
    pub(super) operation: usize,
    pub(super) call: &'a Call,
    /// The partition that it was sent to; which one gave it the receipt says.
    pub(super) partition: PartitionId,
    pub(super) delivery: &'a Delivery,
    pub(super) body: &'a Bytes,
    /// When the operation's first attempt began.
    pub(super) invoked: SimTime,
    pub(super) returned: SimTime,
    pub(super) auto_ack: bool,
    /// The send with this body.
    pub(super) sent: Option<usize>,
    /// It may have come from another queue, so its number says nothing about the send.
    pub(super) came: bool,
}

/// What a receipt was shown for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Acknowledge,
    /// To end so long after.
    Change(Micros),
    /// To come back so long after.
    Release(Micros),
    Unreceive,
}

/// A receipt shown in an operation.
pub(super) struct Shown {
    pub(super) operation: usize,
    pub(super) use_: Use,
    pub(super) receipt: Receipt,
    pub(super) invoked: SimTime,
    pub(super) answered: Option<(SimTime, ReceiptResult)>,
    /// It may have been done: it was, or nobody knows.
    pub(super) possible: bool,
}

impl<'a> Facts<'a> {
    pub(super) fn new(calls: &'a [Call]) -> Self {
        let operations = operations(calls);
        let mut facts = Facts {
            calls,
            ways: Ways::of(&operations, &Kinship::of(&operations)),
            kinship: Kinship::of(&operations),
            operations,
            sent: Vec::new(),
            delivered: Vec::new(),
            shown: Vec::new(),
            partitions: BTreeMap::new(),
            attempts: BTreeMap::new(),
            stories: BTreeMap::new(),
        };
        for number in 0..facts.operations.len() {
            facts.note_sent(number);
            facts.note_shown(number);
        }
        facts.note_delivered();
        facts.partitions = partitions::of(&facts.operations, &facts.kinship);
        facts.note_attempts();
        facts.stories = stories::of(&facts);
        facts
    }

    fn note_sent(&mut self, number: usize) {
        let operation = &self.operations[number];
        let Command::Send { partition, items } = operation.command else {
            return;
        };
        for (i, (item, body)) in items.iter().zip(operation.bodies).enumerate() {
            let answered = match operation.answered {
                Some((at, Outcome::Sent(results))) => results.get(i).map(|r| (at, *r)),
                _ => None,
            };
            self.sent.push(Sent {
                operation: number,
                partition: self.home(*partition),
                item,
                body,
                invoked: operation.invoked,
                answered,
                possible: match answered {
                    Some((_, result)) => matches!(result, SendResult::Accepted(_)),
                    None => operation.possible,
                },
            });
        }
    }

    fn note_shown(&mut self, number: usize) {
        let operation = &self.operations[number];
        let uses: Vec<(Receipt, Use)> = match operation.command {
            Command::Acknowledge { receipts, .. } => {
                receipts.iter().map(|r| (*r, Use::Acknowledge)).collect()
            }
            Command::ChangeVisibility { changes, .. } => changes
                .iter()
                .map(|change| (change.receipt, Use::Change(change.visibility)))
                .collect(),
            Command::Release {
                receipts, delay, ..
            } => receipts
                .iter()
                .map(|r| (*r, Use::Release(*delay)))
                .collect(),
            Command::Unreceive { receipts, .. } => {
                receipts.iter().map(|r| (*r, Use::Unreceive)).collect()
            }
            _ => return,
        };
        for (i, (receipt, use_)) in uses.into_iter().enumerate() {
            let answered = match operation.answered {
                Some((at, Outcome::Receipts(results))) => results.get(i).map(|r| (at, *r)),
                _ => None,
            };
            self.shown.push(Shown {
                operation: number,
                use_,
                receipt,
                invoked: operation.invoked,
                answered,
                possible: match answered {
                    Some((_, result)) => result == ReceiptResult::Done,
                    None => operation.possible,
                },
            });
        }
    }

    fn note_delivered(&mut self) {
        let by_body: BTreeMap<&[u8], usize> = self
            .sent
            .iter()
            .enumerate()
            .map(|(at, sent)| (sent.body.as_ref(), at))
            .collect();
        for (number, operation) in self.operations.iter().enumerate() {
            let Command::Receive {
                partition,
                auto_ack,
                ..
            } = operation.command
            else {
                continue;
            };
            for call in &operation.calls {
                let Some((returned, Told::Outcome(Outcome::Received(deliveries), bodies))) =
                    &call.returned
                else {
                    continue;
                };
                let home = self.kinship.home(*partition);
                for (delivery, body) in deliveries.iter().zip(bodies) {
                    let sent = by_body.get(body.as_ref()).copied();
                    let came =
                        sent.is_some_and(|at| self.may_have_come(&self.sent[at], home, delivery));
                    self.delivered.push(Delivered {
                        operation: number,
                        call,
                        partition: home,
                        delivery,
                        body,
                        invoked: operation.invoked,
                        returned: *returned,
                        auto_ack: *auto_ack,
                        sent,
                        came,
                    });
                }
            }
        }
    }

    /// Whether a message that was delivered may be here under a number that its send was not told.
    fn may_have_come(&self, sent: &Sent<'_>, home: PartitionId, delivery: &Delivery) -> bool {
        let is_as_sent = sent.partition == home
            && delivery.dead_from.is_none()
            && matches!(sent.answered, Some((_, SendResult::Accepted(n))) if n == delivery.sequence);
        let here = self.kinship.root(home);
        let there_is_a_way = if sent.partition == home {
            self.ways.lead(here, here)
        } else {
            self.ways.lead_to(here)
        };
        !is_as_sent && there_is_a_way
    }

    fn note_attempts(&mut self) {
        for operation in &self.operations {
            if let Command::Receive {
                partition,
                attempt: Some(key),
                ..
            } = operation.command
            {
                let home = self.kinship.home(*partition);
                let first = self.attempts.entry((home, *key));
                let first = first.or_insert(operation.invoked);
                *first = operation.invoked.min(*first);
            }
        }
    }

    /// Partitions that follow one another are one queue, with one row of numbers.
    pub(super) fn root(&self, partition: PartitionId) -> PartitionId {
        self.kinship.root(partition)
    }

    /// The partition to which a partition's messages were sent: an heir's source.
    pub(super) fn home(&self, partition: PartitionId) -> PartitionId {
        self.kinship.home(partition)
    }

    /// The upper part of a partition's numbers.
    pub(super) fn epoch(&self, partition: PartitionId) -> Option<Epoch> {
        self.partitions.get(&partition)?.epoch()
    }

    pub(super) fn describe(&self, operation: usize) -> String {
        words::operation(&self.operations[operation])
    }

    /// The answer of one call with its times.
    pub(super) fn describe_delivered(&self, delivered: &Delivered<'_>) -> String {
        words::call(delivered.call)
    }
}

fn operations(calls: &[Call]) -> Vec<Operation<'_>> {
    let mut by_id: BTreeMap<RequestId, usize> = BTreeMap::new();
    let mut operations: Vec<Operation<'_>> = Vec::new();
    for call in calls {
        let number = *by_id.entry(call.request.id).or_insert_with(|| {
            operations.push(Operation {
                command: &call.request.command,
                bodies: &call.bodies,
                deadline: call.request.deadline,
                id: call.request.id,
                calls: Vec::new(),
                invoked: call.invoked,
                answered: None,
                possible: false,
            });
            operations.len() - 1
        });
        let operation = &mut operations[number];
        operation.calls.push(call);
        operation.invoked = operation.invoked.min(call.invoked);
        operation.possible |= !is_refused(call);
        if let Some((at, Told::Outcome(outcome, _))) = &call.returned
            && !is_turned_away(&call.request.command, outcome)
        {
            let first = operation.answered.is_none_or(|(before, _)| *at < before);
            if first {
                operation.answered = Some((*at, outcome));
            }
        }
    }
    operations
}

/// Refused with certainty that nothing was applied by this attempt.
pub(super) fn is_refused(call: &Call) -> bool {
    match &call.returned {
        Some((_, Told::Refused(refusal))) => refusal.applied == Applied::No,
        Some((_, Told::Outcome(outcome, _))) => is_turned_away(&call.request.command, outcome),
        _ => false,
    }
}

/// A send to a partition that takes none, or none yet.
pub(super) fn is_turned_away(command: &Command, outcome: &Outcome) -> bool {
    matches!(command, Command::Send { .. })
        && matches!(outcome, Outcome::Sealed(_) | Outcome::Closed { .. })
}
