//! The frontends of a service: by turns, and those that failed not for a while.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::ClientError;
use crate::limits::{CONNECT_TIMEOUT_OF_SEVERAL, FRONTENDS_MAX, PAUSE_MAX, PAUSE_MIN};

/// All frontends that a client was told of.
#[derive(Debug)]
pub(crate) struct Frontends {
    all: Box<[Frontend]>,
    turn: AtomicUsize,
}

#[derive(Debug)]
pub(crate) struct Frontend {
    /// `http://…` or `https://…`, without a slash at its end.
    pub(crate) base: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Calls in a row that could not reach it.
    failures: u32,
    /// It has its turn only behind all others until then.
    avoided_until: Option<Instant>,
}

impl Frontends {
    /// # Errors
    /// Names what is no address.
    pub(crate) fn read(list: &str) -> Result<Self, ClientError> {
        let all = list.split(',').map(|base| {
            let base = base.trim().trim_end_matches('/');
            if !base.starts_with("http://") && !base.starts_with("https://") {
                return Err(ClientError::Unexpected(format!(
                    "{base:?} is no http:// or https:// address"
                )));
            }
            Ok(Frontend {
                base: base.to_owned(),
                state: Mutex::default(),
            })
        });
        let all: Box<[Frontend]> = all.collect::<Result<_, _>>()?;
        if all.len() > FRONTENDS_MAX {
            let count = all.len();
            return Err(ClientError::Unexpected(format!(
                "{count} frontends are more than {FRONTENDS_MAX}"
            )));
        }
        Ok(Self {
            all,
            turn: AtomicUsize::new(0),
        })
    }

    pub(crate) fn all(&self) -> &[Frontend] {
        &self.all
    }

    /// In which order a call is to try them: whose turn it is first, and at the end those that are avoided,
    /// first the one that will not be soonest.
    pub(crate) fn for_a_call(&self, now: Instant) -> Vec<&Frontend> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.all.len();
        let (earlier, later) = self.all.split_at(turn);
        let mut order: Vec<&Frontend> = later.iter().chain(earlier).collect();
        order.sort_by_key(|frontend| frontend.lock().avoided_until.filter(|until| *until > now));
        if let [first, _, ..] = order[..] {
            first.is_tried(now);
        }
        order
    }
}

impl Frontend {
    /// It answered, and goes on.
    pub(crate) fn is_well(&self) {
        *self.lock() = State::default();
    }

    /// It could not be reached.
    pub(crate) fn failed(&self, now: Instant) {
        let mut state = self.lock();
        state.failures = state.failures.saturating_add(1);
        state.avoid(now);
    }

    /// It answered, and said that it closes the connection: it stops, as far as can be told.
    pub(crate) fn is_leaving(&self, now: Instant) {
        let mut state = self.lock();
        state.failures = 0;
        state.avoid(now);
    }

    /// One call at a time finds out whether it is back: at a machine that is gone it waits for its whole time.
    fn is_tried(&self, now: Instant) {
        let mut state = self.lock();
        if state.avoided_until.is_some() {
            state.avoided_until = Some(now + CONNECT_TIMEOUT_OF_SEVERAL);
        }
    }

    /// A panic elsewhere does not make it wrong: each change is made in one go.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn avoid(&mut self, now: Instant) {
        // Beyond that it is the longest anyway.
        let doublings = self.failures.saturating_sub(1).min(16);
        let pause = (PAUSE_MIN * (1 << doublings)).min(PAUSE_MAX);
        self.avoided_until = Some(now + pause);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn three() -> Frontends {
        Frontends::read("http://a:1, http://b:1/,https://c").expect("these are addresses")
    }

    fn order(frontends: &Frontends, now: Instant) -> String {
        let order = frontends.for_a_call(now);
        let names = order.iter().map(|frontend| {
            let (_, name) = frontend.base.split_once("//").expect("an address");
            &name[..1]
        });
        names.collect()
    }

    #[test]
    fn they_have_their_turns() {
        let (frontends, now) = (three(), Instant::now());
        let orders: Vec<String> = (0..4).map(|_| order(&frontends, now)).collect();
        assert_eq!(orders, ["abc", "bca", "cab", "abc"]);
    }

    #[test]
    fn one_that_failed_comes_last_until_its_pause_is_over_and_longer_each_time() {
        let (frontends, mut now) = (three(), Instant::now());
        let a = &frontends.all()[0];
        let mut pauses = Vec::new();
        for _ in 0..8 {
            a.failed(now);
            let before = now;
            while order(&frontends, now).ends_with('a') {
                now += Duration::from_millis(100);
            }
            pauses.push((now - before).as_millis() / 500);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
        a.is_well();
        a.failed(now);
        assert!(order(&frontends, now).ends_with('a'));
        now += PAUSE_MIN;
        assert!((0..3).any(|_| order(&frontends, now).starts_with('a')));
    }

    /// All calls went to a frontend half a second after it had said that it stops, met a machine that was gone,
    /// and nobody was served for a second.
    #[test]
    fn one_call_finds_out_whether_one_that_failed_or_left_is_back() {
        for note in [Frontend::failed, Frontend::is_leaving] {
            let (frontends, mut now) = (three(), Instant::now());
            note(&frontends.all()[0], now);
            now += PAUSE_MIN;
            let first: Vec<String> = (0..6).map(|_| order(&frontends, now)).collect();
            let tries = first.iter().filter(|order| order.starts_with('a')).count();
            assert_eq!(tries, 1, "{first:?}");
        }
    }

    #[test]
    fn if_all_are_to_be_avoided_the_first_to_be_back_is_asked_first() {
        let (frontends, mut now) = (three(), Instant::now());
        for frontend in frontends.all() {
            frontend.failed(now);
            now += Duration::from_millis(10);
        }
        assert_eq!(order(&frontends, now), "abc");
        frontends.all()[0].failed(now);
        assert_eq!(order(&frontends, now), "bca");
    }

    #[test]
    fn what_is_no_address_is_named() {
        for (list, named) in [
            ("a:1", "\"a:1\""),
            ("http://a,b", "\"b\""),
            ("http://a,", "\"\""),
            ("", "\"\""),
        ] {
            let error = Frontends::read(list).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
        let many = vec!["http://a"; FRONTENDS_MAX + 1].join(",");
        let error = Frontends::read(&many).unwrap_err().to_string();
        assert!(error.contains("65 frontends"), "{error}");
    }
}
