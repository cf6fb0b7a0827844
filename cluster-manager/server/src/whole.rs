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

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shoal_api::Problem;
use shoal_types::{ErrorCode, HostState, HostStatus, Revision};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::error;

use crate::limits::REBUILD_LISTEN;
use crate::metric_names;

/// See the module.
pub(crate) struct Whole {
    state: Mutex<State>,
    /// When the process began to hear anybody.
    since: Instant,
    /// The highest revision that somebody was heard to know.
    known: Mutex<Revision>,
    store: watch::Receiver<Revision>,
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
        store: watch::Receiver<Revision>,
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
    pub(crate) fn hear_host(&self, status: &HostStatus, has_clusters: bool) {
        let HostStatus {
            host,
            cluster,
            revision,
            ..
        } = status;
        let store = *self.store.borrow();
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
    pub(crate) fn hear_frontend(&self, since: Revision) {
        let store = *self.store.borrow();
        self.note_known(since);
        if since > store {
            self.lacks(|| {
                format!("a frontend knows of revision {since}, and the store is at {store}")
            });
        }
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
