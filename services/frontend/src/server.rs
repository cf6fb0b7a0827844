//! A frontend as a whole: its ports, its tasks, its end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use shoal_runtime::admin::{self, AdminState, Readiness};
use shoal_runtime::http;
use shoal_runtime::http::HttpLimits;
use shoal_runtime::shutdown::Shutdown;
use shoal_runtime::task::{TaskKind, Tasks};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::info;

use crate::app::App;
use crate::limits::{MESSAGES_BODY_BYTES_MAX, STOP_WITHIN};
use crate::{FrontendConfig, http_api, metric_names};

/// A running frontend.
pub struct Frontend {
    /// Where it listens for clients.
    pub address: SocketAddr,
    /// Where it shows its health.
    pub admin: SocketAddr,
    /// Whether it knows the queues. Before that it looks up each by itself.
    pub ready: watch::Receiver<Readiness>,
    tasks: Tasks,
}

impl Frontend {
    /// Binds both ports and starts to serve. The process's TLS provider must be installed.
    ///
    /// # Errors
    /// If a setting is wrong or a port cannot be bound.
    pub async fn start(config: FrontendConfig, shutdown: Shutdown) -> anyhow::Result<Self> {
        config.validate().map_err(|why| anyhow!(why))?;
        metric_names::begin();
        let (listener, address) = bind(config.listen).await?;
        let (admin_listener, admin) = bind(config.admin).await?;
        let tasks = Tasks::new("frontend", shutdown.child());
        let app = App::new(&config, tasks.shutdown().clone())?;
        let ready = follow(&tasks, &app);
        let state = AdminState {
            readiness: ready.clone(),
            config: dump(&config)?,
        };
        let admin_serving = admin::serve(admin_listener, state, tasks.shutdown().clone());
        tasks.spawn("admin", TaskKind::Essential, admin_serving);
        let limits = HttpLimits {
            listener: "clients",
            body_bytes_max: MESSAGES_BODY_BYTES_MAX as u64,
            refuse: http_api::refuse,
            ..HttpLimits::default()
        };
        let serving = http::serve(
            listener,
            http_api::router(app),
            limits,
            tasks.shutdown().clone(),
        );
        tasks.spawn("clients", TaskKind::Essential, serving);
        info!(%address, %admin, manager = config.manager, "frontend listens");
        Ok(Self {
            address,
            admin,
            ready,
            tasks,
        })
    }

    /// Waits for the shutdown and for what is being answered then.
    ///
    /// # Errors
    /// If it stopped by itself, or not in time.
    pub async fn stopped(self) -> anyhow::Result<()> {
        Ok(self.tasks.stopped(STOP_WITHIN).await?)
    }
}

/// Keeps the routes current, and the clusters' addresses with them. Says when all queues are known.
fn follow(tasks: &Tasks, app: &Arc<App>) -> watch::Receiver<Readiness> {
    let routes = Arc::clone(&app.routes);
    tasks.spawn(
        "feed",
        TaskKind::Helper,
        async move { routes.follow().await },
    );

    let (dispatcher, mut changed) = (Arc::clone(&app.dispatcher), app.routes.clusters_changed());
    tasks.spawn("addresses", TaskKind::Helper, async move {
        while changed.changed().await.is_ok() {
            dispatcher.refresh();
        }
        Ok::<(), Infallible>(())
    });

    let waiting = Readiness::NotReady("the manager has not been reached yet".into());
    let (says, ready) = watch::channel(waiting);
    let mut complete = app.routes.complete();
    tasks.spawn("readiness", TaskKind::Helper, async move {
        if complete.wait_for(|complete| *complete).await.is_ok() {
            says.send_replace(Readiness::Ready);
        }
        // Held, since a dropped sender means that the frontend is gone.
        says.closed().await;
        Ok::<(), Infallible>(())
    });
    ready
}

async fn bind(wanted: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(wanted).await;
    let listener = listener.with_context(|| format!("cannot listen on {wanted}"))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn dump(config: &FrontendConfig) -> anyhow::Result<String> {
    toml::to_string(config).context("settings are plain values")
}
