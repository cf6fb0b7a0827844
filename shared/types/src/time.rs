//! Two clocks, two types: [`Ts`] says *when* (cluster time), [`Mono`] says *how long* (timers of one
//! process). There is no `now()` here; whoever drives passes time in.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A length of time in microseconds.
pub type Micros = u64;

/// Cluster time: microseconds since 1970, as agreed by the hosts of one cluster. Visibility, delay
/// and retention are decided against the `Ts` of the executing entry, so every host decides alike.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ts(pub u64);

/// A reading of one process's monotonic clock in microseconds; for timers only, never sent anywhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Mono(pub u64);

/// The two readings that every input of a pure crate carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// For timers.
    pub mono: Mono,
    /// Physical now: the monotonic clock plus an offset to wall time that is slewed, never stepped.
    pub wall: Ts,
}

impl Ts {
    /// Before every entry.
    pub const ZERO: Self = Self(0);
    /// After every entry.
    pub const MAX: Self = Self(u64::MAX);

    /// Microseconds from `earlier` to `self`, 0 if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Micros {
        self.0.saturating_sub(earlier.0)
    }

    /// `self` plus a length of time; stops at [`Ts::MAX`].
    #[must_use]
    pub fn after(self, micros: Micros) -> Self {
        Self(self.0.saturating_add(micros))
    }
}

impl Mono {
    /// Microseconds from `earlier` to `self`, 0 if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Micros {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Mono {
    type Output = Self;
    fn add(self, d: Duration) -> Self {
        Self(self.0.saturating_add(d.as_micros() as u64))
    }
}

impl Sub for Mono {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_micros(self.since(earlier))
    }
}

impl fmt::Display for Ts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for Ts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ts({})", self.0)
    }
}
