//! What a partition does that takes messages from other queues: it gives them numbers of its own, and takes
//! each parcel once.

use shoal_types::limits::{PARCEL_AHEAD_MAX, PARCEL_SOURCES_MAX, RETENTION_S};
use shoal_types::planted::{Bug, planted};
use shoal_types::{
    BodyRef, ErrorCode, Micros, Outcome, Parcel, Parceled, PartitionId, Refusal, Ts,
};

use crate::admission::check_numbers;
use crate::chunk::Slot;
use crate::partition::{Partition, Step};
use crate::transfers::Arrival;
use crate::version::FAIR_TURNS_SINCE;

/// No queue keeps a message for longer.
const KEPT_AT_MOST: Micros = *RETENTION_S.end() as Micros * 1_000_000;

fn refuse<T>(code: ErrorCode, detail: &'static str) -> Result<T, Refusal> {
    Err(Refusal::not_applied(code, detail))
}

impl Partition {
    /// Takes a parcel, unless it was taken before. A sealed partition takes none any more, but is told that
    /// the source has heard of those that it took.
    pub(crate) fn take_parcel(
        &mut self,
        from: PartitionId,
        parcel: &Parcel,
        bodies: &[BodyRef],
        step: &mut Step<'_>,
    ) -> Result<Outcome, Refusal> {
        assert_eq!(parcel.messages.len(), bodies.len(), "one body per message");
        let known = self.transfers.as_ref();
        let known = known.and_then(|known| known.arrival(from));
        if let Some(known) = known.filter(|known| parcel.number <= known.parcel)
            && (parcel.messages.is_empty() || !planted(Bug::DeadLetterTwice))
        {
            return Ok(Outcome::Taken {
                through: known.parcel,
            });
        }
        let settles = parcel.messages.is_empty();
        if !settles {
            if let Some(elsewhere) = self.turn_away(&[], step.now) {
                return Ok(elsewhere);
            }
            self.check_room_for(parcel, known.is_some(), step.now)?;
        }
        for (message, body) in parcel.messages.iter().zip(bodies) {
            // Where it comes from it is not kept any more either. Of a parcel that was taken so long ago that
            // nobody remembers, all messages are.
            if message.sent_at.after(KEPT_AT_MOST) > step.now {
                self.take_in(message, *body, step);
            }
        }
        if !settles || known.is_some() {
            let transfers = self.transfers.get_or_insert_default();
            let arrival = Arrival {
                parcel: parcel.number,
                at: step.now,
                settled: settles,
            };
            transfers.note_arrival(from, arrival);
        }
        Ok(Outcome::Taken {
            through: parcel.number,
        })
    }

    /// The source that is forgotten next, and from when on.
    pub(crate) fn first_source_to_forget(&self) -> Option<(Ts, PartitionId)> {
        let (at, source) = self.transfers.as_ref()?.oldest_source()?;
        Some((at.after(shoal_types::limits::PARCEL_MEMORY), source))
    }

    pub(crate) fn forget_source(&mut self, source: PartitionId) {
        let transfers = self.transfers.as_mut();
        transfers
            .expect("it knows the source")
            .forget_source(source);
    }

    /// Whole parcels are taken or none: one may exceed the partition's limits, the next is refused.
    fn check_room_for(&self, parcel: &Parcel, is_known: bool, now: Ts) -> Result<(), Refusal> {
        let messages = &parcel.messages;
        if self.settings.fifo && messages.iter().any(|one| one.group.is_none()) {
            return refuse(
                ErrorCode::InvalidRequest,
                "parcel.messages.group: a FIFO queue's messages need one",
            );
        }
        let latest = now.after(PARCEL_AHEAD_MAX);
        if messages.iter().any(|one| one.sent_at > latest) {
            return refuse(
                ErrorCode::NotReady,
                "parcel.messages.sent_at: more than an hour ahead of this cluster's time",
            );
        }
        check_numbers(self, messages.len())?;
        let is_full = self.contents.messages() >= self.settings.max_messages
            || self.contents.bytes() >= self.settings.max_bytes;
        if is_full {
            return refuse(
                ErrorCode::QueueFull,
                "the queue has as many messages or bytes as it may have",
            );
        }
        let sources = self.sends().map_or(0, |known| known.arrivals.len());
        if !is_known && sources >= PARCEL_SOURCES_MAX {
            return refuse(
                ErrorCode::Busy,
                "from: the partition remembers as many sources as it may",
            );
        }
        Ok(())
    }

    /// A dead letter in a standard queue is as old as it was, so that it is not kept for ever on its way
    /// through queues; all others are sent now.
    fn take_in(&mut self, message: &Parceled, body: BodyRef, step: &mut Step<'_>) {
        self.last += 1;
        let number = self.last;
        let keeps_age = message.dead_from.is_some() && !self.settings.fifo;
        let slot = Slot {
            sent_at: match keeps_age {
                true => message.sent_at.min(step.now),
                false => step.now,
            },
            body,
            size: message.size,
            crc: message.crc,
            lease: 0,
            receives: match &message.dead_from {
                Some(died) if planted(Bug::ReceivesKept) => died.receives,
                _ => 0,
            },
            given_back: false,
        };
        let (group, turns) = (message.group.as_ref(), step.version >= FAIR_TURNS_SINCE);
        self.contents
            .insert(number, slot, group, None, message.expires, turns);
        if let Some(dead_from) = &message.dead_from {
            self.contents.set_dead_from(number, **dead_from);
        }
        step.bodies.add(body, message.size);
    }
}
