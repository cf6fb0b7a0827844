//! Reading bodies from a host's log, beside its turns, as the host's own driver does it: for answers,
//! and for the host's own purposes.

use bytes::Bytes;
use shoal_host::core::{Answer, BodyError, BodyReads, OperationId, StoredBody, read_body};
use shoal_storage::ReadError;
use shoal_types::{Delivery, ErrorCode, HostId, HostReply, Outcome, Refusal};

use super::host::{Caller, Input, Process};
use super::{Event, World};
use crate::checkers::Checker;
use crate::history::{SimTime, Told};
use crate::sometimes::Sometimes;

/// An answer on its way to its client, whose bodies are still to be read.
pub(super) struct ToBeRead {
    pub(super) host: HostId,
    pub(super) life: u64,
    pub(super) operation: OperationId,
    pub(super) caller: Caller,
    pub(super) answer: Answer,
}

impl World {
    /// When something that is read from a host's disk from now on is there.
    pub(super) fn read_ends(&mut self, id: HostId) -> SimTime {
        let host = &self.hosts[&id];
        let takes = self.disk_random.below(self.options.disk.sync + 1) * host.disk_slower;
        SimTime(self.now.max(host.disk_stalled_until).0 + takes)
    }

    /// A host reads bodies that no client waits for.
    pub(super) fn read_bodies(&mut self, id: HostId, reads: BodyReads) {
        let Some(process) = &self.hosts[&id].process else {
            return;
        };
        let event = Event::BodiesRead {
            host: id,
            life: process.life,
            reads: Box::new(reads),
        };
        let at = self.read_ends(id);
        self.schedule.at(at, event);
    }

    pub(super) fn bodies_read(&mut self, id: HostId, life: u64, reads: BodyReads) {
        let Some(process) = self.hosts.get_mut(&id).expect("one of ours").life(life) else {
            return;
        };
        let read = reads.run(&process.reader);
        self.give(id, Input::BodiesRead(read));
    }

    /// The bodies of an answer are read, and it goes to its client; or back to the host, if some of them
    /// cannot be had from its log.
    pub(super) fn answer_read(&mut self, read: ToBeRead) {
        let ToBeRead {
            host: id,
            life,
            operation,
            caller,
            answer,
        } = read;
        let Some(process) = self.hosts.get_mut(&id).expect("one of ours").life(life) else {
            return;
        };
        let Answer { result, bodies } = answer;
        let mut unreadable = Vec::new();
        let mut read = Vec::with_capacity(bodies.len());
        for body in bodies {
            read.push(read_one(process, body, &mut unreadable));
        }
        let at_hand = read.iter().map(|body| match body {
            StoredBody::Recent(bytes) => Some(bytes.clone()),
            StoredBody::InLog(_) => None,
        });
        let Some(bytes) = at_hand.collect::<Option<Vec<Bytes>>>() else {
            self.note_unreadable(id, unreadable);
            let answer = Answer {
                result,
                bodies: read,
            };
            let input = Input::Unreadable {
                operation,
                caller,
                answer: Box::new(answer),
            };
            return self.give(id, input);
        };
        let Caller::Client { call, .. } = caller else {
            unreachable!("only clients are given bodies")
        };
        let told = match result {
            Ok(HostReply::Outcome(outcome)) => self.intact(id, outcome, bytes),
            Ok(other) => unreachable!("{other:?} answers a command"),
            Err(refusal) => Told::Refused(refusal),
        };
        if self.hosts[&id].client_cuts > 0 {
            return self.break_call_later(call, true);
        }
        let at = SimTime(self.now.0 + self.network.client_latency());
        let told = Box::new(told);
        self.schedule.at(at, Event::AnswerArrives { call, told });
    }

    pub(super) fn note_unreadable(&mut self, id: HostId, unreadable: Vec<Unreadable>) {
        let host = &self.hosts[&id];
        let (damaged, had_disk_trouble) = (host.damaged, host.had_disk_trouble);
        for Unreadable { error, moved } in unreadable {
            if moved {
                continue;
            }
            self.reached.note(Sometimes::BodyUnreadable);
            let failed = matches!(error, BodyError::Unreadable(ReadError::Log(_)));
            let excused = damaged || (failed && had_disk_trouble);
            if !excused {
                let what = format!("{id} cannot read a body of a log that is whole: {error}");
                self.violation(Checker::Assertions, what);
            }
        }
    }

    /// What comes out of a host's memory is looked at as well.
    fn intact(&mut self, id: HostId, outcome: Outcome, bodies: Vec<Bytes>) -> Told {
        let Outcome::Received(deliveries) = &outcome else {
            return Told::Outcome(outcome, bodies);
        };
        let same = |(delivery, body): (&Delivery, &Bytes)| crc32c::crc32c(body) == delivery.crc;
        let sound = deliveries.len() == bodies.len() && deliveries.iter().zip(&bodies).all(same);
        if sound {
            return Told::Outcome(outcome, bodies);
        }
        let what = format!("{id} answers with a body that is not what was sent");
        self.violation(Checker::Assertions, what);
        let why = "the stored bytes are damaged";
        Told::Refused(Refusal::unknown(ErrorCode::Corrupt, why))
    }
}

/// A body that was not had from where it was looked for.
pub(super) struct Unreadable {
    error: BodyError,
    /// Its message is gone, or has it at another place by now.
    moved: bool,
}

pub(super) fn read_one(
    process: &Process,
    body: StoredBody,
    unreadable: &mut Vec<Unreadable>,
) -> StoredBody {
    let StoredBody::InLog(placed) = body else {
        return body;
    };
    match read_body(&process.reader, &placed) {
        Ok(bytes) => StoredBody::Recent(bytes),
        Err(error) => {
            let machine = process.core.machine();
            let now = machine.body_of(placed.partition, placed.sequence);
            let moved = now != Some(placed);
            unreadable.push(Unreadable { error, moved });
            body
        }
    }
}
