//! Whether the store has everything that hosts and frontends know. One that was lost, or set back to an
//! older copy, has not: until it is rebuilt from what the hosts report, nobody is told what is in it, and
//! nothing is decided from it.
//!
//! ```text
//!               nobody knows more, for a while
//!   Listening ──────────────────────────────────► Whole
//!       │  somebody knows more                      │ somebody knows more
//!       └──────────────► Lacking ◄──────────────────┘
//!                           │  `shoal manager rebuild`
//!                           └──────────────────────────► Whole
//! ```
//! A store without clusters listens first: it may be a new one, or in the place of a lost one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shoal_api::Problem;
use shoal_types::{ErrorCode, HostState, HostStatus, Revision};
use tokio::time::Instant;
use tracing::error;

use crate::limits::REBUILD_LISTEN;
use crate::metric_names;
use crate::store::{MetadataStore, Transaction};

/// See the module.
pub(crate) struct Whole {
    state: Mutex<State>,
    /// When the process began to hear anybody.
    since: Instant,
    /// The highest revision that somebody was heard to know.
    known: Mutex<Revision>,
    store: Arc<dyn MetadataStore>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Listening {
        until: Instant,
    },
    Whole,
    /// In words: what shows it.
    Lacking(String),
}

impl Whole {
    /// Of a store that was just opened, at this revision. `listen`: for how long, if it knows no cluster.
    pub(crate) fn new(
        store: Arc<dyn MetadataStore>,
        is_rebuilding: bool,
        listen: Option<Duration>,
    ) -> Self {
        let state = match listen {
            _ if is_rebuilding => {
                let why = "its rebuilding was begun and not ended".to_owned();
                say(&why);
                State::Lacking(why)
            }
            Some(listen) => State::Listening {
                until: Instant::now() + listen,
            },
            None => State::Whole,
        };
        let lacking = matches!(state, State::Lacking(_));
        metrics::gauge!(metric_names::STORE_LACKING).set(f64::from(u8::from(lacking)));
        Self {
            state: Mutex::new(state),
            since: Instant::now(),
            known: Mutex::default(),
            store,
        }
    }

    /// A host reports. `has_clusters`: whether the store knows any cluster.
    pub(crate) async fn hear_host(&self, status: &HostStatus, has_clusters: bool) {
        let HostStatus {
            host,
            cluster,
            revision,
            ..
        } = status;
        let store = self.store_at(*revision).await;
        self.note_known(*revision);
        let belongs = !matches!(status.state, HostState::Removed | HostState::Forgotten);
        match cluster {
            _ if *revision > store => {
                self.lacks(|| {
                    format!("{host} knows of revision {revision}, and the store is at {store}")
                });
            }
            Some(cluster) if belongs && !has_clusters => {
                self.lacks(|| {
                    format!("{host} belongs to {cluster}, and the store has no cluster at all")
                });
            }
            _ => {}
        }
    }

    /// A frontend asks what came after a revision.
    pub(crate) async fn hear_frontend(&self, since: Revision) {
        let store = self.store_at(since).await;
        self.note_known(since);
        if since > store {
            self.lacks(|| {
                format!("a frontend knows of revision {since}, and the store is at {store}")
            });
        }
    }

    /// The store's revision, if it is below this one; what was committed can be read, and be known to
    /// others, a moment before the store says so, so that it is asked itself. A store that cannot be read says
    /// so to everyone who wants something of it.
    async fn store_at(&self, known: Revision) -> Revision {
        let said = *self.store.watch().borrow();
        if known <= said {
            return said;
        }
        let before = Revision(known.0 - 1);
        let newer = self.store.newer(before, Transaction::WRITES_MAX).await;
        newer.map_or(known, |changes| changes.up_to.max(said))
    }

