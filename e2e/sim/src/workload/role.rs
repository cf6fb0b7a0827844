//! What a client does between two operations.

use shoal_types::{Command, Micros, Ts};

use super::execution::{End, Errand};
use super::knobs::Knobs;
use super::limits::{HEDGE_AFTER, MILLISECOND};
use super::queues::Queues;
use crate::history::SimTime;
use crate::random::Random;

/// What hosts say about messages that go to other queues.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parcels {
    /// Some are dead, or on their way.
    pub(super) are_under_way: bool,
    /// Commands about them that were executed so far.
    pub(super) changes: u64,
}

/// What a role has at hand.
pub(super) struct Desk<'a> {
    pub(super) now: SimTime,
    /// What the client's own clock shows.
    pub(super) wall: Ts,
    pub(super) knobs: &'a Knobs,
    pub(super) queues: &'a mut Queues,
    pub(super) random: &'a mut Random,
    /// Bodies made so far in the run; no two are equal.
    pub(super) bodies: &'a mut u64,
    /// Nothing new is begun any more, unless it helps to empty the queues.
    pub(super) draining: bool,
    pub(super) parcels: Parcels,
    /// Hosts that never come back.
    pub(super) gone: &'a [shoal_types::HostId],
}

/// What comes next.
pub(super) enum Next {
    Do(Errand),
    Rest(Micros),
    /// Never anything again.
    Done,
}

/// See the module.
pub(super) trait Role: std::fmt::Debug {
    /// Asked when no operation runs.
    fn next(&mut self, desk: &mut Desk<'_>) -> Next;
    /// The operation that was asked for last is over.
    fn ended(&mut self, command: &Command, end: &End, desk: &mut Desk<'_>);
    /// How long the client rests after it.
    fn pause(&self, desk: &mut Desk<'_>) -> Micros {
        desk.pause(desk.knobs.pause)
    }
}

impl Desk<'_> {
    /// About the mean pause; now and then none.
    pub(super) fn pause(&mut self, mean: Micros) -> Micros {
        match self.random.below(8) {
            0 => 0,
            1..7 => self.random.range(mean / 4..mean * 3 / 2 + 1),
            _ => self.random.range(mean..mean * 4 + 1),
        }
    }

    /// An errand with a frontend's patience.
    pub(super) fn errand(&mut self, command: Command) -> Errand {
        let patience = if self.random.one_in(50) {
            // In a great hurry: what comes too late must not happen at all.
            self.random.magnitude(2 * MILLISECOND..200 * MILLISECOND)
        } else {
            self.random.range(1_500 * MILLISECOND..4_000 * MILLISECOND)
        };
        let hasty = self.random.chance_percent(self.knobs.hasty_percent);
        Errand {
            command,
            bodies: Vec::new(),
            patience,
            hedge_after: if hasty {
                self.random.magnitude(MILLISECOND..100 * MILLISECOND)
            } else {
                HEDGE_AFTER
            },
            leaves_after: None,
            only_at: None,
            waits: 0,
        }
    }
}
