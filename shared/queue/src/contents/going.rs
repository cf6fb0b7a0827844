//! Messages on their way to an heir or, by a task, to another queue, and those that an heir takes over.

use shoal_types::limits::LEASES_PER_MESSAGE_MAX;
use shoal_types::{GroupName, Ts};

use super::Contents;
use super::grouping::mark;
use crate::chunk::{Hold, Side, Slot};

impl Contents {
    /// Adds a message with any number that is free, neither leased nor going. `turns`: as
    /// [`Contents::insert`].
    pub(crate) fn insert_anywhere(
        &mut self,
        number: u64,
        slot: Slot,
        group: Option<&GroupName>,
        side: Side,
        turns: bool,
    ) {
        let link = group.map(|name| self.new_link(name, number, turns));
        let is_first = self.begins_group(link.as_ref(), number);
        self.messages += 1;
        self.bytes += u64::from(slot.size);
        let spent = slot.lease == LEASES_PER_MESSAGE_MAX;
        let ready = side.hold == Hold::Free && !spent;
        self.slots
            .insert(number, slot, link, side, |chunk, offset| {
                mark(self.fifo, chunk, offset, ready);
            });
        if let Hold::Delayed(due) = side.hold {
            self.delays.insert((due, number));
        }
        if let Some(expires) = side.expires {
            self.ttls.insert((expires, number));
        }
        if !self.fifo || is_first {
            self.settle(number);
        }
    }

    /// Sends a message that nobody has leased on its way.
    pub(crate) fn go(&mut self, number: u64) {
        let (before, left) = self.slots.edit(number, |chunk, offset| {
            let side = chunk.side(offset);
            let hold = Hold::Going(match side.hold {
                Hold::Delayed(until) => until,
                _ => Ts::ZERO,
            });
            chunk.set_side(offset, Side { hold, ..side });
            (side.hold, mark(self.fifo, chunk, offset, false))
        });
        match before {
            Hold::Free => {}
            Hold::Delayed(until) => {
                self.delays.remove(&(until, number));
            }
            Hold::Leased { .. } | Hold::Going(_) | Hold::Dead(_) => {
                panic!("only messages in nobody's hands go on")
            }
        }
        if let Some(link) = left {
            self.left_line(number, &link, false);
        }
        self.settle(number);
    }

    /// A message that was on its way is as it was before.
    pub(crate) fn stay(&mut self, number: u64, now: Ts) {
        let hold = self.slots.edit(number, |chunk, offset| {
            let side = chunk.side(offset);
            let Hold::Going(ready_at) = side.hold else {
                panic!("only messages that are going can stay")
            };
            let hold = hold_of(ready_at, now);
            chunk.set_side(offset, Side { hold, ..side });
            let spent = chunk.slot(offset).expect("it is going").lease == LEASES_PER_MESSAGE_MAX;
            mark(self.fifo, chunk, offset, hold == Hold::Free && !spent);
            hold
        });
        if let Hold::Delayed(until) = hold {
            self.delays.insert((until, number));
        }
        self.settle(number);
    }

    /// See [`Groups::set_went_on`].
    pub(crate) fn set_went_on(&mut self, group: &GroupName, went_on: bool) {
        self.groups.set_went_on(group, went_on, &mut self.slots);
    }
}

/// How a message is held that is ready from then on.
pub(crate) fn hold_of(ready_at: Ts, now: Ts) -> Hold {
    if ready_at > now {
        Hold::Delayed(ready_at)
    } else {
        Hold::Free
    }
}
