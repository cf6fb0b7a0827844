//! What an heir does: it takes a sealed partition's messages, under the numbers that they have, each piece
//! once.

use shoal_types::limits::PIECE_MESSAGES_MAX;
use shoal_types::planted::{Bug, planted};
use shoal_types::{
    BodyRef, ErrorCode, Forwarded, Outcome, PartitionId, Piece, Refusal, Rest, Sequence,
};

use crate::chunk::{Side, Slot};
use crate::contents::hold_of;
use crate::lineage::Inheritance;
use crate::partition::{Partition, Step};
use crate::version::FAIR_TURNS_SINCE;

/// Above all numbers: what is purged with an heir is also all that will still come.
const ALL_NUMBERS: u64 = (1 << Sequence::NUMBER_BITS) - 1;

fn refuse<T>(detail: &'static str) -> Result<T, Refusal> {
    Err(Refusal::not_applied(ErrorCode::InvalidRequest, detail))
}

impl Partition {
    /// Takes a piece, unless it was taken before.
    pub(crate) fn take_piece(
        &mut self,
        from: PartitionId,
        piece: &Piece,
        bodies: &[BodyRef],
        step: &mut Step<'_>,
    ) -> Result<Outcome, Refusal> {
        assert_eq!(piece.messages.len(), bodies.len(), "one body per message");
        let inheritance = self.inheritance().filter(|known| known.source == from);
        let Some(through) = inheritance.map(|known| known.pieces) else {
            return refuse("from: not whose messages this partition takes over");
        };
        if piece.number > through + 1 {
            return refuse("piece.number: there is a gap before it");
        }
        if piece.number <= through && !planted(Bug::PieceTakenTwice) {
            return Ok(Outcome::Taken { through });
        }
        self.check_messages(&piece.messages)?;
        for (message, body) in piece.messages.iter().zip(bodies) {
            let body = match planted(Bug::BodiesOfOthers) {
                true => bodies[0],
                false => *body,
            };
            self.take_over(message, body, step);
        }
        let lineage = self.lineage.as_mut().expect("it is an heir");
        let inheritance = lineage.change().inheritance.as_mut();
        let inheritance = inheritance.expect("it is an heir");
        inheritance.pieces = piece.number;
        inheritance.rest = piece.rest.clone();
        Ok(Outcome::Taken {
            through: piece.number,
        })
    }

    pub(crate) fn inheritance(&self) -> Option<&Inheritance> {
        self.lineage.as_ref()?.record().inheritance.as_ref()
    }

    /// True unless it follows others of which messages may be left, or more is to come from where it takes
    /// messages over, or it has yet to hear of parcels or others of theirs.
    pub(crate) fn waits_for_nothing(&self) -> bool {
        let has_all = self.has_all_of_its_source() || planted(Bug::HeirDrainedTooEarly);
        let transfers = self.transfers.as_ref();
        self.contents.held().is_none()
            && has_all
            && transfers.is_none_or(|known| known.are_settled())
    }

    /// True unless more is to come from where it takes messages over.
    pub(crate) fn has_all_of_its_source(&self) -> bool {
        let has_all = |known: &Inheritance| known.rest == Rest::Nothing;
        self.inheritance().is_none_or(has_all)
    }

    /// Up to which number everything is gone once it is purged. Whoever purges a queue means all that was
    /// sent before, and nothing is sent to those whose messages an heir takes over.
    pub(crate) fn purged_now(&self) -> u64 {
        if self.inheritance().is_some() {
            ALL_NUMBERS
        } else {
            self.last
        }
    }

    /// What a source never says.
    fn check_messages(&self, messages: &[Forwarded]) -> Result<(), Refusal> {
        if messages.len() > PIECE_MESSAGES_MAX {
            return refuse("piece.messages: more than 1000");
        }
        if !messages.is_sorted_by(|one, next| one.sequence < next.sequence) {
            return refuse("piece.messages: not ascending");
        }
        for message in messages {
            let number = message.sequence.number();
            let is_new = self.contents.slots.find(number).is_none();
            if message.sequence.epoch() != self.settings.epoch || number == 0 || !is_new {
                return refuse("piece.messages.sequence: of another epoch, or taken over before");
            }
            if message.receives > message.leases {
                return refuse("piece.messages.receives: more than leases");
            }
            match &message.group {
                None if self.settings.fifo => {
                    return refuse("piece.messages.group: a FIFO queue's messages need one");
                }
                Some(group) if self.settings.fifo => {
                    let newest = self.contents.groups().newest(group);
                    if newest.is_some_and(|newest| newest > number) {
                        return refuse("piece.messages.sequence: a later one of its group is here");
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn take_over(&mut self, message: &Forwarded, body: BodyRef, step: &mut Step<'_>) {
        let number = message.sequence.number();
        self.last = self.last.max(number);
        if number <= self.purged_through {
            return;
        }
        let slot = Slot {
            sent_at: message.sent_at,
            body,
            size: message.size,
            crc: message.crc,
            lease: message.leases,
            receives: message.receives,
            // No consumer has a receipt of this partition for it.
            given_back: message.leases > 0,
        };
        let side = Side {
            hold: hold_of(message.ready_at, step.now),
            expires: message.expires,
            first_received_at: message.first_received_at,
        };
        let (group, turns) = (message.group.as_ref(), step.version >= FAIR_TURNS_SINCE);
        self.contents
            .insert_anywhere(number, slot, group, side, turns);
        if let Some(dead_from) = &message.dead_from {
            self.contents.set_dead_from(number, **dead_from);
        }
        step.bodies.add(body, message.size);
    }
}
