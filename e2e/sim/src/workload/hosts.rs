//! Which host to ask: one that takes commands as far as is known, and did not fail a moment ago.

use shoal_types::{HostId, ViewNumber, ViewSummary};

use super::limits::FAILING_FOR;
use crate::history::SimTime;
use crate::random::Random;

/// The hosts as the clients see them.
#[derive(Debug)]
pub(super) struct Hosts {
    all: Vec<HostId>,
    /// Until when each counts as failing.
    failing_until: Vec<SimTime>,
    view: ViewNumber,
    active: Vec<HostId>,
}

impl Hosts {
    pub(super) fn new(all: Vec<HostId>) -> Self {
        assert!(!all.is_empty(), "somebody must be asked");
        Self {
            failing_until: vec![SimTime::default(); all.len()],
            all,
            view: ViewNumber::NOT_FORMED,
            active: Vec::new(),
        }
    }

    pub(super) fn all(&self) -> &[HostId] {
        &self.all
    }

    /// True if the view is newer than what was known.
    pub(super) fn learn(&mut self, view: &ViewSummary) -> bool {
        let newer = view.number > self.view;
        if newer {
            self.view = view.number;
            self.active.clone_from(&view.active);
        }
        newer
    }

    /// Before the first view is known every host is as good as another.
    pub(super) fn is_active(&self, host: HostId) -> bool {
        self.active.is_empty() || self.active.contains(&host)
    }

    pub(super) fn failed(&mut self, host: HostId, now: SimTime) {
        self.set_failing(host, SimTime(now.0 + FAILING_FOR));
    }

    pub(super) fn answered(&mut self, host: HostId) {
        self.set_failing(host, SimTime::default());
    }

    fn set_failing(&mut self, host: HostId, until: SimTime) {
        let at = self.all.iter().position(|h| *h == host);
        self.failing_until[at.expect("only known hosts are asked")] = until;
    }

    /// One of the best that were not tried; `None` if all were.
    pub(super) fn choose(
        &self,
        tried: &[HostId],
        now: SimTime,
        random: &mut Random,
    ) -> Option<HostId> {
        let rank = |at: usize| {
            let failing = self.failing_until[at] > now;
            u8::from(failing) + 2 * u8::from(!self.is_active(self.all[at]))
        };
        let untried = || (0..self.all.len()).filter(|at| !tried.contains(&self.all[*at]));
        let best = untried().map(rank).min()?;
        let best: Vec<usize> = untried().filter(|at| rank(*at) == best).collect();
        Some(self.all[*random.choose(&best)])
    }
}
