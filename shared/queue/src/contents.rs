//! The messages of a partition and every index over them.
//!
//! A message is in exactly one of five states: *ready*, *leased*, *delayed*, *going* (on its way to the
//! partition's heir), or *spent* (its lease counter is used up, it waits for its end). All changes of state happen here, so that slots and
//! indexes cannot disagree.

mod going;

pub(crate) use going::hold_of;

use std::collections::BTreeSet;

use shoal_types::limits::LEASES_PER_MESSAGE_MAX;
use shoal_types::planted::{Bug, planted};
use shoal_types::{GroupName, HeldGroups, Micros, Ts};

use crate::chunk::{Hold, Link, Side, Slot};
use crate::groups::Groups;
use crate::held::Held;
use crate::limits::CHUNK_SLOTS;
use crate::live_bodies::LiveBodies;
use crate::slots::Slots;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    fifo: bool,
    pub(crate) slots: Slots,
    groups: Groups,
    /// By when the lease ends.
    pub(crate) leases: BTreeSet<(Ts, u64)>,
    /// By when the message becomes ready.
    pub(crate) delays: BTreeSet<(Ts, u64)>,
    /// By when the message's own time to live ends.
    pub(crate) ttls: BTreeSet<(Ts, u64)>,
    messages: u64,
    bytes: u64,
}

/// How a lease ends if the message stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaseEnd {
    /// Its time was over.
    RanOut,
    /// The consumer released it; ready again at that time, or at once.
    Released(Option<Ts>),
    /// The consumer never saw it: as if it had not been received.
    Undone,
}

impl Contents {
    pub(crate) fn new(fifo: bool) -> Self {
        Self {
            fifo,
            groups: Groups::new(fifo),
            ..Self::default()
        }
    }

    /// Takes all messages out. Which groups are held stays as it is.
    pub(crate) fn take_all(&mut self) -> Self {
        let empty = Self {
            groups: self.groups.without_messages(),
            ..Self::new(self.fifo)
        };
        std::mem::replace(self, empty)
    }

    pub(crate) fn groups(&self) -> &Groups {
        &self.groups
    }

    pub(crate) fn held(&self) -> &Held {
        self.groups.held()
    }

    /// See [`Held::hold`].
    pub(crate) fn hold(&mut self, groups: &HeldGroups) {
        self.groups.hold(groups);
    }

    /// See [`Held::let_go`].
    pub(crate) fn let_go(&mut self, groups: &HeldGroups) {
        self.groups.let_go(groups, &mut self.slots);
    }

    pub(crate) fn messages(&self) -> u64 {
        self.messages
    }

    /// Bytes of stored form.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds the message with the highest number so far.
    pub(crate) fn insert(
        &mut self,
        number: u64,
        slot: Slot,
        group: Option<&GroupName>,
        delayed_until: Option<Ts>,
        expires: Option<Ts>,
    ) {
        let link = group.map(|name| self.groups.append(name, number));
        let previous = link.as_ref().map(|link| link.previous);
        if let Some(previous) = previous.filter(|n| *n != 0) {
            self.slots.edit(previous, |chunk, offset| {
                chunk.link_mut(offset).expect("it is of the group").next = number;
            });
        }
        let side = Side {
            hold: delayed_until.map_or(Hold::Free, Hold::Delayed),
            expires,
            first_received_at: None,
        };
        self.messages += 1;
        self.bytes += u64::from(slot.size);
        self.slots
            .push(number, slot, link, side, delayed_until.is_none());
        if let Some(due) = delayed_until {
            self.delays.insert((due, number));
        }
        if let Some(expires) = expires {
            self.ttls.insert((expires, number));
        }
        // A group with older messages stays as available as it is.
        if let Some(group) = group.filter(|_| previous == Some(0)) {
            self.groups.readied(group, &mut self.slots);
        }
    }

    /// Puts a ready message into a consumer's hands and gives the lease's number.
    pub(crate) fn lease(&mut self, number: u64, now: Ts, until: Ts) -> u16 {
        let lease = self.receive(number, now, Hold::Leased(until));
        self.leases.insert((until, number));
        if let Some(group) = self.group_of(number) {
            self.groups.leased(&group, &mut self.slots);
        }
        lease
    }

    /// Counts a receive of a ready message that will be removed at once.
    pub(crate) fn take(&mut self, number: u64, now: Ts) -> u16 {
        self.receive(number, now, Hold::Free)
    }

