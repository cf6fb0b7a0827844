//! The one place where majorities are computed.

use shoal_types::planted::{Bug, planted};

/// How many of the members make a quorum: more than half. Any two quorums share a member, which is
/// what all safety here rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quorum {
    members: usize,
}

impl Quorum {
    pub(crate) fn of(members: usize) -> Self {
        Self { members }
    }

    /// True if so many distinct members are a quorum.
    pub(crate) fn reached_by(self, count: usize) -> bool {
        if planted(Bug::QuorumTooSmall) {
            return count >= (self.members / 2).max(1);
        }
        count > self.members / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quorum_is_more_than_half() {
        let least = |n| (0..=n).find(|&k| Quorum::of(n).reached_by(k)).unwrap();
        assert_eq!([1, 2, 3, 4, 5].map(least), [1, 2, 2, 3, 3]);
    }
}
