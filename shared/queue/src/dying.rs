//! When messages die: one that was received as often as the partition allows is not given out again, but goes
//! to the dead-letter queue.
//!
//! It is judged when its lease ends, and otherwise when it would be given out. In a FIFO partition only the
//! first of its group dies, so the dead of a group stand before all others of it and in its order; one behind
//! it waits until it is the first. A dead message is given to nobody, and its group goes on without it.
//!
//! If the setting is taken back, or the dead-letter queue is gone, those that are still here come to life
//! again, the last one first, bit by bit.

use shoal_types::planted::{Bug, planted};
use shoal_types::{DeadLetters, Outcome, Refusal, Revision};

use crate::contents::LeaseEnd;
use crate::partition::Partition;
use crate::transfers::TransfersRecord;

impl Partition {
    pub(crate) fn set_dead_letters(
        &mut self,
        dead_letters: Option<&DeadLetters>,
        revision: Revision,
    ) -> Result<Outcome, Refusal> {
        let transfers = self.transfers.get_or_insert_default();
        let known = transfers.record().dead_letters_revision;
        if revision < known {
            return Err(crate::execute::fenced());
        }
        if revision > known {
            let record = transfers.change();
            record.dead_letters = dead_letters.cloned();
            record.queue = dead_letters.map_or(record.queue, |known| known.queue);
            record.dead_letters_revision = revision;
            record.target_gone = false;
        }
        Ok(Outcome::Done)
    }

    /// Where the dead go, if there is such a place.
    pub(crate) fn dead_letters(&self) -> Option<&DeadLetters> {
        let record = self.sends()?;
        let known = record.dead_letters.as_ref();
        known.filter(|_| !record.target_gone)
    }

    pub(crate) fn sends(&self) -> Option<&TransfersRecord> {
        self.transfers.as_ref().map(|known| known.record())
    }

    /// Ends a lease; the message dies if that was its last one.
    pub(crate) fn end_lease(&mut self, number: u64, end: LeaseEnd) {
        let dies = end != LeaseEnd::Undone && self.is_to_die(number);
        let place = dies.then(|| self.next_place());
        self.contents.end_lease(number, end, place);
    }

    /// The message that a receive would begin with, if it dies instead.
    pub(crate) fn next_to_die(&self) -> Option<u64> {
        self.dead_letters()?;
        let first = self.contents.first_receivable()?;
        self.is_to_die(first).then_some(first)
    }

    /// True if a message is not given out any more, though it may have to wait for its death.
    pub(crate) fn is_doomed(&self, number: u64) -> bool {
        let Some(dead_letters) = self.dead_letters() else {
            return false;
        };
        let slot = self.contents.slots.slot(number).expect("it exists");
        let receives = slot.receives + u16::from(planted(Bug::DiesEarly));
        receives >= dead_letters.max_receives && slot.receives > 0
    }

    fn is_to_die(&self, number: u64) -> bool {
        self.is_doomed(number) && self.contents.is_first_of_group(number)
    }

    /// It is doomed and in nobody's hands.
    pub(crate) fn die(&mut self, number: u64) {
        let place = self.next_place();
        self.contents.die(number, place);
    }

    /// In the order of deaths.
    fn next_place(&mut self) -> u64 {
        let record = self.outbox();
        record.deaths += 1;
        record.deaths
    }

    /// The dead message that comes to life again next.
    pub(crate) fn next_to_revive(&self) -> Option<u64> {
        if self.contents.dead().is_empty() || self.dead_letters().is_some() {
            return None;
        }
        let (_, number) = *self.contents.dead().last()?;
        // What is on its way may have arrived.
        let on_its_way = self.sends()?.parcel.as_ref();
        let on_its_way = on_its_way.is_some_and(|one| one.contents.numbers().contains(&number));
        (!on_its_way || planted(Bug::LivesOnItsWay)).then_some(number)
    }
}
