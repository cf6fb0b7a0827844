//! Lookups of names that are not in the table: one at a time per name, whoever asks, and none for a
//! moment after the manager said that there is no such queue.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shoal_api::Problem;
use shoal_types::{ErrorCode, QueueName, QueueRoute};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::limits::{MISSING_FOR, MISSING_NAMES_MAX};

type Answer = Result<Arc<QueueRoute>, Problem>;

/// What is being looked up, and what was not found.
#[derive(Default)]
pub(super) struct Lookups(Mutex<State>);

#[derive(Default)]
struct State {
    /// Bounded by the requests under way: each entry is somebody's.
    running: HashMap<QueueName, Arc<OnceCell<Answer>>>,
    missing: HashMap<QueueName, Instant>,
}

impl Lookups {
    /// Joins the lookup of this name that is under way, or runs `ask`. Should the one who runs it go
    /// away, another one that waits runs its own.
    pub(super) async fn look_up(
        &self,
        name: &QueueName,
        ask: impl Future<Output = Answer>,
    ) -> Answer {
        let asking = {
            let mut state = self.lock();
            if state.is_missing(name) {
                return Err(no_such_queue(name));
            }
            let cell = Arc::clone(state.running.entry(name.clone()).or_default());
            Asking {
                lookups: self,
                name,
                cell,
            }
        };
        let answer = asking.cell.get_or_init(|| ask).await.clone();
        drop(asking);
        match answer {
            Err(problem) if problem.code == ErrorCode::QueueNotFound => {
                self.lock().remember_missing(name);
                Err(no_such_queue(name))
            }
            answer => answer,
        }
    }

    /// The queue exists.
    pub(super) fn found(&self, name: &QueueName) {
        self.lock().missing.remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who waits for a lookup. The last to go takes the entry along, answered or not.
struct Asking<'a> {
    lookups: &'a Lookups,
    name: &'a QueueName,
    cell: Arc<OnceCell<Answer>>,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut state = self.lookups.lock();
        let same = state
            .running
            .get(self.name)
            .is_some_and(|cell| Arc::ptr_eq(cell, &self.cell));
        // The entry's and ours.
        let is_last = Arc::strong_count(&self.cell) <= 2;
        if same && (is_last || self.cell.initialized()) {
            state.running.remove(self.name);
        }
    }
}

impl State {
    fn is_missing(&mut self, name: &QueueName) -> bool {
        match self.missing.get(name) {
            Some(until) if *until > Instant::now() => true,
            Some(_) => {
                self.missing.remove(name);
                false
            }
            None => false,
        }
    }

    fn remember_missing(&mut self, name: &QueueName) {
        let now = Instant::now();
        if self.missing.len() >= MISSING_NAMES_MAX {
            self.missing.retain(|_, until| *until > now);
        }
        if self.missing.len() < MISSING_NAMES_MAX {
            self.missing.insert(name.clone(), now + MISSING_FOR);
        }
    }
}

fn no_such_queue(name: &QueueName) -> Problem {
    Problem::new(
        ErrorCode::QueueNotFound,
        format!("there is no queue {name}"),
    )
    .at("queue")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use shoal_types::{QueueId, QueueSettings, Revision, Ts};

    use super::*;

    fn name(text: &str) -> QueueName {
        text.parse().unwrap()
    }

    fn route() -> Arc<QueueRoute> {
        Arc::new(QueueRoute {
            name: name("a"),
            queue: QueueId(1),
            settings: QueueSettings::default(),
            partitions: Vec::new(),
            revision: Revision(1),
            created_at: Ts(0),
            changed_at: Ts(0),
        })
    }

    #[tokio::test]
    async fn a_hundred_who_ask_at_once_are_one_lookup() {
        let lookups = Lookups::default();
        let asked = AtomicUsize::new(0);
        let ask = || async {
            asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok(route())
        };
        let name = name("a");
        let all = (0..100).map(|_| lookups.look_up(&name, ask()));
        for answer in futures_util::future::join_all(all).await {
            assert_eq!(answer.unwrap(), route());
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert!(lookups.lock().running.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_name_is_not_asked_for_again_for_a_moment() {
        let lookups = Lookups::default();
        let name = name("a");
        let missing = async { Err(Problem::new(ErrorCode::QueueNotFound, "x")) };
        assert!(lookups.look_up(&name, missing).await.is_err());
        let again = lookups
            .look_up(&name, async { unreachable!("not asked") })
            .await;
        assert_eq!(again.unwrap_err().code, ErrorCode::QueueNotFound);
        tokio::time::advance(MISSING_FOR).await;
        assert!(lookups.look_up(&name, async { Ok(route()) }).await.is_ok());
    }

    #[tokio::test]
    async fn a_created_queue_is_found_although_it_was_missing_just_now() {
        let lookups = Lookups::default();
        let name = name("a");
        let missing = async { Err(Problem::new(ErrorCode::QueueNotFound, "x")) };
        assert!(lookups.look_up(&name, missing).await.is_err());
        lookups.found(&name);
        assert!(lookups.look_up(&name, async { Ok(route()) }).await.is_ok());
    }

    #[tokio::test]
    async fn that_the_manager_is_down_is_not_remembered() {
        let lookups = Lookups::default();
        let name = name("a");
        let down = async { Err(Problem::new(ErrorCode::ManagerUnavailable, "x")) };
        assert!(lookups.look_up(&name, down).await.is_err());
        assert!(lookups.look_up(&name, async { Ok(route()) }).await.is_ok());
    }
}
