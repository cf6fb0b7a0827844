//! Executing entries: every host the same, plus the answers to this host's own clients.

use shoal_queue::Effect as QueueEffect;
use shoal_replication::{Entry, Ticket, View};
use shoal_types::{BodyRef, Command, Delivery, Outcome, PartitionId, Position, Request, RequestId};

use super::intake::left_the_view;
use super::{Answer, Core, Effect, OperationId, Payload};
use crate::batch::{self, Placed};

impl Core {
    pub(super) fn execute(&mut self, position: Position, entry: &Entry, ticket: Option<Ticket>) {
        let place = self
            .unexecuted
            .remove(&(entry.view, entry.lane, entry.index))
            .expect("an entry is logged before it is executed");
        if let Some(ticket) = ticket {
            self.meter.executed(ticket, self.now.mono);
        }
        if self.lacks_state() {
            // A peer's state, which is to come, contains it.
            return;
        }
        let own = ticket.and_then(|ticket| self.own.remove(&ticket));
        let commands = own.unwrap_or_else(|| {
            let payload = entry.payload.contiguous();
            batch::decode(payload)
                .unwrap_or_else(|e| panic!("entry at {position} is unreadable: {e}"))
        });
        let operations = ticket
            .map(|t| self.operations.of_entry(t))
            .unwrap_or_default();
        self.tick_proposed = None;
        let mut given = Vec::new();
        let (executed, hash) = (self.machine.executed(), self.machine.state_hash());
        self.agreement.before_entry(position, executed, hash);
        if let Some(witness) = &mut self.witness {
            witness.entry(position);
        }
        self.machine.begin_entry(position, &mut given);
        self.answer_waiters(&mut given);
        for (i, placed) in commands.into_iter().enumerate() {
            let bodies = self.keep_recent(&placed, &place);
            let outcome = self.machine.apply(&placed.request, &bodies, &mut given);
            if let Some(witness) = &mut self.witness {
                witness.command(&placed.request, &placed.bodies, &outcome);
            }
            if let Outcome::Received(deliveries) = &outcome {
                self.note_departed(deliveries);
            }
            if let Command::NextPiece { .. } = placed.request.command {
                self.next_piece_was_asked();
            }
            if let Some(operation) = operations.get(i).copied().flatten() {
                self.meter.done(&placed.request, &outcome);
                self.answer_operation(operation, &placed.request, outcome);
            }
            self.answer_waiters(&mut given);
            if !self.machine.is_supported() {
                return self.stop(self.unsupported(self.machine.version()));
            }
        }
    }

    /// Of what was received, some may have been deleted by it.
    fn note_departed(&mut self, deliveries: &[Delivery]) {
        for delivery in deliveries {
            let partition = delivery.receipt.partition;
            if self.machine.body_of(partition, delivery.sequence).is_none() {
                self.departed.note(delivery, self.now.mono);
            }
        }
    }

    /// Where each body lies in this host's log; remembers the bodies for a while.
    fn keep_recent(&mut self, placed: &Placed, place: &Payload) -> Vec<BodyRef> {
        let mut refs = Vec::with_capacity(placed.bodies.len());
        for (offset, body) in placed.offsets() {
            let at = place.at.body(place.starts + offset);
            self.recent.insert(at, body);
            refs.push(at);
        }
        refs
    }

    pub(super) fn receive_ended(&mut self, request: &Request) {
        if let Command::Receive { .. } = request.command {
            self.operations.receive_ended(request.id);
        }
    }

    fn answer_operation(&mut self, operation: OperationId, request: &Request, outcome: Outcome) {
        let listening = self.operations.arrived(operation);
        self.receive_ended(request);
        match (outcome, &request.command) {
            (Outcome::Waiting, Command::Receive { partition, .. }) if listening => {
                if let Some(before) = self.operations.wait(request.id, *partition, operation) {
                    let nothing = Answer::outcome(Outcome::Received(Vec::new()), &self.recent);
                    self.answer(before, nothing);
                }
            }
            (Outcome::Waiting, Command::Receive { partition, .. }) => {
                self.cancel_waiter(request.id, *partition);
            }
            (outcome, _) if listening => {
                let answer = Answer::outcome(outcome, &self.recent);
                self.answer(operation, answer);
            }
            _ => {}
        }
    }

    /// Nobody listens for this receive any more, unless its client has repeated it here: then the
    /// repetition gets the answer, and cancelling would take it away again.
    fn cancel_waiter(&mut self, waiter: RequestId, partition: PartitionId) {
        if self.operations.is_wanted(waiter) {
            return;
        }
        self.intake
            .push_own(self.origin, Command::CancelWaiter { partition, waiter });
    }

    /// Gives what waiting receives got to this host's clients among them.
    pub(super) fn answer_waiters(&mut self, given: &mut Vec<QueueEffect>) {
        for effect in given.drain(..) {
            let QueueEffect::Given {
                origin,
                waiter,
                deliveries,
            } = effect;
            if let Some(witness) = &mut self.witness {
                witness.given(origin, waiter, &deliveries);
            }
            self.note_departed(&deliveries);
            if origin != self.origin {
                continue;
            }
            let partition = deliveries.first().map(|d| d.receipt.partition);
            if let Some(partition) = partition {
                self.meter.given(partition, deliveries.len());
            }
            match (self.operations.waited(waiter), partition) {
                (Some(operation), _) => {
                    let answer = Answer::outcome(Outcome::Received(deliveries), &self.recent);
                    self.answer(operation, answer);
                }
                // The client left at the same moment: what it was given goes back.
                (None, Some(partition)) => self.cancel_waiter(waiter, partition),
                (None, None) => {}
            }
        }
    }

    pub(super) fn view_installed(&mut self, view: &View) {
        // A state that is to come from a peer contains it.
        if !self.lacks_state() {
            if let Some(witness) = &mut self.witness {
                witness.view_installed(view);
            }
            let mut given = Vec::new();
            self.machine
                .view_installed(view.number, &view.incarnations, &mut given);
            self.answer_waiters(&mut given);
        }
        if !view.incarnations.is_empty() && !view.incarnations.contains(&self.origin) {
            // The queues have forgotten this host's waiters: whoever waits here waits for nothing.
            for operation in self.operations.take_waiting() {
                self.answer(operation, Answer::refused(left_the_view()));
            }
        }
        // Whatever lay in earlier views is executed or cut off now.
        self.unexecuted.retain(|(at, ..), _| *at >= view.number);
        if let Some(cluster) = self.cluster() {
            self.effects.push(Effect::PushView(cluster, view.summary()));
        }
    }

    pub(super) fn dropped(&mut self, ticket: Ticket) {
        self.meter.dropped(ticket);
        let commands = self.own.remove(&ticket).unwrap_or_default();
        let operations = self.operations.of_entry(ticket);
        for (operation, placed) in operations.into_iter().zip(commands) {
            let Some(operation) = operation else { continue };
            let listening = self.operations.arrived(operation);
            self.receive_ended(&placed.request);
            if listening {
                self.answer(operation, Answer::refused(left_the_view()));
            }
        }
    }

    pub(super) fn cancel(&mut self, operation: OperationId) {
        if let Some(request) = self.intake.remove(operation) {
            self.receive_ended(&request);
        } else if let Some((waiter, partition)) = self.operations.cancel(operation) {
            self.cancel_waiter(waiter, partition);
        }
    }
}
