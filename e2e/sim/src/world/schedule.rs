//! What happens when: events by simulated time, those of one moment in the order in which they were
//! planned.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::history::SimTime;

/// Events to come.
#[derive(Debug)]
pub(super) struct Schedule<E> {
    due: BinaryHeap<Reverse<(SimTime, u64)>>,
    events: BTreeMap<u64, E>,
    planned: u64,
}

impl<E> Schedule<E> {
    pub(super) fn new() -> Self {
        Self {
            due: BinaryHeap::new(),
            events: BTreeMap::new(),
            planned: 0,
        }
    }

    pub(super) fn at(&mut self, at: SimTime, event: E) {
        self.planned += 1;
        self.due.push(Reverse((at, self.planned)));
        self.events.insert(self.planned, event);
    }

    /// The next event and its time.
    pub(super) fn pop(&mut self) -> Option<(SimTime, E)> {
        let Reverse((at, number)) = self.due.pop()?;
        let event = self
            .events
            .remove(&number)
            .expect("what is due was planned");
        Some((at, event))
    }

    /// Events planned so far.
    pub(super) fn planned(&self) -> u64 {
        self.planned
    }
}
