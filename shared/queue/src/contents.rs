//! The messages of a partition and every index over them.
//!
//! A message is in exactly one of six states: *ready*, *leased*, *delayed*, *going* (on its way to the
//! partition's heir, or to another queue by a task), *dead* (it waits for the dead-letter queue to have it), or
//! *spent* (its lease counter is used up, it waits for its end). All changes of state happen here, so that
//! slots and indexes cannot disagree.

mod dead;
mod going;
mod grouping;
mod restoring;

pub(crate) use going::hold_of;
use grouping::mark;

use std::collections::BTreeSet;

use shoal_types::limits::LEASES_PER_MESSAGE_MAX;
use shoal_types::{GroupName, HeldGroups, Micros, Ts};

use crate::chunk::{Hold, Side, Slot};
use crate::groups::Groups;
use crate::held::Held;
use crate::limits::CHUNK_SLOTS;
use crate::link::{Link, LinkBack};
use crate::live_bodies::LiveBodies;
use crate::slots::Slots;
use crate::turns::Turns;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    fifo: bool,
    pub(crate) slots: Slots,
    /// FIFO only.
    groups: Groups,
    /// Standard only, and only once a message took turns.
    turns: Option<Box<Turns>>,
    /// By when the lease ends.
    pub(crate) leases: BTreeSet<(Ts, u64)>,
    /// By when the message becomes ready.
    pub(crate) delays: BTreeSet<(Ts, u64)>,
    /// By when the message's own time to live ends.
    pub(crate) ttls: BTreeSet<(Ts, u64)>,
    /// By the order of their deaths.
    dead: BTreeSet<(u64, u64)>,
    /// By when they were sent: messages that were sent before others with smaller numbers. Those that came as
    /// dead letters to a standard partition.
    elders: BTreeSet<(Ts, u64)>,
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

    pub(crate) fn turns(&self) -> Option<&Turns> {
        self.turns.as_deref()
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

    /// Adds the message with the highest number so far. `turns`: in a standard queue, its group is to
    /// take turns.
    pub(crate) fn insert(
        &mut self,
        number: u64,
        slot: Slot,
        group: Option<&GroupName>,
        delayed_until: Option<Ts>,
        expires: Option<Ts>,
        turns: bool,
    ) {
        let link = group.map(|name| self.new_link(name, number, turns));
        let is_first = self.begins_group(link.as_ref(), number);
        let side = Side {
            hold: delayed_until.map_or(Hold::Free, Hold::Delayed),
            expires,
            first_received_at: None,
        };
        self.messages += 1;
        self.bytes += u64::from(slot.size);
        let ready = delayed_until.is_none();
        self.slots.push(number, slot, link, side, |chunk, offset| {
            mark(self.fifo, chunk, offset, ready);
        });
        if let Some(due) = delayed_until {
            self.delays.insert((due, number));
        }
        if let Some(expires) = expires {
            self.ttls.insert((expires, number));
        }
        // A FIFO group with older messages stays as available as it is.
        if !self.fifo || is_first {
            self.settle(number);
        }
    }

    /// Puts a ready message into a consumer's hands and gives the lease's number. `since` is noted as
    /// when that was.
    pub(crate) fn lease(&mut self, number: u64, now: Ts, since: Ts, until: Ts) -> u16 {
        let lease = self.receive(number, now, Hold::Leased { until, since });
        self.leases.insert((until, number));
        if self.fifo
            && let Some(group) = self.group_of(number)
        {
            self.groups.leased(&group, &mut self.slots);
        }
        lease
    }

    /// Counts a receive of a ready message that will be removed at once.
    pub(crate) fn take(&mut self, number: u64, now: Ts) -> u16 {
        self.receive(number, now, Hold::Free)
    }

    fn receive(&mut self, number: u64, now: Ts, hold: Hold) -> u16 {
        let (lease, left) = self.slots.edit(number, |chunk, offset| {
            assert!(
                chunk.ready().contains(offset),
                "only ready messages are received"
            );
            let left = mark(self.fifo, chunk, offset, false);
            let mut side = chunk.side(offset);
            side.hold = hold;
            side.first_received_at.get_or_insert(now);
            chunk.set_side(offset, side);
            let slot = chunk.slot_mut(offset).expect("it is ready");
            slot.lease += 1;
            slot.receives += 1;
            slot.given_back = false;
            (slot.lease, left)
        });
        if let Some(link) = left {
            self.left_line(number, &link, true);
        }
        lease
    }

    /// Moves the end of a lease.
    pub(crate) fn extend(&mut self, number: u64, until: Ts) {
        let before = self.slots.edit(number, |chunk, offset| {
            let side = chunk.side(offset);
            let Hold::Leased {
                until: before,
                since,
            } = side.hold
            else {
                panic!("only leased messages have a lease to extend")
            };
            let hold = Hold::Leased { until, since };
            chunk.set_side(offset, Side { hold, ..side });
            before
        });
        self.leases.remove(&(before, number));
        self.leases.insert((until, number));
    }

    /// Takes a message out of its consumer's hands. `dies`: it dies, with this place in the order of deaths, the
    /// first of its group in a FIFO partition.
    pub(crate) fn end_lease(&mut self, number: u64, end: LeaseEnd, dies: Option<u64>) {
        let hold = match (dies, end) {
            (Some(place), _) => Hold::Dead(place),
            (None, LeaseEnd::Released(Some(until))) => Hold::Delayed(until),
            (None, _) => Hold::Free,
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
            side.hold = hold;
            if never_received {
                side.first_received_at = None;
            }
            chunk.set_side(offset, side);
            mark(self.fifo, chunk, offset, hold == Hold::Free && !spent);
            before
        });
        let Hold::Leased { until: before, .. } = before else {
            panic!("only leased messages have a lease to end")
        };
        self.leases.remove(&(before, number));
        match hold {
            Hold::Delayed(due) => {
                self.delays.insert((due, number));
            }
            Hold::Dead(place) => {
                self.dead.insert((place, number));
            }
            _ => {}
        }
        if !self.fifo {
            self.settle(number);
        } else if let Some(group) = self.group_of(number) {
            self.groups.unleased(&group, &mut self.slots);
            if dies.is_some() {
                self.note_death_in_group(number);
            }
        }
    }

    /// Makes a delayed message ready.
    pub(crate) fn end_delay(&mut self, number: u64) {
        let before = self.slots.edit(number, |chunk, offset| {
            let side = chunk.side(offset);
            let hold = Hold::Free;
            chunk.set_side(offset, Side { hold, ..side });
            let spent = chunk.slot(offset).expect("it is delayed").lease == LEASES_PER_MESSAGE_MAX;
            mark(self.fifo, chunk, offset, !spent);
            side.hold
        });
        let Hold::Delayed(before) = before else {
            panic!("only delayed messages have a delay to end")
        };
        self.delays.remove(&(before, number));
        self.settle(number);
    }

    /// Drops a message, whatever its state.
    pub(crate) fn remove(&mut self, number: u64, bodies: &mut LiveBodies) {
        let (chunk, offset) = self.slots.find(number).expect("it exists");
        let side = chunk.side(offset);
        let was_ready = chunk.ready().contains(offset);
        match side.hold {
            Hold::Free | Hold::Going(_) => {}
            Hold::Leased { until, .. } => {
                self.leases.remove(&(until, number));
            }
            Hold::Delayed(until) => {
                self.delays.remove(&(until, number));
            }
            Hold::Dead(place) => {
                self.dead.remove(&(place, number));
            }
        }
        if chunk.dead_from(offset).is_some() {
            let sent_at = chunk.slot(offset).expect("it exists").sent_at;
            self.elders.remove(&(sent_at, number));
        }
        if let Some(expires) = side.expires {
            self.ttls.remove(&(expires, number));
        }
        let (slot, link) = self.slots.remove(number);
        self.messages -= 1;
        self.bytes -= u64::from(slot.size);
        bodies.remove(slot.body, slot.size);
        match link {
            Some(link) if self.fifo => {
                let was_leased = matches!(side.hold, Hold::Leased { .. });
                self.groups
                    .unlink(number, &link, was_leased, &mut self.slots);
            }
            Some(link) if was_ready && link.back() != LinkBack::None => {
                self.left_line(number, &link, false);
            }
            _ => {}
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
        let available = self.slots.first_available();
        if self.fifo {
            return available.filter(|_| !self.groups.held().is_all());
        }
        match &self.turns {
            Some(turns) => turns.first(available),
            None => available,
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
        let by_time = [&mut self.leases, &mut self.delays, &mut self.ttls];
        for index in by_time.into_iter().chain([&mut self.elders]) {
            while freed < pieces && index.pop_first().is_some() {
                freed += 1;
            }
        }
        while freed < pieces && self.dead.pop_first().is_some() {
            freed += 1;
        }
        freed += self.groups.free(pieces.saturating_sub(freed));
        let turns = self.turns.as_mut();
        freed + turns.map_or(0, |turns| turns.free(pieces.saturating_sub(freed)))
    }

    pub(crate) fn memory(&self) -> usize {
        let timed = self.leases.len() + self.delays.len() + self.ttls.len();
        let timed = timed + self.elders.len() + self.dead.len();
        self.slots.memory()
            + self.groups.memory()
            + self.turns.as_ref().map_or(0, |turns| turns.memory())
            + crate::memory::tree(timed, 16)
    }

    /// The group's name, if the message has one.
    pub(crate) fn link(&self, number: u64) -> Option<&Link> {
        self.slots.link(number)
    }
}
