//! The clocks of one machine: both are wrong in their own way. A process sees them through the same
//! slewing code as a host in service.

use shoal_runtime::clock::Slew;
use shoal_types::{Mono, Now, Ts};

use crate::history::SimTime;
use crate::limits::{EPOCH, MS};
use crate::options::ClockOptions;

/// What a machine's clocks show.
#[derive(Debug)]
pub(super) struct MachineClock {
    drift_ppm: i64,
    /// Microseconds by which the wall clock is ahead of true time.
    ahead: i64,
    /// Microseconds during which the monotonic clock stood still, and since when it does so now.
    stood_still: u64,
    stands_still_since: Option<SimTime>,
}

/// After so much of it a machine is paused no more: one pause takes 100 ms at most, a process's clock makes
/// them good by slewing, too slowly for one run, and with `CLOCK_ERROR_MAX` on both sides any two clocks
/// must stay within the half second that is allowed.
const STOOD_STILL_MAX: u64 = 60 * MS;

impl MachineClock {
    pub(super) fn new(options: ClockOptions) -> Self {
        Self {
            drift_ppm: options.drift_ppm,
            ahead: options.ahead,
            stood_still: 0,
            stands_still_since: None,
        }
    }

    /// The monotonic clock, in nanoseconds.
    fn mono_ns(&self, at: SimTime) -> u64 {
        let until = self.stands_still_since.unwrap_or(at);
        let ran = i128::from(until.0 - self.stood_still) * 1_000;
        let shown = ran + ran * i128::from(self.drift_ppm) / 1_000_000;
        u64::try_from(shown).expect("a clock drifts by less than all of it")
    }

    /// The system's wall clock, in nanoseconds.
    fn system_ns(&self, at: SimTime) -> u64 {
        (EPOCH + at.0).saturating_add_signed(self.ahead) * 1_000
    }

    /// True time from now until the monotonic clock has gone on by so much.
    pub(super) fn time_for(&self, micros: u64) -> u64 {
        let time = i128::from(micros) * 1_000_000 / i128::from(1_000_000 + self.drift_ppm);
        u64::try_from(time).expect("a clock drifts by less than all of it") + 1
    }

    /// Somebody sets the wall clock. True if it went ahead.
    pub(super) fn set(&mut self, ahead: i64) -> bool {
        let before = std::mem::replace(&mut self.ahead, ahead);
        ahead > before
    }

    pub(super) fn ahead(&self) -> i64 {
        self.ahead
    }

    pub(super) fn stop(&mut self, at: SimTime) {
        if self.stood_still < STOOD_STILL_MAX {
            self.stands_still_since.get_or_insert(at);
        }
    }

    pub(super) fn go_on(&mut self, at: SimTime) {
        if let Some(since) = self.stands_still_since.take() {
            self.stood_still += at.0 - since.0;
        }
    }
}

/// What a process reads.
#[derive(Debug)]
pub(super) struct ProcessClock {
    started_ns: u64,
    slew: Slew,
}

impl ProcessClock {
    pub(super) fn start(machine: &MachineClock, at: SimTime) -> Self {
        Self {
            started_ns: machine.mono_ns(at),
            slew: Slew::new(machine.system_ns(at)),
        }
    }

    pub(super) fn read(&mut self, machine: &MachineClock, at: SimTime) -> Now {
        let mono_ns = machine.mono_ns(at) - self.started_ns;
        let wall_ns = self.slew.read(mono_ns, machine.system_ns(at));
        Now {
            mono: Mono(mono_ns / 1_000),
            wall: Ts(wall_ns / 1_000),
        }
    }
}