    fn note_known(&self, revision: Revision) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = revision.max(*known);
    }

    /// The highest revision that somebody was heard to know.
    pub(crate) fn known(&self) -> Revision {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store turned out to lack something.
    fn lacks(&self, why: impl FnOnce() -> String) {
        let mut state = self.state();
        if !matches!(*state, State::Lacking(_)) {
            let why = why();
            say(&why);
            metrics::gauge!(metric_names::STORE_LACKING).set(1.0);
            *state = State::Lacking(why);
        }
    }

    /// It was rebuilt.
    pub(crate) fn rebuilt(&self) {
        metrics::gauge!(metric_names::STORE_LACKING).set(0.0);
        *self.state() = State::Whole;
    }

    /// Waits until every host that is up has had the time to report.
    pub(crate) async fn all_heard(&self) {
        tokio::time::sleep_until(self.since + REBUILD_LISTEN).await;
    }

    /// It is being rebuilt: until that has ended nobody is to count on it. True if it lacked something
    /// before.
    pub(crate) fn begin_rebuilding(&self) -> bool {
        let mut state = self.state();
        let was_lacking = matches!(*state, State::Lacking(_));
        if !was_lacking {
            *state = State::Lacking("it is being rebuilt".to_owned());
        }
        was_lacking
    }

    /// True if decisions may be made from the store.
    pub(crate) fn is_whole(&self) -> bool {
        self.check().is_ok()
    }

    /// # Errors
    /// What to answer to whoever wants to know or to change something, as long as the store may lack
    /// something. Nothing was applied.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        let mut state = self.state();
        if let State::Listening { until } = *state
            && until <= Instant::now()
        {
            *state = State::Whole;
        }
        match &*state {
            State::Whole => Ok(()),
            State::Listening { .. } => Err(unavailable(
                "the manager's store is empty, and it waits a moment for hosts that know of an older one"
                    .to_owned(),
            )),
            State::Lacking(why) => Err(unavailable(format!(
                "the manager's store lacks what hosts know: {why}; run `shoal manager rebuild`. Queues \
                 that frontends know go on"
            ))),
        }
    }

    /// Why the store lacks something, if it does.
    pub(crate) fn lacking(&self) -> Option<String> {
        match &*self.state() {
            State::Lacking(why) => Some(why.clone()),
            State::Listening { .. } | State::Whole => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn say(why: &str) {
    error!(
        why,
        "the store lacks what hosts know: nothing is decided or told until `shoal manager rebuild` was run"
    );
}

fn unavailable(detail: String) -> Problem {
    Problem::new(ErrorCode::ManagerUnavailable, detail)
}

#[cfg(test)]
mod tests {
    use futures_util::future::BoxFuture;
    use tokio::sync::watch;

    use super::*;
    use crate::store::{Changes, CommitError, Entry, MemoryStore, StoreError, Stored};

    /// A store that never says what it has come to.
    struct Taciturn(MemoryStore, watch::Sender<Revision>);

    impl MetadataStore for Taciturn {
        fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
            self.0.get(key)
        }

        fn list<'a>(
            &'a self,
            prefix: &'a str,
            after: Option<&'a str>,
            limit: usize,
        ) -> BoxFuture<'a, Result<Vec<Entry>, StoreError>> {
            self.0.list(prefix, after, limit)
        }

        fn newer(
            &self,
            since: Revision,
            limit: usize,
        ) -> BoxFuture<'_, Result<Changes, StoreError>> {
            self.0.newer(since, limit)
        }

        fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<Revision, CommitError>> {
            self.0.commit(transaction)
        }

        fn watch(&self) -> watch::Receiver<Revision> {
            self.1.subscribe()
        }
    }

    /// Under a thousand moves a frontend asked for what came after a revision that it had just been told,
    /// before the store had said that it was there: the manager took its store for lost.
    #[tokio::test]
    async fn what_was_committed_a_moment_ago_is_not_missing_and_what_was_not_is() {
        let store = Taciturn(MemoryStore::new(), watch::Sender::new(Revision(0)));
        let committed = store.commit(Transaction::new().put("a", vec![])).await;
        assert_eq!(committed, Ok(Revision(1)));
        let whole = Whole::new(Arc::new(store), false, None);
        whole.hear_frontend(Revision(1)).await;
        assert_eq!(whole.check(), Ok(()));
        whole.hear_frontend(Revision(2)).await;
        assert!(whole.check().is_err());
    }
}
