//! A manager, hosts for it, and a client.

mod client;
mod host;
mod partitions;
mod transfers;
mod two;

use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use shoal_manager::{Manager, ManagerConfig};
use shoal_runtime::shutdown::Shutdown;

pub(crate) use client::{Client, problem};
pub(crate) use host::{Executed, Fails, Host, World};
pub(crate) use two::{Two, first_with};

/// More than anything here takes, even on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A manager that ends with this.
pub(crate) struct Running {
    pub(crate) client: Client,
    shutdown: Shutdown,
    manager: Manager,
}

impl Running {
    /// Starts a manager on free ports.
    pub(crate) async fn start(data: &Path) -> Self {
        Self::with(data, |_| ()).await
    }

    /// Starts a manager with other settings than the defaults.
    pub(crate) async fn with(data: &Path, change: impl FnOnce(&mut ManagerConfig)) -> Self {
        static CRYPTO: Once = Once::new();
        CRYPTO.call_once(shoal_runtime::crypto::install);
        let mut config = ManagerConfig {
            data: data.to_owned(),
            listen: ([127, 0, 0, 1], 0).into(),
            admin: ([127, 0, 0, 1], 0).into(),
            form_patience_ms: 100,
            first_look_ms: 0,
            store_cache_bytes: 1 << 20,
            ..ManagerConfig::default()
        };
        change(&mut config);
        let shutdown = Shutdown::new();
        let manager = Manager::start(config, shutdown.clone()).await.unwrap();
        Self {
            client: Client::new(manager.address),
            shutdown,
            manager,
        }
    }

    /// Where it shows its health.
    pub(crate) fn admin(&self) -> std::net::SocketAddr {
        self.manager.admin
    }

    /// Stops it and waits until it has closed its store.
    pub(crate) async fn stop(self) {
        self.shutdown.trigger();
        self.manager.stopped().await.unwrap();
    }
}

/// A manager with one serving cluster of three hosts in three zones.
pub(crate) struct Small {
    pub(crate) manager: Running,
    pub(crate) world: World,
    pub(crate) hosts: Vec<Host>,
    pub(crate) data: tempfile::TempDir,
}

impl Small {
    pub(crate) async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let manager = Running::start(data.path()).await;
        let world = World::default();
        let hosts = world.hosts(&manager.client, &["a", "b", "c"]).await;
        manager.client.until_serving(1).await;
        Self {
            manager,
            world,
            hosts,
            data,
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.manager.client
    }
}

/// Looks again and again until there is something to see.
///
/// # Panics
/// If that takes longer than [`SOON`].
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        let mut again = tokio::time::interval(Duration::from_millis(10));
        loop {
            again.tick().await;
            if let Some(seen) = look().await {
                return seen;
            }
        }
    };
    tokio::time::timeout(SOON, looking)
        .await
        .unwrap_or_else(|_| panic!("not soon: {what}"))
}
