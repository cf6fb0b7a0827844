//! Creating, changing and deleting queues.
//!
//! What is wanted is written first, then carried out at the queue's cluster, then written as done
//! (see [`crate::records::QueueRecord`] for the stages). Whoever finds an unfinished queue, be it the
//! next request for its name, the regular look at all unfinished ones or the next manager on this
//! store, finishes it with the same fence. Operations on one name run one after the other.

mod change;
mod create;
mod dead_letters;
mod delete;
mod moving;
mod name_locks;
mod redrives;
mod settle;
mod taking_over;
mod unsettled;

use std::collections::BTreeMap;
use std::sync::Arc;

use shoal_api::Problem;
use shoal_api::plan::MoveInfo;
use shoal_planner::facts::LeftAlone;
use shoal_runtime::clock::SystemClock;
use shoal_types::{ErrorCode, QueueId, QueueName, QueueRoute};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::events::EventLog;
use crate::executor::Instructor;
use crate::fleet::Fleet;
use crate::ids::Ids;
use crate::keys;
use crate::limits::{OPERATION_PATIENCE, OPERATIONS_MAX};
use crate::planning::QueueNews;
use crate::problem::{queue_not_found, store_problem};
use crate::records::{self, At, MoveRecord, QueueRecord, QueueStage, RedrivesRecord};
use crate::store::{MetadataStore, StoreError};
use crate::whole::Whole;
use moving::Table;
pub(crate) use moving::Wanted;
use name_locks::NameLocks;
pub(crate) use taking_over::Taken;
use unsettled::Unsettled;

/// All queues.
pub(crate) struct Queues {
    store: Arc<dyn MetadataStore>,
    fleet: Arc<Fleet>,
    news: Arc<QueueNews>,
    events: Arc<EventLog>,
    instructor: Instructor,
    /// Nothing is carried out from a store that lacks something.
    whole: Arc<Whole>,
    clock: SystemClock,
    ids: Ids,
    locks: NameLocks,
    unsettled: Unsettled,
    moves: Table,
    dead_letters: dead_letters::Table,
    redrives: redrives::Table,
    places: Arc<Semaphore>,
    operations: TaskTracker,
}

/// A page of queues by name.
pub(crate) struct Page {
    pub(crate) queues: Vec<QueueRoute>,
    /// The last name looked at, if there are more.
    pub(crate) next: Option<QueueName>,
}

impl Queues {
    /// Counts what is stored at the clusters, and notes what an earlier process did not finish.
    pub(crate) async fn load(
        store: Arc<dyn MetadataStore>,
        fleet: Arc<Fleet>,
        news: Arc<QueueNews>,
        events: Arc<EventLog>,
        instructor: Instructor,
        whole: Arc<Whole>,
        clock: SystemClock,
    ) -> Result<Self, StoreError> {
        let unsettled = Unsettled::default();
        let dead_letters = dead_letters::Table::default();
        records::read_all::<QueueRecord>(&*store, keys::QUEUES, |at| {
            fleet.queue_found(&at.record);
            news.changed(&at.record);
            dead_letters.changed(&at.record);
            if at.record.stage != QueueStage::Active {
                unsettled.add(&at.record);
            }
        })
        .await?;
        let moves = Table::new();
        records::read_all::<MoveRecord>(&*store, keys::MOVES, |at| {
            news.move_changed(&at.record);
            moves.put(at);
        })
        .await?;
        let redrives = redrives::Table::default();
        records::read_all::<RedrivesRecord>(&*store, keys::REDRIVES, |at| redrives.put(at)).await?;
        Ok(Self {
            store,
            fleet,
            news,
            events,
            instructor,
            whole,
            clock,
            ids: Ids::new(),
            locks: NameLocks::default(),
            unsettled,
            moves,
            dead_letters,
            redrives,
            places: Arc::new(Semaphore::new(OPERATIONS_MAX)),
            operations: TaskTracker::new(),
        })
    }

    /// The queue of a name.
    pub(crate) async fn get(&self, name: &QueueName) -> Result<QueueRoute, Problem> {
        match self.read(name).await? {
            Some(at) if at.record.is_visible() => Ok(at.route()),
            _ => Err(queue_not_found(name)),
        }
    }

    /// Queues whose names start with `prefix` and come after `after`. Looks at `limit` records: the page
    /// may be shorter than that and yet not be the last.
    pub(crate) async fn list(
        &self,
        prefix: &str,
        after: Option<&QueueName>,
        limit: usize,
    ) -> Result<Page, Problem> {
        let prefix = format!("{}{prefix}", keys::QUEUES);
        let after = after.map(keys::queue);
        let entries = self.store.list(&prefix, after.as_deref(), limit).await;
        let records: Result<Vec<At<QueueRecord>>, StoreError> = entries.and_then(|entries| {
            entries
                .iter()
                .map(|entry| records::decode(&entry.key, &entry.stored))
                .collect()
        });
        let records = records.map_err(|error| store_problem(&error))?;
        let last = records.last().map(|at| at.record.name.clone());
        Ok(Page {
            next: last.filter(|_| records.len() == limit),
            queues: records
                .iter()
                .filter(|at| at.record.is_visible())
                .map(At::<QueueRecord>::route)
                .collect(),
        })
    }

    /// Queues about which nothing is decided for a while.
    pub(crate) fn left_alone(&self) -> BTreeMap<QueueId, LeftAlone> {
        self.moves.left_alone(self.clock.now().wall)
    }

    /// Moves that are under way.
    pub(crate) fn moves(&self) -> Vec<MoveInfo> {
        self.moves.infos(&self.clock)
    }

    /// Waits for the operations under way, each of which ends within [`OPERATION_PATIENCE`].
    pub(crate) async fn finish(&self) {
        self.operations.close();
        self.operations.wait().await;
    }

    /// The store has a new record of a queue.
    fn note(&self, record: &QueueRecord) {
        self.news.changed(record);
        self.dead_letters.changed(record);
    }

    /// A queue is gone from the store.
    fn forget(&self, name: &QueueName, queue: QueueId) {
        self.dead_letters.gone(name);
        self.forget_life(queue);
    }

    /// This life of a queue's name is over; there may be another one.
    fn forget_life(&self, queue: QueueId) {
        self.news.gone(queue);
        self.redrives.remove(queue);
    }

    async fn read(&self, name: &QueueName) -> Result<Option<At<QueueRecord>>, Problem> {
        let read = records::read(&*self.store, &keys::queue(name)).await;
        read.map_err(|error| store_problem(&error))
    }

    /// Runs an operation on a name alone and to its end, even if whoever asked goes away meanwhile: what
    /// is written and what is known here must not differ.
    async fn alone<T, F>(
        self: &Arc<Self>,
        name: &QueueName,
        operation: impl FnOnce(Arc<Self>, QueueName, Instant) -> F + Send + 'static,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Problem>> + Send,
    {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let detail = format!("{OPERATIONS_MAX} queues are being created, changed or deleted");
            return Err(Problem::new(ErrorCode::Busy, detail));
        };
        let (this, name) = (Arc::clone(self), name.clone());
        let until = Instant::now() + OPERATION_PATIENCE;
        let running = self.operations.spawn(async move {
            let _place = place;
            let Ok(_lock) = tokio::time::timeout_at(until, this.locks.lock(&name)).await else {
                let detail = format!("another operation on {name} has not ended yet");
                return Err(Problem::new(ErrorCode::Unavailable, detail));
            };
            operation(Arc::clone(&this), name, until).await
        });
        running
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}
