//! What happens when: events by simulated time, those of one moment in the order in which they were
//! planned.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::history::SimTime;

/// Events to come.
#[derive(Debug)]
pub(super) struct Schedule<E> {
    due: BinaryHeap<Due>,
    /// By the place that `due` names.
    events: Vec<Option<E>>,
    free: Vec<usize>,
    planned: u64,
}

#[derive(Debug, PartialEq, Eq)]
struct Due {
    at: SimTime,
    number: u64,
    place: usize,
}

impl Ord for Due {
    /// The heap gives its largest first: that is the earliest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Schedule<E> {
    pub(super) fn new() -> Self {
        Self {
            due: BinaryHeap::new(),
            events: Vec::new(),
            free: Vec::new(),
            planned: 0,
        }
    }

    pub(super) fn at(&mut self, at: SimTime, event: E) {
        self.planned += 1;
        let place = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() - 1
        });
        self.events[place] = Some(event);
        self.due.push(Due {
            at,
            number: self.planned,
            place,
        });
    }

    /// The next event and its time.
    pub(super) fn pop(&mut self) -> Option<(SimTime, E)> {
        let Due { at, place, .. } = self.due.pop()?;
        self.free.push(place);
        let event = self.events[place].take();
        Some((at, event.expect("what is due was planned")))
    }

    /// Events planned so far.
    pub(super) fn planned(&self) -> u64 {
        self.planned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_of_those_the_one_planned_first() {
        let mut schedule = Schedule::new();
        for (at, event) in [(5, 'c'), (3, 'a'), (5, 'd'), (3, 'b')] {
            schedule.at(SimTime(at), event);
        }
        assert_eq!(schedule.pop(), Some((SimTime(3), 'a')));
        schedule.at(SimTime(4), 'x');
        let rest: String = std::iter::from_fn(|| schedule.pop())
            .map(|(_, event)| event)
            .collect();
        assert_eq!(rest, "bxcd");
    }
}