    fn receive(&mut self, number: u64, now: Ts, hold: Hold) -> u16 {
        self.slots.edit(number, |chunk, offset| {
            assert!(
                chunk.ready().contains(offset),
                "only ready messages are received"
            );
            chunk.set_ready(offset, false);
            let mut side = chunk.side(offset);
            side.hold = hold;
            side.first_received_at.get_or_insert(now);
            chunk.set_side(offset, side);
            let slot = chunk.slot_mut(offset).expect("it is ready");
            slot.lease += 1;
            slot.receives += 1;
            slot.given_back = false;
            slot.lease
        })
    }

    /// Moves the end of a lease.
    pub(crate) fn extend(&mut self, number: u64, until: Ts) {
        let before = self.slots.edit(number, |chunk, offset| {
            let side = chunk.side(offset);
            let hold = Hold::Leased(until);
            chunk.set_side(offset, Side { hold, ..side });
            side.hold
        });
        let Hold::Leased(before) = before else {
            panic!("only leased messages have a lease to extend")
        };
        self.leases.remove(&(before, number));
        self.leases.insert((until, number));
    }

    /// Takes a message out of its consumer's hands.
    pub(crate) fn end_lease(&mut self, number: u64, end: LeaseEnd) {
        let delayed_until = match end {
            LeaseEnd::Released(until) => until,
            LeaseEnd::RanOut | LeaseEnd::Undone => None,
        };
        let before = self.slots.edit(number, |chunk, offset| {
            let slot = chunk.slot_mut(offset).expect("it is leased");
            slot.given_back = end != LeaseEnd::RanOut;
            if end == LeaseEnd::Undone {
                slot.receives -= 1;
            }
            let never_received = slot.receives == 0;
            let spent = slot.lease == LEASES_PER_MESSAGE_MAX;
            let mut side = chunk.side(offset);
            let before = side.hold;
            side.hold = delayed_until.map_or(Hold::Free, Hold::Delayed);
            if never_received {
                side.first_received_at = None;
            }
            chunk.set_side(offset, side);
            chunk.set_ready(offset, delayed_until.is_none() && !spent);
            before
        });
        let Hold::Leased(before) = before else {
            panic!("only leased messages have a lease to end")
        };
        self.leases.remove(&(before, number));
        if let Some(due) = delayed_until {
            self.delays.insert((due, number));
        }
        if let Some(group) = self.group_of(number) {
            self.groups.unleased(&group, &mut self.slots);
        }
    }

    /// Makes a delayed message ready.
    pub(crate) fn end_delay(&mut self, number: u64) {
        let before = self.slots.edit(number, |chunk, offset| {
            let side = chunk.side(offset);
            let hold = Hold::Free;
            chunk.set_side(offset, Side { hold, ..side });
            let spent = chunk.slot(offset).expect("it is delayed").lease == LEASES_PER_MESSAGE_MAX;
            chunk.set_ready(offset, !spent);
            side.hold
        });
        let Hold::Delayed(before) = before else {
            panic!("only delayed messages have a delay to end")
        };
        self.delays.remove(&(before, number));
        if let Some(group) = self.group_of(number) {
            self.groups.readied(&group, &mut self.slots);
        }
    }

    /// Drops a message, whatever its state.
    pub(crate) fn remove(&mut self, number: u64, bodies: &mut LiveBodies) {
        let (chunk, offset) = self.slots.find(number).expect("it exists");
        let side = chunk.side(offset);
        match side.hold {
            Hold::Free | Hold::Going(_) => {}
            Hold::Leased(until) => {
                self.leases.remove(&(until, number));
            }
            Hold::Delayed(until) => {
                self.delays.remove(&(until, number));
            }
        }
        if let Some(expires) = side.expires {
            self.ttls.remove(&(expires, number));
        }
        let (slot, link) = self.slots.remove(number);
        self.messages -= 1;
        self.bytes -= u64::from(slot.size);
        bodies.remove(slot.body, slot.size);
        if let Some(link) = link {
            let was_leased = matches!(side.hold, Hold::Leased(_));
            self.groups
                .unlink(number, &link, was_leased, &mut self.slots);
        }
    }

    /// Whether the message's time is over, be it the partition's retention or its own. Judged by the
    /// clock, whether or not the timer got to it.
    pub(crate) fn is_expired(&self, number: u64, now: Ts, retention: Micros) -> bool {
        let (chunk, offset) = self.slots.find(number).expect("it exists");
        let sent_at = chunk.slot(offset).expect("it exists").sent_at;
        sent_at.after(retention) <= now || chunk.side(offset).expires.is_some_and(|at| at <= now)
    }

