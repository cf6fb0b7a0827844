//! How much is taken on at once. Decided before a request's body is read, so that a refusal costs
//! next to nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use metrics::{Gauge, gauge};
use shoal_api::Problem;
use shoal_types::ErrorCode;

use crate::limits::{RECEIVE_SHARE_PERCENT, SEND_SHARE_PERCENT};
use crate::{FrontendConfig, metric_names};

/// What a request does to the load, which decides who is refused first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Makes room: acknowledge, extend, release, purge, and everything about queues themselves.
    Finish,
    /// Hands out.
    Receive,
    /// Takes room.
    Send,
}

/// The three counters of what is under way.
#[derive(Debug)]
pub(crate) struct Admission {
    in_flight: Counter,
    bytes: Counter,
    long_polls: Counter,
}

#[derive(Debug)]
struct Counter {
    now: AtomicUsize,
    max: usize,
    shown: Gauge,
}

/// A place among the requests under way; gives it back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    admission: Arc<Admission>,
    bytes: usize,
    waits: bool,
}

impl Admission {
    pub(crate) fn new(config: &FrontendConfig) -> Arc<Self> {
        let counter = |max, name| Counter {
            now: AtomicUsize::new(0),
            max,
            shown: gauge!(name),
        };
        Arc::new(Self {
            in_flight: counter(config.in_flight_max, metric_names::IN_FLIGHT),
            bytes: counter(config.request_bytes_max, metric_names::REQUEST_BYTES),
            long_polls: counter(config.long_polls_max, metric_names::LONG_POLLS),
        })
    }

    /// Takes a request with a body of at most `bytes`, or refuses it as busy.
    pub(crate) fn admit(self: &Arc<Self>, class: Class, bytes: usize) -> Result<Place, Problem> {
        if !self.in_flight.take(1, self.in_flight.share(class)) {
            return Err(busy("too many requests are under way here"));
        }
        if !self.bytes.take(bytes, self.bytes.max) {
            self.in_flight.give_back(1);
            return Err(busy(
                "the request bodies under way here take up all their memory",
            ));
        }
        Ok(Place {
            admission: Arc::clone(self),
            bytes,
            waits: false,
        })
    }
}

impl Place {
    /// Holds a request that was taken as one that finishes against the bound of its own class, once that is
    /// known.
    pub(crate) fn turns_out(&self, class: Class) -> Result<(), Problem> {
        let in_flight = &self.admission.in_flight;
        if in_flight.now.load(Ordering::Relaxed) > in_flight.share(class) {
            return Err(busy("too many requests are under way here"));
        }
        Ok(())
    }

    /// Moves the request among those that wait, so that it is in nobody's way. False if too many wait:
    /// then it is to be answered at once.
    pub(crate) fn wait(&mut self) -> bool {
        let admission = &self.admission;
        if !self.waits && admission.long_polls.take(1, admission.long_polls.max) {
            admission.in_flight.give_back(1);
            self.waits = true;
        }
        self.waits
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.bytes.give_back(self.bytes);
        if self.waits {
            self.admission.long_polls.give_back(1);
        } else {
            self.admission.in_flight.give_back(1);
        }
    }
}

impl Counter {
    /// How much of it a class may take.
    fn share(&self, class: Class) -> usize {
        let percent = match class {
            Class::Finish => 100,
            Class::Receive => RECEIVE_SHARE_PERCENT,
            Class::Send => SEND_SHARE_PERCENT,
        };
        // Never 0, however small the bound was chosen.
        (self.max * percent).div_ceil(100)
    }

    fn take(&self, amount: usize, max: usize) -> bool {
        let taken = self
            .now
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                now.checked_add(amount).filter(|sum| *sum <= max)
            });
        if taken.is_ok() {
            self.shown.increment(amount as f64);
        }
        taken.is_ok()
    }

    fn give_back(&self, amount: usize) {
        let before = self.now.fetch_sub(amount, Ordering::Relaxed);
        assert!(before >= amount, "more given back than taken");
        self.shown.decrement(amount as f64);
    }
}

fn busy(detail: &'static str) -> Problem {
    Problem::new(ErrorCode::Busy, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission() -> Arc<Admission> {
        Admission::new(&FrontendConfig {
            in_flight_max: 10,
            request_bytes_max: 100,
            long_polls_max: 1,
            ..Default::default()
        })
    }

    #[test]
    fn sends_are_refused_first_and_acknowledgements_last() {
        let admission = admission();
        let take = |class, count: usize| -> Vec<Place> {
            (0..count)
                .map(|_| admission.admit(class, 0).expect("there is room"))
                .collect()
        };
        let _sends = take(Class::Send, 8);
        assert!(admission.admit(Class::Send, 0).is_err());
        let _receives = take(Class::Receive, 1);
        assert!(admission.admit(Class::Receive, 0).is_err());
        let acks = take(Class::Finish, 1);
        let refused = admission
            .admit(Class::Finish, 0)
            .expect_err("there is no room");
        assert_eq!(refused.code, ErrorCode::Busy);
        drop(acks);
        take(Class::Finish, 1);
    }

    #[test]
    fn a_send_that_is_known_as_one_late_is_refused_as_one() {
        let admission = admission();
        let mut places: Vec<Place> = (0..8)
            .map(|_| admission.admit(Class::Finish, 0).expect("there is room"))
            .collect();
        assert!(places[7].turns_out(Class::Send).is_ok());
        places.push(admission.admit(Class::Finish, 0).expect("there is room"));
        assert!(places[8].turns_out(Class::Send).is_err());
        assert!(places[8].turns_out(Class::Receive).is_ok());
    }

    #[test]
    fn bytes_are_counted_until_the_request_is_answered() {
        let admission = admission();
        let place = admission.admit(Class::Send, 60).expect("there is room");
        assert!(admission.admit(Class::Send, 60).is_err());
        assert!(admission.admit(Class::Send, usize::MAX).is_err());
        drop(place);
        assert!(admission.admit(Class::Send, 100).is_ok());
    }

    #[test]
    fn who_waits_is_in_nobodys_way_but_only_so_many_wait() {
        let admission = admission();
        let mut places: Vec<Place> = (0..9)
            .map(|_| admission.admit(Class::Receive, 0).expect("there is room"))
            .collect();
        assert!(admission.admit(Class::Receive, 0).is_err());
        assert!(places[0].wait() && places[0].wait());
        assert!(!places[1].wait());
        assert!(admission.admit(Class::Receive, 0).is_ok());
        places.clear();
        assert_eq!(admission.in_flight.now.load(Ordering::Relaxed), 0);
        assert_eq!(admission.long_polls.now.load(Ordering::Relaxed), 0);
    }
}
