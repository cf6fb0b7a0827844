//! Which queue is where. Known routes serve without the manager; what is not known is looked up.

mod feed;
mod lookup;
mod seals;
mod table;

use std::sync::{Arc, PoisonError, RwLock};

use metrics::gauge;
use shoal_api::Problem;
use shoal_types::{
    ClusterId, ClusterRoute, ErrorCode, Heir, PartitionId, QueueId, QueueName, QueueRoute,
    Revision, Scope, Seal,
};
use tokio::sync::{Notify, watch};

use crate::manager_client::ManagerClient;
use crate::{limits, metric_names};

use lookup::Lookups;
use table::RouteTable;

/// The cached routes, kept current by [`Routes::follow`].
pub(crate) struct Routes {
    manager: ManagerClient,
    table: RwLock<RouteTable>,
    lookups: Lookups,
    /// Grows by one with every page that brought a cluster.
    clusters_changed: watch::Sender<u64>,
    /// Whether the feed was read to its end once.
    complete: watch::Sender<bool>,
    /// Somebody waits for what the feed is to bring.
    needed: Notify,
}

impl Routes {
    pub(crate) fn new(manager: ManagerClient) -> Arc<Self> {
        Arc::new(Self {
            manager,
            table: RwLock::default(),
            lookups: Lookups::default(),
            clusters_changed: watch::Sender::new(0),
            complete: watch::Sender::new(false),
            needed: Notify::new(),
        })
    }

    /// Whether all queues are known, as of a moment ago.
    pub(crate) fn complete(&self) -> watch::Receiver<bool> {
        self.complete.subscribe()
    }

    /// The queue's route, from the cache or from the manager.
    pub(crate) async fn queue(&self, name: &QueueName) -> Result<Arc<QueueRoute>, Problem> {
        if let Some(route) = self.known(name) {
            return Ok(route);
        }
        self.lookups.look_up(name, self.ask(name)).await
    }

    /// The queue's route when the cached one turned out to be wrong: the manager's word, or
    /// `None` if it says nothing newer than `stale`. However many ask, the manager is asked once.
    pub(crate) async fn newer(
        &self,
        stale: &QueueRoute,
    ) -> Result<Option<Arc<QueueRoute>>, Problem> {
        let asked = self.lookups.look_up(&stale.name, self.ask(&stale.name));
        match asked.await {
            Ok(route) => Ok(is_news(&route, stale).then_some(route)),
            Err(problem) => {
                if problem.code == ErrorCode::QueueNotFound {
                    self.remove(&stale.name, stale.revision);
                }
                Err(problem)
            }
        }
    }

    /// The queue's route if something else is known by now than `stale`, without asking anybody.
    pub(crate) fn news(&self, stale: &QueueRoute) -> Option<Arc<QueueRoute>> {
        self.known(&stale.name)
            .filter(|known| is_news(known, stale))
    }

    /// Takes over a seal that a partition of this route showed, until the manager tells of it. Gives the
    /// newest route.
    pub(crate) fn seal(&self, route: &QueueRoute, seal: &Arc<Seal>) -> Arc<QueueRoute> {
        let completed = self.write(|table| table.seal(route, seal));
        self.clusters_changed.send_modify(|count| *count += 1);
        completed
    }

    /// Where an heir is that a partition named, until the manager tells of its cluster.
    pub(crate) fn learn_heir(&self, heir: &Heir) {
        self.write(|table| table.learn_unknown(heir.cluster, &heir.members));
        self.clusters_changed.send_modify(|count| *count += 1);
    }

    /// The seal of a partition of this route, if it was shown here and is still of use.
    pub(crate) fn seal_of(&self, route: &QueueRoute, partition: PartitionId) -> Option<Arc<Seal>> {
        self.read(|table| table.seal_of(route.queue, partition).cloned())
    }

    /// The name of a queue, if it is known here; without asking anybody.
    pub(crate) fn name(&self, queue: QueueId) -> Option<QueueName> {
        self.read(|table| table.name(queue).cloned())
    }

    /// A cluster's hosts; waits a moment if the feed is about to bring them.
    pub(crate) async fn cluster(&self, cluster: ClusterId) -> Result<Arc<ClusterRoute>, Problem> {
        let mut changed = self.clusters_changed.subscribe();
        let known = async {
            loop {
                if let Some(route) = self.read(|table| table.cluster(cluster).cloned()) {
                    return route;
                }
                self.needed.notify_one();
                changed.changed().await.expect("self holds the sender");
            }
        };
        tokio::time::timeout(limits::CLUSTER_KNOWN_WITHIN, known)
            .await
            .map_err(|_| {
                let detail = format!("nothing is known yet of the hosts of {cluster}");
                Problem::new(ErrorCode::NotReady, detail)
            })
    }

    /// Every known cluster.
    pub(crate) fn clusters(&self) -> Vec<Arc<ClusterRoute>> {
        self.read(|table| table.clusters().cloned().collect())
    }

    /// Tells when clusters became known or changed.
    pub(crate) fn clusters_changed(&self) -> watch::Receiver<u64> {
        self.clusters_changed.subscribe()
    }

    /// At most `limit` queues of a scope that fit, by name, and whether there are more.
    ///
    /// # Errors
    /// If not all are known yet, since the manager could not be asked.
    pub(crate) fn list(
        &self,
        scope: &Scope,
        prefix: &str,
        after: Option<&QueueName>,
        limit: usize,
        fits: impl Fn(&QueueRoute) -> bool,
    ) -> Result<(Vec<Arc<QueueRoute>>, bool), Problem> {
        if !*self.complete.borrow() {
            let detail = "the manager has not been reached yet, so the queues are not known";
            return Err(Problem::new(ErrorCode::ManagerUnavailable, detail));
        }
        Ok(self.read(|table| {
            let found = table.list(scope, prefix, after);
            let mut found = found.filter(|route| fits(route));
            let page: Vec<_> = found.by_ref().take(limit).cloned().collect();
            (page, found.next().is_some())
        }))
    }

    /// What the manager answered about a queue.
    pub(crate) fn insert(&self, route: QueueRoute) -> Arc<QueueRoute> {
        self.lookups.found(&route.name);
        self.write(|table| table.insert(route))
    }

    /// The queue is gone, as the manager answered.
    pub(crate) fn remove(&self, name: &QueueName, up_to: Revision) {
        self.write(|table| table.remove(name, up_to));
    }

    /// The route, if it is cached.
    pub(crate) fn known(&self, name: &QueueName) -> Option<Arc<QueueRoute>> {
        self.read(|table| table.queue(name).cloned())
    }

    async fn ask(&self, name: &QueueName) -> Result<Arc<QueueRoute>, Problem> {
        let route = self.manager.queue(name).await?;
        Ok(self.insert(route))
    }

    // A panic while the lock is held leaves the table whole: every change is one call.
    fn read<R>(&self, act: impl FnOnce(&RouteTable) -> R) -> R {
        act(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<R>(&self, act: impl FnOnce(&mut RouteTable) -> R) -> R {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut table);
        gauge!(metric_names::ROUTES).set(table.len() as f64);
        result
    }
}

fn is_news(route: &QueueRoute, stale: &QueueRoute) -> bool {
    route.revision > stale.revision || route.partitions != stale.partitions
}
