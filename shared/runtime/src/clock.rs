//! The readings that every input of the pure crates carries.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use shoal_types::{Mono, Now, Ts};

use crate::limits::SLEW_PPM_MAX;

/// The process's clock. Clones share one state, so their readings never contradict each other.
///
/// `mono` counts from when the clock was made. `wall` is the monotonic clock plus an offset to the
/// system's wall time. When somebody sets the system's time, the offset follows by at most 500 ppm
/// (1 s takes 33 minutes): `wall` never jumps and never goes back.
#[derive(Clone, Debug)]
pub struct SystemClock(Arc<Source>);

#[derive(Debug)]
struct Source {
    start: Instant,
    slew: Mutex<Slew>,
}

impl SystemClock {
    /// Starts from the system's wall time as it is now.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Source {
            start: Instant::now(),
            slew: Mutex::new(Slew::new(system_time_ns())),
        }))
    }

    /// Reads the clock.
    ///
    /// # Panics
    /// If the monotonic clock of the system goes back.
    #[must_use]
    pub fn now(&self) -> Now {
        // Read inside the lock, so that readings get into the slew in the order in which they were made.
        let mut slew = self.0.slew.lock().unwrap_or_else(PoisonError::into_inner);
        let mono_ns = u64::try_from(self.0.start.elapsed().as_nanos()).expect("580 years");
        let wall_ns = slew.read(mono_ns, system_time_ns());
        Now {
            mono: Mono(mono_ns / 1_000),
            wall: Ts(wall_ns / 1_000),
        }
    }

    /// Takes over the system's wall time as it is now, wherever that jumps. Only while nothing goes by this
    /// clock's wall reading.
    pub fn set_to_system_time(&self) {
        let mut slew = self.0.slew.lock().unwrap_or_else(PoisonError::into_inner);
        slew.set(system_time_ns());
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

/// Nanoseconds since 1970 as the system says; 0 before that.
fn system_time_ns() -> u64 {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX)
}

/// Turns (monotonic, system) readings into wall readings that grow at 1 ± 0.0005 of real time.
/// Everything in nanoseconds. Reads no clock itself: a simulator gives it readings of its own.
#[derive(Debug)]
pub struct Slew {
    /// What is added to the monotonic reading.
    offset: u64,
    /// The monotonic reading up to which the offset was brought.
    slewed_at: u64,
    last_mono: u64,
    last_wall: u64,
}

impl Slew {
    /// Starts at monotonic time 0 from what the system's wall clock says then.
    #[must_use]
    pub fn new(system: u64) -> Self {
        Self {
            offset: system,
            slewed_at: 0,
            last_mono: 0,
            last_wall: system,
        }
    }

    /// The wall reading is what the system's clock says now, whatever it was before.
    pub fn set(&mut self, system: u64) {
        self.offset = system.saturating_sub(self.last_mono);
        self.slewed_at = self.last_mono;
        self.last_wall = self.last_mono;
    }

    /// The wall reading that belongs to these readings of the monotonic and the system's wall clock.
    ///
    /// # Panics
    /// If `mono` is less than in an earlier call.
    pub fn read(&mut self, mono: u64, system: u64) -> u64 {
        assert!(
            mono >= self.last_mono,
            "monotonic clock went back: {} to {mono}",
            self.last_mono
        );
        self.last_mono = mono;
        // Each nanosecond of change needs so many nanoseconds of time.
        let time_per_step = 1_000_000 / SLEW_PPM_MAX;
        let step_max = (mono - self.slewed_at) / time_per_step;
        if step_max > 0 {
            let wanted = system.saturating_sub(mono);
            self.offset =
                wanted.clamp(self.offset.saturating_sub(step_max), self.offset + step_max);
            self.slewed_at += step_max * time_per_step;
        }
        let wall = mono + self.offset;
        assert!(
            wall >= self.last_wall,
            "wall reading went back: {} to {wall}",
            self.last_wall
        );
        self.last_wall = wall;
        wall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// Reads every `step` ns for `seconds`; the system's time runs as `system` says.
    fn run(step: u64, seconds: u64, system: impl Fn(u64) -> u64) -> (Slew, u64) {
        let mut slew = Slew::new(system(0));
        let mut last = system(0);
        for mono in (0..=seconds * SECOND).step_by(step as usize) {
            let wall = slew.read(mono, system(mono));
            let grown = wall - last;
            assert!(
                mono == 0 || grown.abs_diff(step) <= step / 2_000 + 1,
                "{grown} in {step}"
            );
            last = wall;
        }
        (slew, last)
    }

    #[test]
    fn wall_follows_a_system_that_drifts() {
        let (_, wall) = run(1_000_003, 100, |mono| 7 * SECOND + mono + mono / 10_000);
        let system = 7 * SECOND + 100 * SECOND + 100 * SECOND / 10_000;
        assert!(wall.abs_diff(system) < 2_000_000, "{wall} {system}");
    }

    #[test]
    fn a_system_set_back_an_hour_never_takes_wall_back() {
        let hour = 3_600 * SECOND;
        let (_, wall) = run(10_000_019, 200, |mono| {
            if mono < 100 * SECOND {
                2 * hour + mono
            } else {
                hour + mono
            }
        });
        let lost = (2 * hour + 200 * SECOND) - wall;
        assert!(
            lost.abs_diff(SECOND / 20) < SECOND / 100,
            "100 s at 500 ppm are 50 ms, not {lost} ns"
        );
    }

    #[test]
    fn a_step_ahead_is_taken_up_at_500_ppm() {
        let (_, wall) = run(777, 1, |mono| if mono == 0 { 0 } else { mono + SECOND });
        let gained = wall - SECOND / 777 * 777;
        assert!(gained <= 500_000 && gained > 490_000, "{gained}");
    }

    #[test]
    #[should_panic(expected = "monotonic clock went back")]
    fn a_monotonic_clock_that_goes_back_is_our_end() {
        let mut slew = Slew::new(0);
        slew.read(10, 10);
        slew.read(9, 11);
    }

    #[test]
    fn readings_of_clones_never_go_back() {
        let clock = SystemClock::new();
        let mut last = clock.now();
        for clock in std::iter::repeat_with(|| clock.clone()).take(10_000) {
            let now = clock.now();
            assert!(now.mono >= last.mono && now.wall >= last.wall);
            last = now;
        }
    }

    #[test]
    fn a_clock_that_is_set_jumps_and_goes_on_from_there() {
        let mut slew = Slew::new(100 * SECOND);
        assert_eq!(slew.read(SECOND, 101 * SECOND), 101 * SECOND);
        slew.set(7 * SECOND);
        assert_eq!(slew.read(2 * SECOND, 8 * SECOND), 8 * SECOND);
        assert_eq!(slew.read(3 * SECOND, 9 * SECOND), 9 * SECOND);
    }
}
