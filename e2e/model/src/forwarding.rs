//! How what nobody consumes goes on to an heir, as plainly as the rest: a message that goes is marked, and
//! every question is answered by looking at all messages.

use std::collections::{BTreeMap, BTreeSet};

use shoal_types::limits::{PIECE_BYTES_MAX, PIECE_MESSAGES_MAX};
use shoal_types::{
    Command, ErrorCode, Forwarded, GroupHash, GroupName, Heir, HeldGroups, Outcome, PartitionId,
    PartitionSettings, Passed, Piece, Rest, Revision, Seal, SuccessionStage, Ts,
};

use crate::Model;
use crate::partition::{Message, Partition, When};
use crate::succession::{Sealed, are_members, is_seal};
use crate::turns::takes_turns;

/// That a partition's messages go on.
pub(crate) struct Forwards {
    heir: Heir,
    made: u64,
    on_its_way: bool,
    rest: Rest,
    /// Of this group a part has gone.
    unfinished: Option<GroupName>,
    passed: Passed,
    /// Numbers that went, of messages that somebody may have a receipt for.
    went: BTreeSet<u64>,
    ended: bool,
}

/// That a partition takes over another one's messages.
pub(crate) struct Inherits {
    source: PartitionId,
    taken: u64,
    rest: Rest,
    purged: bool,
}

impl Inherits {
    pub(crate) fn has_all(&self) -> bool {
        self.rest == Rest::Nothing
    }

    /// Groups of which messages may still come; `None` if of all.
    pub(crate) fn to_come(&self) -> Option<BTreeSet<GroupHash>> {
        match &self.rest {
            Rest::Some {
                groups: HeldGroups::All,
            } => None,
            Rest::Some {
                groups: HeldGroups::These(groups),
            } => Some(groups.iter().copied().collect()),
            Rest::Some {
                groups: HeldGroups::None,
            }
            | Rest::Nothing => Some(BTreeSet::new()),
        }
    }
}

impl Partition {
    pub(crate) fn is_forwarding(&self) -> bool {
        self.forwards.as_ref().is_some_and(|known| !known.ended)
    }

    /// Whether a FIFO message waits for older ones of its group that are elsewhere.
    pub(crate) fn holds_back(&self, m: &Message) -> bool {
        let forwards = self.forwards.as_ref().filter(|known| !known.ended);
        let went_on =
            forwards.is_some_and(|known| known.unfinished.is_some() && known.unfinished == m.group);
        self.settings.fifo && (went_on || self.holds(m))
    }

    pub(crate) fn has_forwarded(&self, number: u64) -> bool {
        let forwards = self.forwards.as_ref();
        forwards.is_some_and(|known| known.went.contains(&number))
    }

    pub(crate) fn purge(&mut self) -> Outcome {
        self.messages.clear();
        self.line_up();
        if let Some(inherits) = &mut self.inherits {
            inherits.purged = true;
        }
        let Some(sealed) = &self.sealed else {
            return Outcome::Done;
        };
        let forwards = self.forwards.as_ref().filter(|known| !known.ended);
        Outcome::PurgedBut {
            seal: Box::new(sealed.seal.clone()),
            heir: forwards.map(|known| Box::new(known.heir.clone())),
        }
    }

    pub(crate) fn forwarding_stage(&self, seal: &Seal) -> SuccessionStage {
        let known = self.forwards.as_ref().unwrap();
        SuccessionStage::Forwarding {
            seal: Box::new(seal.clone()),
            heir: Box::new(known.heir.clone()),
            passed: known.passed,
            complete: !known.on_its_way && known.rest == Rest::Nothing,
        }
    }

