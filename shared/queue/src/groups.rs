//! The message groups of a FIFO partition that have messages. Those of standard ones: `turns.rs`.
//!
//! A group's messages form a list through their [`Link`]s, oldest first, leased and delayed ones
//! included. A group is *available* if none of its messages is leased and its oldest one is ready; that
//! message is then the only one of the group that a receive may begin with. One that is *held* is not
//! available, see `held.rs`. Dead messages stand before all others of their group, and the oldest is the
//! first that lives.

use std::collections::BTreeMap;

use shoal_types::planted::{Bug, planted};
use shoal_types::{GroupName, HeldGroups};

use crate::held::Held;
use crate::link::Link;
use crate::slots::Slots;

/// Groups by name; a group without messages is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: BTreeMap<GroupName, Group>,
    held: Held,
}

#[derive(Debug)]
struct Group {
    /// Of those that live, 0 if none does.
    oldest: u64,
    newest: u64,
    leased: u32,
    /// `oldest` is marked as available in its chunk.
    available: bool,
    /// Older messages of it may be left in a partition that this one follows.
    held: bool,
    /// Older messages of it went on to the partition's heir, and these are to follow.
    went_on: bool,
}

impl Group {
    /// After anything about it changed: is it available?
    fn settle(&mut self, slots: &mut Slots) {
        let available = self.is_to_be_available(slots);
        if available != self.available {
            self.available = available;
            slots.edit(self.oldest, |chunk, offset| {
                chunk.set_available(offset, available);
            });
        }
    }

    /// Before another one is the oldest.
    fn hide_oldest(&mut self, slots: &mut Slots) {
        if std::mem::take(&mut self.available) {
            slots.edit(self.oldest, |chunk, offset| {
                chunk.set_available(offset, false);
            });
        }
    }

    fn is_to_be_available(&self, slots: &Slots) -> bool {
        let unlocked = self.leased == 0 || planted(Bug::GroupUnlockedEarly);
        unlocked && !self.held && !self.went_on && slots.is_ready(self.oldest)
    }
}

