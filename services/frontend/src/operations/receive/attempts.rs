//! Which partition of a queue served a receive with an attempt key.
//!
//! A partition remembers such receives by itself. What it cannot know is that another one of its queue
//! was the one that had something: a repetition that asks them in order would get new messages from the
//! first that has got some meanwhile. So the frontend remembers, too.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shoal_types::limits::DEDUPLICATION_WINDOW;
use shoal_types::{AttemptKey, PartitionId, QueueId};
use tokio::time::Instant;

use crate::limits::ATTEMPTS_REMEMBERED_MAX;

type Key = (QueueId, AttemptKey);

/// As long as partitions remember them.
const REMEMBERED_FOR: Duration = Duration::from_micros(DEDUPLICATION_WINDOW);

/// The attempts of the last five minutes at queues that had several partitions.
#[derive(Default)]
pub(super) struct Attempts(Mutex<State>);

#[derive(Default)]
struct State {
    served: HashMap<Key, (PartitionId, Instant)>,
    /// In the order of their ends.
    ends: VecDeque<(Instant, Key)>,
}

impl Attempts {
    /// Who served this attempt.
    pub(super) fn served(&self, queue: QueueId, attempt: AttemptKey) -> Option<PartitionId> {
        let mut state = self.lock();
        state.forget_old(Instant::now());
        state
            .served
            .get(&(queue, attempt))
            .map(|(partition, _)| *partition)
    }

    pub(super) fn remember(&self, queue: QueueId, attempt: AttemptKey, partition: PartitionId) {
        let (mut state, now) = (self.lock(), Instant::now());
        state.forget_old(now);
        if state.ends.len() >= ATTEMPTS_REMEMBERED_MAX {
            state.forget_first();
        }
        let (key, end) = ((queue, attempt), now + REMEMBERED_FOR);
        state.served.insert(key, (partition, end));
        state.ends.push_back((end, key));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget_old(&mut self, now: Instant) {
        while self.ends.front().is_some_and(|(end, _)| *end <= now) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((end, key)) = self.ends.pop_front() {
            // A later receive with the same key has an end of its own.
            if self.served.get(&key).is_some_and(|(_, its)| *its == end) {
                self.served.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: QueueId = QueueId(1);

    #[tokio::test(start_paused = true)]
    async fn an_attempt_is_remembered_for_five_minutes_from_its_last_time() {
        let attempts = Attempts::default();
        attempts.remember(QUEUE, [1; 16], PartitionId(1));
        tokio::time::advance(REMEMBERED_FOR / 2).await;
        attempts.remember(QUEUE, [1; 16], PartitionId(2));
        tokio::time::advance(REMEMBERED_FOR / 2).await;
        assert_eq!(attempts.served(QUEUE, [1; 16]), Some(PartitionId(2)));
        assert_eq!(attempts.served(QueueId(2), [1; 16]), None);
        tokio::time::advance(REMEMBERED_FOR / 2).await;
        assert_eq!(attempts.served(QUEUE, [1; 16]), None);
        assert!(attempts.lock().ends.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_bound_the_oldest_attempt_is_forgotten() {
        let attempts = Attempts::default();
        let key = |n: usize| {
            let mut key = [0; 16];
            key[..8].copy_from_slice(&n.to_be_bytes());
            key
        };
        for n in 0..=ATTEMPTS_REMEMBERED_MAX {
            attempts.remember(QUEUE, key(n), PartitionId(1));
        }
        assert_eq!(attempts.served(QUEUE, key(0)), None);
        assert!(attempts.served(QUEUE, key(1)).is_some());
        assert_eq!(attempts.lock().served.len(), ATTEMPTS_REMEMBERED_MAX);
    }
}