    fn forward(
        &mut self,
        id: PartitionId,
        heir: &Heir,
        revision: Revision,
    ) -> Result<Outcome, ErrorCode> {
        let sealed = self.sealed.as_ref().ok_or(ErrorCode::InvalidRequest)?;
        if revision < self.revision {
            return Err(ErrorCode::Fenced);
        }
        if heir.partition == id {
            return Err(ErrorCode::InvalidRequest);
        }
        match &mut self.forwards {
            Some(known) if !known.ended => {
                let who = |heir: &Heir| (heir.partition, heir.cluster);
                if who(&known.heir) != who(heir) {
                    return Err(ErrorCode::Fenced);
                }
                known.heir = heir.clone();
            }
            Some(known) if known.heir.partition == heir.partition => {
                return Err(ErrorCode::QueueNotFound);
            }
            before => {
                if self.inherits.as_ref().is_some_and(|known| !known.has_all()) {
                    return Err(ErrorCode::NotReady);
                }
                let gone = before.take();
                *before = Some(Forwards {
                    heir: heir.clone(),
                    made: 0,
                    on_its_way: false,
                    rest: Rest::Some {
                        groups: sealed.seal.held.clone(),
                    },
                    unfinished: None,
                    passed: gone.as_ref().map(|known| known.passed).unwrap_or_default(),
                    went: gone.map(|known| known.went).unwrap_or_default(),
                    ended: false,
                });
            }
        }
        self.revision = revision;
        Ok(Outcome::Done)
    }

    fn forwards_to(&mut self, heir: PartitionId) -> Result<&mut Forwards, ErrorCode> {
        let known = self.forwards.as_mut();
        known
            .filter(|known| !known.ended && known.heir.partition == heir)
            .ok_or(ErrorCode::InvalidRequest)
    }

    fn next_piece(&mut self, heir: PartitionId, taken: u64, now: Ts) -> Result<Outcome, ErrorCode> {
        let known = self.forwards_to(heir)?;
        if taken > known.made {
            return Err(ErrorCode::InvalidRequest);
        }
        if taken == known.made {
            known.on_its_way = false;
            let gone: Vec<_> = self
                .messages
                .extract_if(.., |m| m.going.is_some())
                .collect();
            let known = self.forwards.as_mut().unwrap();
            for m in gone {
                known.passed.messages += 1;
                known.passed.bytes += u64::from(m.size);
                if m.leases > 0 {
                    known.went.insert(m.number);
                }
            }
        }
        if !self.forwards.as_ref().unwrap().on_its_way && !self.has_moved_parcel() {
            self.make_piece(now);
        }
        Ok(Outcome::Done)
    }

    /// What could go, in the order in which it does.
    fn in_order_of_going(&self) -> Vec<u64> {
        let delayed: BTreeMap<(Ts, u64), &Message> = self
            .messages
            .iter()
            .filter_map(|m| Some(((m.delayed_until?, m.number), m)))
            .collect();
        if !self.settings.fifo {
            let ready = self.messages.iter().filter(|m| m.ready());
            return ready
                .chain(delayed.into_values())
                .map(|m| m.number)
                .collect();
        }
        let unfinished = self.forwards.as_ref().unwrap().unfinished.clone();
        let mut groups: Vec<GroupName> = unfinished.into_iter().collect();
        let available = self.messages.iter().filter(|m| {
            let same_group = self.messages.iter().filter(|o| o.group == m.group);
            let mut others = same_group.filter(|o| o.number != m.number && o.dead.is_none());
            m.ready()
                && !self.holds_back(m)
                && others.all(|o| o.number > m.number && o.leased_until.is_none())
        });
        groups.extend(available.filter_map(|m| m.group.clone()));
        groups.extend(delayed.into_values().filter_map(|m| {
            let mut same_group = self.messages.iter().filter(|o| o.group == m.group);
            let unlocked = same_group.all(|o| o.leased_until.is_none());
            m.group.clone().filter(|_| unlocked && !self.holds(m))
        }));
        let mut order: Vec<u64> = Vec::new();
        for group in groups {
            let of_group = self
                .messages
                .iter()
                .filter(|m| m.group.as_ref() == Some(&group) && m.dead.is_none());
            for m in of_group {
                if !order.contains(&m.number) {
                    order.push(m.number);
                }
            }
        }
        order
    }

