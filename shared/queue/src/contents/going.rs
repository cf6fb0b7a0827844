//! Messages on their way to an heir, and those that an heir takes over.

use shoal_types::limits::LEASES_PER_MESSAGE_MAX;
use shoal_types::{GroupName, Ts};

use super::Contents;
use crate::chunk::{Hold, Side, Slot};

impl Contents {
    /// Adds a message with any number that is free, neither leased nor going.
    pub(crate) fn insert_anywhere(
        &mut self,
        number: u64,
        slot: Slot,
        group: Option<&GroupName>,
        side: Side,
    ) {
        let link = group.map(|name| self.groups.append(name, number));
        let previous = link.as_ref().map(|link| link.previous);
        if let Some(previous) = previous.filter(|n| *n != 0) {
            self.slots.edit(previous, |chunk, offset| {
                chunk.link_mut(offset).expect("it is of the group").next = number;
            });
        }
        self.messages += 1;
        self.bytes += u64::from(slot.size);
        let spent = slot.lease == LEASES_PER_MESSAGE_MAX;
        let ready = side.hold == Hold::Free && !spent;
        self.slots.insert(number, slot, link, side, ready);
        if let Hold::Delayed(due) = side.hold {
            self.delays.insert((due, number));
        }
        if let Some(expires) = side.expires {
            self.ttls.insert((expires, number));
        }
        if let Some(group) = group.filter(|_| previous == Some(0)) {
            self.groups.readied(group, &mut self.slots);
        }
    }

    /// Sends a message that nobody has leased on its way.
    pub(crate) fn go(&mut self, number: u64) {
        let before = self.slots.edit(number, |chunk, offset| {
            let side = chunk.side(offset);
            let hold = Hold::Going(match side.hold {
                Hold::Delayed(until) => until,
                _ => Ts::ZERO,
            });
            chunk.set_side(offset, Side { hold, ..side });
            chunk.set_ready(offset, false);
            side.hold
        });
        match before {
            Hold::Free => {}
            Hold::Delayed(until) => {
                self.delays.remove(&(until, number));
            }
            Hold::Leased(_) | Hold::Going(_) => panic!("only messages in nobody's hands go on"),
        }
        self.settle_group_of(number);
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
            chunk.set_ready(offset, hold == Hold::Free && !spent);
            hold
        });
        if let Hold::Delayed(until) = hold {
            self.delays.insert((until, number));
        }
        self.settle_group_of(number);
    }

    fn settle_group_of(&mut self, number: u64) {
        if let Some(group) = self.group_of(number) {
            self.groups.readied(&group, &mut self.slots);
        }
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
