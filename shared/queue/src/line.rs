//! The lines in which the groups of a standard queue wait for their turns: one for most of them, one for
//! those that are *crowded*, see `turns.rs`.
//!
//! A [`Place`] tells in which line its group stands, and behind which messages: behind all that the
//! partition had when the group took it. So one order holds for groups and for messages that wait by
//! their numbers.

use std::collections::{BTreeMap, VecDeque};

use shoal_types::Sequence;

use crate::limits::LINE_RUN;

/// Bits of a place that keep groups apart which took theirs behind the same message. If more took one
/// than they can count, the next stand behind a message or two that are sent later, which does no harm.
const SAME_MESSAGE_BITS: u32 = 20;

/// Where a group stands in its line: the lower, the sooner is its turn. Above all message numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(u64);

impl Place {
    /// No place is at or below it, and all message numbers are.
    const NONE: u64 = 1 << 63;
    /// Set in the places of the crowded groups' line.
    const CROWDED: u64 = 1 << 62;

    /// The first place behind this message, in the line of most groups. The message itself, if it waits
    /// by its number, comes before.
    pub(crate) fn behind(number: u64) -> Self {
        assert!(
            (1..1 << Sequence::NUMBER_BITS).contains(&number),
            "messages are numbered from 1"
        );
        Self(Self::NONE | number << SAME_MESSAGE_BITS)
    }

    fn behind_in(number: u64, crowded: bool) -> Self {
        let line = if crowded { Self::CROWDED } else { 0 };
        Self(Self::behind(number).0 | line)
    }

    /// The message behind which it is.
    pub(crate) fn message(self) -> u64 {
        (self.0 & !(Self::NONE | Self::CROWDED)) >> SAME_MESSAGE_BITS
    }

    /// Whether it is in the line of the crowded groups.
    pub(crate) fn is_crowded(self) -> bool {
        self.0 & Self::CROWDED != 0
    }

    /// From its stored form; `None` if that is no place.
    pub(crate) fn from_stored(stored: u64) -> Option<Self> {
        (stored > Self::NONE).then_some(Self(stored))
    }

    pub(crate) fn to_stored(self) -> u64 {
        self.0
    }
}

/// A group in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) place: Place,
    /// The number of its first ready message.
    pub(crate) first: u64,
    /// The last one of the list that begins with `first`.
    pub(crate) last: u64,
    /// How many it has.
    pub(crate) ready: u32,
}

/// Groups by their places, in runs of up to [`LINE_RUN`]: with millions of groups a tree would take
/// twice the memory. Each run is kept under the place of its first group, or of one that has left.
#[derive(Debug)]
pub(crate) struct Line {
    crowded: bool,
    runs: BTreeMap<Place, VecDeque<Waiting>>,
}

impl Line {
    /// Nobody stands in it. `crowded`: it is the crowded groups' one.
    pub(crate) fn new(crowded: bool) -> Self {
        Self {
            crowded,
            runs: BTreeMap::new(),
        }
    }

    /// The group whose turn it is.
    pub(crate) fn first(&self) -> Option<&Waiting> {
        let (_, run) = self.runs.first_key_value()?;
        run.front()
    }

    /// The end of the line, behind all groups and behind this message, the partition's newest.
    pub(crate) fn end(&self, newest: u64) -> Place {
        let last = self.runs.last_key_value().and_then(|(_, run)| run.back());
        let behind = Place::behind_in(newest, self.crowded);
        last.map_or(behind, |last| behind.max(Place(last.place.0 + 1)))
    }

    /// Adds a group at the end.
    pub(crate) fn push(&mut self, group: Waiting) {
        if let Some(mut run) = self.runs.last_entry() {
            let run = run.get_mut();
            let last = run.back().expect("empty runs are freed");
            assert!(last.place < group.place, "groups take places at the end");
            if run.len() < LINE_RUN {
                run.push_back(group);
                return;
            }
        }
        self.runs.insert(group.place, VecDeque::from([group]));
    }

