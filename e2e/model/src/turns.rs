//! Fair turns of a standard queue's groups, as plainly as the rest: the groups that have something ready
//! stand in lists, and each says behind which message it stands.

use std::collections::BTreeMap;

use shoal_types::GroupName;

use crate::partition::{Message, Partition};

/// The machine version from which on groups take turns.
const TURNS_SINCE: u16 = 3;
/// A group with more ready messages lets others go first.
const CROWDED_ABOVE: usize = 10;

/// Whether a message that is kept now takes turns.
pub(crate) fn takes_turns(version: u16, fifo: bool, group: Option<&GroupName>) -> bool {
    version >= TURNS_SINCE && !fifo && group.is_some()
}

/// Groups in the order of their turns, each with the message behind which it stands.
type Line = Vec<(GroupName, u64)>;

/// The line of most groups, and that of those with many ready messages.
#[derive(Default)]
pub(crate) struct Lines {
    most: Line,
    crowded: Line,
}

impl Partition {
    fn first_of(&self, group: &GroupName) -> Option<&Message> {
        let of_group = |m: &&Message| m.takes_turns && m.ready() && m.group.as_ref() == Some(group);
        self.messages.iter().find(of_group)
    }

    /// What a receive from a standard queue gives next.
    pub(crate) fn next_in_turn(&self) -> Option<Message> {
        let by_number = self.messages.iter().find(|m| m.ready() && !m.takes_turns);
        let turn = self.lines.most.first();
        let in_turn = turn.and_then(|(group, _)| self.first_of(group));
        let (first, first_behind) = match (by_number, turn) {
            (Some(m), Some((_, behind))) if m.number > *behind => (in_turn, *behind),
            (Some(m), _) => (Some(m), m.number),
            (None, Some((_, behind))) => (in_turn, *behind),
            (None, None) => (None, 0),
        };
        let Some((group, behind)) = self.lines.crowded.first() else {
            return first.cloned();
        };
        let crowded = self.first_of(group).unwrap();
        let goes_first = |first: &&Message| {
            *behind >= first_behind || !has_its_turn(first.number, crowded.number)
        };
        Some(first.filter(goes_first).unwrap_or(crowded).clone())
    }

    /// After anything about one message changed: groups that have nothing ready, or stand in the wrong
    /// line, leave theirs, and one that is to be in a line and is not takes its place at the end.
    pub(crate) fn line_up(&mut self) {
        let mut ready = BTreeMap::<GroupName, usize>::new();
        for m in self.messages.iter().filter(|m| m.takes_turns && m.ready()) {
            *ready.entry(m.group.clone().unwrap()).or_default() += 1;
        }
        let Some(newest) = self.messages.iter().map(|m| m.number).max() else {
            self.lines = Lines::default();
            return;
        };
        let mut came = 0;
        for (line, is_crowded) in [
            (&mut self.lines.most, false),
            (&mut self.lines.crowded, true),
        ] {
            let belongs = |count: usize| (count > CROWDED_ABOVE) == is_crowded;
            line.retain(|(group, _)| ready.get(group).is_some_and(|count| belongs(*count)));
            for (group, _) in ready.iter().filter(|(_, count)| belongs(**count)) {
                if !line.iter().any(|(known, _)| known == group) {
                    // Behind those in line too, who may stand behind messages that are gone.
                    let last = line.last().map_or(0, |(_, behind)| *behind);
                    line.push((group.clone(), newest.max(last)));
                    came += 1;
                }
            }
        }
        assert!(came <= 1, "it is called after each change");
    }

    /// A message was given out: its group goes to the end of the line.
    pub(crate) fn had_turn(&mut self, given: &Message) {
        if given.takes_turns {
            for line in [&mut self.lines.most, &mut self.lines.crowded] {
                line.retain(|(group, _)| Some(group) != given.group.as_ref());
            }
        }
        self.line_up();
    }
}

/// Whether a crowded group goes first although something else could: one in ten, by the numbers of both.
fn has_its_turn(other: u64, crowded: u64) -> bool {
    let mut mixed = other.wrapping_add(crowded.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    (mixed >> 32).is_multiple_of(10)
}
