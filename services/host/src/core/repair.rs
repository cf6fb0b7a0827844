//! Bodies that this host cannot read, or that fail their checksum: a peer has them too. Who waits for
//! such a body waits a moment longer, and gets the right one or an error that says what became of it.
//!
//! What a peer gives is believed only if it has the checksum that the message was sent with; it is then
//! kept at another place of the log, where the message finds it from then on.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use shoal_queue::PlacedBody;
use shoal_replication::Message;
use shoal_types::{ErrorCode, HostId, Mono, PartitionId, Refusal, Sequence};

use super::body_reads::{BodyError, BodyReads, ReadFor, is_intact};
use super::{Answer, Core, Effect, OperationId, StoredBody};
use crate::between_hosts::{BetweenHosts, BodyName};
use crate::kept_body::KeptBody;
use crate::limits;

type Name = (PartitionId, Sequence);

/// Bodies that are asked for, and answers that wait for them.
#[derive(Default)]
pub(super) struct Repairs {
    wanted: BTreeMap<Name, Wanted>,
    held: BTreeMap<OperationId, Held>,
    /// Bodies being read for peers.
    reads_for_peers: usize,
}

struct Wanted {
    body: PlacedBody,
    /// Who has said that it does not have it.
    lacking: BTreeSet<HostId>,
    /// How often somebody was asked.
    asked: usize,
    ask_again: Mono,
    give_up: Mono,
}

struct Held {
    answer: Answer,
    /// Not to be had from anybody.
    lost: Option<PlacedBody>,
}

impl Repairs {
    /// True while no further body can be asked for.
    pub(super) fn is_busy(&self) -> bool {
        self.wanted.len() >= limits::REPAIRS_MAX
    }

    /// When something is to be done about them.
    pub(super) fn next(&self) -> Option<Mono> {
        let times = self.wanted.values();
        times
            .map(|wanted| wanted.ask_again.min(wanted.give_up))
            .min()
    }
}

fn name(body: &PlacedBody) -> Name {
    (body.partition, body.sequence)
}

impl Core {
    /// Some bodies of an answer could not be read, or are not what was sent: those that still stand in
    /// it as [`StoredBody::InLog`]. The answer comes again as an effect, for the same operation, once
    /// they are at hand or known to be lost.
    pub fn on_unreadable(&mut self, operation: OperationId, mut answer: Answer) {
        for stored in &mut answer.bodies {
            let StoredBody::InLog(body) = stored else {
                continue;
            };
            let now_at = self.machine.body_of(body.partition, body.sequence);
            let moved = now_at.filter(|now| now.at != body.at && now.crc == body.crc);
            if let Some(moved) = moved {
                // It was moved while it was being read; it is read again from where it is now.
                *body = moved;
            } else if !self.want(body) {
                let detail =
                    "this host repairs many damaged bodies; one of this answer has to wait";
                let refusal = Refusal::unknown(ErrorCode::Corrupt, detail);
                return self.answer(operation, Answer::refused(refusal));
            }
        }
        if self.repairs.held.len() >= limits::HELD_ANSWERS_MAX {
            let detail =
                "many answers of this host wait for damaged bodies; this one cannot wait too";
            let refusal = Refusal::unknown(ErrorCode::Corrupt, detail);
            return self.answer(operation, Answer::refused(refusal));
        }
        let lost = None;
        self.repairs.held.insert(operation, Held { answer, lost });
        self.answer_held();
    }

    /// Asks peers for a body that is damaged here, though nobody waits for it.
    pub(super) fn repair(&mut self, body: &PlacedBody, error: &BodyError) {
        tracing::warn!(
            partition = %body.partition, sequence = body.sequence.0, segment = body.at.segment,
            offset = body.at.offset, %error, "a body is damaged on this host; asking the others for it"
        );
        // At the bound it stays where it is, and is met again by the next round.
        self.want(body);
    }

    /// Bodies that were to go on to an heir could not be read. Once they are at hand again they go.
    pub(super) fn repair_for_carriage(&mut self, bodies: &[PlacedBody]) {
        for body in bodies {
            // It may have been moved while it was being read.
            let here = self.machine.body_of(body.partition, body.sequence);
            if here.is_some_and(|here| here.at == body.at) {
                self.want(body);
            }
        }
    }

    /// False if too many are wanted already.
    fn want(&mut self, body: &PlacedBody) -> bool {
        if self.repairs.wanted.contains_key(&name(body)) {
            return true;
        }
        if self.repairs.is_busy() {
            return false;
        }
        self.care.damaged += 1;
        let wanted = Wanted {
            body: *body,
            lacking: BTreeSet::new(),
            asked: 0,
            ask_again: self.now.mono,
            give_up: self.now.mono + limits::REPAIR_PATIENCE,
        };
        self.repairs.wanted.insert(name(body), wanted);
        true
    }

    /// Asks on, and gives up what nobody has.
    pub(super) fn go_on_repairing(&mut self) {
        if self.repairs.next().is_none_or(|at| self.now.mono < at) {
            return;
        }
        let peers = self.other_members();
        let now = self.now.mono;
        let mut lost = Vec::new();
        for (name, wanted) in &mut self.repairs.wanted {
            if now < wanted.ask_again.min(wanted.give_up) {
                continue;
            }
            let having = peers.iter().filter(|peer| !wanted.lacking.contains(peer));
            let having: Vec<HostId> = having.copied().collect();
            if having.is_empty() || now >= wanted.give_up {
                lost.push(*name);
                continue;
            }
            let peer = having[wanted.asked % having.len()];
            wanted.asked += 1;
            wanted.ask_again = now + limits::REPAIR_ASKS_AGAIN;
            let ask = BetweenHosts::BodyWanted(BodyName::of(&wanted.body));
            let message = Message::Aside(ask.encode(None).into());
            self.outbox.entry(peer).or_default().push(message);
        }
        for name in lost {
            self.give_up(name);
        }
    }

