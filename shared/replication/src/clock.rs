//! This host's clock, what it knows of the others' clocks, and how far it trusts any of them.

use shoal_types::limits::{CLUSTER_HOSTS, MAX_CLOCK_SKEW};
use shoal_types::planted::{Bug, planted};
use shoal_types::{Now, Ts};

use crate::quorum::Quorum;

/// A hybrid clock: never goes back, follows physical time, and jumps ahead when it hears of a later
/// timestamp.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    value: Ts,
    me: usize,
    /// By member: every entry of its lane that is not here has a larger timestamp. Only for the current
    /// view.
    heard: Vec<Ts>,
    /// By member: how far its wall clock was ahead of this one's when it spoke last.
    ahead: Vec<Option<i64>>,
}

impl Clock {
    /// The members change: what each slot's wall clock showed comes from this slot of before.
    pub(crate) fn lay_out(&mut self, slots_before: &[Option<usize>]) {
        let ahead = |slot: &Option<usize>| *self.ahead.get((*slot)?)?;
        self.ahead = slots_before.iter().map(ahead).collect();
    }

    /// A new view: nobody has promised anything in it yet.
    pub(crate) fn enter_view(&mut self, me: usize, members: usize, start: Ts) {
        self.me = me;
        self.value = self.value.max(start);
        self.heard = vec![Ts::ZERO; members];
        self.ahead.resize(members, None);
    }

    pub(crate) fn value(&self) -> Ts {
        self.value
    }

    /// An entry or a checkpoint showed this timestamp.
    pub(crate) fn saw(&mut self, ts: Ts) {
        self.value = self.value.max(ts);
    }

    /// A member promised that what comes from it is later than this.
    pub(crate) fn promised_by(&mut self, member: usize, ts: Ts) {
        self.heard[member] = self.heard[member].max(ts);
    }

    /// How far the lane of a member is closed.
    pub(crate) fn of(&self, member: usize) -> Ts {
        if member == self.me {
            self.value
        } else {
            self.heard[member]
        }
    }

    /// A member showed its wall clock.
    pub(crate) fn wall_of(&mut self, member: usize, wall: Ts, own_wall: Ts) {
        self.ahead[member] = Some(signed(wall).saturating_sub(signed(own_wall)));
    }

    /// Somebody set this host's clock: the others' are as far from where it was as they were. Taken for as
    /// far from where it is now, they would lead it astray until they are heard again.
    pub(crate) fn own_wall_moved(&mut self, before: Now, now: Now) {
        /// Microseconds: more than a slewed clock moves between two turns.
        const STEP_MIN: u64 = 1_000;
        let went_on = signed(now.wall).saturating_sub(signed(before.wall));
        let took = i64::try_from(now.mono.since(before.mono)).unwrap_or(i64::MAX);
        let step = went_on.saturating_sub(took);
        if step.unsigned_abs() > STEP_MIN {
            for ahead in self.ahead.iter_mut().flatten() {
                *ahead = ahead.saturating_sub(step);
            }
        }
    }

    /// What a member's wall clock showed counts no longer. That of a host outside never did.
    pub(crate) fn forget_wall_of(&mut self, member: usize) {
        if let Some(ahead) = self.ahead.get_mut(member) {
            *ahead = None;
        }
    }

    /// Physical now: this host's own, or what most agree on if it is further off than clocks may differ.
    /// `None` if no quorum of the members is seen to agree, so that nobody can tell whose clock is right.
    pub(crate) fn physical(&self, wall: Ts) -> Option<Ts> {
        let median = self.median_ahead()?;
        let apart = |ahead: i64| ahead.abs_diff(median);
        let agree = self.known_ahead().filter(|&a| apart(a) <= MAX_CLOCK_SKEW);
        if !Quorum::of(self.ahead.len()).reached_by(agree.count()) {
            return None;
        }
        Some(
            if apart(0) > MAX_CLOCK_SKEW && !planted(Bug::MedianIgnored) {
                shifted(wall, median)
            } else {
                wall
            },
        )
    }

    /// How far this host's clock is ahead of what a quorum agrees on, in microseconds, if it is further off
    /// than clocks may differ. Negative: behind it.
    pub(crate) fn off_by(&self) -> Option<i64> {
        let ahead = -self.median_ahead()?;
        let off = ahead.unsigned_abs() > MAX_CLOCK_SKEW && !planted(Bug::MedianIgnored);
        off.then_some(ahead)
    }

    /// True if this host does not go by its own wall clock, as those of a quorum show: it is off, or no
    /// quorum agrees.
    pub(crate) fn is_in_doubt(&self, wall: Ts) -> bool {
        self.median_ahead().is_some() && self.physical(wall) != Some(wall)
    }

    /// The timestamp of a new entry.
    pub(crate) fn next(&mut self, wall: Ts) -> Ts {
        self.value = self.value.after(1);
        self.follow(wall);
        self.value
    }

    /// Moves the clock up to physical now.
    pub(crate) fn follow(&mut self, wall: Ts) {
        if let Some(physical) = self.physical(wall) {
            self.value = self.value.max(physical);
        }
    }

    /// True if a timestamp is so far in the future that it must not be adopted. `agreed` is the latest
    /// timestamp that a quorum stands behind (of an executed entry, or the start of the view): time
    /// that all hosts have reached together is not too far, even if all their wall clocks were set back
    /// since.
    pub(crate) fn too_far_ahead(&self, ts: Ts, wall: Ts, agreed: Ts) -> bool {
        let median = self.median_ahead().unwrap_or(0).max(0);
        let now = shifted(wall, median).max(agreed);
        ts.since(now) > MAX_CLOCK_SKEW
    }

