//! Pieces on their way from sealed partitions to their heirs. All partitions are on one cluster here, so
//! hosts bring pieces to one another, or to themselves, as they would to strangers.

use std::sync::Arc;

use bytes::Bytes;
use shoal_host::core::{Carriage, Carried, NotCarried, StoredBody};
use shoal_types::{ErrorCode, HostId, HostReply, Outcome, Refusal};

use super::bodies::read_one;
use super::host::{Caller, Input};
use super::{Event, World};
use crate::actions::Action;
use crate::faults::FaultKind;
use crate::history::SimTime;
use crate::limits::{MS, SECOND};
use crate::sometimes::Sometimes;

/// How long a caller waits for its answer.
const PATIENCE: u64 = SECOND;
/// One call in so many comes once more, as one that its caller gave up and that took its time.
const AGAIN_ONE_IN: u64 = 8;
/// How much later at most: the heir has gone on by then, or is gone.
const AGAIN_AFTER_MAX: u64 = 4 * SECOND;

/// Where processes are killed at all, one call in so many costs a caller or the host that it calls its life.
const KILLED_ONE_IN: u64 = 5;

/// Where disks fail to be read at all, they fail for one in so many pieces that are not in memory.
const UNREADABLE_ONE_IN: u64 = 3;

/// A piece with its bodies, on its way.
#[derive(Clone)]
pub(super) struct Brought {
    number: u64,
    by: HostId,
    /// Of its process.
    life: u64,
    to: HostId,
    carriage: Arc<Carriage>,
    bodies: Vec<Bytes>,
}

impl World {
    /// A host wants a piece to be at its heir; what it does not have in memory it reads first.
    pub(super) fn carry(&mut self, by: HostId, carriage: Carriage) {
        let Some(process) = &mut self.host(by).process else {
            return;
        };
        process.carriages += 1;
        let event = Event::CarriageRead {
            host: by,
            life: process.life,
            carriage: Box::new(carriage),
        };
        let at = self.read_ends(by);
        self.schedule.at(at, event);
    }

    pub(super) fn carriage_read(&mut self, id: HostId, life: u64, mut carriage: Carriage) {
        self.fail_meanwhile(id, &carriage);
        let host = self.hosts.get_mut(&id).expect("one of ours");
        let Some(process) = host.life(life) else {
            return;
        };
        let mut unreadable = Vec::new();
        let bodies = std::mem::take(&mut carriage.bodies).into_iter();
        let read = bodies.map(|body| read_one(process, body, &mut unreadable));
        match Carriage::at_hand(read.collect()) {
            Ok(bodies) => self.bring(id, life, carriage, bodies),
            Err(missing) => {
                self.note_unreadable(id, unreadable);
                self.reached.note(Sometimes::PieceUnreadable);
                let result = Err(NotCarried::Unreadable(missing));
                self.carriage_ends(id, life, carriage.carried(result));
            }
        }
    }

    fn bring(&mut self, by: HostId, life: u64, carriage: Carriage, bodies: Vec<Bytes>) {
        self.summary.carriages += 1;
        let number = self.summary.carriages;
        self.carriages.insert(number);
        let brought = Brought {
            number,
            by,
            life,
            to: self.any_member(),
            carriage: Arc::new(carriage),
            bodies,
        };
        if self.network.any(AGAIN_ONE_IN) == 0 {
            let again = Brought {
                to: self.any_member(),
                ..brought.clone()
            };
            let at = SimTime(self.now.0 + self.network.any(AGAIN_AFTER_MAX));
            self.schedule
                .at(at, Event::CarriageArrives(Box::new(again)));
        }
        self.kill_meanwhile(&brought);
        let lost = SimTime(self.now.0 + PATIENCE);
        let brought = Box::new(brought);
        self.schedule
            .at(lost, Event::CarriageFails(brought.clone()));
        if !self.network.is_cut(by, brought.to) {
            let arrives = SimTime(self.now.0 + self.network.client_latency());
            self.schedule.at(arrives, Event::CarriageArrives(brought));
        }
    }

