//! When sends are due: an open loop. Arrivals come at the planned rate whether the service keeps up
//! or not, and a latency counts from the moment a send was due, so a service that stalls for a second
//! shows a second of latency in every send that was due meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::limits;
use crate::plan::Plan;
use crate::timeline::{Micros, Timeline, micros};

/// One send that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// 0, 1, 2 … over all producers.
    pub(crate) index: u64,
    /// When it was to start.
    pub(crate) intended: Micros,
}

/// Hands out sends to producers, each exactly once.
#[derive(Debug)]
pub(crate) struct Arrivals {
    timeline: Timeline,
    begin: Micros,
    end: Micros,
    /// Arrivals of the whole plan. With a rate: exactly so many; without: at most.
    count: u64,
    /// Nanoseconds from one arrival to the next; `None`: at once.
    interval_ns: Option<f64>,
    next: AtomicU64,
    /// One permit for each arrival that is due. Not used without a rate.
    due: Semaphore,
    stopped: AtomicBool,
}

impl Arrivals {
    /// Arrivals of this plan, the first one due now.
    pub(crate) fn begin(plan: &Plan, timeline: Timeline) -> Arc<Self> {
        let begin = timeline.now();
        let length = plan.warm_up + plan.duration;
        let at_most = plan.messages_max.div_ceil(plan.batch as u64);
        let interval_ns = plan.rate.map(|rate| plan.batch as f64 / rate * 1e9);
        let count = interval_ns.map_or(at_most, |ns| {
            at_most.min((length.as_nanos() as f64 / ns).ceil() as u64)
        });
        let arrivals = Arc::new(Self {
            timeline,
            begin,
            end: begin + micros(length),
            count,
            interval_ns,
            next: AtomicU64::new(0),
            due: Semaphore::new(0),
            stopped: AtomicBool::new(false),
        });
        if interval_ns.is_some() {
            let pacer = Arc::clone(&arrivals);
            let producers = plan.producers;
            // A thread of its own: it sleeps to within 100 µs, where the runtime's timer has 1 ms.
            std::thread::Builder::new()
                .name("arrivals".to_owned())
                .spawn(move || pacer.pace(producers))
                .expect("a thread can be started");
        }
        arrivals
    }

    /// When no send may start any more.
    fn last_chance(&self) -> Micros {
        match self.interval_ns {
            Some(_) => self.end + micros(limits::OVERRUN_MAX),
            None => self.end,
        }
    }

    /// Waits for something that a send needs, but not beyond the plan's end. `None`: that was first.
    pub(crate) async fn before_the_end<T>(&self, wait: impl Future<Output = T>) -> Option<T> {
        let end = self.timeline.instant(self.last_chance());
        tokio::time::timeout_at(end.into(), wait).await.ok()
    }

    /// Waits for the next send that is due. `None`: there are no more.
    pub(crate) async fn next(&self) -> Option<Arrival> {
        if self.interval_ns.is_some() {
            let permit = self.due.acquire().await;
            permit.expect("never closed").forget();
        }
        let now = self.timeline.now();
        if self.stopped.load(Ordering::Relaxed) || now > self.last_chance() {
            return None;
        }
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        (index < self.count).then(|| Arrival {
            index,
            intended: match self.interval_ns {
                Some(ns) => self.begin + (index as f64 * ns / 1_000.0) as Micros,
                None => now,
            },
        })
    }

    /// No more arrivals from here on.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Arrivals that were due and that no producer took: the service was too slow.
    pub(crate) fn unsent(&self) -> u64 {
        match self.interval_ns {
            Some(_) if !self.stopped.load(Ordering::Relaxed) => {
                self.count.saturating_sub(self.next.load(Ordering::Relaxed))
            }
            _ => 0,
        }
    }

    /// Makes arrivals due one after the other, then wakes every producer once more so that it finds
    /// out that there are no more.
    fn pace(&self, producers: usize) {
        let interval_ns = self.interval_ns.expect("only called with a rate");
        let begin = self.timeline.instant(self.begin);
        let mut released = 0u64;
        while released < self.count && !self.stopped.load(Ordering::Relaxed) {
            let elapsed = begin.elapsed().as_nanos() as f64;
            let due = ((elapsed / interval_ns) as u64 + 1).min(self.count);
            self.due.add_permits((due - released) as usize);
            released = due;
            let next = begin + Duration::from_nanos((released as f64 * interval_ns) as u64);
            // At most a tenth of a second, so that a stop is noticed.
            let pause = next.saturating_duration_since(Instant::now());
            std::thread::sleep(pause.min(Duration::from_millis(100)));
        }
        self.due.add_permits(producers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(rate: Option<f64>, messages_max: u64) -> Plan {
        Plan {
            rate,
            messages_max,
            batch: 2,
            producers: 1,
            warm_up: Duration::ZERO,
            duration: Duration::from_millis(100),
            ..Plan::default()
        }
    }

    #[tokio::test]
    async fn arrivals_are_due_at_even_distances_and_end_with_the_plan() {
        let arrivals = Arrivals::begin(&plan(Some(200.0), 1_000), Timeline::begin());
        let mut seen = Vec::new();
        while let Some(arrival) = arrivals.next().await {
            assert!(arrivals.timeline.now() >= arrival.intended, "never early");
            seen.push(arrival.intended - arrivals.begin);
        }
        assert_eq!(
            seen,
            (0..10).map(|n| n * 10_000).collect::<Vec<_>>(),
            "0.1 s of 200 a second in pairs"
        );
        assert_eq!(arrivals.unsent(), 0);
    }

    #[tokio::test]
    async fn without_a_rate_arrivals_are_due_at_once_until_the_count_is_reached() {
        let arrivals = Arrivals::begin(&plan(None, 7), Timeline::begin());
        let mut count = 0;
        while arrivals.next().await.is_some() {
            count += 1;
        }
        assert_eq!(count, 4, "7 messages in pairs");
    }

    #[tokio::test]
    async fn a_stop_ends_them() {
        let arrivals = Arrivals::begin(&plan(Some(2.0), 1_000), Timeline::begin());
        assert!(arrivals.next().await.is_some());
        arrivals.stop();
        assert_eq!(arrivals.next().await, None);
    }
}