    /// The lower median of how far the members' clocks are ahead of this one, if a quorum has shown
    /// its clock.
    fn median_ahead(&self) -> Option<i64> {
        // On the stack: each turn of a host asks several times.
        let mut known = [0; *CLUSTER_HOSTS.end()];
        let mut count = 0;
        for (place, ahead) in known.iter_mut().zip(self.known_ahead()) {
            *place = ahead;
            count += 1;
        }
        let known = &mut known[..count];
        known.sort_unstable();
        let enough = Quorum::of(self.ahead.len()).reached_by(count);
        enough.then(|| known[(count - 1) / 2])
    }

    /// How far the clocks that were shown are ahead of this one, this one included.
    fn known_ahead(&self) -> impl Iterator<Item = i64> {
        let others = self.ahead.iter().enumerate().filter(|(k, _)| *k != self.me);
        others.filter_map(|(_, ahead)| *ahead).chain([0])
    }
}

fn signed(ts: Ts) -> i64 {
    i64::try_from(ts.0).unwrap_or(i64::MAX)
}

fn shifted(ts: Ts, by: i64) -> Ts {
    Ts(ts.0.saturating_add_signed(by))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Ts = Ts(1_000_000_000);

    fn clock_of_three(ahead: [Option<i64>; 2]) -> Clock {
        let mut clock = Clock::default();
        clock.enter_view(0, 3, Ts(1));
        for (member, ahead) in (1..).zip(ahead) {
            if let Some(ahead) = ahead {
                clock.wall_of(member, shifted(NOW, ahead), NOW);
            }
        }
        clock
    }

    #[test]
    fn a_host_alone_cannot_tell_whether_its_clock_is_right() {
        assert_eq!(clock_of_three([None, None]).physical(NOW), None);
        assert_eq!(clock_of_three([Some(3), None]).physical(NOW), Some(NOW));
    }

    #[test]
    fn a_host_far_ahead_of_the_median_uses_the_median() {
        let clock = clock_of_three([Some(-8_300_000), Some(-8_000_000)]);
        assert_eq!(clock.physical(NOW), Some(Ts(NOW.0 - 8_000_000)));
        let within = clock_of_three([Some(-400_000), Some(-300_000)]);
        assert_eq!(within.physical(NOW), Some(NOW));
    }

    /// One clock of three was far behind, and of the two hosts that were left it was one. The lower of
    /// the two clocks was taken for right, which was below the cluster's time: time stood still. When
    /// the third host came back, it leapt, and every lease given meanwhile ended seconds too early.
    #[test]
    fn two_clocks_that_disagree_tell_nothing() {
        let far = 2_500_000;
        for ahead in [far, -far] {
            assert_eq!(clock_of_three([Some(ahead), None]).physical(NOW), None);
        }
        let third = clock_of_three([Some(-far), Some(3)]);
        assert_eq!(third.physical(NOW), Some(NOW));
        assert_eq!(clock_of_three([Some(-far), Some(far)]).physical(NOW), None);
    }

    #[test]
    fn a_host_far_behind_what_most_agree_on_goes_by_that() {
        let clock = clock_of_three([Some(9_000_000), Some(8_900_000)]);
        assert_eq!(clock.physical(NOW), Some(NOW.after(8_900_000)));
    }

    #[test]
    fn a_clock_is_off_only_if_a_quorum_says_so() {
        let far = MAX_CLOCK_SKEW as i64 + 1;
        assert_eq!(
            clock_of_three([Some(far), Some(far + 9)]).off_by(),
            Some(-far)
        );
        assert_eq!(clock_of_three([Some(-far), Some(-far)]).off_by(), Some(far));
        assert_eq!(clock_of_three([Some(far), Some(far - 1)]).off_by(), None);
        assert_eq!(clock_of_three([Some(far), Some(0)]).off_by(), None);
        assert_eq!(clock_of_three([None, None]).off_by(), None);
    }

    #[test]
    fn what_is_too_far_ahead_is_measured_from_what_most_agree_on() {
        let clock = clock_of_three([Some(0), Some(0)]);
        let far = NOW.after(MAX_CLOCK_SKEW + 1);
        assert!(clock.too_far_ahead(far, NOW, Ts(1)));
        assert!(!clock.too_far_ahead(far, NOW, NOW.after(1)));
        let slow = clock_of_three([Some(5_000_000), Some(5_000_000)]);
        assert!(!slow.too_far_ahead(far, NOW, Ts(1)));
    }

    /// A clock an hour behind was set right. For a heartbeat's time it took the others for an hour ahead of
    /// where it was now, told everybody that time, and was not listened to for an hour.
    #[test]
    fn a_clock_that_is_set_keeps_its_distance_to_the_others() {
        let hour = 3_600_000_000;
        let mut clock = clock_of_three([Some(hour), Some(hour)]);
        let at = |mono, wall| Now {
            mono: shoal_types::Mono(mono),
            wall,
        };
        clock.own_wall_moved(at(5, NOW), at(25, NOW.after(20)));
        assert_eq!(clock.physical(NOW), Some(NOW.after(hour as u64)));
        let right = NOW.after(hour as u64 + 20);
        clock.own_wall_moved(at(5, NOW), at(25, right));
        assert_eq!((clock.physical(right), clock.off_by()), (Some(right), None));
    }

    #[test]
    fn timestamps_grow_even_if_physical_time_stands_still() {
        let mut clock = clock_of_three([Some(0), Some(0)]);
        assert_eq!(clock.next(NOW), NOW);
        assert_eq!(clock.next(NOW), NOW.after(1));
    }
}