impl Groups {
    /// The same groups held, and no messages.
    pub(crate) fn without_messages(&self) -> Self {
        Self {
            held: self.held.without_messages(),
            ..Self::default()
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.groups.len()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &GroupName> {
        self.groups.keys()
    }

    pub(crate) fn held(&self) -> &Held {
        &self.held
    }

    /// The number of the group's first message, if it has any.
    pub(crate) fn oldest(&self, name: &GroupName) -> Option<u64> {
        let oldest = self.groups.get(name).map(|group| group.oldest);
        oldest.filter(|number| *number != 0)
    }

    /// The number of the message that came last, if it has any.
    pub(crate) fn newest(&self, name: &GroupName) -> Option<u64> {
        self.groups.get(name).map(|group| group.newest)
    }

    /// True if none of the group's messages is in a consumer's hands, and none older can be elsewhere.
    pub(crate) fn may_go(&self, name: &GroupName) -> bool {
        let group = self.groups.get(name);
        group.is_some_and(|group| group.leased == 0 && !group.held)
    }

    /// Older messages of the group went on, or are back.
    pub(crate) fn set_went_on(&mut self, name: &GroupName, went_on: bool, slots: &mut Slots) {
        if self.groups.contains_key(name) {
            self.change(name, slots, |group| group.went_on = went_on);
        }
    }

    /// See [`Held::hold`].
    pub(crate) fn hold(&mut self, groups: &HeldGroups) {
        self.held.hold(groups);
    }

    /// See [`Held::let_go`]; groups that nothing holds any more are as available as all others.
    pub(crate) fn let_go(&mut self, groups: &HeldGroups, slots: &mut Slots) {
        for name in self.held.let_go(groups) {
            self.change(&name, slots, |group| group.held = false);
        }
    }

    /// True if dead messages of the group stand before those that live.
    pub(crate) fn has_dead(&self, name: &GroupName, slots: &Slots) -> bool {
        let Some(group) = self.groups.get(name) else {
            return false;
        };
        let oldest = slots.link(group.oldest);
        oldest.is_none_or(|link| link.previous != 0)
    }

    /// Where a dead message of a checkpoint stands.
    pub(crate) fn append_dead(&mut self, name: &GroupName, number: u64) -> Link {
        let link = self.append(name, number);
        let group = self.groups.get_mut(name).expect("it has a message");
        if group.oldest == number {
            group.oldest = 0;
        }
        link
    }

    /// A message died, the oldest of its group.
    pub(crate) fn died(&mut self, number: u64, link: &Link, slots: &mut Slots) {
        let group = self.groups.get_mut(&link.group).expect("it has a message");
        assert_eq!(group.oldest, number, "the oldest of a group dies first");
        group.hide_oldest(slots);
        group.oldest = link.next;
        group.settle(slots);
    }

    /// A dead message lives again, the last of its group that died.
    pub(crate) fn revived(&mut self, number: u64, link: &Link, slots: &mut Slots) {
        let group = self.groups.get_mut(&link.group).expect("it has a message");
        assert_eq!(group.oldest, link.next, "the last of a group lives first");
        group.hide_oldest(slots);
        group.oldest = number;
        group.settle(slots);
    }

    /// Where a new message of this group stands. The caller sets the link of its predecessor.
    pub(crate) fn append(&mut self, name: &GroupName, number: u64) -> Link {
        let entry = self.groups.entry(GroupName::clone(name));
        // One name for all messages of the group, not one per message.
        let group = GroupName::clone(entry.key());
        let state = entry.or_insert_with(|| Group {
            oldest: 0,
            newest: 0,
            leased: 0,
            available: false,
            held: self.held.arrived(name),
            went_on: false,
        });
        if state.oldest == 0 {
            state.oldest = number;
        }
        Link {
            group,
            previous: std::mem::replace(&mut state.newest, number),
            next: 0,
        }
    }

    /// Takes a message that was removed out of its group's list.
    pub(crate) fn unlink(&mut self, number: u64, link: &Link, was_leased: bool, slots: &mut Slots) {
        let group = self.groups.get_mut(&link.group).expect("it has a message");
        group.leased -= u32::from(was_leased);
        if group.oldest == number {
            // Its mark went with it.
            group.available = false;
            group.oldest = link.next;
        }
        if link.previous != 0 {
            slots.edit(link.previous, |chunk, offset| {
                chunk.link_mut(offset).expect("it is of the group").next = link.next;
            });
        }
        if link.next == 0 {
            group.newest = link.previous;
        } else {
            slots.edit(link.next, |chunk, offset| {
                chunk.link_mut(offset).expect("it is of the group").previous = link.previous;
            });
        }
        if group.newest == 0 {
            if group.held {
                self.held.left(&link.group);
            }
            self.groups.remove(&link.group);
        } else {
            group.settle(slots);
        }
    }

    /// Counts a lease of one of the group's messages.
    pub(crate) fn leased(&mut self, name: &GroupName, slots: &mut Slots) {
        self.change(name, slots, |group| group.leased += 1);
    }

    /// Counts the end of one; the message stays.
    pub(crate) fn unleased(&mut self, name: &GroupName, slots: &mut Slots) {
        self.change(name, slots, |group| group.leased -= 1);
    }

    /// One of the group's messages became ready.
    pub(crate) fn readied(&mut self, name: &GroupName, slots: &mut Slots) {
        self.change(name, slots, |_| ());
    }

    fn change(&mut self, name: &GroupName, slots: &mut Slots, change: impl FnOnce(&mut Group)) {
        let group = self.groups.get_mut(name).expect("it has a message");
        change(group);
        group.settle(slots);
    }

    /// Counts a lease that a checkpoint tells of; [`Groups::derive`] follows.
    pub(crate) fn restore_lease(&mut self, name: &GroupName) {
        self.groups.get_mut(name).expect("it has a message").leased += 1;
    }

    /// Marks the available groups once all messages of a checkpoint are in.
    pub(crate) fn derive(&mut self, slots: &mut Slots) {
        for group in self.groups.values_mut() {
            if group.oldest == 0 {
                continue;
            }
            group.available = group.is_to_be_available(slots);
            slots.derive(group.oldest, |chunk, offset| {
                chunk.set_available(offset, group.available);
            });
        }
    }

    /// Frees up to `pieces` entries; the number freed is below that when none is left.
    pub(crate) fn free(&mut self, pieces: usize) -> usize {
        let mut freed = 0;
        while freed < pieces && self.groups.pop_first().is_some() {
            freed += 1;
        }
        freed
    }

    pub(crate) fn memory(&self) -> usize {
        let names = self.groups.keys().map(crate::memory::name);
        names.sum::<usize>()
            + crate::memory::tree(self.groups.len(), size_of::<(GroupName, Group)>())
            + self.held.memory()
    }
}
