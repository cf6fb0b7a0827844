//! A host's port.

mod callers;
mod end;
mod peer;
mod pushes;
mod registry;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use shoal_runtime::shutdown::Shutdown;
use shoal_runtime::telemetry::RateLimit;
use shoal_types::HostRequest;
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

pub use pushes::Pusher;

use crate::call::Response;
use crate::handshake::{self, HandshakeError};
use crate::identity::{Identity, Remote, Role};
use crate::peers::PeerEvent;
use crate::{limits, metric_names};
use registry::{PeerPlace, Registry};

/// Answers calls.
pub trait HostService: Send + Sync + 'static {
    /// Answers one call. `wait` is how long the caller waits. The future is dropped when the caller is
    /// gone or has cancelled. It runs on the connection's task beside all other calls of the
    /// connection, so it must not block.
    fn call(
        self: Arc<Self>,
        caller: Arc<Remote>,
        request: HostRequest,
        bodies: Vec<Bytes>,
        wait: Duration,
    ) -> impl Future<Output = Response> + Send;
}

/// A port that is bound, but not yet served: its address must be known to register.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
    pusher: Pusher,
}

impl Listener {
    /// Binds. Port 0 takes any free one.
    ///
    /// # Errors
    /// If that cannot be done.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        metric_names::begin_at_port();
        Ok(Self {
            listener,
            address,
            pusher: Pusher::default(),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What tells connected frontends news.
    #[must_use]
    pub fn pusher(&self) -> Pusher {
        self.pusher.clone()
    }

    /// Serves until the shutdown: calls go to `service`, frames of peers to `peers`. At the shutdown
    /// no further calls are read, calls under way are finished, and all connections close.
    ///
    /// # Errors
    /// None: what goes wrong concerns one connection. (The type fits `Tasks::spawn`.)
    pub async fn serve<S, E>(
        self,
        me: Identity,
        service: Arc<S>,
        peers: mpsc::Sender<E>,
        shutdown: Shutdown,
    ) -> Result<(), Infallible>
    where
        S: HostService,
        E: From<PeerEvent> + Send + 'static,
    {
        static TROUBLE: RateLimit = RateLimit::new(Duration::from_secs(10));
        let host = Arc::new(Port {
            me,
            service,
            peers,
            registry: Arc::new(Registry::default()),
            pusher: self.pusher,
        });
        let places = Arc::new(Semaphore::new(limits::CONNECTIONS_MAX));
        let connections = TaskTracker::new();
        let grace_ends = Shutdown::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.triggered() => break,
                accepted = self.listener.accept() => accepted,
            };
            let trouble = match (accepted, Arc::clone(&places).try_acquire_owned()) {
                (Ok((stream, _)), Ok(place)) => {
                    let serving = Arc::clone(&host).serve(stream, shutdown.child());
                    let grace_ends = grace_ends.clone();
                    connections.spawn(async move {
                        tokio::select! {
                            () = serving => {}
                            () = grace_ends.triggered() => {}
                        }
                        drop(place);
                    });
                    continue;
                }
                (Ok(_), Err(_)) => format!("{} connections are open", limits::CONNECTIONS_MAX),
                (Err(error), _) => {
                    tokio::time::sleep(limits::ACCEPT_PAUSE).await;
                    error.to_string()
                }
            };
            if let Some(passed_over) = TROUBLE.allow() {
                warn!(address = %self.address, trouble, passed_over, "connection not taken");
            }
        }
        drop(self.listener);
        connections.close();
        if tokio::time::timeout(limits::SHUTDOWN_GRACE, connections.wait())
            .await
            .is_err()
        {
            grace_ends.trigger();
            connections.wait().await;
        }
        Ok(())
    }
}

/// What all connections of a port share.
struct Port<S, E> {
    me: Identity,
    service: Arc<S>,
    peers: mpsc::Sender<E>,
    registry: Arc<Registry>,
    pusher: Pusher,
}

impl<S: HostService, E: From<PeerEvent>> Port<S, E> {
    async fn serve(self: Arc<Self>, stream: TcpStream, shutdown: Shutdown) {
        static FAILED: RateLimit = RateLimit::new(Duration::from_secs(1));
        let admit = |remote: &Remote| self.admit(remote);
        let handshake = tokio::select! {
            biased;
            () = shutdown.triggered() => return,
            handshake = handshake::accept(stream, &self.me, admit) => handshake,
        };
        let (connection, place) = match handshake {
            Ok(accepted) => accepted,
            Err(error) => {
                let reason = error.label();
                metrics::counter!(metric_names::HANDSHAKES_FAILED, "reason" => reason).increment(1);
                if let Some(passed_over) = FAILED.allow() {
                    debug!(%error, passed_over, "handshake failed");
                }
                if let HandshakeError::Sought(sought) = error {
                    // It dials again; one that finds no room is not missed.
                    _ = self.peers.try_send(PeerEvent::Sought(sought).into());
                }
                return;
            }
        };
        let role = connection.remote.role;
        let alive = metrics::gauge!(metric_names::CONNECTIONS, "role" => role.label());
        alive.increment(1);
        match place {
            Some(place) => peer::serve(connection, &place, &self.peers, &shutdown).await,
            None => callers::serve(connection, &self.service, &self.pusher, &shutdown).await,
        }
        alive.decrement(1);
    }

    /// Hosts get a place of their own, everyone else none.
    fn admit(&self, remote: &Remote) -> Result<Option<PeerPlace>, String> {
        match remote.role {
            Role::Host => self
                .registry
                .enter(remote.host, remote.incarnation)
                .map(Some),
            Role::Frontend | Role::Manager | Role::Client => Ok(None),
        }
    }
}
