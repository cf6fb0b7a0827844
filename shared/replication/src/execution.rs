//! Executing entries: in one order, each once, and only what can never be undone.

use std::sync::Arc;

use shoal_types::planted::{Bug, planted};

use crate::lane::Lane;
use crate::limits::LANE_MEMORY_BYTES_MAX;
use crate::order::{WriterLane, next_stable};
use crate::{Engine, Entry, Output};

impl Engine {
    /// Executes whatever is stable and committed.
    pub(crate) fn execute(&mut self) {
        while (self.acting() || self.may_follow())
            && let Some((lane, index)) = self.next_stable()
            && (self.acks.committed(lane, index) || planted(Bug::AnsweredBeforeCommit))
        {
            let entry = self.lanes[lane].head_is_executed();
            self.emit(lane, entry);
        }
    }

    /// Executes the rest of the view: all of it is committed by its seal.
    pub(crate) fn execute_sealed(&mut self) {
        let rest = self.lanes.iter().enumerate();
        let rest = rest.flat_map(|(k, lane)| {
            let unexecuted = lane.after(lane.executed());
            unexecuted.map(move |e| (e.ts, e.lane, k))
        });
        let mut rest: Vec<_> = rest.collect();
        rest.sort_unstable();
        for (_, _, lane) in rest {
            let entry = self.lanes[lane].head_is_executed();
            self.emit(lane, entry);
        }
    }

    /// Executes what it can of a view whose seal is decided but not complete here: an entry that no
    /// missing one can precede. So a long view needs no more memory than a short one.
    pub(crate) fn execute_as_sealed(&mut self, ends: &[u64]) {
        loop {
            let lanes = self.lanes.iter().zip(ends);
            let waits = lanes
                .clone()
                .any(|(lane, end)| lane.head().is_none() && lane.last() < *end);
            let lanes = lanes.enumerate();
            let heads = lanes.filter_map(|(k, (lane, end))| {
                let head = lane.head().filter(|e| e.index <= *end)?;
                Some((head.ts, head.lane, k))
            });
            let Some((_, _, lane)) = heads.min().filter(|_| !waits) else {
                return;
            };
            let entry = self.lanes[lane].head_is_executed();
            self.emit(lane, entry);
        }
    }

    fn next_stable(&self) -> Option<(usize, u64)> {
        let members = self.view.members.iter().enumerate();
        let writers = members.filter(|(_, host)| self.view.is_writer(**host));
        let writers: Vec<_> = writers
            .map(|(slot, host)| WriterLane {
                slot,
                host: *host,
                lane: &self.lanes[slot],
                clock: self.clock.of(slot),
            })
            .collect();
        next_stable(&writers)
    }

    fn emit(&mut self, lane: usize, entry: Arc<Entry>) {
        let position = entry.position();
        assert!(
            position > self.executed && position.ts >= self.executed.ts,
            "{position} is executed after {}: what was executed is no prefix of the order",
            self.executed
        );
        self.executed = position;
        let own = lane == self.me;
        let ticket = match self.tickets.front() {
            Some((index, ticket)) if own && *index == entry.index => Some(*ticket),
            _ => None,
        };
        if ticket.is_some() {
            self.tickets.pop_front();
        }
        self.outputs.push_back(Output::Execute {
            position,
            entry,
            ticket,
        });
    }

    /// Drops from memory what every member has, and what is too much.
    pub(crate) fn release_memory(&mut self) {
        // A newcomer that follows lacks little; that it does is seen by what is in memory.
        let follower = self.follower().and_then(|k| self.peers[k].durable.clone());
        let follower = follower.filter(|(view, _)| *view == self.view.number);
        for (k, lane) in self.lanes.iter_mut().enumerate() {
            let (mut everyone, here) = (self.acks.by_all(k), self.acks.own()[k]);
            if let Some((_, durable)) = &follower {
                everyone = everyone.min(durable[k]);
            }
            Lane::release(lane, everyone, here, LANE_MEMORY_BYTES_MAX);
        }
    }
}
