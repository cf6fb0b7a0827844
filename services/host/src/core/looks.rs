//! When a host looks through its sealed partitions again: soon after something was executed, when a turn
//! ends, and at moments that a look named. In between there is nothing to find, and nobody is woken.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::time::Duration;

use shoal_types::{Mono, PartitionId, Position, ViewNumber};

use super::Core;

/// What a look finds follows from these, from the time, and from answers of other clusters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Circumstances {
    executed: Position,
    view: ViewNumber,
    serves: bool,
    turn: u64,
    turn_ends: Mono,
}

/// Looks through all of something, round by round.
#[derive(Default)]
pub(super) struct Looks {
    not_before: Mono,
    /// What the round was begun with; `None`: something has happened since that calls for another one.
    seen: Option<Circumstances>,
    /// So many are still to be looked at in this round.
    left: usize,
    /// When one of those looked at in this round is to be looked at again, whatever happens.
    again_at: Option<Mono>,
}

impl Circumstances {
    /// `turn_ends` follows from the rest and the time, and clocks are corrected a little all the while.
    fn are_as(&self, others: &Self) -> bool {
        let all = |one: &Self| (one.executed, one.view, one.serves, one.turn);
        all(self) == all(others)
    }
}

impl Looks {
    /// When the next one is due.
    pub(super) fn next(&self, now_are: &Circumstances) -> Mono {
        let same = self.seen.filter(|seen| seen.are_as(now_are));
        if same.is_none() || self.left > 0 {
            return self.not_before;
        }
        let at = self
            .again_at
            .map_or(now_are.turn_ends, |at| at.min(now_are.turn_ends));
        at.max(self.not_before)
    }

    /// One is taken, the next not before this. `count`: how many there are to be looked at; none if all are
    /// at once.
    pub(super) fn begin(&mut self, now_are: Circumstances, not_before: Mono, count: usize) {
        self.not_before = not_before;
        if self.left == 0 || self.seen.is_none_or(|seen| !seen.are_as(&now_are)) {
            (self.seen, self.left, self.again_at) = (Some(now_are), count, None);
        }
    }

    /// One of them was looked at.
    pub(super) fn looked(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// One of them is to be looked at again then.
    pub(super) fn again_at(&mut self, at: Mono) {
        self.again_at = Some(self.again_at.map_or(at, |before| before.min(at)));
    }

    /// Something has happened that is not seen by what was executed.
    pub(super) fn at_once(&mut self, now: Mono) {
        (self.not_before, self.seen) = (now, None);
    }
}

/// All of them, beginning behind the one that had its turn last.
pub(super) fn in_turn(
    all: &BTreeSet<PartitionId>,
    last: PartitionId,
) -> impl Iterator<Item = PartitionId> {
    let behind = all.range((Bound::Excluded(last), Bound::Unbounded));
    behind.chain(all.range(..=last)).copied()
}

impl Core {
    pub(super) fn circumstances(&self) -> Circumstances {
        let (turn, left) = self.turn();
        Circumstances {
            executed: self.machine.executed(),
            view: self.engine.view().number,
            serves: self.serves(),
            turn,
            turn_ends: self.now.mono + Duration::from_micros(left),
        }
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::{HostId, Ts};

    use super::*;

    fn executed(ts: u64) -> Circumstances {
        Circumstances {
            executed: Position {
                view: ViewNumber(1),
                ts: Ts(ts),
                lane: HostId(1),
            },
            view: ViewNumber(1),
            serves: true,
            turn: 1,
            turn_ends: Mono(5_000),
        }
    }

    /// Looks through two of them.
    fn whole_round(looks: &mut Looks, at: u64, now_are: Circumstances) {
        looks.begin(now_are, Mono(at + 20), 2);
        looks.looked();
        looks.looked();
    }

    /// It was taken every 20 ms for as long as any partition was sealed, whether or not anything happened.
    #[test]
    fn nobody_is_woken_while_nothing_happens() {
        let mut looks = Looks::default();
        whole_round(&mut looks, 100, executed(1));
        assert_eq!(looks.next(&executed(1)), Mono(5_000), "when the turn ends");
        assert_eq!(looks.next(&executed(2)), Mono(120), "not before");
        whole_round(&mut looks, 120, executed(2));
        let next_turn = Circumstances {
            turn: 2,
            ..executed(2)
        };
        assert_eq!(looks.next(&next_turn), Mono(140));
    }

    #[test]
    fn a_round_goes_on_until_all_were_looked_at_and_remembers_the_earliest_moment() {
        let mut looks = Looks::default();
        looks.begin(executed(1), Mono(20), 3);
        looks.looked();
        looks.again_at(Mono(900));
        looks.again_at(Mono(700));
        assert_eq!(looks.next(&executed(1)), Mono(20));
        looks.begin(executed(1), Mono(40), 3);
        looks.looked();
        looks.looked();
        assert_eq!(looks.next(&executed(1)), Mono(700));
        // What was to be looked at again is, with all others.
        whole_round(&mut looks, 700, executed(1));
        assert_eq!(looks.next(&executed(1)), Mono(5_000));
        looks.at_once(Mono(705));
        assert_eq!(looks.next(&executed(1)), Mono(705));
    }

    /// The smallest ids were always first: with as many pieces on their way as there may be, the others
    /// waited until those were empty.
    #[test]
    fn whoever_had_its_turn_is_last() {
        let all: BTreeSet<_> = [1, 4, 6].map(PartitionId).into();
        let from = |last| -> Vec<u64> { in_turn(&all, PartitionId(last)).map(|id| id.0).collect() };
        assert_eq!(from(0), [1, 4, 6]);
        assert_eq!(from(1), [4, 6, 1]);
        assert_eq!(from(5), [6, 1, 4], "it is gone");
        assert_eq!(from(6), [1, 4, 6]);
    }
}
