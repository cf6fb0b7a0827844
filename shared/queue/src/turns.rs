//! Fair turns: the groups of a standard queue that have something ready stand in line and give one
//! message each, so that one group's flood does not hold up the others.
//!
//! A group takes its place at the end of a [`Line`] when it gets something ready, and again after each
//! message that it gave. There are two lines. A group with more than a few ready messages is *crowded*
//! and stands in the second one: of those behind it that it would come before, it lets about nine in ten
//! go first. So it comes at most once before each of them, and never stops. Within a group the smallest
//! number goes first. Messages without a group wait by their numbers, and so do those that were sent
//! before the rules knew turns: they *take no turns*, and stand in none of these lists.
//!
//! The ready messages of a group form a list through their [`Link`]s, smallest number first; the first
//! one's link holds the group's place. A message that comes back between two others stands *aside*, in a
//! set, until it is the first: to find its place in the list would cost as much as the list is long.
//! Places are stored with the messages; lists and lines follow from them, and which messages stand aside
//! shows nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use shoal_types::GroupName;

use crate::chunk::Chunk;
use crate::limits::{CROWDED_ABOVE, CROWDED_TURNS};
use crate::line::{Line, Place, Waiting};
use crate::link::{Link, LinkBack};
use crate::slots::Slots;

/// See the module.
#[derive(Debug)]
pub(crate) struct Turns {
    /// Of the groups that have something ready.
    places: BTreeMap<GroupName, Place>,
    line: Line,
    crowded: Line,
    /// Ready messages that stand in no list; larger than their group's first one.
    aside: BTreeSet<(GroupName, u64)>,
    /// While a checkpoint is read: the groups met so far.
    restored: BTreeMap<Place, Waiting>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            places: BTreeMap::new(),
            line: Line::new(false),
            crowded: Line::new(true),
            aside: BTreeSet::new(),
            restored: BTreeMap::new(),
        }
    }
}

impl Turns {
    /// The message with which a receive begins, if this is the first one that takes no turns.
    pub(crate) fn first(&self, by_number: Option<u64>) -> Option<u64> {
        let (first, behind) = match (by_number, self.line.first()) {
            (Some(number), Some(group)) if group.place < Place::behind(number) => {
                (group.first, group.place.message())
            }
            (Some(number), _) => (number, number),
            (None, Some(group)) => (group.first, group.place.message()),
            (None, None) => return self.crowded.first().map(|group| group.first),
        };
        let comes_before = |crowded: &&Waiting| {
            crowded.place.message() < behind && is_not_let_by(first, crowded.first)
        };
        let crowded = self.crowded.first().filter(comes_before);
        Some(crowded.map_or(first, |group| group.first))
    }

    fn line_of(&mut self, crowded: bool) -> &mut Line {
        if crowded {
            &mut self.crowded
        } else {
            &mut self.line
        }
    }

    fn at(&mut self, place: Place) -> &mut Waiting {
        self.line_of(place.is_crowded()).at(place)
    }

    /// The group's name as its messages share it, if it is in line.
    pub(crate) fn shared_name(&self, name: &GroupName) -> Option<GroupName> {
        let (name, _) = self.places.get_key_value(name)?;
        Some(GroupName::clone(name))
    }

    /// A message that takes turns became ready.
    pub(crate) fn readied(&mut self, number: u64, slots: &mut Slots) {
        let link = slots.link(number).expect("it has a group");
        let group = GroupName::clone(&link.group);
        let Some(place) = self.places.get(&group).copied() else {
            let newest = slots.newest().expect("this one is there");
            let place = self.line.end(newest);
            set_link(slots, number, LinkBack::Place(place), 0);
            self.line.push(Waiting {
                place,
                first: number,
                last: number,
                ready: 1,
            });
            self.places.insert(group, place);
            return;
        };
        let waiting = self.at(place);
        waiting.ready += 1;
        if number > waiting.last {
            let before = std::mem::replace(&mut waiting.last, number);
            set_next(slots, before, number);
            set_link(slots, number, LinkBack::Message(before), 0);
        } else if number < waiting.first {
            let next = std::mem::replace(&mut waiting.first, number);
            set_back(slots, next, LinkBack::Message(number));
            set_link(slots, number, LinkBack::Place(place), next);
        } else {
            self.aside.insert((GroupName::clone(&group), number));
        }
        self.move_on(&group, place, false, slots);
    }

    /// A message is not ready any more, of which this was the link. If it had its group's turn, that
    /// group goes to the end of its line.
    pub(crate) fn left(&mut self, number: u64, link: &Link, had_turn: bool, slots: &mut Slots) {
        let place = self.places[&link.group];
        self.at(place).ready -= 1;
        match link.back() {
            LinkBack::None => panic!("it took no turns"),
            LinkBack::Aside => {
                let key = (GroupName::clone(&link.group), number);
                let was_there = self.aside.remove(&key);
                assert!(was_there, "a ready message stands in the list or aside");
            }
            LinkBack::Message(before) => {
                set_next(slots, before, link.next);
                if link.next == 0 {
                    self.at(place).last = before;
                } else {
                    set_back(slots, link.next, LinkBack::Message(before));
                }
            }
            LinkBack::Place(_) if self.at(place).ready == 0 => {
                self.line_of(place.is_crowded()).remove(place);
                self.places.remove(&link.group);
                return;
            }
            LinkBack::Place(_) => self.first_left(place, link, slots),
        }
        self.move_on(&link.group, place, had_turn, slots);
    }

