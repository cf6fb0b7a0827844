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
//! Every store listens first, and nothing is written to it meanwhile: not who reported either, since that
//! would bring an old one past what is known. That it lacks something is written down at once, so that the
//! next process knows it too.

mod known;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::RngExt;
use shoal_api::Problem;
use shoal_api::plan::EventKind;
use shoal_runtime::clock::SystemClock;
use shoal_types::{ErrorCode, HostState, HostStatus, Revision};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{error, info};

use crate::events::{EventLog, News};
use crate::keys;
use crate::limits::{
    LISTEN_LOOK, LISTEN_MIN, REBUILD_LISTEN, REVISIONS_SPENT_MAX, START_REVISIONS_LEFT_OUT_MAX,
    START_REVISIONS_LEFT_OUT_MIN,
};
use crate::metric_names;
use crate::records::{self, LackingRecord, LeftOut, OpenedRecord, Record};
use crate::store::{CommitError, MetadataStore, StoreError, Transaction};
use known::Known;

/// See the module.
pub(crate) struct Whole {
    state: watch::Sender<State>,
    /// When the process began to hear anybody.
    since: Instant,
    /// How long it listens.
    listen: Duration,
    known: Mutex<Known>,
    store: Arc<dyn MetadataStore>,
    events: Arc<EventLog>,
    clock: SystemClock,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Listening,
    Whole,
    /// In words: what shows it.
    Lacking(String),
}

