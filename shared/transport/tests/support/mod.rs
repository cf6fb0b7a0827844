//! A host's port with a scripted service behind it.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use shoal_runtime::shutdown::Shutdown;
use shoal_transport::{HostService, Identity, Listener, PeerEvent, Pusher, Remote, Response};
use shoal_types::{
    ClusterId, HostId, HostReply, HostRequest, Incarnation, Outcome, Ts, WireVersion,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// No test waits longer for anything that must happen.
pub(crate) const SOON: Duration = Duration::from_secs(10);
pub(crate) const HOST: HostId = HostId(0xa);
pub(crate) const CLUSTER: ClusterId = ClusterId(0xc);

type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;
type Script = Box<dyn Fn(Vec<Bytes>, Duration) -> Answering + Send + Sync>;

/// Answers as the test says.
pub(crate) struct Scripted(Script);

impl HostService for Scripted {
    async fn call(
        self: Arc<Self>,
        _caller: Arc<Remote>,
        _request: HostRequest,
        bodies: Vec<Bytes>,
        wait: Duration,
    ) -> Response {
        self.0(bodies, wait).await
    }
}

/// A service from a closure over bodies and wait.
pub(crate) fn script<F>(
    answer: impl Fn(Vec<Bytes>, Duration) -> F + Send + Sync + 'static,
) -> Arc<Scripted>
where
    F: Future<Output = Response> + Send + 'static,
{
    Arc::new(Scripted(Box::new(move |bodies, wait| {
        Box::pin(answer(bodies, wait))
    })))
}

pub(crate) fn done(bodies: Vec<Bytes>) -> Response {
    Response {
        clock: Ts(5),
        result: Ok(HostReply::Outcome(Outcome::Done)),
        bodies,
    }
}

/// Sends back what it gets.
pub(crate) fn echo() -> Arc<Scripted> {
    script(|bodies, _| async { done(bodies) })
}

/// Never answers.
pub(crate) fn silence() -> Arc<Scripted> {
    script(|_, _| std::future::pending())
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) identity: Identity,
    pub(crate) pusher: Pusher,
    pub(crate) peers: mpsc::Receiver<PeerEvent>,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(service: Arc<Scripted>) -> Self {
        Self::start_as(
            "127.0.0.1:0".parse().unwrap(),
            HOST,
            Incarnation(1),
            service,
        )
        .await
    }

    pub(crate) async fn start_as(
        address: SocketAddr,
        host: HostId,
        incarnation: Incarnation,
        service: Arc<Scripted>,
    ) -> Self {
        let identity = Identity::host(host, incarnation, address.to_string());
        Self::start_with(address, identity, service).await
    }

    /// Of a release that speaks these versions.
    pub(crate) async fn speaking(
        versions: RangeInclusive<WireVersion>,
        service: Arc<Scripted>,
    ) -> Self {
        let identity = Identity::host(HOST, Incarnation(1), "").speaking(versions);
        Self::start_with("127.0.0.1:0".parse().unwrap(), identity, service).await
    }

    pub(crate) async fn start_with(
        address: SocketAddr,
        identity: Identity,
        service: Arc<Scripted>,
    ) -> Self {
        let listener = Listener::bind(address).await.unwrap();
        let (address, pusher) = (listener.address(), listener.pusher());
        let (events, peers) = mpsc::channel(1_000);
        let shutdown = Shutdown::new();
        let serving = listener.serve(identity.clone(), service, events, shutdown.clone());
        let task = tokio::spawn(async {
            let Ok(()) = serving.await;
        });
        Self {
            address,
            identity,
            pusher,
            peers,
            shutdown,
            task,
        }
    }

    /// As kill -9: everything is gone at once.
    pub(crate) async fn kill(self) {
        self.task.abort();
        // Connections have tasks of their own, which end with the shutdown.
        self.shutdown.trigger();
        _ = self.task.await;
    }

    /// Stops in order; ready when it has.
    pub(crate) async fn stop(self) {
        self.shutdown.trigger();
        in_time(self.task).await.unwrap();
    }
}

/// Waits, but not for ever.
pub(crate) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future)
        .await
        .expect("it happens soon")
}