    /// The first message of a group left, and the next one is the first now: that of the list, or one
    /// that stands aside.
    fn first_left(&mut self, place: Place, link: &Link, slots: &mut Slots) {
        let back = LinkBack::Place(place);
        if let Some(aside) = first_aside(&self.aside, &link.group)
            && (link.next == 0 || aside < link.next)
        {
            self.aside.remove(&(GroupName::clone(&link.group), aside));
            set_link(slots, aside, back, link.next);
            let waiting = self.at(place);
            waiting.first = aside;
            if link.next == 0 {
                waiting.last = aside;
            } else {
                set_back(slots, link.next, LinkBack::Message(aside));
            }
            return;
        }
        assert!(link.next != 0, "ready messages stand in the list or aside");
        set_back(slots, link.next, back);
        self.at(place).first = link.next;
    }

    /// Takes a group to the end of the line where it belongs, if it had its turn or stands in the other.
    fn move_on(&mut self, group: &GroupName, from: Place, had_turn: bool, slots: &mut Slots) {
        let crowded = self.at(from).ready > CROWDED_ABOVE;
        if !had_turn && crowded == from.is_crowded() {
            return;
        }
        let mut waiting = self.line_of(from.is_crowded()).remove(from);
        let newest = slots.newest().expect("the group has messages");
        waiting.place = self.line_of(crowded).end(newest);
        self.line_of(crowded).push(waiting);
        set_back(slots, waiting.first, LinkBack::Place(waiting.place));
        *self.places.get_mut(group).expect("it is in line") = waiting.place;
    }

    /// Puts in a ready message of a checkpoint, in the order of numbers, with what its link was stored
    /// as; [`Turns::derive`] follows.
    pub(crate) fn restore(&mut self, number: u64, slots: &mut Slots) -> Result<(), String> {
        let link = slots.link(number).expect("it has a group");
        let (group, back) = (GroupName::clone(&link.group), link.back());
        match (back, self.places.get(&group)) {
            (LinkBack::Place(place), None) => {
                let waiting = Waiting {
                    place,
                    first: number,
                    last: number,
                    ready: 1,
                };
                if self.restored.insert(place, waiting).is_some() {
                    return Err("two groups stand at one place".to_owned());
                }
                self.places.insert(group, place);
                Ok(())
            }
            (LinkBack::Aside, Some(place)) => {
                let waiting = self.restored.get_mut(place).expect("it was met");
                waiting.ready += 1;
                let before = std::mem::replace(&mut waiting.last, number);
                let derive_next = |chunk: &mut Chunk, offset| {
                    chunk.link_mut(offset).expect("it has a group").next = number;
                };
                slots.derive(before, derive_next);
                slots.derive(number, |chunk, offset| {
                    let link = chunk.link_mut(offset).expect("it has a group");
                    link.set_back(LinkBack::Message(before));
                });
                Ok(())
            }
            _ => Err("not exactly the first message of a group has its place".to_owned()),
        }
    }

    /// Forms the lines once all messages of a checkpoint are in.
    pub(crate) fn derive(&mut self) {
        for (place, group) in std::mem::take(&mut self.restored) {
            self.line_of(place.is_crowded()).push(group);
        }
    }

    /// The lines: places and first messages.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Place, u64)> {
        let groups = self.line.iter().chain(self.crowded.iter());
        groups.map(|group| (group.place, group.first))
    }

    /// Frees up to about `pieces` entries; 0 when none is left.
    pub(crate) fn free(&mut self, pieces: usize) -> usize {
        let mut freed = 0;
        while freed < pieces && self.places.pop_first().is_some() {
            freed += 1;
        }
        while freed < pieces && self.aside.pop_first().is_some() {
            freed += 1;
        }
        for line in [&mut self.line, &mut self.crowded] {
            while freed < pieces {
                match line.free_run() {
                    0 => break,
                    groups => freed += groups,
                }
            }
        }
        freed
    }

    pub(crate) fn memory(&self) -> usize {
        let names = self.places.keys().map(crate::memory::name);
        size_of::<Self>()
            + names.sum::<usize>()
            + crate::memory::tree(self.places.len(), size_of::<(GroupName, Place)>())
            + crate::memory::tree(self.aside.len(), size_of::<(GroupName, u64)>())
            + self.line.memory()
            + self.crowded.memory()
    }
}

/// Whether a crowded group whose first message is `crowded` does not let `other` go first: one in ten, by
/// chance as it were, but the same on all hosts, so that nobody needs to count turns.
fn is_not_let_by(other: u64, crowded: u64) -> bool {
    let mut mixed = other.wrapping_add(crowded.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    (mixed >> 32).is_multiple_of(CROWDED_TURNS)
}

fn first_aside(aside: &BTreeSet<(GroupName, u64)>, group: &GroupName) -> Option<u64> {
    if aside.is_empty() {
        return None;
    }
    let from = Bound::Included((GroupName::clone(group), 0));
    let (name, number) = aside.range((from, Bound::Unbounded)).next()?;
    (name == group).then_some(*number)
}

fn edit_link(slots: &mut Slots, number: u64, change: impl FnOnce(&mut Link)) {
    slots.edit(number, |chunk, offset| {
        change(chunk.link_mut(offset).expect("it has a group"));
    });
}

fn set_link(slots: &mut Slots, number: u64, back: LinkBack, next: u64) {
    edit_link(slots, number, |link| {
        link.set_back(back);
        link.next = next;
    });
}

fn set_next(slots: &mut Slots, number: u64, next: u64) {
    edit_link(slots, number, |link| link.next = next);
}

fn set_back(slots: &mut Slots, number: u64, back: LinkBack) {
    edit_link(slots, number, |link| link.set_back(back));
}
