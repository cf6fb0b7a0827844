//! `dev` in one process: every role as tasks, over the same sockets and disks as processes would use.

use std::pin::Pin;

use anyhow::Context as _;
use shoal_frontend::{Credentials, Frontend, FrontendConfig};
use shoal_host::{Host, HostConfig};
use shoal_manager::{Manager, ManagerConfig};
use shoal_runtime::shutdown::Shutdown;
use tokio::task::JoinSet;

use super::layout::{Layout, Place, SEGMENT_BYTES};

type End = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// Everything that runs.
pub(super) struct Roles {
    ends: JoinSet<anyhow::Result<()>>,
    shutdown: Shutdown,
}

/// Starts every role of the layout.
pub(super) async fn start(layout: &Layout, shutdown: Shutdown) -> anyhow::Result<Roles> {
    let mut roles = Roles {
        ends: JoinSet::new(),
        shutdown: shutdown.clone(),
    };
    let manager = Manager::start(manager_config(layout), shutdown.clone())
        .await
        .context("the manager does not start")?;
    roles.add("manager", Box::pin(manager.stopped()));
    for place in &layout.hosts {
        let host = Host::start(host_config(layout, place), shutdown.clone())
            .await
            .with_context(|| format!("host {} does not start", place.name))?;
        roles.add(&place.name, Box::pin(host.stopped()));
    }
    let frontend = Frontend::start(frontend_config(layout), shutdown)
        .await
        .context("the frontend does not start")?;
    roles.add("frontend", Box::pin(frontend.stopped()));
    Ok(roles)
}

impl Roles {
    fn add(&mut self, name: &str, end: End) {
        let name = name.to_owned();
        self.ends
            .spawn(async move { end.await.with_context(|| format!("{name} failed")) });
    }

    /// Until a role ends by itself, which none should.
    pub(super) async fn next_end(&mut self) -> anyhow::Result<()> {
        match self.ends.join_next().await {
            Some(end) => end.context("a role panicked")?,
            None => Ok(()),
        }
    }

    /// Stops all and waits for them.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        self.shutdown.trigger();
        while let Some(end) = self.ends.join_next().await {
            end.context("a role panicked")??;
        }
        Ok(())
    }
}

fn manager_config(layout: &Layout) -> ManagerConfig {
    ManagerConfig {
        listen: layout.manager.listen,
        admin: layout.manager.admin,
        data: layout.manager.data.clone(),
        cluster_size: layout.shape.hosts,
        first_look_ms: FIRST_LOOK_MS,
        ..Default::default()
    }
}

fn host_config(layout: &Layout, place: &Place) -> HostConfig {
    HostConfig {
        listen: place.listen,
        admin: place.admin,
        data: place.data.clone(),
        zone: place.zone.clone(),
        manager: layout.manager_url(),
        segment_bytes: SEGMENT_BYTES,
        checkpoint_cache_bytes: CHECKPOINT_CACHE_BYTES,
        ..Default::default()
    }
}

fn frontend_config(layout: &Layout) -> FrontendConfig {
    FrontendConfig {
        listen: layout.frontend.listen,
        admin: layout.frontend.admin,
        manager: layout.manager_url(),
        credentials: Credentials::Any,
        purge_pause_s: PURGE_PAUSE_S,
        drain_ms: DRAIN_MS,
        ..Default::default()
    }
}

/// Tests purge as they like.
pub(super) const PURGE_PAUSE_S: u32 = 0;
/// There is no other frontend to go to.
pub(super) const DRAIN_MS: u32 = 0;
/// Whatever is in the folder, hosts and manager come from it together: nobody knows of another store.
pub(super) const FIRST_LOOK_MS: u32 = 0;

/// Six hosts in one process: each gets by with little.
const CHECKPOINT_CACHE_BYTES: usize = 4 << 20;
