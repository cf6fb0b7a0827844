//! How hot a cluster is: the largest of its measures over its target.

use std::fmt;

use crate::facts::{Window, Windows};
use crate::limits::WINDOWS_LASTING;
use crate::rules::Targets;
use shoal_types::Ts;

/// A measure over its target: 1 is at the target. Kept in millionths, so that equal facts give equal
/// plans on every machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Heat(u64);

impl Heat {
    /// Nothing to do.
    pub const ZERO: Self = Self(0);
    /// At the target.
    pub const ONE: Self = Self(1_000_000);

    /// So many hundredths of the target.
    #[must_use]
    pub const fn percent(hundredths: u64) -> Self {
        Self(hundredths * 10_000)
    }

    /// So many millionths of the target.
    #[must_use]
    pub const fn millionths(millionths: u64) -> Self {
        Self(millionths)
    }

    /// In millionths of the target.
    #[must_use]
    pub const fn as_millionths(self) -> u64 {
        self.0
    }

    /// A measure over its target. A target of 0 counts as 1.
    #[must_use]
    pub fn of(measure: u64, target: u64) -> Self {
        Self::ONE.times(measure, target)
    }

    /// This heat, times `numerator`, divided by `denominator` (0 counts as 1).
    #[must_use]
    pub fn times(self, numerator: u64, denominator: u64) -> Self {
        let denominator = denominator.max(1);
        // Nearly always it fits, and dividing 128 bits is what a round would spend its time with.
        if let Some(product) = self.0.checked_mul(numerator) {
            return Self(product / denominator);
        }
        let product = u128::from(self.0) * u128::from(numerator) / u128::from(denominator);
        Self(u64::try_from(product).unwrap_or(u64::MAX))
    }

    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, or zero.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// What a heat is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// Operations a second.
    Operations,
    /// Bytes a second.
    Bytes,
    /// Processor time.
    Cpu,
    /// How long a commit takes.
    CommitLatency,
    /// Operations that were refused as too many.
    Refusals,
    /// Messages that wait.
    Backlog,
    /// Disk space in use.
    Disk,
}

/// What partitions are made answerable for when a measure is too high.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rate {
    Operations,
    Bytes,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Operations,
        Self::Bytes,
        Self::Cpu,
        Self::CommitLatency,
        Self::Refusals,
        Self::Backlog,
        Self::Disk,
    ];

    /// This measure over its target. Rates are what ordinary hosts are to bear, so their targets grow with
    /// the cluster's weight.
    #[must_use]
    pub fn heat(self, window: &Window, targets: &Targets, weight: u32) -> Heat {
        let heat = Heat::of(self.value(window), self.target(targets, weight));
        match self {
            // A cluster that refuses more than now and then is full, and what it refuses comes on top.
            Self::Refusals => {
                let of_operations = Self::Operations.target(targets, weight);
                heat.min(Heat::ONE)
                    .plus(Heat::of(window.refusals, of_operations))
            }
            // A disk fills slowly, and a queue that moves takes no message along: as long as it is not too
            // full it keeps no queue away.
            Self::Disk if heat < Heat::ONE => heat.times(1, 2),
            _ => heat,
        }
    }

    /// How much of it there was.
    #[must_use]
    pub fn value(self, window: &Window) -> u64 {
        match self {
            Self::Operations => window.operations,
            Self::Bytes => window.bytes,
            Self::Cpu => window.cpu_percent.into(),
            Self::CommitLatency => window.commit,
            Self::Refusals => window.refusals,
            Self::Backlog => window.backlog,
            Self::Disk => window.disk_percent.into(),
        }
    }

    /// How much of it a cluster of this weight is to bear.
    #[must_use]
    pub fn target(self, targets: &Targets, weight: u32) -> u64 {
        let rate = |target: u64| target.saturating_mul(weight.into());
        match self {
            Self::Operations => rate(targets.operations),
            Self::Bytes => rate(targets.bytes),
            Self::Cpu => targets.cpu_percent.into(),
            Self::CommitLatency => targets.commit,
            Self::Refusals => rate(targets.refusals),
            Self::Backlog => rate(targets.backlog),
            Self::Disk => targets.disk_percent.into(),
        }
    }

    /// Processor time and refusals come with operations; the disk and what waits on it with bytes.
    pub(crate) fn follows(self) -> Rate {
        match self {
            Self::Operations | Self::Cpu | Self::Refusals => Rate::Operations,
            Self::Bytes | Self::CommitLatency | Self::Backlog | Self::Disk => Rate::Bytes,
        }
    }
}

/// A cluster's heat and which measure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reading {
    /// The largest of the measures over their targets.
    pub heat: Heat,
    /// The one that is largest.
    pub measure: Measure,
}

/// The heat of one window: the largest of all measures over their targets.
#[must_use]
pub fn heat_of(window: &Window, targets: &Targets, weight: u32) -> Reading {
    let slots = Measure::ALL.map(|measure| Reading {
        heat: measure.heat(window, targets, weight),
        measure,
    });
    let hottest = slots.into_iter().max_by_key(|reading| reading.heat);
    hottest.expect("there are measures")
}

/// The heat that was reached in at least three of the kept windows that began at `since` or later; of
/// five windows that is the median. `None` if there are fewer than three such windows.
#[must_use]
pub fn lasting(windows: &Windows, since: Ts, targets: &Targets, weight: u32) -> Option<Reading> {
    let counted = windows.iter().filter(|window| window.began >= since);
    let mut readings: Vec<Reading> = counted
        .map(|window| heat_of(window, targets, weight))
        .collect();
    readings.sort_unstable_by(|one, other| other.cmp(one));
    readings.get(WINDOWS_LASTING - 1).copied()
}

impl fmt::Display for Heat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded up to hundredths: what is above 1 must not be shown as 1.00.
        let hundredths = self.0.div_ceil(10_000);
        write!(f, "{}.{:02}", hundredths / 100, hundredths % 100)
    }
}

impl fmt::Debug for Heat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Heat({}.{:06})", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Operations => "operations",
            Self::Bytes => "bytes",
            Self::Cpu => "processor time",
            Self::CommitLatency => "commit latency",
            Self::Refusals => "refusals",
            Self::Backlog => "backlog",
            Self::Disk => "disk space",
        })
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.heat, self.measure)
    }
}
