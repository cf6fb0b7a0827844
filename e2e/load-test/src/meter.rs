//! What is measured while the load runs: latencies, failures, and the longest time without a success.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::service::Failure;
use crate::timeline::Micros;

/// What users do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// A send, of a batch if the plan says so.
    Send,
    /// A receive, waiting included.
    Receive,
    /// An acknowledge of what one receive gave.
    Acknowledge,
}

impl Operation {
    pub(crate) const ALL: [Self; 3] = [Self::Send, Self::Receive, Self::Acknowledge];
}

/// The longest times in which no operation of a kind succeeded, of the worst queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps([Micros; 3]);

impl Gaps {
    /// The longest time between two successes of this operation on one queue.
    #[must_use]
    pub fn of(&self, operation: Operation) -> Duration {
        Duration::from_micros(self.0[operation as usize])
    }
}

/// The part of the load that is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) begin: Micros,
    pub(crate) end: Micros,
}

impl Window {
    fn contains(self, at: Micros) -> bool {
        (self.begin..=self.end).contains(&at)
    }
}

#[derive(Debug)]
pub(crate) struct Meter {
    window: RwLock<Option<Window>>,
    operations: [Mutex<OperationMeter>; 3],
    end_to_end: Mutex<Histogram<u64>>,
    /// By queue, then by operation.
    gaps: Vec<Mutex<[Gap; 3]>>,
}

#[derive(Debug, Clone)]
pub(crate) struct OperationMeter {
    /// Microseconds; within the window.
    pub(crate) latency: Histogram<u64>,
    /// Successful operations, whole load.
    pub(crate) succeeded: u64,
    /// Messages of successful operations, whole load.
    pub(crate) messages: u64,
    /// The same within the window.
    pub(crate) messages_measured: u64,
    /// Failed operations by code, whole load.
    pub(crate) failed: BTreeMap<String, u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Gap {
    /// The last success.
    last: Micros,
    longest: Micros,
    longest_since_taken: Micros,
}

impl Meter {
    pub(crate) fn new(queues: usize) -> Self {
        Self {
            window: RwLock::new(None),
            operations: std::array::from_fn(|_| Mutex::new(OperationMeter::new())),
            end_to_end: Mutex::new(histogram()),
            gaps: (0..queues).map(|_| Mutex::default()).collect(),
        }
    }

    /// Says which part of the load counts.
    pub(crate) fn open(&self, window: Window) {
        *self.window.write().unwrap_or_else(PoisonError::into_inner) = Some(window);
    }

    /// Ends the measured part now, if it would end later.
    pub(crate) fn close(&self, now: Micros) {
        let mut window = self.window.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = window.as_mut() {
            window.end = window.end.min(now);
        }
    }

    /// Which part of the load counts. `None`: nothing was sent yet.
    pub(crate) fn window(&self) -> Option<Window> {
        *self.window.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// An operation on a queue succeeded with so many messages.
    pub(crate) fn succeeded(
        &self,
        operation: Operation,
        queue: usize,
        messages: usize,
        began: Micros,
        ended: Micros,
    ) {
        let mut meter = lock(&self.operations[operation as usize]);
        meter.succeeded += 1;
        meter.messages += messages as u64;
        let Some(window) = self.window() else { return };
        if window.contains(began) && messages > 0 {
            meter.latency.saturating_record(ended - began);
        }
        if window.contains(ended) {
            meter.messages_measured += messages as u64;
        }
        drop(meter);
        let mut gaps = lock(&self.gaps[queue]);
        gaps[operation as usize].success(ended, window);
    }

    pub(crate) fn failed(&self, operation: Operation, failure: &Failure) {
        let mut meter = lock(&self.operations[operation as usize]);
        *meter.failed.entry(failure.code.clone()).or_default() += 1;
    }

    /// A message was received for the first time.
    pub(crate) fn arrived(&self, intended: Micros, received: Micros) {
        if self.window().is_some_and(|w| w.contains(intended)) {
            lock(&self.end_to_end).saturating_record(received - intended);
        }
    }

    /// The longest gaps since the last call, those that still last at `now` included.
    pub(crate) fn take_gaps(&self, now: Micros) -> Gaps {
        self.worst(now, |gap| std::mem::take(&mut gap.longest_since_taken))
    }

    /// The longest gaps of the whole window.
    pub(crate) fn gaps(&self, now: Micros) -> Gaps {
        self.worst(now, |gap| gap.longest)
    }

    fn worst(&self, now: Micros, of: impl Fn(&mut Gap) -> Micros) -> Gaps {
        let mut longest = Gaps::default();
        let Some(window) = self.window() else {
            return longest;
        };
        for queue in &self.gaps {
            for (gap, longest) in lock(queue).iter_mut().zip(&mut longest.0) {
                gap.extend_to(now, window);
                *longest = (*longest).max(of(gap));
            }
        }
        longest
    }

    pub(crate) fn operation(&self, operation: Operation) -> OperationMeter {
        lock(&self.operations[operation as usize]).clone()
    }

    pub(crate) fn end_to_end(&self) -> Histogram<u64> {
        lock(&self.end_to_end).clone()
    }
}

impl OperationMeter {
    fn new() -> Self {
        Self {
            latency: histogram(),
            succeeded: 0,
            messages: 0,
            messages_measured: 0,
            failed: BTreeMap::new(),
        }
    }