    fn fail_meanwhile(&mut self, id: HostId, carriage: &Carriage) {
        let may_fail = self.options.faults.kinds.contains(&FaultKind::FailedReads);
        let in_log = |body: &StoredBody| matches!(body, StoredBody::InLog(_));
        if !may_fail || self.is_settling() || !carriage.bodies.iter().any(in_log) {
            return;
        }
        if self.network.any(UNREADABLE_ONE_IN) == 0 {
            self.act(Action::FailReads { host: id, times: 1 });
        }
    }

    fn kill_meanwhile(&mut self, brought: &Brought) {
        let may_kill = self.options.faults.kinds.contains(&FaultKind::Kill);
        if !may_kill || self.is_settling() || self.network.any(KILLED_ONE_IN) > 0 {
            return;
        }
        let ends = [brought.by, brought.to];
        let host = ends[self.network.any(2) as usize];
        *self.summary.faults.entry(FaultKind::Kill).or_default() += 1;
        let at = SimTime(self.now.0 + self.network.any(10 * MS));
        let again = SimTime(at.0 + 100 * MS + self.network.any(4 * SECOND));
        self.plan(at, Action::Kill(host));
        self.plan(again, Action::Start(host));
    }

    /// Any host that is asked for what any of them could do.
    pub(super) fn any_member(&mut self) -> HostId {
        let members = self.members.now();
        members[self.network.any(members.len() as u64) as usize]
    }

    pub(super) fn carriage_arrives(&mut self, brought: Brought) {
        let to = brought.to;
        let host = &self.hosts[&to];
        if !host.powered || host.process.is_none() {
            return;
        }
        let operation = self.next_operation();
        self.give(
            to,
            Input::Call {
                operation,
                request: Box::new(brought.carriage.request.clone()),
                bodies: brought.bodies.clone(),
                caller: Caller::Source(Box::new(brought)),
            },
        );
    }

    pub(super) fn carriage_answered(
        &mut self,
        brought: Brought,
        result: Result<HostReply, Refusal>,
    ) {
        if self.network.is_cut(brought.to, brought.by) {
            return;
        }
        let result = match result {
            Ok(HostReply::Outcome(Outcome::Refused(refusal))) | Err(refusal) => judge(refusal),
            Ok(HostReply::Outcome(outcome)) => Ok(outcome),
            Ok(other) => unreachable!("{other:?} answers a command"),
        };
        let carried = brought.carriage.carried(result);
        let at = SimTime(self.now.0 + self.network.client_latency());
        let event = Event::Carried {
            brought: Box::new(brought),
            carried: Box::new(carried),
        };
        self.schedule.at(at, event);
    }

    /// Its time is over.
    pub(super) fn carriage_fails(&mut self, brought: &Brought) {
        let nobody = NotCarried::NotTaken("no answer in time".to_owned());
        let carried = brought.carriage.carried(Err(nobody));
        if self.carriages.contains(&brought.number) {
            self.reached.note(Sometimes::PieceUnanswered);
        }
        self.piece_carried(brought, carried);
    }

    /// What comes first counts: the answer, or that there is none.
    pub(super) fn piece_carried(&mut self, brought: &Brought, carried: Carried) {
        if self.carriages.remove(&brought.number) {
            self.carriage_ends(brought.by, brought.life, carried);
        }
    }

    fn carriage_ends(&mut self, id: HostId, life: u64, carried: Carried) {
        if let Some(process) = self.host(id).life(life) {
            process.carriages -= 1;
            self.give(id, Input::Carried(carried));
        }
    }
}

/// What a host refuses is final if all others would refuse it too.
fn judge(refusal: Refusal) -> Result<Outcome, NotCarried> {
    match refusal.code {
        ErrorCode::InvalidRequest | ErrorCode::Fenced | ErrorCode::QueueNotFound => {
            Ok(Outcome::Refused(refusal))
        }
        _ => Err(NotCarried::NotTaken(refusal.to_string())),
    }
}
