//! Who writes in the next view, going by what the members said with their promises.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use shoal_types::HostId;

use crate::Engine;
use crate::acceptor::Promise;
use crate::limits::JOIN_LAG_ENTRIES;

impl Engine {
    /// The one that alone is to write, if it can; else whoever can.
    pub(crate) fn only_if_it_can(&self, writers: Vec<usize>, wanted: Option<HostId>) -> Vec<usize> {
        let is_it = |k: &usize| Some(self.view.members[*k]) == wanted;
        match writers.iter().copied().find(is_it) {
            Some(only) => vec![only],
            None => writers,
        }
    }

    /// Those of the next view's members that promised and have nearly everything that is sealed, apart
    /// from those that should not write. Never empty.
    pub(crate) fn choose_writers(
        &self,
        promises: &BTreeMap<usize, Promise>,
        ends: &[u64],
        leaving: &[HostId],
        members: &[HostId],
    ) -> Vec<usize> {
        let stay = |k: usize| members.contains(&self.view.members[k]);
        let promises = promises.iter().filter(|(k, _)| stay(**k));
        let promises: BTreeMap<usize, &Promise> = promises.map(|(k, p)| (*k, p)).collect();
        let lag = |p: &Promise| -> u64 {
            let lanes = ends.iter().zip(&p.durable);
            lanes.map(|(end, has)| end.saturating_sub(*has)).sum()
        };
        let least = promises.values().map(|p| lag(p)).min().unwrap_or(0);
        let caught_up = promises
            .iter()
            .filter(|(_, p)| lag(p) <= least.max(JOIN_LAG_ENTRIES));
        let candidates: Vec<usize> = caught_up.map(|(k, _)| *k).collect();
        let welcome = |k: &usize| {
            let host = self.view.members[*k];
            !promises[k].wants_out
                && !leaving.contains(&host)
                && !self.suspects(*k)
                && (self.stays_as_is(*k) || self.may_come_back(*k))
        };
        let mut writers: Vec<usize> = candidates.iter().copied().filter(welcome).collect();
        if writers.is_empty() {
            writers = candidates;
        }
        largest_circle(
            &writers,
            |k, other| promises[&k].hears.contains(&self.view.members[other]),
            |k| self.view.is_writer(self.view.members[k]),
        )
    }
}

/// As many hosts as possible that all hear each other, since the order waits for every writer's clock.
/// Of equally many: with those that write already, without those that hear badly, the first ones.
fn largest_circle(
    among: &[usize],
    hears: impl Fn(usize, usize) -> bool,
    writes: impl Fn(usize) -> bool,
) -> Vec<usize> {
    let deaf_to = |k: usize, others: &[usize]| {
        let others = others.iter().filter(|&&other| other != k);
        others.filter(|&&other| !hears(k, other)).count()
    };
    let circles = (1_usize..1 << among.len()).filter_map(|chosen| {
        let places = (0..among.len()).filter(|place| chosen & (1 << place) != 0);
        let circle: Vec<usize> = places.map(|place| among[place]).collect();
        let closed = circle.iter().all(|&k| deaf_to(k, &circle) == 0);
        closed.then_some(circle)
    });
    let worth = |circle: &Vec<usize>| {
        let stay = circle.iter().filter(|&&k| writes(k)).count();
        let missed: usize = circle.iter().map(|&k| deaf_to(k, among)).sum();
        (circle.len(), stay, Reverse(missed), Reverse(circle.clone()))
    };
    circles.max_by_key(worth).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The circle of three writers of which these do not hear these.
    fn of_three(deaf: &[(usize, usize)]) -> Vec<usize> {
        largest_circle(&[0, 1, 2], |k, other| !deaf.contains(&(k, other)), |_| true)
    }

    #[test]
    fn who_does_not_hear_another_goes_and_not_the_other() {
        assert_eq!(of_three(&[]), [0, 1, 2]);
        assert_eq!(of_three(&[(0, 1)]), [1, 2]);
        assert_eq!(of_three(&[(1, 0)]), [0, 2]);
        assert_eq!(of_three(&[(2, 0), (2, 1)]), [0, 1]);
    }

    #[test]
    fn of_two_that_do_not_hear_each_other_one_goes() {
        assert_eq!(of_three(&[(1, 2), (2, 1)]), [0, 1]);
    }

    /// Leaving out one after the other, beginning with one that hears fewest, left a single writer:
    /// of those that hear all but one it was the wrong one that went first.
    #[test]
    fn as_many_stay_as_hear_each_other() {
        assert_eq!(of_three(&[(1, 0), (2, 1)]), [0, 2]);
        assert_eq!(of_three(&[(0, 1), (1, 2), (2, 0)]), [0]);
    }

    #[test]
    fn who_writes_is_not_pushed_out_by_one_that_comes() {
        let hears = |k: usize, other: usize| (k.min(other), k.max(other)) != (0, 1);
        assert_eq!(largest_circle(&[0, 1, 2], hears, |k| k != 0), [1, 2]);
        assert_eq!(largest_circle(&[0, 1, 2], hears, |_| true), [0, 2]);
    }
}
