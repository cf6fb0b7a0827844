//! Wires between hosts: what is cut, how long things take, what gets lost. Which connections exist is
//! the matter of `links`.

use std::collections::BTreeMap;

use shoal_types::{HostId, Micros};

use crate::limits::MS;
use crate::options::NetworkOptions;
use crate::random::Random;

/// The wires.
#[derive(Debug)]
pub(super) struct Network {
    options: NetworkOptions,
    random: Random,
    /// How many cuts lie on each direction.
    cuts: BTreeMap<(HostId, HostId), u32>,
    slower: BTreeMap<(HostId, HostId), Micros>,
}

/// What becomes of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Arrives,
    Lost,
    Twice,
    Late(Micros),
}

impl Network {
    pub(super) fn new(options: NetworkOptions, random: Random) -> Self {
        Self {
            options,
            random,
            cuts: BTreeMap::new(),
            slower: BTreeMap::new(),
        }
    }

    /// True if messages are to be written to bytes and read again.
    pub(super) fn encodes(&self) -> bool {
        self.options.encoded
    }

    pub(super) fn cut(&mut self, pairs: &[(HostId, HostId)]) {
        for pair in pairs {
            *self.cuts.entry(*pair).or_default() += 1;
        }
    }

    pub(super) fn mend(&mut self, pairs: &[(HostId, HostId)]) {
        for pair in pairs {
            if let Some(cuts) = self.cuts.get_mut(pair) {
                *cuts = cuts.saturating_sub(1);
            }
        }
    }

    pub(super) fn slow(&mut self, from: HostId, to: HostId, by: Micros) {
        self.slower.insert((from, to), by);
    }

    /// Everything is well, from now on for good.
    pub(super) fn heal(&mut self) {
        self.cuts.clear();
        self.slower.clear();
        self.options.repeated_permille = 0;
        self.options.broken_per_100_000 = 0;
        self.options.lost_permille = 0;
        self.options.twice_permille = 0;
        self.options.late_permille = 0;
    }

    pub(super) fn is_cut(&self, from: HostId, to: HostId) -> bool {
        self.cuts.get(&(from, to)).is_some_and(|cuts| *cuts > 0)
    }

    /// The time for one way between two hosts.
    pub(super) fn latency(&mut self, from: HostId, to: HostId) -> Micros {
        let usual = self.options.latency + self.random.below(self.options.jitter + 1);
        usual + self.slower.get(&(from, to)).copied().unwrap_or(0)
    }

    /// The same between a client and a host.
    pub(super) fn client_latency(&mut self) -> Micros {
        self.options.latency + self.random.below(self.options.jitter + 1)
    }

    /// How much longer a frame takes because packets of it get lost and come again.
    pub(super) fn repetition(&mut self) -> Micros {
        if self.one_of(1_000, self.options.repeated_permille) {
            self.random.magnitude(10 * MS..400 * MS)
        } else {
            0
        }
    }

    /// True if the connection breaks with this frame.
    pub(super) fn breaks(&mut self) -> bool {
        self.one_of(100_000, self.options.broken_per_100_000)
    }

    /// What becomes of one message, if connections were not reliable: the engine is to bear that too.
    pub(super) fn fate(&mut self) -> Fate {
        let options = self.options;
        if self.one_of(1_000, options.lost_permille) {
            Fate::Lost
        } else if self.one_of(1_000, options.twice_permille) {
            Fate::Twice
        } else if self.one_of(1_000, options.late_permille) {
            Fate::Late(self.random.magnitude(MS..700 * MS))
        } else {
            Fate::Arrives
        }
    }

    /// True if a message that is checked by its receiver alone arrives damaged.
    pub(super) fn damages(&mut self) -> bool {
        self.one_of(1_000, self.options.lost_permille.min(1) * 60)
    }

    /// Any time up to the bound.
    pub(super) fn any(&mut self, below: Micros) -> Micros {
        self.random.below(below)
    }

    /// Draws only if it can be true, so that what is switched off costs nothing.
    fn one_of(&mut self, among: u64, rate: u64) -> bool {
        rate > 0 && self.random.below(among) < rate
    }
}