    /// The group at this place.
    pub(crate) fn at(&mut self, place: Place) -> &mut Waiting {
        let (_, run) = self.runs.range_mut(..=place).next_back().expect("taken");
        let at = run.binary_search_by_key(&place, |group| group.place);
        &mut run[at.expect("the place is taken")]
    }

    /// Takes the group at this place out.
    pub(crate) fn remove(&mut self, place: Place) -> Waiting {
        let (key, run) = self.runs.range_mut(..=place).next_back().expect("taken");
        let at = run.binary_search_by_key(&place, |group| group.place);
        let group = run.remove(at.expect("the place is taken"));
        if run.is_empty() {
            let key = *key;
            self.runs.remove(&key);
        } else if run.len() * 4 <= run.capacity() {
            run.shrink_to(run.len() * 2);
        }
        group.expect("it was found")
    }

    /// All groups, in the order of their turns.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.runs.values().flatten()
    }

    /// Takes out any run, and gives the number of its groups; 0 if none is left.
    pub(crate) fn free_run(&mut self) -> usize {
        self.runs.pop_first().map_or(0, |(_, run)| run.len())
    }

    /// Bytes.
    pub(crate) fn memory(&self) -> usize {
        let groups: usize = self.runs.values().map(VecDeque::capacity).sum();
        groups * size_of::<Waiting>()
            + crate::memory::tree(self.runs.len(), size_of::<(Place, VecDeque<Waiting>)>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(place: Place, first: u64) -> Waiting {
        Waiting {
            place,
            first,
            last: first,
            ready: 1,
        }
    }

    fn line(groups: u64) -> (Line, Vec<Place>) {
        let (mut line, mut places) = (Line::new(false), Vec::new());
        for n in 1..=groups {
            // Seven groups at a time took their places behind the same message.
            let place = line.end(n.div_ceil(7));
            line.push(group(place, n));
            places.push(place);
        }
        (line, places)
    }

    #[test]
    fn groups_stand_in_the_order_in_which_they_came_and_leave_from_anywhere() {
        let (mut line, places) = line(5_000);
        assert!(places.is_sorted_by(|one, next| one < next));
        for (n, place) in (1..).zip(&places).filter(|(n, _)| n % 3 != 0) {
            assert_eq!(line.remove(*place).first, n);
        }
        line.at(places[2]).first = 77;
        let left: Vec<u64> = line.iter().map(|group| group.first).collect();
        let expected = std::iter::once(77).chain((6..=5_000).step_by(3));
        assert_eq!(left, expected.collect::<Vec<u64>>());
        assert_eq!(line.first().map(|group| group.first), Some(77));
    }

    #[test]
    fn a_place_comes_after_its_message_and_before_the_next_one() {
        let (line, places) = line(7);
        assert!(places.iter().all(|place| *place >= Place::behind(1)));
        assert!(places.iter().all(|place| *place < Place::behind(2)));
        assert_eq!(line.end(2), Place::behind(2));
        assert!(!line.end(2).is_crowded() && Line::new(true).end(2).is_crowded());
        assert_eq!(line.end(2).message(), 2);
        assert_eq!(Line::new(true).end(5).message(), 5);
        assert_eq!(Place::from_stored(1 << 40), None, "a number is no place");
        let place = Place::behind(5);
        assert_eq!(Place::from_stored(place.to_stored()), Some(place));
    }

    #[test]
    fn many_groups_take_little_and_few_that_are_left_pin_little() {
        let (mut line, places) = line(100_000);
        assert!(line.memory() <= 100_000 * 33, "{}", line.memory());
        for place in &places[1..] {
            line.remove(*place);
        }
        assert!(line.memory() < 2_000, "{}", line.memory());
        line.remove(places[0]);
        assert_eq!((line.memory(), line.free_run()), (0, 0));
    }
}