    /// The message with which a receive begins.
    pub(crate) fn first_receivable(&self) -> Option<u64> {
        if self.fifo {
            let all_held = self.groups.held().is_all();
            self.slots.first_available().filter(|_| !all_held)
        } else {
            self.slots.first_ready()
        }
    }

    /// The message behind this one in its FIFO group, if it is ready and the group is locked: the
    /// receive that locked the group may go on with it.
    pub(crate) fn ready_successor(&self, number: u64) -> Option<u64> {
        let link = self.slots.link(number).filter(|_| self.fifo)?;
        Some(link.next).filter(|next| self.slots.is_ready(*next))
    }

    /// The group's name, if there is such a message and it has one.
    pub(crate) fn group_of(&self, number: u64) -> Option<GroupName> {
        self.slots
            .link(number)
            .map(|link| GroupName::clone(&link.group))
    }

    /// Finishes a restore.
    pub(crate) fn derive(&mut self) {
        self.groups.derive(&mut self.slots);
    }

    /// Puts in a chunk of a checkpoint, as encoded: without links and readiness, which follow from
    /// the rest. Chunks come in ascending order.
    pub(crate) fn restore_chunk(
        &mut self,
        index: u64,
        messages: Vec<(u64, Slot, Option<GroupName>, Side)>,
        bodies: &mut LiveBodies,
    ) {
        let mut stored = Vec::with_capacity(messages.len());
        let mut states = Vec::with_capacity(messages.len());
        let mut links = Vec::new();
        for (number, slot, group, side) in messages {
            self.messages += 1;
            self.bytes += u64::from(slot.size);
            bodies.add(slot.body, slot.size);
            if let Some(expires) = side.expires {
                self.ttls.insert((expires, number));
            }
            let link = group.map(|name| self.groups.append(&name, number));
            if let Some(link) = &link {
                links.push((link.previous, number));
            }
            states.push((number, side.hold, slot.lease == LEASES_PER_MESSAGE_MAX));
            stored.push(((number % CHUNK_SLOTS) as u8, slot, link, side));
        }
        self.slots.restore(index, stored);
        for (previous, number) in links.into_iter().filter(|(previous, _)| *previous != 0) {
            self.slots.derive(previous, |chunk, offset| {
                chunk.link_mut(offset).expect("it is of the group").next = number;
            });
        }
        for (number, hold, spent) in states {
            match hold {
                Hold::Free if spent => {}
                Hold::Going(_) => {}
                Hold::Delayed(until) if !planted(Bug::DelaysNotRestored) => {
                    self.delays.insert((until, number));
                }
                Hold::Free | Hold::Delayed(_) => self
                    .slots
                    .derive(number, |chunk, offset| chunk.set_ready(offset, true)),
                Hold::Leased(until) => {
                    self.leases.insert((until, number));
                    if let Some(link) = self.slots.link(number) {
                        self.groups.restore_lease(&link.group);
                    }
                }
            }
        }
    }

    /// Frees up to about `pieces` of what is in here, which nobody needs any more, and gives the
    /// number freed; 0 when all is free.
    pub(crate) fn free(
        &mut self,
        pieces: usize,
        bodies: &mut LiveBodies,
        mut freed_chunk: impl FnMut(u64),
    ) -> usize {
        let mut freed = 0;
        while freed < pieces
            && let Some((index, chunk)) = self.slots.pop_chunk()
        {
            for offset in chunk.live().iter() {
                let slot = chunk.slot(offset).expect("its bit is set");
                bodies.remove(slot.body, slot.size);
            }
            freed_chunk(index);
            freed += CHUNK_SLOTS as usize;
        }
        for index in [&mut self.leases, &mut self.delays, &mut self.ttls] {
            while freed < pieces && index.pop_first().is_some() {
                freed += 1;
            }
        }
        freed + self.groups.free(pieces.saturating_sub(freed))
    }

    pub(crate) fn memory(&self) -> usize {
        let timed = self.leases.len() + self.delays.len() + self.ttls.len();
        self.slots.memory() + self.groups.memory() + crate::memory::tree(timed, 16)
    }

    /// The group's name, if the message has one.
    pub(crate) fn link(&self, number: u64) -> Option<&Link> {
        self.slots.link(number)
    }
}
