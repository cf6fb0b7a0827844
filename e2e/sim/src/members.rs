//! Whether hosts come and go in a run: on some seeds there are spare hosts that belong to no cluster at
//! first, and the manager adds, removes and replaces members while clients load the cluster.

use std::collections::BTreeMap;

use shoal_types::{HostId, Micros};

use crate::limits::{CLOCK_ERROR_MAX, SECOND};
use crate::options::ClockOptions;
use crate::random::Random;

/// Who may become a member, and how often the manager changes something.
#[derive(Clone, Debug, Default)]
pub struct MemberOptions {
    /// Hosts that belong to no cluster when the run begins; without any nobody is ever changed.
    pub spare: Vec<HostId>,
    /// Mean time between two orders.
    pub every: Micros,
}

impl MemberOptions {
    /// One seed in four has spare hosts.
    pub(crate) fn draw(random: &mut Random, hosts: usize) -> Self {
        if !random.one_in(4) {
            return Self::default();
        }
        let first = hosts as u64 + 1;
        Self {
            spare: (first..=first + random.below(3)).map(HostId).collect(),
            every: random.magnitude(SECOND..8 * SECOND),
        }
    }

    /// True if the members change in this run.
    #[must_use]
    pub fn change(&self) -> bool {
        !self.spare.is_empty()
    }

    pub(crate) fn draw_clocks(
        &self,
        random: &mut Random,
        clocks: &mut BTreeMap<HostId, ClockOptions>,
    ) {
        for host in &self.spare {
            let error = CLOCK_ERROR_MAX as i64;
            let ahead = random.range(0..2 * CLOCK_ERROR_MAX) as i64 - error;
            let drift_ppm = random.range(0..601) as i64 - 300;
            clocks.insert(*host, ClockOptions { drift_ppm, ahead });
        }
    }
}
