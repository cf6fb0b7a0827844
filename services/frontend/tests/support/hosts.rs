//! Hosts on real sockets that can be slow, unwilling or dead.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use shoal_runtime::shutdown::Shutdown;
use shoal_transport::{HostService, Identity, Listener, PeerEvent, Pusher, Remote, Response};
use shoal_types::{
    ErrorCode, HostId, HostReply, HostRequest, Incarnation, Outcome, PartitionId, Push, Refusal,
    Request, RequestId, ViewNumber, ViewSummary,
};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

use super::cluster::{Executed, FakeCluster};

/// How a host treats commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Executes and answers.
    Answer,
    /// Takes them and says nothing, ever.
    Silent,
    /// Executes them, and says nothing.
    ExecuteSilently,
    /// Refuses them with certainty.
    Refuse(ErrorCode),
}

/// One host.
pub struct FakeHost {
    pub id: HostId,
    pub address: SocketAddr,
    cluster: FakeCluster,
    mode: watch::Sender<Mode>,
    life: Mutex<Option<Life>>,
}

/// One start of its process.
struct Life {
    runtime: Runtime,
    pusher: Pusher,
}

impl FakeHost {
    pub fn start(id: u64, cluster: &FakeCluster) -> Self {
        let (id, mode) = (HostId(id), watch::Sender::new(Mode::Answer));
        let (life, address) = Life::begin(id, cluster, &mode, ([127, 0, 0, 1], 0).into());
        Self {
            id,
            address,
            cluster: cluster.clone(),
            mode,
            life: Mutex::new(Some(life)),
        }
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Ends it as kill -9 would: all its sockets close.
    pub fn kill(&self) {
        if let Some(life) = self.life.lock().unwrap().take() {
            life.runtime.shutdown_background();
        }
    }

    /// Starts it again at its old address.
    pub fn restart(&self) {
        let (life, _) = Life::begin(self.id, &self.cluster, &self.mode, self.address);
        *self.life.lock().unwrap() = Some(life);
    }

    /// Tells those connected to it of a view with these active hosts.
    pub fn push_view(&self, number: u64, active: &[u64]) {
        let view = ViewSummary {
            number: ViewNumber(number),
            members: [1, 2, 3].map(HostId).into(),
            active: active.iter().copied().map(HostId).collect(),
        };
        let life = self.life.lock().unwrap();
        let pusher = &life.as_ref().expect("it lives").pusher;
        pusher.push_all(&Push::View {
            cluster: self.cluster.id(),
            view,
        });
    }
}

impl Drop for FakeHost {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Life {
    fn begin(
        id: HostId,
        cluster: &FakeCluster,
        mode: &watch::Sender<Mode>,
        address: SocketAddr,
    ) -> (Self, SocketAddr) {
        let runtime = super::manager::runtime();
        let (told, bound) = std::sync::mpsc::sync_channel(1);
        let service = Arc::new(Service {
            id,
            cluster: cluster.clone(),
            mode: mode.subscribe(),
        });
        let (ticking, id_of_cluster) = (cluster.clone(), cluster.id());
        runtime.spawn(async move {
            let listener = bind(address).await;
            let (peers, _nobody) = mpsc::channel::<PeerEvent>(1);
            told.send((listener.address(), listener.pusher())).unwrap();
            let me = Identity::host(id, Incarnation(1), listener.address().to_string());
            me.set_cluster(id_of_cluster);
            _ = listener.serve(me, service, peers, Shutdown::new()).await;
        });
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(5)).await;
                ticking.tick();
            }
        });
        let (address, pusher) = bound.recv().unwrap();
        (Self { runtime, pusher }, address)
    }
}

/// A port that was just given up may take a moment to be free again.
async fn bind(address: SocketAddr) -> Listener {
    loop {
        match Listener::bind(address).await {
            Ok(listener) => return listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

struct Service {
    id: HostId,
    cluster: FakeCluster,
    mode: watch::Receiver<Mode>,
}

impl HostService for Service {
    async fn call(
        self: Arc<Self>,
        _caller: Arc<Remote>,
        request: HostRequest,
        bodies: Vec<Bytes>,
        _wait: Duration,
    ) -> Response {
        let (result, bodies) = match self.answer(request, &bodies).await {
            Ok((reply, bodies)) => (Ok(reply), bodies),
            Err(refusal) => (Err(refusal), Vec::new()),
        };
        Response {
            clock: self.cluster.now(),
            result,
            bodies,
        }
    }
}

impl Service {
    async fn answer(
        &self,
        request: HostRequest,
        bodies: &[Bytes],
    ) -> Result<(HostReply, Vec<Bytes>), Refusal> {
        let mode = *self.mode.borrow();
        if let HostRequest::Execute { request, .. } = &request {
            self.cluster.note_asked(self.id, request);
        }
        match mode {
            Mode::Answer | Mode::ExecuteSilently => {}
            Mode::Silent => std::future::pending().await,
            Mode::Refuse(code) => return Err(Refusal::not_applied(code, "as the test wants it")),
        }
        let answer = match request {
            HostRequest::Execute { request, .. } => self.execute(request, bodies).await?,
            HostRequest::Query { query, .. } => {
                let (reply, bodies) = self.cluster.query(query)?;
                (HostReply::Query(reply), bodies)
            }
            other => unreachable!("frontends do not ask {other:?}"),
        };
        if mode == Mode::ExecuteSilently {
            std::future::pending().await
        }
        Ok(answer)
    }

    async fn execute(
        &self,
        request: Request,
        bodies: &[Bytes],
    ) -> Result<(HostReply, Vec<Bytes>), Refusal> {
        let (id, partition) = (request.id, request.command.partition());
        let outcome = match self.cluster.execute(self.id, request, bodies)? {
            Executed::Now(outcome) => outcome,
            Executed::Later(answer) => {
                let mut waiter = Waiter {
                    service: self,
                    id,
                    partition,
                    answered: false,
                };
                let deliveries = answer.await.unwrap_or_default();
                waiter.answered = true;
                Outcome::Received(deliveries)
            }
        };
        let bodies = match &outcome {
            Outcome::Received(deliveries) => self.cluster.bodies(deliveries),
            _ => Vec::new(),
        };
        Ok((HostReply::Outcome(outcome), bodies))
    }
}

/// A receive that waits; dropped before its answer, it is cancelled.
struct Waiter<'a> {
    service: &'a Service,
    id: RequestId,
    partition: Option<PartitionId>,
    answered: bool,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if let (false, Some(partition)) = (self.answered, self.partition) {
            self.service
                .cluster
                .cancel(self.service.id, self.id, partition);
        }
    }
}