    fn other_members(&self) -> Vec<HostId> {
        let members = &self.engine.view().members;
        let others = members.iter().copied();
        others.filter(|host| *host != self.origin.host).collect()
    }

    fn give_up(&mut self, name: Name) {
        let Some(wanted) = self.repairs.wanted.remove(&name) else {
            return;
        };
        self.care.unrepaired += 1;
        let (partition, sequence) = name;
        tracing::error!(%partition, sequence = sequence.0, "no peer gave a body that is damaged here");
        for held in self.repairs.held.values_mut() {
            let waits = |stored: &StoredBody| matches!(stored, StoredBody::InLog(body) if *body == wanted.body);
            if held.answer.bodies.iter().any(waits) {
                held.lost = Some(wanted.body);
            }
        }
        self.answer_held();
    }

    /// A peer asks for a body, or answers.
    pub(super) fn on_aside(&mut self, from: HostId, bytes: Bytes) {
        match BetweenHosts::decode(bytes) {
            Ok((BetweenHosts::BodyWanted(wanted), _)) => self.body_wanted(from, &wanted),
            Ok((BetweenHosts::BodyGiven(given), body)) => self.body_given(from, &given, body),
            Err(error) => {
                tracing::warn!(peer = %from, %error, "what a peer says beside the protocol cannot be read");
            }
        }
    }

    fn body_wanted(&mut self, from: HostId, wanted: &BodyName) {
        let (partition, sequence) = (wanted.partition, wanted.sequence);
        let here = self.machine.body_of(partition, sequence);
        let here = here.or_else(|| self.departed.body(partition, sequence));
        let Some(body) = here.filter(|body| BodyName::of(body) == *wanted) else {
            return self.say_body(from, *wanted, None);
        };
        if let Some(bytes) = self.recent.get(body.at) {
            return self.say_body(from, *wanted, Some(bytes));
        }
        // Beyond the bound the peer asks again.
        if self.repairs.reads_for_peers < limits::READS_FOR_PEERS_MAX {
            self.repairs.reads_for_peers += 1;
            self.effects.push(Effect::ReadBodies(BodyReads {
                reason: ReadFor::Peer(from),
                bodies: vec![body],
            }));
        }
    }

    /// A body that a peer asked for was read; `None` if it is damaged here too.
    pub(super) fn give_body(&mut self, peer: HostId, body: &PlacedBody, bytes: Option<Bytes>) {
        self.repairs.reads_for_peers -= 1;
        self.say_body(peer, BodyName::of(body), bytes);
    }

    fn say_body(&mut self, peer: HostId, name: BodyName, body: Option<Bytes>) {
        let message = Message::Aside(BetweenHosts::BodyGiven(name).encode(body).into());
        self.outbox.entry(peer).or_default().push(message);
    }

    fn body_given(&mut self, from: HostId, given: &BodyName, bytes: Option<Bytes>) {
        let name = (given.partition, given.sequence);
        let Some(wanted) = self.repairs.wanted.get_mut(&name) else {
            return;
        };
        let body = wanted.body;
        let Some(bytes) = bytes.filter(|bytes| is_intact(&body, bytes)) else {
            wanted.lacking.insert(from);
            wanted.ask_again = self.now.mono;
            return;
        };
        self.repairs.wanted.remove(&name);
        self.care.repaired += 1;
        if self
            .machine
            .body_of(body.partition, body.sequence)
            .is_some()
        {
            self.keep_body(KeptBody::of(&body), bytes.clone());
        }
        // Whoever asks before the new place is durable need not ask a peer again.
        self.recent.insert(body.at, &bytes);
        for held in self.repairs.held.values_mut() {
            for stored in &mut held.answer.bodies {
                if matches!(stored, StoredBody::InLog(waits) if *waits == body) {
                    *stored = StoredBody::Recent(bytes.clone());
                }
            }
        }
        self.answer_held();
    }

    /// Answers those that wait for nothing any more.
    fn answer_held(&mut self) {
        let wanted = &self.repairs.wanted;
        let waits = |stored: &StoredBody| match stored {
            StoredBody::Recent(_) => false,
            StoredBody::InLog(body) => wanted.contains_key(&name(body)),
        };
        let is_ready = |_: &OperationId, held: &mut Held| {
            held.lost.is_some() || !held.answer.bodies.iter().any(waits)
        };
        let ready: Vec<_> = self.repairs.held.extract_if(.., is_ready).collect();
        for (operation, Held { answer, lost }) in ready {
            let answer = match lost {
                None => answer,
                Some(body) => {
                    let gone = self
                        .machine
                        .body_of(body.partition, body.sequence)
                        .is_none();
                    Answer::refused(lost_body(&body, gone))
                }
            };
            self.answer(operation, answer);
        }
    }

    /// The client of a held answer is gone.
    pub(super) fn forget_held(&mut self, operation: OperationId) {
        self.repairs.held.remove(&operation);
    }
}

fn lost_body(body: &PlacedBody, gone: bool) -> Refusal {
    let (partition, number) = (body.partition, body.sequence.number());
    let message = if gone {
        "the message is deleted, as it would be by receiving it with auto_ack"
    } else {
        "no message was deleted by this error, those that were received become available again when their \
         visibility timeout ends"
    };
    let detail = format!(
        "the body of message {number} of partition {partition} is damaged on this host, and no other host \
         has given it; {message}"
    );
    Refusal::unknown(ErrorCode::Corrupt, detail)
}
