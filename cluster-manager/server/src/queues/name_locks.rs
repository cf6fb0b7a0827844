//! One lock per name that is being worked on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shoal_types::QueueName;
use tokio::sync::OwnedMutexGuard;

/// Locks by name. A name has an entry only while somebody holds or awaits its lock.
#[derive(Clone, Default)]
pub(super) struct NameLocks(Arc<Mutex<Locks>>);

type Locks = BTreeMap<QueueName, Arc<tokio::sync::Mutex<()>>>;

/// The lock of a name, until it is dropped.
pub(super) struct NameLock {
    name: QueueName,
    locks: NameLocks,
    /// `None` while it is awaited.
    held: Option<OwnedMutexGuard<()>>,
}

impl NameLocks {
    /// Waits for the lock; whoever asks first gets it first.
    pub(super) async fn lock(&self, name: &QueueName) -> NameLock {
        let lock = Arc::clone(self.locks().entry(name.clone()).or_default());
        // Made before waiting, so that the entry goes even if the wait is given up.
        let mut awaited = NameLock {
            name: name.clone(),
            locks: self.clone(),
            held: None,
        };
        awaited.held = Some(lock.lock_owned().await);
        awaited
    }

    /// The lock, if nobody has it.
    pub(super) fn try_lock(&self, name: &QueueName) -> Option<NameLock> {
        let lock = Arc::clone(self.locks().entry(name.clone()).or_default());
        let mut tried = NameLock {
            name: name.clone(),
            locks: self.clone(),
            held: None,
        };
        tried.held = lock.try_lock_owned().ok();
        tried.held.is_some().then_some(tried)
    }

    fn locks(&self) -> MutexGuard<'_, Locks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for NameLock {
    fn drop(&mut self) {
        self.held = None;
        let mut locks = self.locks.locks();
        if locks
            .get(&self.name)
            .is_some_and(|lock| Arc::strong_count(lock) == 1)
        {
            locks.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn name(text: &str) -> QueueName {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_name_is_locked_once_and_others_are_free() {
        let locks = NameLocks::default();
        let held = locks.lock(&name("a")).await;
        assert!(locks.try_lock(&name("a")).is_none());
        assert!(locks.lock(&name("a")).now_or_never().is_none());
        assert!(locks.try_lock(&name("b")).is_some());
        drop(held);
        assert!(locks.try_lock(&name("a")).is_some());
    }

    #[tokio::test]
    async fn nothing_is_left_of_locks_that_are_dropped_held_or_awaited() {
        let locks = NameLocks::default();
        let held = locks.lock(&name("a")).await;
        {
            let name = name("a");
            let mut waiting = Box::pin(locks.lock(&name));
            assert!((&mut waiting).now_or_never().is_none());
            drop(held);
        }
        assert!(locks.locks().is_empty());
        let held = locks.lock(&name("a")).await;
        assert!(locks.lock(&name("a")).now_or_never().is_none());
        drop(held);
        assert!(locks.locks().is_empty());
    }
}
