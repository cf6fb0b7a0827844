//! The report of this host's load: once a second, from what the core counted and the processor time that
//! the process used.

use std::sync::OnceLock;
use std::thread::available_parallelism;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use shoal_types::{LoadReport, Mono, PartitionLoad};

use crate::core::{Core, Done};
use crate::limits;

/// Makes reports.
pub(crate) struct LoadWatch {
    capacity: u32,
    /// Reports made.
    number: u64,
    /// When the last one was made, and the process's processor time then.
    last: (Mono, Duration),
}

impl LoadWatch {
    /// The first report is due an interval after `now`.
    pub(crate) fn new(capacity: u32, now: Mono) -> Self {
        Self {
            capacity,
            number: 0,
            last: (now, processor_time()),
        }
    }

    /// When the next report is due.
    pub(crate) fn due(&self) -> Mono {
        self.last.0 + limits::LOAD_INTERVAL
    }

    /// The next report, if it is due.
    pub(crate) fn look(&mut self, core: &mut Core, now: Mono) -> Option<LoadReport> {
        if now < self.due() {
            return None;
        }
        let (before, used_before) = self.last;
        let used = processor_time();
        self.last = (now, used);
        self.number += 1;
        let over = Over {
            micros: now.since(before),
        };
        Some(LoadReport {
            number: self.number,
            capacity: self.capacity,
            cpu_percent: over.percent(used.saturating_sub(used_before), processors()),
            ..over.report(core.take_done())
        })
    }
}

/// The time that a report is about.
struct Over {
    micros: u64,
}

impl Over {
    fn report(&self, done: Done) -> LoadReport {
        let partitions = done.partitions.into_iter();
        LoadReport {
            operations: self.rate(done.operations),
            bytes: self.rate(done.bytes),
            refusals: self.rate(done.refusals),
            commit: done.commit,
            partitions: partitions
                .map(|(partition, counted)| PartitionLoad {
                    partition,
                    operations: self.rate(counted.operations),
                    bytes: self.rate(counted.bytes),
                })
                .collect(),
            ..LoadReport::default()
        }
    }

    /// A second.
    fn rate(&self, count: u64) -> u64 {
        let rate = u128::from(count) * 1_000_000 / u128::from(self.micros.max(1));
        u64::try_from(rate).unwrap_or(u64::MAX)
    }

    /// Processor time in percent of what all processors had.
    fn percent(&self, used: Duration, processors: u64) -> u8 {
        let of = u128::from(self.micros.max(1)) * u128::from(processors);
        // Clocks are read one after the other: a little more than all there was is possible.
        u8::try_from((used.as_micros() * 100 / of).min(100)).expect("at most 100")
    }
}

/// Of all threads of this process.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanos)
}

fn processors() -> u64 {
    static PROCESSORS: OnceLock<u64> = OnceLock::new();
    *PROCESSORS.get_or_init(|| available_parallelism().map_or(1, |count| count.get() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_by_the_second_whatever_time_was_looked_at() {
        let over = Over { micros: 2_500_000 };
        let done = Done {
            operations: 1_000,
            bytes: 5,
            ..Done::default()
        };
        let report = over.report(done);
        assert_eq!((report.operations, report.bytes), (400, 2));
        assert_eq!(over.percent(Duration::from_millis(1_250), 2), 25);
        assert_eq!(over.percent(Duration::from_secs(9), 2), 100);
    }
}
