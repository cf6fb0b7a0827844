//! A manager that keeps its queues in memory and places them all on its first cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, http::StatusCode};
use shoal_api::Problem;
use shoal_api::manager::{Feed, FeedQuery};
use shoal_types::{
    ClusterMember, ClusterRoute, Epoch, ErrorCode, GroupRange, PartitionId, PartitionRoute,
    PartitionState, QueueId, QueueName, QueueRoute, QueueSettings, Revision, Ts,
};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::cluster::{CLUSTER, FakeCluster};
use super::hosts::FakeHost;
use super::redrives::{self, Redrive};
use super::shown;

/// The manager; its store survives its process.
pub struct FakeManager {
    pub address: SocketAddr,
    store: Store,
    process: Mutex<Option<Runtime>>,
}

#[derive(Clone)]
pub(super) struct Store(Arc<Inner>);

struct Inner {
    /// Its first cluster.
    cluster: FakeCluster,
    members: Vec<ClusterMember>,
    records: Mutex<Records>,
    revision: watch::Sender<u64>,
    frozen: watch::Sender<bool>,
}

#[derive(Default)]
pub(super) struct Records {
    /// The other clusters with their records.
    pub(super) others: Vec<(FakeCluster, ClusterRoute)>,
    pub(super) queues: BTreeMap<QueueName, QueueRoute>,
    pub(super) redrives: Vec<Redrive>,
    deleted: BTreeMap<QueueName, Revision>,
    /// Queues whose creation the feed keeps to itself.
    hidden: BTreeSet<QueueName>,
    lookups: usize,
}

pub fn members(hosts: &[FakeHost]) -> Vec<ClusterMember> {
    let member = |host: &FakeHost| ClusterMember {
        host: host.id,
        address: host.address.to_string(),
    };
    hosts.iter().map(member).collect()
}

pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