impl Whole {
    /// Of a store that was just opened and not written to yet. It is to [`Whole::listen`] for so long at most.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(crate) async fn load(
        store: Arc<dyn MetadataStore>,
        events: Arc<EventLog>,
        clock: SystemClock,
        listen: Duration,
    ) -> Result<Self, StoreError> {
        let opened = *store.watch().borrow();
        let noticed = records::read::<LackingRecord>(&*store, keys::LACKING).await?;
        let starts = records::read::<OpenedRecord>(&*store, keys::OPENED).await?;
        let left_out = starts.map(|at| at.record.left_out).unwrap_or_default();
        let is_rebuilding = store.get(keys::REBUILDING).await?.is_some();
        let lacking = match noticed {
            Some(at) => Some(at.record.why),
            None => is_rebuilding.then(|| "its rebuilding was begun and not ended".to_owned()),
        };
        metrics::gauge!(metric_names::STORE_LACKING).set(f64::from(u8::from(lacking.is_some())));
        let state = match lacking {
            Some(why) => {
                say(&why);
                State::Lacking(why)
            }
            None => State::Listening,
        };
        Ok(Self {
            state: watch::Sender::new(state),
            since: Instant::now(),
            listen,
            known: Mutex::new(Known::new(opened, left_out)),
            store,
            events,
            clock,
        })
    }

    // ---- Hearing

    /// A host reports. `has_clusters`: whether the store knows any cluster.
    pub(crate) async fn hear_host(&self, status: &HostStatus, has_clusters: bool) {
        let HostStatus {
            host,
            cluster,
            revision,
            ..
        } = status;
        let belongs = !matches!(status.state, HostState::Removed | HostState::Forgotten);
        if let Some(missing) = self.missing(*revision).await {
            self.lacks(format!("{host} {missing}"));
        } else if let Some(cluster) = cluster.filter(|_| belongs && !has_clusters) {
            let why = format!("{host} belongs to {cluster}, and the store has no cluster at all");
            self.lacks(why);
        }
    }

    /// A frontend asks what came after a revision.
    pub(crate) async fn hear_frontend(&self, since: Revision) {
        if let Some(missing) = self.missing(since).await {
            self.lacks(format!("a frontend {missing}"));
        }
    }

    async fn missing(&self, revision: Revision) -> Option<String> {
        let store = self.store_at(revision).await;
        let mut known = self.known_revisions();
        known.hear(revision);
        known.missing(revision, store)
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

    /// The highest revision that somebody was heard to know.
    pub(crate) fn known(&self) -> Revision {
        self.known_revisions().highest()
    }

    fn known_revisions(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store turned out to lack something: said, and written down.
    fn lacks(&self, why: String) {
        let is_news = self.state.send_if_modified(|state| {
            let is_news = !matches!(state, State::Lacking(_));
            if is_news {
                *state = State::Lacking(why.clone());
            }
            is_news
        });
        if !is_news {
            return;
        }
        say(&why);
        metrics::gauge!(metric_names::STORE_LACKING).set(1.0);
        let (events, since) = (Arc::clone(&self.events), self.clock.now().wall);
        // Whoever showed it may go away meanwhile.
        tokio::spawn(async move {
            let text = format!("the store lacks what hosts know, and is not used: {why}");
            let record = LackingRecord { since, why };
            let news = News {
                kind: EventKind::Found,
                clusters: Vec::new(),
                queue: None,
                text,
            };
            let transaction = Transaction::new().put(record.key(), record.encode());
            if let Err(failed) = events.commit(transaction, news).await {
                error!(%failed, "that the store lacks something could not be written down");
            }
        });
    }

    // ---- Listening

    /// Listens to everybody, and takes the store for whole if nobody knows more: when the time is over, or
    /// after a moment if all have reported that the store knows.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) async fn listen(&self, all_reported: impl Fn() -> bool) -> Result<(), StoreError> {
        let until = self.since + self.listen;
        let earliest = self.since + self.listen.min(LISTEN_MIN);
        loop {
            let now = Instant::now();
            if now >= until || now >= earliest && all_reported() {
                return self.open().await;
            }
            if !self.is_listening() {
                return Ok(());
            }
            tokio::time::sleep(LISTEN_LOOK).await;
        }
    }

    /// Goes on from the store, above all revisions that another manager could give that has a copy of it.
    async fn open(&self) -> Result<(), StoreError> {
        if !self.is_listening() {
            return Ok(());
        }
        let opened = self.known_revisions().opened();
        let most = REVISIONS_SPENT_MAX.saturating_sub(opened.0);
        let drawn = START_REVISIONS_LEFT_OUT_MIN..=START_REVISIONS_LEFT_OUT_MAX;
        let left_out = rand::rng().random_range(drawn).min(most);
        let left_out = LeftOut {
            opened,
            through: Revision(opened.0 + left_out),
        };
        let record = OpenedRecord {
            at: self.clock.now().wall,
            left_out: self.known_revisions().left_out().to_vec(),
        };
        let record = record.and(left_out);
        let transaction = Transaction::new()
            .above(left_out.through)
            .put(record.key(), record.encode());
        let first = match self.store.commit(transaction).await {
            Ok(first) => first,
            Err(CommitError::Store(error)) => return Err(error),
            Err(CommitError::Conflict { .. }) => unreachable!("there are no conditions"),
        };
        self.known_revisions().begin(left_out);
        let is_whole = self.state.send_if_modified(|state| {
            let is_listening = *state == State::Listening;
            if is_listening {
                *state = State::Whole;
            }
            is_listening
        });
        if is_whole {
            info!(%opened, %first, "nobody knows more than the store: going on from it");
        }
        Ok(())
    }

    /// True as long as nothing may be written, since hosts that know more may not have reported yet.
    pub(crate) fn is_listening(&self) -> bool {
        *self.state.borrow() == State::Listening
    }

    // ---- Rebuilding

    /// Waits until every host that is up has had the time to report.
    pub(crate) async fn all_heard(&self) {
        tokio::time::sleep_until(self.since + REBUILD_LISTEN).await;
        let mut state = self.state.subscribe();
        let ended = state.wait_for(|state| *state != State::Listening).await;
        ended.expect("the sender is here");
    }

    /// It is being rebuilt: until that has ended nobody is to count on it. True if it lacked something
    /// before.
    pub(crate) fn begin_rebuilding(&self) -> bool {
        let mut was_lacking = true;
        self.state.send_if_modified(|state| {
            was_lacking = matches!(state, State::Lacking(_));
            if !was_lacking {
                *state = State::Lacking("it is being rebuilt".to_owned());
            }
            !was_lacking
        });
        was_lacking
    }

    /// It was rebuilt: what anybody knows is in it.
    pub(crate) fn rebuilt(&self) {
        self.known_revisions().forget_left_out();
        self.not_begun();
    }

    /// The rebuilding of a store that lacked nothing did not begin.
    pub(crate) fn not_begun(&self) {
        metrics::gauge!(metric_names::STORE_LACKING).set(0.0);
        self.state.send_replace(State::Whole);
    }

    // ---- Telling

    /// True if decisions may be made from the store.
    pub(crate) fn is_whole(&self) -> bool {
        *self.state.borrow() == State::Whole
    }

    /// # Errors
    /// What to answer to whoever wants to know or to change something, as long as the store may lack
    /// something. Nothing was applied.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        match &*self.state.borrow() {
            State::Whole => Ok(()),
            State::Listening => Err(unavailable(
                "the manager was just started, and waits a moment for hosts that know more than its store"
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
        match &*self.state.borrow() {
            State::Lacking(why) => Some(why.clone()),
            State::Listening | State::Whole => None,
        }
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
