//! Views must settle: whatever is broken, and stays broken, calls for a few changes of the view and no
//! more. A host that hears others badly must not be able to keep them busy. Where no quorum of the
//! members all hear one another (five hosts in a ring), there is nothing to settle on, and nothing is
//! promised.

use shoal_types::{HostId, ViewNumber};

use super::World;
use crate::checkers::Checker;
use crate::limits::VIEWS_WITHOUT_NEWS_MAX;

/// Views since something happened last.
#[derive(Debug, Default)]
pub(super) struct Calm {
    newest: ViewNumber,
    views: u32,
}

impl Calm {
    /// A fault began or ended, or a process.
    pub(super) fn news(&mut self) {
        self.views = 0;
    }
}

impl World {
    /// Some host installed this view.
    pub(super) fn check_calm(&mut self, view: ViewNumber) {
        if view <= self.calm.newest {
            return;
        }
        self.calm.newest = view;
        self.calm.views += 1;
        if self.calm.views == VIEWS_WITHOUT_NEWS_MAX && !self.a_quorum_hears_one_another() {
            self.calm.news();
        }
        if self.calm.views == VIEWS_WITHOUT_NEWS_MAX {
            self.violation(
                Checker::Calm,
                format!("view {view} is number {VIEWS_WITHOUT_NEWS_MAX} since anything new went wrong or right"),
            );
        }
    }

    fn a_quorum_hears_one_another(&self) -> bool {
        let members = self.members.now();
        let hear =
            |a: &HostId, b: &HostId| !self.network.is_cut(*a, *b) && !self.network.is_cut(*b, *a);
        let groups = 0_u32..1 << members.len();
        let group = |bits: u32| {
            let is_in = move |slot: &usize| bits & (1 << slot) != 0;
            (0..members.len()).filter(is_in).map(|slot| members[slot])
        };
        groups
            .filter(|bits| bits.count_ones() as usize > members.len() / 2)
            .any(|bits| group(bits).all(|a| group(bits).all(|b| a == b || hear(&a, &b))))
    }
}
