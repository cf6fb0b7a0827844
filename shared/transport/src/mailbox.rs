//! From many threads into one connection's task.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

/// A bounded queue whose owner takes everything at once and is woken only by the first item that it
/// does not know of: under load one wake-up serves many items.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    state: Mutex<State<T>>,
    owner: AtomicWaker,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    bytes: usize,
    closed: bool,
}

/// Items have a weight, by which a mailbox is bounded.
pub(crate) trait Weight {
    /// In bytes.
    fn weight(&self) -> usize;
}

/// Why an item was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// It would weigh too much.
    Full,
    /// Nobody reads any more.
    Closed,
}

impl<T: Weight> Mailbox<T> {
    pub(crate) fn new() -> Self {
        let state = State {
            items: VecDeque::new(),
            bytes: 0,
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            owner: AtomicWaker::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an item unless more than `bytes_max` would wait then.
    pub(crate) fn push(&self, item: T, bytes_max: usize) -> Result<(), NotTaken> {
        let mut state = self.lock();
        if state.closed {
            return Err(NotTaken::Closed);
        }
        if state.bytes + item.weight() > bytes_max {
            return Err(NotTaken::Full);
        }
        state.bytes += item.weight();
        state.items.push_back(item);
        let owner_knows = state.items.len() > 1;
        drop(state);
        if !owner_knows {
            self.owner.wake();
        }
        Ok(())
    }

    /// Takes everything. If that is nothing, the task of `cx` is woken by the next item.
    pub(crate) fn take(&self, cx: &Context<'_>) -> VecDeque<T> {
        self.owner.register(cx.waker());
        self.take_now()
    }

    /// Ready once something waits (true) or the mailbox is closed (false).
    pub(crate) fn poll_ready(&self, cx: &Context<'_>) -> Poll<bool> {
        self.owner.register(cx.waker());
        let state = self.lock();
        match (state.closed, state.items.is_empty()) {
            (true, _) => Poll::Ready(false),
            (false, false) => Poll::Ready(true),
            (false, true) => Poll::Pending,
        }
    }

    /// Takes everything without asking to be woken.
    pub(crate) fn take_now(&self) -> VecDeque<T> {
        let mut state = self.lock();
        state.bytes = 0;
        mem::take(&mut state.items)
    }

    /// Takes back an item that still waits; the youngest first.
    pub(crate) fn take_back(&self, is_it: impl Fn(&T) -> bool) -> Option<T> {
        let mut state = self.lock();
        let at = state.items.iter().rposition(is_it)?;
        let item = state.items.remove(at).expect("it was found there");
        state.bytes -= item.weight();
        Some(item)
    }

    /// Drops the oldest item.
    pub(crate) fn drop_oldest(&self) {
        let mut state = self.lock();
        if let Some(item) = state.items.pop_front() {
            state.bytes -= item.weight();
        }
    }

    /// Takes no more items and wakes the owner.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.owner.wake();
    }

    /// True after [`Mailbox::close`].
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Wakes the owner although there is no item.
    pub(crate) fn wake_owner(&self) {
        self.owner.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use super::*;

    impl Weight for usize {
        fn weight(&self) -> usize {
            *self
        }
    }

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn many_items_wake_the_owner_once() {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mailbox = Mailbox::new();
        assert!(mailbox.take(&Context::from_waker(&waker)).is_empty());
        for item in 0..100 {
            mailbox.push(item, 10_000).unwrap();
        }
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        assert_eq!(mailbox.take(&Context::from_waker(&waker)).len(), 100);
        mailbox.push(1, 10).unwrap();
        assert_eq!(wakes.0.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn the_bound_counts_what_waits_and_nothing_else() {
        let mailbox = Mailbox::new();
        mailbox.push(6, 10).unwrap();
        assert_eq!(mailbox.push(5, 10), Err(NotTaken::Full));
        assert_eq!(mailbox.take_back(|item| *item == 6), Some(6));
        mailbox.push(10, 10).unwrap();
        mailbox.drop_oldest();
        mailbox.push(10, 10).unwrap();
        mailbox.close();
        assert_eq!(mailbox.push(0, 10), Err(NotTaken::Closed));
        assert_eq!(mailbox.take_now(), [10]);
    }
}
