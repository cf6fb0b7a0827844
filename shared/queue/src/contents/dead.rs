//! Dead messages, and those that came as dead letters from other queues.

use std::collections::BTreeSet;

use shoal_types::limits::LEASES_PER_MESSAGE_MAX;
use shoal_types::planted::{Bug, planted};
use shoal_types::{DeadFrom, GroupName, Ts};

use super::Contents;
use super::grouping::mark;
use crate::chunk::Hold;
use crate::link::Link;

impl Contents {
    /// The dead by the order of their deaths: place and number.
    pub(crate) fn dead(&self) -> &BTreeSet<(u64, u64)> {
        &self.dead
    }

    /// True if no message stands before this one in its FIFO group that may still be given out.
    pub(crate) fn is_first_of_group(&self, number: u64) -> bool {
        if !self.fifo {
            return true;
        }
        let link = self.slots.link(number).expect("FIFO messages have a group");
        self.groups.oldest(&link.group) == Some(number)
    }

    /// True if a new message is the first of its FIFO group that lives: it has no other, or only dead ones.
    pub(super) fn begins_group(&self, link: Option<&Link>, number: u64) -> bool {
        link.is_some_and(|link| {
            let waits = link.previous != 0 && planted(Bug::WaitsBehindTheDead);
            !waits && self.groups.oldest(&link.group) == Some(number)
        })
    }

    /// True if a FIFO group has messages, and none of them is dead.
    pub(crate) fn is_all_alive(&self, group: &GroupName) -> bool {
        self.groups.oldest(group).is_some() && !self.groups.has_dead(group, &self.slots)
    }

    /// A ready message dies, the first of its group in a FIFO partition. `place`: its own in the order of deaths.
    pub(crate) fn die(&mut self, number: u64, place: u64) {
        let (before, left) = self.slots.edit(number, |chunk, offset| {
            let mut side = chunk.side(offset);
            let before = std::mem::replace(&mut side.hold, Hold::Dead(place));
            chunk.set_side(offset, side);
            (before, mark(self.fifo, chunk, offset, false))
        });
        assert_eq!(before, Hold::Free, "only messages in nobody's hands die");
        self.dead.insert((place, number));
        if let Some(link) = left {
            self.left_line(number, &link, false);
        }
        self.note_death_in_group(number);
    }

    /// A message that died leaves the living of its FIFO group.
    pub(super) fn note_death_in_group(&mut self, number: u64) {
        let link = self.slots.link(number).filter(|_| self.fifo).cloned();
        if let Some(link) = link {
            self.groups.died(number, &link, &mut self.slots);
        }
    }

    /// A dead message comes to life again, of a FIFO group the last one that died.
    pub(crate) fn revive(&mut self, number: u64) {
        let before = self.slots.edit(number, |chunk, offset| {
            let mut side = chunk.side(offset);
            let before = std::mem::replace(&mut side.hold, Hold::Free);
            chunk.set_side(offset, side);
            let spent = chunk.slot(offset).expect("it is dead").lease == LEASES_PER_MESSAGE_MAX;
            mark(self.fifo, chunk, offset, !spent);
            before
        });
        let Hold::Dead(place) = before else {
            panic!("only dead messages come to life again")
        };
        self.dead.remove(&(place, number));
        let link = self.slots.link(number).filter(|_| self.fifo).cloned();
        match link {
            Some(link) => self.groups.revived(number, &link, &mut self.slots),
            None => self.settle(number),
        }
    }

    /// Where a message died, if it came as a dead letter.
    pub(crate) fn dead_from(&self, number: u64) -> Option<DeadFrom> {
        let (chunk, offset) = self.slots.find(number)?;
        chunk.dead_from(offset)
    }

    pub(crate) fn set_dead_from(&mut self, number: u64, dead_from: DeadFrom) {
        let sent_at = self.slots.edit(number, |chunk, offset| {
            chunk.set_dead_from(offset, dead_from);
            chunk.slot(offset).expect("it exists").sent_at
        });
        self.note_elder(number, sent_at);
    }

    /// As [`Contents::set_dead_from`], of what a checkpoint tells.
    pub(crate) fn restore_dead_from(&mut self, number: u64, dead_from: DeadFrom) {
        let sent_at = self.slots.slot(number).expect("it was read").sent_at;
        self.slots.derive(number, |chunk, offset| {
            chunk.set_dead_from(offset, dead_from);
        });
        self.note_elder(number, sent_at);
    }

    fn note_elder(&mut self, number: u64, sent_at: Ts) {
        // A FIFO partition counts their time from when they came.
        if !self.fifo {
            self.elders.insert((sent_at, number));
        }
    }

    /// The message that was sent first, of those that do not follow from their numbers.
    pub(crate) fn first_elder(&self) -> Option<(Ts, u64)> {
        self.elders.first().copied()
    }

    /// When the oldest message was sent.
    pub(crate) fn oldest_sent_at(&self) -> Option<Ts> {
        let first = self.slots.first().map(|(_, slot)| slot.sent_at);
        let elder = self.first_elder().map(|(sent_at, _)| sent_at);
        first.into_iter().chain(elder).min()
    }
}