impl FakeManager {
    pub fn start(cluster: &FakeCluster, members: Vec<ClusterMember>) -> Self {
        let store = Store(Arc::new(Inner {
            cluster: cluster.clone(),
            members,
            records: Mutex::default(),
            revision: watch::Sender::new(1),
            frozen: watch::Sender::new(false),
        }));
        let (process, address) = serve(&store, ([127, 0, 0, 1], 0).into());
        Self {
            address,
            store,
            process: Mutex::new(Some(process)),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends it as kill -9 would.
    pub fn kill(&self) {
        if let Some(process) = self.process.lock().unwrap().take() {
            process.shutdown_background();
        }
    }

    /// From now on it takes requests about queues and says nothing.
    pub fn freeze(&self) {
        self.store.0.frozen.send_replace(true);
    }

    pub fn restart(&self) {
        let (process, _) = serve(&self.store, self.address);
        *self.process.lock().unwrap() = Some(process);
    }

    /// How often a queue was looked up by name.
    pub fn lookups(&self) -> usize {
        self.store.0.records.lock().unwrap().lookups
    }

    /// Creates a queue behind the frontend's back, and in the feed only if asked.
    pub fn create(&self, name: &str, in_feed: bool) {
        let name: QueueName = name.parse().unwrap();
        if !in_feed {
            self.store
                .0
                .records
                .lock()
                .unwrap()
                .hidden
                .insert(name.clone());
        }
        let settings = QueueSettings {
            fifo: name.is_fifo(),
            ..Default::default()
        };
        self.store.create(&name, settings).unwrap();
    }

    /// Deletes a queue and makes a new one under its name, unknown to the feed.
    pub fn replace_unseen(&self, name: &str) {
        let queue: QueueName = name.parse().unwrap();
        self.store
            .0
            .records
            .lock()
            .unwrap()
            .hidden
            .insert(queue.clone());
        self.store.delete(&queue).unwrap();
        self.create(name, false);
    }
}

impl FakeManager {
    pub(super) fn records(&self) -> MutexGuard<'_, Records> {
        self.store.0.records.lock().unwrap()
    }

    pub(super) fn next_revision(&self) -> Revision {
        self.store.next_revision()
    }

    /// What [`FakeManager::next_revision`] will be.
    pub(super) fn next_revision_after(&self) -> Revision {
        Revision(*self.store.0.revision.borrow() + 1)
    }

    pub(super) fn first_cluster(&self) -> FakeCluster {
        self.store.0.cluster.clone()
    }

    pub(super) fn first_members(&self) -> Vec<ClusterMember> {
        self.store.0.members.clone()
    }
}

impl Drop for FakeManager {
    fn drop(&mut self) {
        self.kill();
    }
}

fn serve(store: &Store, address: SocketAddr) -> (Runtime, SocketAddr) {
    let runtime = runtime();
    let (told, bound) = std::sync::mpsc::sync_channel(1);
    let router = Router::new()
        .route("/v1/feed", get(feed))
        .route(
            "/v1/queues/{queue}",
            get(show).put(put).patch(patch).delete(delete),
        )
        .route("/v1/redrives", get(redrives::list).post(redrives::start))
        .route("/v1/redrives/{queue}/cancel", post(redrives::cancel))
        .route("/v1/clusters", get(shown::clusters))
        .route("/v1/hosts", get(shown::hosts))
        .route("/v1/moves", get(shown::moves))
        .route("/v1/events", get(shown::events))
        .with_state(store.clone());
    runtime.spawn(async move {
        let listener = loop {
            match TcpListener::bind(address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        told.send(listener.local_addr().unwrap()).unwrap();
        axum::serve(listener, router).await.unwrap();
    });
    (runtime, bound.recv().unwrap())
}

impl Store {
    pub(super) fn records(&self) -> MutexGuard<'_, Records> {
        self.0.records.lock().unwrap()
    }

    pub(super) fn cluster(&self) -> &FakeCluster {
        &self.0.cluster
    }

    pub(super) fn members(&self) -> &[ClusterMember] {
        &self.0.members
    }

    pub(super) fn next_revision(&self) -> Revision {
        let mut next = 0;
        self.0.revision.send_modify(|revision| {
            *revision += 1;
            next = *revision;
        });
        Revision(next)
    }

    fn create(
        &self,
        name: &QueueName,
        settings: QueueSettings,
    ) -> Result<(QueueRoute, bool), Problem> {
        let mut records = self.0.records.lock().unwrap();
        if let Some(known) = records.queues.get(name) {
            return if known.settings == settings {
                Ok((known.clone(), false))
            } else {
                Err(Problem::new(ErrorCode::QueueExists, "other settings"))
            };
        }
        let revision = Revision(*self.0.revision.borrow() + 1);
        let route = QueueRoute {
            name: name.clone(),
            queue: QueueId(revision.0),
            settings,
            partitions: vec![PartitionRoute {
                partition: PartitionId(revision.0),
                epoch: Epoch(0),
                cluster: CLUSTER,
                state: PartitionState::Active,
                groups: GroupRange::ALL,
            }],
            revision,
            created_at: Ts(1_790_000_000_000_000),
            changed_at: Ts(1_790_000_000_000_000),
        };
        redrives::check_dead_letters(&records, &route)?;
        self.0.cluster.create_partition(&route);
        if route.settings.dead_letter_queue.is_some() {
            redrives::tell_dead_letters(self, &records, &route);
        }
        records.queues.insert(name.clone(), route.clone());
        records.deleted.remove(name);
        self.next_revision();
        Ok((route, true))
    }

    fn change(&self, name: &QueueName, settings: QueueSettings) -> Result<QueueRoute, Problem> {
        let mut records = self.0.records.lock().unwrap();
        let mut route = records.queues.get(name).ok_or_else(missing)?.clone();
        route.settings = settings;
        route.revision = Revision(*self.0.revision.borrow() + 1);
        // Each change is a minute after the one before.
        route.changed_at.0 += 60_000_000;
        redrives::check_dead_letters(&records, &route)?;
        self.0.cluster.create_partition(&route);
        redrives::tell_dead_letters(self, &records, &route);
        records.queues.insert(name.clone(), route.clone());
        self.next_revision();
        Ok(route)
    }

    fn delete(&self, name: &QueueName) -> Result<(), Problem> {
        let mut records = self.0.records.lock().unwrap();
        let route = records.queues.remove(name).ok_or_else(missing)?;
        let revision = Revision(*self.0.revision.borrow() + 1);
        self.0
            .cluster
            .delete_partition(route.partitions[0].partition, revision);
        records.deleted.insert(name.clone(), revision);
        self.next_revision();
        Ok(())
    }
}

pub(super) fn missing() -> Problem {
    Problem::new(ErrorCode::QueueNotFound, "no such queue")
}

pub(super) fn answer(problem: &Problem) -> Response {
    problem.to_response().map(Body::from)
}

/// Never, when it is frozen.
async fn thawed(store: &Store) {
    _ = store.0.frozen.subscribe().wait_for(|frozen| !frozen).await;
}

async fn show(State(store): State<Store>, Path(name): Path<QueueName>) -> Response {
    thawed(&store).await;
    let mut records = store.0.records.lock().unwrap();
    records.lookups += 1;
    match records.queues.get(&name) {
        Some(route) => Json(route).into_response(),
        None => answer(&missing()),
    }
}

async fn put(
    State(store): State<Store>,
    Path(name): Path<QueueName>,
    Json(settings): Json<QueueSettings>,
) -> Response {
    thawed(&store).await;
    match store.create(&name, settings) {
        Ok((route, true)) => (StatusCode::CREATED, Json(route)).into_response(),
        Ok((route, false)) => Json(route).into_response(),
        Err(problem) => answer(&problem),
    }
}

async fn patch(
    State(store): State<Store>,
    Path(name): Path<QueueName>,
    Json(settings): Json<QueueSettings>,
) -> Response {
    match store.change(&name, settings) {
        Ok(route) => Json(route).into_response(),
        Err(problem) => answer(&problem),
    }
}

async fn delete(State(store): State<Store>, Path(name): Path<QueueName>) -> Response {
    match store.delete(&name) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(problem) => answer(&problem),
    }
}

async fn feed(State(store): State<Store>, Query(asked): Query<FeedQuery>) -> Json<Feed> {
    let mut revision = store.0.revision.subscribe();
    let newer = revision.wait_for(|revision| *revision > asked.since.0);
    _ = tokio::time::timeout(Duration::from_secs(asked.wait_s.into()), newer).await;
    let records = store.0.records.lock().unwrap();
    let shown = |name: &QueueName| !records.hidden.contains(name);
    let queues = records.queues.values();
    let queues = queues.filter(|route| route.revision > asked.since && shown(&route.name));
    let deleted = records.deleted.iter();
    let deleted = deleted.filter(|(name, revision)| **revision > asked.since && shown(name));
    let first = ClusterRoute {
        cluster: CLUSTER,
        members: store.0.members.clone(),
        revision: Revision(1),
    };
    let others = records.others.iter().map(|(_, route)| route.clone());
    let clusters = std::iter::once(first).chain(others);
    Json(Feed {
        revision: Revision(*store.0.revision.borrow()),
        more: false,
        queues: queues.cloned().collect(),
        deleted: deleted.map(|(name, _)| name.clone()).collect(),
        clusters: clusters
            .filter(|route| route.revision > asked.since)
            .collect(),
    })
}
