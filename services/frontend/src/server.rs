//! A frontend as a whole: its ports, its tasks, its end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use shoal_runtime::admin::{self, AdminState, Readiness};
use shoal_runtime::http;
use shoal_runtime::http::HttpLimits;
use shoal_runtime::shutdown::{Drain, Shutdown};
use shoal_runtime::task::{TaskKind, Tasks};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::info;

use crate::app::App;
use crate::limits::{ANSWERED_WITHIN, MESSAGES_BODY_BYTES_MAX, STOP_WITHIN};
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
        // The end of the drain ends its tasks.
        let tasks = Tasks::new("frontend", Shutdown::new());
        let drain = Drain::new(shutdown.child(), tasks.shutdown().clone());
        let app = App::new(&config, drain.begins().clone())?;
        let ready = follow(&tasks, &app);
        tasks.spawn(
            "drain",
            TaskKind::Finisher,
            carry_out(drain.clone(), config.drain()),
        );
        let state = AdminState {
            readiness: ready.clone(),
            config: dump(&config)?,
        };
        let admin_serving = admin::serve(admin_listener, state, tasks.shutdown().clone());
        tasks.spawn("admin", TaskKind::Essential, admin_serving);
        let limits = HttpLimits {
            listener: "clients",
            body_bytes_max: MESSAGES_BODY_BYTES_MAX as u64,
            grace: ANSWERED_WITHIN,
            refuse: http_api::refuse,
            cut_off: http_api::cut_off,
            ..HttpLimits::default()
        };
        let serving = http::serve(listener, http_api::router(app), limits, drain);
        tasks.spawn("clients", TaskKind::Essential, serving);
        info!(%address, %admin, manager = config.manager, "frontend listens");
        Ok(Self {
            address,
            admin,
            ready,
            tasks,
        })
    }

    /// Waits for the shutdown, for the drain, and for what is being answered then.
    ///
    /// # Errors
    /// If it stopped by itself, or not in time.
    pub async fn stopped(self) -> anyhow::Result<()> {
        Ok(self.tasks.stopped(STOP_WITHIN).await?)
    }
}

/// Ends the drain some time after it began. If the frontend ends otherwise, those who wait leave at once.
async fn carry_out(drain: Drain, lasts: Duration) -> Result<(), Infallible> {
    tokio::select! {
        () = drain.begins().triggered() => {
            info!(?lasts, "asks clients to go elsewhere");
            tokio::select! {
                () = tokio::time::sleep(lasts) => {}
                () = drain.ends().triggered() => {}
            }
            drain.ends().trigger();
        }
        () = drain.ends().triggered() => drain.begins().trigger(),
    }
    Ok(())
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
    let (mut complete, stopping) = (app.routes.complete(), app.stopping.clone());
    tasks.spawn("readiness", TaskKind::Helper, async move {
        tokio::select! {
            biased;
            () = stopping.triggered() => {}
            true = async { complete.wait_for(|complete| *complete).await.is_ok() } => {
                says.send_replace(Readiness::Ready);
                stopping.triggered().await;
            }
        }
        says.send_replace(Readiness::NotReady("is stopping".into()));
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