    fn make_piece(&mut self, now: Ts) {
        let (mut looked_at, mut bytes) = (0, 0);
        let (mut going, mut unfinished) = (BTreeSet::new(), None);
        let before = self.forwards.as_ref().unwrap().unfinished.clone();
        let mut begun: Vec<_> = before.into_iter().collect();
        for number in self.in_order_of_going() {
            let retention = self.settings.retention;
            let m = self.message(number).unwrap();
            let too_large = !going.is_empty() && bytes + m.size as usize > PIECE_BYTES_MAX;
            if looked_at == PIECE_MESSAGES_MAX || too_large {
                unfinished = m.group.clone().filter(|group| begun.contains(group));
                break;
            }
            looked_at += 1;
            if m.expired(now, retention) {
                self.remove(number);
                continue;
            }
            bytes += m.size as usize;
            m.going = Some(m.delayed_until.take().unwrap_or(Ts::ZERO));
            begun.extend(m.group.clone());
            self.line_up();
            going.insert(number);
        }
        let rest = if going.len() == self.messages.len() && self.waits_for_nothing() {
            Rest::Nothing
        } else {
            let groups = match &self.sealed.as_ref().unwrap().seal.held {
                HeldGroups::These(_) => self.groups_left(&going),
                all_or_none => all_or_none.clone(),
            };
            Rest::Some { groups }
        };
        let fifo = self.settings.fifo;
        let known = self.forwards.as_mut().unwrap();
        known.unfinished = unfinished.filter(|_| fifo);
        if !going.is_empty() || rest != known.rest {
            known.made += 1;
            known.on_its_way = true;
            known.rest = rest;
        }
    }

    fn take_piece(
        &mut self,
        from: PartitionId,
        piece: &Piece,
        when: When,
    ) -> Result<Outcome, ErrorCode> {
        let now = when.now;
        let inherits = self.inherits.as_mut().filter(|known| known.source == from);
        let inherits = inherits.ok_or(ErrorCode::InvalidRequest)?;
        let through = inherits.taken;
        if piece.number > through + 1 {
            return Err(ErrorCode::InvalidRequest);
        }
        if piece.number <= through {
            return Ok(Outcome::Taken { through });
        }
        let (epoch, fifo) = (self.settings.epoch, self.settings.fifo);
        let messages = &piece.messages;
        let in_order = messages.windows(2).all(|w| w[0].sequence < w[1].sequence);
        let fits = |new: &Forwarded| {
            let number = new.sequence.number();
            let mut overtakes = self.messages.iter().filter(|m| {
                m.number == number || fifo && m.group == new.group && m.number > number
            });
            new.sequence.epoch() == epoch
                && number > 0
                && new.receives <= new.leases
                && (new.group.is_some() || !fifo)
                && overtakes.next().is_none()
        };
        if !in_order || messages.len() > PIECE_MESSAGES_MAX || !messages.iter().all(fits) {
            return Err(ErrorCode::InvalidRequest);
        }
        inherits.taken = piece.number;
        inherits.rest = piece.rest.clone();
        let purged = inherits.purged;
        for new in messages {
            let number = new.sequence.number();
            self.last = self.last.max(number);
            if purged {
                continue;
            }
            self.messages.push(Message {
                sent_at: new.sent_at,
                ttl_ends: new.expires,
                delayed_until: (new.ready_at > now).then_some(new.ready_at),
                leases: new.leases,
                receives: new.receives.into(),
                given_back: new.leases > 0,
                first_received_at: new.first_received_at,
                dead_from: new.dead_from.as_deref().copied(),
                takes_turns: takes_turns(when.version, fifo, new.group.as_ref()),
                ..Message::new(number, new.size, new.crc, new.group.clone())
            });
            self.messages.sort_by_key(|m| m.number);
            self.line_up();
        }
        Ok(Outcome::Taken {
            through: piece.number,
        })
    }

    fn end_forwarding(&mut self, heir: PartitionId, now: Ts) -> Result<Outcome, ErrorCode> {
        let known = self.forwards_to(heir)?;
        known.ended = true;
        known.on_its_way = false;
        known.unfinished = None;
        for at in 0..self.messages.len() {
            let m = &mut self.messages[at];
            if let Some(ready_at) = m.going.take() {
                m.delayed_until = (ready_at > now).then_some(ready_at);
                self.line_up();
            }
        }
        Ok(Outcome::Done)
    }
}

