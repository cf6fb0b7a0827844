//! Empties one queue at the end of a run: receives and acknowledges until every host in turn has said
//! three times that nothing is there. Where messages go from queue to queue it begins anew whenever some
//! may have come.

use shoal_types::{Command, ErrorCode, HostId, Micros, Outcome, PartitionId, Receipt};

use super::execution::{End, Errand};
use super::limits::{
    DRAIN_PATIENCE, DRAIN_PAUSE, DRAIN_VISIBILITY, EMPTY_ROUNDS, OUTSTANDING_MAX, SECOND,
};
use super::queues::State;
use super::role::{Desk, Next, Role};
use crate::history::SimTime;

/// Messages of one receive of a drain.
const BATCH: u16 = 10;

/// See the module.
#[derive(Debug)]
pub(super) struct Drainer {
    partition: PartitionId,
    hosts: Vec<HostId>,
    /// The host whose turn it is; the number of hosts when all had theirs.
    turn: usize,
    empty_rounds: u32,
    /// Empty receives count from here on: before, messages may be leased or delayed.
    counts_from: SimTime,
    to_acknowledge: Vec<Receipt>,
    rest: bool,
    /// Of [`Parcels::changes`](super::role::Parcels), when it looked last.
    changes: u64,
}

impl Drainer {
    pub(super) fn new(partition: PartitionId, hosts: Vec<HostId>, now: SimTime) -> Self {
        Self {
            partition,
            hosts,
            turn: 0,
            empty_rounds: 0,
            counts_from: SimTime(now.0 + OUTSTANDING_MAX),
            to_acknowledge: Vec::new(),
            rest: false,
            changes: 0,
        }
    }

    fn errand(command: Command, only_at: Option<HostId>, desk: &mut Desk<'_>) -> Errand {
        Errand {
            patience: DRAIN_PATIENCE,
            only_at,
            ..desk.errand(command)
        }
    }

    fn found_empty(&mut self, now: SimTime) {
        self.rest = true;
        if now < self.counts_from {
            return;
        }
        self.empty_rounds += 1;
        if self.empty_rounds == EMPTY_ROUNDS {
            self.empty_rounds = 0;
            self.turn += 1;
        }
    }

    /// Something may have been leased without our knowing.
    fn start_over(&mut self, now: SimTime) {
        const MAY_BE_LEASED: Micros = DRAIN_PATIENCE + DRAIN_VISIBILITY + SECOND;
        self.rest = true;
        self.turn = 0;
        self.empty_rounds = 0;
        self.counts_from = self.counts_from.max(SimTime(now.0 + MAY_BE_LEASED));
    }
}

impl Role for Drainer {
    fn next(&mut self, desk: &mut Desk<'_>) -> Next {
        if !self.to_acknowledge.is_empty() {
            let command = Command::Acknowledge {
                partition: self.partition,
                receipts: std::mem::take(&mut self.to_acknowledge),
            };
            return Next::Do(Self::errand(command, None, desk));
        }
        let queue = desk.queues.get(self.partition);
        if queue.is_some_and(|queue| queue.state == State::Gone) {
            return Next::Done;
        }
        // What is held back for an older partition comes once that is empty, and an heir has all only then.
        if desk.queues.waits_for_others(self.partition) {
            self.turn = 0;
            self.counts_from = SimTime(desk.now.0 + OUTSTANDING_MAX);
        }
        if desk.parcels.are_under_way || desk.parcels.changes > self.changes {
            self.changes = desk.parcels.changes;
            self.turn = 0;
            self.empty_rounds = 0;
        }
        let gone = |host: &HostId| desk.gone.contains(host);
        while self.hosts.get(self.turn).is_some_and(gone) {
            self.turn += 1;
        }
        if self.turn >= self.hosts.len() {
            if let Some(queue) = desk.queues.get_mut(self.partition) {
                queue.drained = true;
            }
            // Others may still send some here.
            if desk.knobs.dead_letters && !desk.queues.all_are_drained() {
                return Next::Rest(DRAIN_PAUSE);
            }
            return Next::Done;
        }
        if let Some(queue) = desk.queues.get_mut(self.partition) {
            queue.drained = false;
        }
        if std::mem::take(&mut self.rest) {
            return Next::Rest(DRAIN_PAUSE);
        }
        let command = Command::Receive {
            partition: self.partition,
            max: BATCH,
            visibility: Some(DRAIN_VISIBILITY),
            wait_until: None,
            attempt: None,
            auto_ack: false,
        };
        // Until empty receives count, any host will do: some host has to.
        let host = self.hosts[self.turn];
        let only_at = (desk.now >= self.counts_from).then_some(host);
        Next::Do(Self::errand(command, only_at, desk))
    }

    fn ended(&mut self, command: &Command, end: &End, desk: &mut Desk<'_>) {
        match (command, end) {
            (Command::Receive { .. }, End::Outcome(Outcome::Received(deliveries))) => {
                if deliveries.is_empty() {
                    self.found_empty(desk.now);
                } else {
                    self.turn = 0;
                    self.empty_rounds = 0;
                    self.to_acknowledge = deliveries.iter().map(|d| d.receipt).collect();
                }
            }
            (Command::Receive { .. }, End::Refused(refusal))
                if refusal.code == ErrorCode::QueueNotFound =>
            {
                self.turn = self.hosts.len();
            }
            (Command::Receive { .. }, End::Refused(refusal))
                if refusal.applied == shoal_types::Applied::No =>
            {
                self.rest = true;
            }
            (Command::Acknowledge { .. }, End::Outcome(..)) => {}
            _ => self.start_over(desk.now),
        }
    }

    fn pause(&self, _: &mut Desk<'_>) -> Micros {
        0
    }
}
