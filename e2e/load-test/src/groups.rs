//! Whether the messages of a group come in order, and the next one only once those before it are gone.

use std::collections::{BTreeMap, BTreeSet};

/// The groups of one queue: message `index` belongs to group `index % count`.
#[derive(Debug)]
pub(crate) struct Groups {
    count: u32,
    groups: BTreeMap<u32, Group>,
}

/// One group.
#[derive(Debug, Default)]
struct Group {
    /// The largest number that was delivered.
    up_to: u64,
    /// Messages that were delivered and not deleted yet, by their index.
    in_hands: BTreeMap<u32, InHands>,
    /// Of these: whose delete is on its way, so that they may be gone already.
    leaving: BTreeSet<u32>,
}

#[derive(Debug)]
struct InHands {
    sequence: u64,
    /// Names the receive that brought it last.
    receive: u64,
}

impl Groups {
    /// # Panics
    /// If `count` is 0.
    pub(crate) fn new(count: usize) -> Self {
        assert!(count > 0, "without groups there is nothing to judge");
        Self {
            count: count as u32,
            groups: BTreeMap::new(),
        }
    }

    /// The name of a message's group.
    pub(crate) fn name(&self, index: u32) -> String {
        format!("group-{}", index % self.count)
    }

    /// A receive brought a message; gives what is wrong with that.
    pub(crate) fn delivered(
        &mut self,
        index: u32,
        sequence: u64,
        receive: u64,
        is_first: bool,
    ) -> Option<String> {
        let name = self.name(index);
        let group = self.group(index);
        let too_late = (is_first && sequence < group.up_to).then_some(group.up_to);
        let still_there = group.in_hands.iter().find(|(other, held)| {
            held.sequence < sequence && held.receive != receive && !group.leaving.contains(other)
        });
        let wrong = match (too_late, still_there) {
            (Some(later), _) => Some(format!("{name}: number {sequence} came after {later}")),
            (None, Some((_, held))) => Some(format!(
                "{name}: number {sequence} came while {} was in another receiver's hands",
                held.sequence
            )),
            (None, None) => None,
        };
        group.up_to = group.up_to.max(sequence);
        group.in_hands.insert(index, InHands { sequence, receive });
        wrong
    }

    /// Its receiver is about to delete it.
    pub(crate) fn begin_delete(&mut self, index: u32) {
        self.group(index).leaving.insert(index);
    }

    /// It is certainly still there.
    pub(crate) fn not_deleted(&mut self, index: u32) {
        self.group(index).leaving.remove(&index);
    }

    /// It is gone, or may be.
    pub(crate) fn deleted(&mut self, index: u32) {
        let group = self.group(index);
        group.leaving.remove(&index);
        group.in_hands.remove(&index);
    }

    fn group(&mut self, index: u32) -> &mut Group {
        self.groups.entry(index % self.count).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_group() -> Groups {
        Groups::new(1)
    }

    #[test]
    fn one_after_the_other_is_right() {
        let mut groups = one_group();
        for n in 0..3 {
            assert_eq!(
                groups.delivered(n, u64::from(n) + 1, u64::from(n), true),
                None
            );
            groups.begin_delete(n);
            groups.deleted(n);
        }
    }

    #[test]
    fn several_in_one_receive_are_right_and_so_are_groups_side_by_side() {
        let mut groups = Groups::new(2);
        assert_eq!(groups.delivered(0, 1, 7, true), None);
        assert_eq!(groups.delivered(2, 3, 7, true), None);
        assert_eq!(groups.delivered(1, 2, 8, true), None);
    }

    #[test]
    fn a_later_one_first_is_found() {
        let mut groups = one_group();
        groups.delivered(1, 2, 1, true);
        groups.deleted(1);
        assert!(groups.delivered(0, 1, 2, true).is_some());
    }

    #[test]
    fn the_next_one_before_the_last_is_gone_is_found() {
        let mut groups = one_group();
        groups.delivered(0, 1, 1, true);
        assert!(groups.delivered(1, 2, 2, true).is_some());
    }

    #[test]
    fn while_a_delete_is_on_its_way_nobody_knows() {
        let mut groups = one_group();
        groups.delivered(0, 1, 1, true);
        groups.begin_delete(0);
        assert_eq!(groups.delivered(1, 2, 2, true), None);
        groups.deleted(1);
        groups.not_deleted(0);
        assert!(groups.delivered(2, 3, 3, true).is_some());
    }

    #[test]
    fn leases_that_end_bring_the_same_ones_again() {
        let mut groups = one_group();
        groups.delivered(0, 1, 1, true);
        groups.delivered(1, 2, 1, true);
        assert_eq!(groups.delivered(0, 1, 2, false), None);
        assert_eq!(groups.delivered(1, 2, 2, false), None);
    }
}