impl Model {
    pub(crate) fn forwarding_command(&mut self, command: &Command) -> Result<Outcome, ErrorCode> {
        let when = self.when();
        let now = when.now;
        if self.version < 2 {
            return Err(ErrorCode::NotReady);
        }
        match command {
            Command::CreateHeir {
                partition,
                settings,
                revision,
                source,
                seal,
            } => self.create_heir(*partition, *settings, *revision, *source, seal),
            Command::Forward {
                partition,
                heir,
                revision,
            } => {
                if !are_members(&heir.members) {
                    return Err(ErrorCode::InvalidRequest);
                }
                self.known(*partition)?.forward(*partition, heir, *revision)
            }
            Command::NextPiece {
                partition,
                heir,
                taken,
            } => self.known(*partition)?.next_piece(*heir, *taken, now),
            Command::TakePiece {
                partition,
                from,
                piece,
            } => self.known(*partition)?.take_piece(*from, piece, when),
            Command::EndForwarding { partition, heir } => {
                self.known(*partition)?.end_forwarding(*heir, now)
            }
            _ => unreachable!("the caller has looked"),
        }
    }

    fn create_heir(
        &mut self,
        id: PartitionId,
        settings: PartitionSettings,
        revision: Revision,
        from: PartitionId,
        seal: &Seal,
    ) -> Result<Outcome, ErrorCode> {
        let mut successors = seal.successors.iter();
        let is_other =
            seal.partition != id && from != id && successors.all(|one| one.partition != id);
        if !is_seal(seal) || !is_other || seal.epoch != settings.epoch {
            return Err(ErrorCode::InvalidRequest);
        }
        if let Some(p) = self.partitions.get(&id) {
            if p.revision >= revision {
                return Ok(Outcome::Done);
            }
            let source = p.inherits.as_ref().map(|known| known.source);
            if source != Some(from) {
                return Err(ErrorCode::InvalidRequest);
            }
            return self.configure(id, settings, revision);
        }
        if self.deleted.contains_key(&id) {
            return Err(ErrorCode::Fenced);
        }
        let new = Partition {
            sealed: Some(Sealed::inherited(seal)),
            inherits: Some(Inherits {
                source: from,
                taken: 0,
                rest: Rest::Some {
                    groups: seal.held.clone(),
                },
                purged: false,
            }),
            ..Partition::new(settings, revision)
        };
        self.partitions.insert(id, new);
        Ok(Outcome::Done)
    }

    /// The piece of a partition's messages that is on its way, and to which partition. `None` if none is.
    #[must_use]
    pub fn piece(&self, id: PartitionId) -> Option<(PartitionId, Piece)> {
        let p = self.partitions.get(&id)?;
        let known = p.forwards.as_ref()?;
        let going = p.messages.iter().filter_map(|m| Some((m, m.going?)));
        let message = |(m, ready_at): (&Message, Ts)| Forwarded {
            sequence: p.sequence(m.number),
            sent_at: m.sent_at,
            size: m.size,
            crc: m.crc,
            group: m.group.clone(),
            dead_from: m.dead_from.map(Box::new),
            ready_at,
            expires: m.ttl_ends,
            first_received_at: m.first_received_at,
            leases: m.leases,
            receives: u16::try_from(m.receives).unwrap(),
        };
        known.on_its_way.then(|| {
            let piece = Piece {
                number: known.made,
                messages: going.map(message).collect(),
                rest: known.rest.clone(),
            };
            (known.heir.partition, piece)
        })
    }

    /// How many pieces of a partition's messages were made, if it has an heir, and which that is.
    #[must_use]
    pub fn heir(&self, id: PartitionId) -> Option<(PartitionId, u64)> {
        let forwards = self.partitions.get(&id)?.forwards.as_ref();
        let known = forwards.filter(|known| !known.ended)?;
        Some((known.heir.partition, known.made))
    }
}
