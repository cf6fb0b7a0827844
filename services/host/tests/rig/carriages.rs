//! Pieces that hosts carry to heirs. Here all partitions are on one cluster, so its own hosts are called.

use bytes::Bytes;
use shoal_host::core::{Carriage, NotCarried, OperationId, StoredBody};
use shoal_types::{HostId, HostReply, Outcome};

use super::{Rig, Running};

/// Pieces that are on their way, and what is made to go wrong with them.
#[derive(Default)]
pub(super) struct Carriages {
    /// Made, not yet brought to any host: by whom, and with which bodies.
    pub(super) made: Vec<(HostId, Carriage, Vec<StoredBody>)>,
    waiting: Vec<(HostId, Carriage, OperationId)>,
    by: Vec<HostId>,
    /// So many of the answers to come are lost.
    lost_answers: usize,
}

impl Running {
    /// Those that can be had from the log at hand.
    pub(super) fn read_bodies(&self, bodies: Vec<StoredBody>) -> Vec<StoredBody> {
        let read = |body| match body {
            StoredBody::InLog(placed) => match shoal_host::core::read_body(&self.reader, &placed) {
                Ok(bytes) => StoredBody::Recent(bytes),
                Err(_) => StoredBody::InLog(placed),
            },
            recent => recent,
        };
        bodies.into_iter().map(read).collect()
    }
}

impl Rig {
    /// Pieces arrive, but so many of their answers do not.
    pub(crate) fn lose_answers_of_heirs(&mut self, count: usize) {
        self.carriages.lost_answers = count;
    }

    /// Who carried pieces so far, in their order.
    pub(crate) fn carried_by(&self) -> &[HostId] {
        &self.carriages.by
    }

    /// Takes the pieces to hosts, and their answers back.
    pub(super) fn deliver_carriages(&mut self) {
        for (by, carriage, bodies) in std::mem::take(&mut self.carriages.made) {
            self.carriages.by.push(by);
            let acting = self.acting();
            let bodies: Vec<Bytes> = match Carriage::at_hand(bodies) {
                Ok(bodies) => bodies,
                Err(missing) => {
                    self.carried(by, &carriage, Err(NotCarried::Unreadable(missing)));
                    continue;
                }
            };
            if acting.is_empty() {
                let why = "nobody is there".to_owned();
                self.carried(by, &carriage, Err(NotCarried::NotTaken(why)));
                continue;
            }
            let callee = acting[self.carriages.by.len() % acting.len()];
            let operation = self.call(callee, carriage.request.clone(), bodies);
            self.carriages.waiting.push((by, carriage, operation));
        }
        for (by, carriage, operation) in std::mem::take(&mut self.carriages.waiting) {
            match self.answer(operation) {
                None => self.carriages.waiting.push((by, carriage, operation)),
                Some(_) if self.carriages.lost_answers > 0 => {
                    self.carriages.lost_answers -= 1;
                    let why = "no answer".to_owned();
                    self.carried(by, &carriage, Err(NotCarried::NotTaken(why)));
                }
                Some((Ok(HostReply::Outcome(outcome)), _)) => {
                    self.carried(by, &carriage, Ok(outcome));
                }
                Some((Ok(other), _)) => panic!("{other:?} answers a command"),
                Some((Err(refusal), _)) => {
                    self.carried(by, &carriage, Ok(Outcome::Refused(refusal)));
                }
            }
        }
    }

    fn carried(&mut self, by: HostId, carriage: &Carriage, result: Result<Outcome, NotCarried>) {
        if self.slots[&by].running.is_some() {
            self.running(by).core.on_carried(carriage.carried(result));
            self.turn(by);
        }
    }
}