    pub(crate) fn failures(&self) -> u64 {
        self.failed.values().sum()
    }
}

impl Gap {
    fn success(&mut self, at: Micros, window: Window) {
        self.extend_to(at, window);
        self.last = self.last.max(at);
    }

    /// Time outside the window is no gap.
    fn extend_to(&mut self, at: Micros, window: Window) {
        let from = self.last.max(window.begin);
        let gap = at.min(window.end).saturating_sub(from);
        self.longest = self.longest.max(gap);
        self.longest_since_taken = self.longest_since_taken.max(gap);
    }
}

/// 1 µs to 10 minutes with three digits: about 150 KB.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000, 3).expect("the bounds are valid")
}

/// A panic elsewhere leaves counters as they were.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Micros = 1_000_000;

    fn meter() -> Meter {
        let meter = Meter::new(2);
        meter.open(Window {
            begin: 10 * SECOND,
            end: 20 * SECOND,
        });
        meter
    }

    fn send_at(meter: &Meter, queue: usize, at: Micros) {
        meter.succeeded(Operation::Send, queue, 1, at, at);
    }

    #[test]
    fn the_longest_gap_is_that_of_the_worst_queue() {
        let meter = meter();
        for tenth in 100..=140 {
            send_at(&meter, 0, tenth * SECOND / 10);
        }
        send_at(&meter, 1, 11 * SECOND);
        let gaps = meter.take_gaps(14 * SECOND);
        assert_eq!(gaps.of(Operation::Send), Duration::from_secs(3));
        assert_eq!(gaps.of(Operation::Receive), Duration::from_secs(4));
    }

    #[test]
    fn a_gap_that_lasts_is_counted_whole_by_the_next_look() {
        let meter = meter();
        send_at(&meter, 0, 12 * SECOND);
        send_at(&meter, 1, 12 * SECOND);
        assert_eq!(
            meter.take_gaps(13 * SECOND).of(Operation::Send),
            Duration::from_secs(2)
        );
        send_at(&meter, 0, 16 * SECOND);
        send_at(&meter, 1, 13 * SECOND);
        assert_eq!(
            meter.take_gaps(16 * SECOND).of(Operation::Send),
            Duration::from_secs(4)
        );
    }

    #[test]
    fn time_outside_the_window_is_no_gap() {
        let meter = meter();
        send_at(&meter, 0, SECOND);
        send_at(&meter, 0, 11 * SECOND);
        send_at(&meter, 1, 11 * SECOND);
        send_at(&meter, 0, 19 * SECOND);
        send_at(&meter, 1, 19 * SECOND);
        let gaps = meter.take_gaps(60 * SECOND);
        assert_eq!(gaps.of(Operation::Send), Duration::from_secs(8));
        assert_eq!(
            meter.take_gaps(70 * SECOND).of(Operation::Send),
            Duration::from_secs(1),
            "from the last success to the end of the window"
        );
    }

    #[test]
    fn the_window_can_end_early() {
        let meter = meter();
        send_at(&meter, 0, 11 * SECOND);
        send_at(&meter, 1, 11 * SECOND);
        meter.close(12 * SECOND);
        assert_eq!(
            meter.gaps(60 * SECOND).of(Operation::Send),
            Duration::from_secs(1)
        );
    }

    #[test]
    fn latencies_count_inside_the_window_only() {
        let meter = meter();
        send_at(&meter, 0, 5 * SECOND);
        meter.succeeded(Operation::Send, 0, 3, 11 * SECOND, 11 * SECOND + 500);
        let send = meter.operation(Operation::Send);
        assert_eq!((send.succeeded, send.messages), (2, 4));
        assert_eq!((send.latency.len(), send.messages_measured), (1, 3));
    }
}
