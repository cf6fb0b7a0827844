//! Ticks: due work (expired leases, delays, waits) is done by whatever entry comes next. If none comes,
//! the writers propose an empty one, by rank, so that not all of them do.

use std::time::Duration;

use shoal_types::Mono;

use super::Core;
use crate::limits;

impl Core {
    pub(super) fn propose_tick(&mut self) {
        if self.next_tick().is_some_and(|at| at <= self.now.mono) {
            self.tick_proposed = Some(self.now.mono);
            self.intake.push_tick(self.origin);
        }
    }

    /// Due work waits for the next entry; if none comes, the writers propose one by rank.
    pub(super) fn next_tick(&self) -> Option<Mono> {
        if !self.serves() {
            return None;
        }
        let active = &self.engine.view().active;
        let rank = active.iter().position(|host| *host == self.origin.host)?;
        let due = self.machine.next_due()?;
        // Not by the own wall clock: one that is far ahead would make tick after tick, none of them due.
        let now = self.clock();
        let wait = Duration::from_micros(due.since(now)) + limits::TICK_STAGGER * rank as u32;
        let late = now.since(due);
        let at = Mono((self.now.mono + wait).0.saturating_sub(late));
        let again = self.tick_proposed.map(|at| at + limits::TICK_AGAIN);
        Some(again.map_or(at, |again| at.max(again)))
    }
}
