//! Clients that wait for an answer: which operation belongs to which command.

use std::collections::BTreeMap;

use shoal_replication::Ticket;
use shoal_types::{PartitionId, RequestId};

/// Names one call of one client at this host, given by the driver, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(pub u64);

/// A receive that found nothing and waits for a message.
#[derive(Clone, Copy)]
struct Waiter {
    request: RequestId,
    partition: PartitionId,
}

/// See the module. Bounded by the driver's and the intake's limits on what they let in.
#[derive(Default)]
pub(super) struct Operations {
    /// For each own entry on its way: the operation behind each command (`None`: the host's own).
    in_entry: BTreeMap<Ticket, Vec<Option<OperationId>>>,
    /// Operations in entries, and whether their client is still there.
    in_flight: BTreeMap<OperationId, ClientState>,
    waiting: BTreeMap<RequestId, OperationId>,
    waiters: BTreeMap<OperationId, Waiter>,
    /// How many receives of a request are on their way to be executed: more than one if the client
    /// repeated it.
    receives: BTreeMap<RequestId, u32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ClientState {
    Listening,
    Gone,
}

impl Operations {
    /// Operations that wait for their entry.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Receives that wait for a message.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// A receive was taken in.
    pub(super) fn receive_pending(&mut self, request: RequestId) {
        *self.receives.entry(request).or_default() += 1;
    }

    /// It was executed, dropped or refused.
    pub(super) fn receive_ended(&mut self, request: RequestId) {
        if let Some(pending) = self.receives.get_mut(&request) {
            *pending -= 1;
            if *pending == 0 {
                self.receives.remove(&request);
            }
        }
    }

    /// True if a client still listens for this request's answer, or will when it is executed again.
    /// What was given to it must not be taken back then.
    pub(super) fn is_wanted(&self, request: RequestId) -> bool {
        self.waiting.contains_key(&request) || self.receives.contains_key(&request)
    }

    /// Everyone whose entry is on its way and who still listens: nobody will ever know what became of it.
    pub(super) fn take_in_flight(&mut self) -> Vec<OperationId> {
        self.in_entry.clear();
        self.receives.clear();
        let in_flight = std::mem::take(&mut self.in_flight).into_iter();
        let listening = in_flight.filter(|(_, client)| *client == ClientState::Listening);
        listening.map(|(operation, _)| operation).collect()
    }

    /// Everyone who waits: this host gives them nothing any more.
    pub(super) fn take_waiting(&mut self) -> Vec<OperationId> {
        self.waiters.clear();
        std::mem::take(&mut self.waiting).into_values().collect()
    }

    pub(super) fn sent_off(&mut self, ticket: Ticket, operations: Vec<Option<OperationId>>) {
        for operation in operations.iter().flatten() {
            self.in_flight.insert(*operation, ClientState::Listening);
        }
        self.in_entry.insert(ticket, operations);
    }

    /// The operations of an entry that was executed or dropped, in the order of its commands.
    pub(super) fn of_entry(&mut self, ticket: Ticket) -> Vec<Option<OperationId>> {
        self.in_entry.remove(&ticket).unwrap_or_default()
    }

    /// The operation's command was executed or dropped. True if its client still listens.
    pub(super) fn arrived(&mut self, operation: OperationId) -> bool {
        self.in_flight.remove(&operation) == Some(ClientState::Listening)
    }

    /// A receive waits. If the same request waited here before, that older call is given back: its
    /// client has repeated itself and listens to the new one.
    pub(super) fn wait(
        &mut self,
        request: RequestId,
        partition: PartitionId,
        operation: OperationId,
    ) -> Option<OperationId> {
        let before = self.waiting.insert(request, operation);
        if let Some(before) = before {
            self.waiters.remove(&before);
        }
        self.waiters
            .insert(operation, Waiter { request, partition });
        before
    }

    /// The wait of a request is over.
    pub(super) fn waited(&mut self, request: RequestId) -> Option<OperationId> {
        let operation = self.waiting.remove(&request)?;
        self.waiters.remove(&operation);
        Some(operation)
    }

    /// The client is gone. Gives back the request that waited for it, if one did.
    pub(super) fn cancel(&mut self, operation: OperationId) -> Option<(RequestId, PartitionId)> {
        if let Some(state) = self.in_flight.get_mut(&operation) {
            *state = ClientState::Gone;
        }
        let waiter = self.waiters.remove(&operation)?;
        self.waiting.remove(&waiter.request);
        Some((waiter.request, waiter.partition))
    }
}
