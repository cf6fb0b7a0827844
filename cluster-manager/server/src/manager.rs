//! The manager from its start to its end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use shoal_planner::FormRules;
use shoal_runtime::admin::{self, AdminState, Readiness};
use shoal_runtime::clock::SystemClock;
use shoal_runtime::http::{self, HttpLimits};
use shoal_runtime::shutdown::Shutdown;
use shoal_runtime::task::{TaskKind, Tasks};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::info;

use crate::api::{self, Api};
use crate::config::ManagerConfig;
use crate::deletions;
use crate::events::EventLog;
use crate::executor::{Formation, HostClients, Instructor, Membership};
use crate::feed::Feeds;
use crate::fleet::Fleet;
use crate::heartbeats::Heartbeats;
use crate::limits::{API_BODY_BYTES_MAX, API_CONNECTIONS_MAX, STOP_GRACE};
use crate::metric_names;
use crate::orders::Orders;
use crate::planning::{ByItself, Explained, QueueNews, Rounds};
use crate::queues::Queues;
use crate::rebuild::Rebuild;
use crate::store::{MetadataStore, RedbStore, StoreError, WriterEnd};
use crate::whole::Whole;

/// A running manager.
pub struct Manager {
    /// Where its API listens.
    pub address: SocketAddr,
    /// Where it shows its health.
    pub admin: SocketAddr,
    /// Whether it answers. Not whether there are clusters: that is for the hosts to say.
    pub ready: watch::Receiver<Readiness>,
    tasks: Tasks,
}

impl Manager {
    /// Binds both ports, reads what is stored and starts to serve.
    ///
    /// # Errors
    /// If a setting is wrong, a port cannot be bound, or the store is in use or cannot be read.
    pub async fn start(config: ManagerConfig, shutdown: Shutdown) -> anyhow::Result<Self> {
        config.validate().map_err(anyhow::Error::msg)?;
        metric_names::begin();
        let (listener, address) = bind(config.listen).await?;
        let (admin_listener, admin) = bind(config.admin).await?;
        let (store, writer_end) = open(&config).await?;
        let tasks = Tasks::new("manager", shutdown.child());
        let api = set_up(&tasks, &config, store).await?;
        spawn_writer_watch(&tasks, writer_end);

        let (says, ready) = watch::channel(Readiness::Ready);
        let state = AdminState {
            readiness: ready.clone(),
            config: toml::to_string(&config).context("settings are plain values")?,
        };
        // Until the API has answered what it was asked, it can be seen that the manager stops.
        let api_ended = Shutdown::new();
        let admin_serving = admin::serve(admin_listener, state, api_ended.clone());
        tasks.spawn("admin", TaskKind::Finisher, admin_serving);
        tasks.spawn("readiness", TaskKind::Helper, async move {
            // Held, since a dropped sender means that the manager is stopping.
            says.closed().await;
            Ok::<(), Infallible>(())
        });
        let limits = HttpLimits {
            listener: "manager",
            connections_max: API_CONNECTIONS_MAX,
            body_bytes_max: API_BODY_BYTES_MAX as u64,
            refuse: api::refuse,
            ..HttpLimits::default()
        };
        let serving = http::serve(listener, api::router(api), limits, tasks.shutdown().clone());
        tasks.spawn("api", TaskKind::Essential, async move {
            let ended = serving.await;
            api_ended.trigger();
            ended
        });
        info!(%address, %admin, data = %config.data.display(), "manager listens");
        Ok(Self {
            address,
            admin,
            ready,
            tasks,
        })
    }

    /// Waits for the shutdown, for what is being carried out then, and for the store to be closed.
    ///
    /// # Errors
    /// If it stopped by itself, or not in time.
    pub async fn stopped(self) -> anyhow::Result<()> {
        Ok(self.tasks.stopped(STOP_GRACE).await?)
    }
}

async fn bind(wanted: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(wanted).await;
    let listener = listener.with_context(|| format!("cannot listen on {wanted}"))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

async fn open(config: &ManagerConfig) -> anyhow::Result<(Arc<dyn MetadataStore>, WriterEnd)> {
    let (folder, cache_bytes) = (config.data.clone(), config.store_cache_bytes);
    let opened = tokio::task::spawn_blocking(move || RedbStore::open(&folder, cache_bytes));
    let (store, writer_end) = opened.await.context("opening the store panicked")??;
    Ok((Arc::new(store), writer_end))
}

/// Reads the store and starts what works on its contents.
async fn set_up(
    tasks: &Tasks,
    config: &ManagerConfig,
    store: Arc<dyn MetadataStore>,
) -> anyhow::Result<Api> {
    let clock = SystemClock::new();
    let planner_rules = config.rules();
    let events = Arc::new(EventLog::load(Arc::clone(&store), clock.clone()).await?);
    let fleet = Fleet::load(&*store, clock.clone(), planner_rules.silence).await?;
    let fleet = Arc::new(fleet);
    let whole = Whole::load(
        Arc::clone(&store),
        Arc::clone(&events),
        clock.clone(),
        config.first_look(),
    );
    let whole = Arc::new(whole.await?);
    let news = Arc::new(QueueNews::default());
    let clients = Arc::new(HostClients::new());
    let instructor = Instructor {
        fleet: Arc::clone(&fleet),
        clients: Arc::clone(&clients),
    };
    let queues = Queues::load(
        Arc::clone(&store),
        Arc::clone(&fleet),
        Arc::clone(&news),
        Arc::clone(&events),
        instructor.clone(),
        Arc::clone(&whole),
        clock.clone(),
    )
    .await?;
    let queues = Arc::new(queues);
    info!(
        hosts = fleet.host_count(),
        clusters = fleet.cluster_infos().len(),
        queues = fleet.queue_count(),
        revision = %*store.watch().borrow(),
        "metadata read"
    );

    let rules = FormRules {
        size: config.cluster_size,
        patience: config.form_patience().as_micros() as u64,
        kept: planner_rules.spares_kept,
    };
    let formation = Formation {
        store: Arc::clone(&store),
        fleet: Arc::clone(&fleet),
        clients: Arc::clone(&clients),
        events: Arc::clone(&events),
        clock: clock.clone(),
        rules,
        forms_by_itself: config.form_clusters,
        whole: Arc::clone(&whole),
    };
    let membership = Membership {
        store: Arc::clone(&store),
        fleet: Arc::clone(&fleet),
        events: Arc::clone(&events),
        clients: Arc::clone(&clients),
        whole: Arc::clone(&whole),
    };
    let orders = Orders {
        store: Arc::clone(&store),
        fleet: Arc::clone(&fleet),
        events: Arc::clone(&events),
        formation: formation.clone(),
    };
    let explained = Arc::new(Explained::default());
    let rounds = Rounds {
        fleet: Arc::clone(&fleet),
        news,
        events: Arc::clone(&events),
        orders: orders.clone(),
        queues: Arc::clone(&queues),
        explained: Arc::clone(&explained),
        clock: clock.clone(),
        rules: planner_rules,
        by_itself: ByItself {
            forms_clusters: config.form_clusters,
            moves_queues: config.move_queues,
        },
        whole: Arc::clone(&whole),
        interval: config.round(),
    };
    let rebuild = Rebuild {
        store: Arc::clone(&store),
        fleet: Arc::clone(&fleet),
        queues: Arc::clone(&queues),
        events: Arc::clone(&events),
        clients,
        instructor,
        whole: Arc::clone(&whole),
        clock,
        progress: Default::default(),
        shutdown: tasks.shutdown().clone(),
    };
    match config.first_look().is_zero() {
        true => begin(&whole, &fleet, &*store).await?,
        false => spawn_listening(tasks, &whole, &fleet, &store),
    }
    spawn_formation(tasks, formation);
    spawn_membership(tasks, membership);
    spawn_settling(tasks, &queues);
    spawn_moving(tasks, &queues);
    spawn_telling(tasks, &queues);
    spawn_redriving(tasks, &queues);
    spawn_rounds(tasks, rounds);
    spawn_measuring(tasks, &fleet);
    Ok(Api {
        queues,
        fleet: Arc::clone(&fleet),
        heartbeats: Heartbeats {
            store: Arc::clone(&store),
            fleet,
            whole: Arc::clone(&whole),
            events: Arc::clone(&events),
            unknown: Default::default(),
        },
        feeds: Feeds {
            store,
            shutdown: tasks.shutdown().clone(),
            whole: Arc::clone(&whole),
        },
        orders,
        events,
        explained,
        whole,
        rebuild: Arc::new(rebuild),
    })
}

/// Listens, and makes the first writes if the store is whole.
async fn begin(whole: &Whole, fleet: &Fleet, store: &dyn MetadataStore) -> Result<(), StoreError> {
    whole.listen(|| fleet.all_reported()).await?;
    match whole.is_whole() {
        true => deletions::prune(store).await,
        false => Ok(()),
    }
}

fn spawn_listening(
    tasks: &Tasks,
    whole: &Arc<Whole>,
    fleet: &Arc<Fleet>,
    store: &Arc<dyn MetadataStore>,
) {
    let (whole, fleet, store) = (Arc::clone(whole), Arc::clone(fleet), Arc::clone(store));
    tasks.spawn("listening", TaskKind::Helper, async move {
        begin(&whole, &fleet, &*store).await
    });
}

/// The first write that fails ends the manager: what is on disk is known only after a restart.
fn spawn_writer_watch(tasks: &Tasks, end: WriterEnd) {
    tasks.spawn("metadata-writer", TaskKind::Essential, async move {
        match end.await {
            Ok(failure) => Err(failure),
            // All handles are gone and the file is closed.
            Err(_) => Ok(()),
        }
    });
}

fn spawn_formation(tasks: &Tasks, formation: Formation) {
    let shutdown = tasks.shutdown().clone();
    tasks.spawn("formation", TaskKind::Essential, async move {
        tokio::select! {
            ended = formation.run() => ended,
            () = shutdown.triggered() => Ok(()),
        }
    });
}

fn spawn_membership(tasks: &Tasks, membership: Membership) {
    let shutdown = tasks.shutdown().clone();
    tasks.spawn("membership", TaskKind::Essential, async move {
        tokio::select! {
            ended = membership.run() => ended,
            () = shutdown.triggered() => Ok(()),
        }
    });
}

fn spawn_moving(tasks: &Tasks, queues: &Arc<Queues>) {
    let (queues, shutdown) = (Arc::clone(queues), tasks.shutdown().clone());
    tasks.spawn("moving", TaskKind::Essential, async move {
        tokio::select! {
            () = queues.carry_on_moves() => unreachable!("it loops"),
            () = shutdown.triggered() => Ok::<(), Infallible>(()),
        }
    });
}

fn spawn_telling(tasks: &Tasks, queues: &Arc<Queues>) {
    let (queues, shutdown) = (Arc::clone(queues), tasks.shutdown().clone());
    tasks.spawn("telling", TaskKind::Essential, async move {
        tokio::select! {
            () = queues.keep_sources_told() => unreachable!("it loops"),
            () = shutdown.triggered() => Ok::<(), Infallible>(()),
        }
    });
}

fn spawn_redriving(tasks: &Tasks, queues: &Arc<Queues>) {
    let (queues, shutdown) = (Arc::clone(queues), tasks.shutdown().clone());
    tasks.spawn("redriving", TaskKind::Essential, async move {
        tokio::select! {
            () = queues.carry_on_redrives() => unreachable!("it loops"),
            () = shutdown.triggered() => Ok::<(), Infallible>(()),
        }
    });
}

fn spawn_rounds(tasks: &Tasks, rounds: Rounds) {
    let shutdown = tasks.shutdown().clone();
    tasks.spawn("planning", TaskKind::Essential, async move {
        tokio::select! {
            ended = rounds.run() => ended,
            () = shutdown.triggered() => Ok(()),
        }
    });
}

/// Finishes what was left unfinished; at the shutdown, waits for what is under way.
fn spawn_settling(tasks: &Tasks, queues: &Arc<Queues>) {
    let (queues, shutdown) = (Arc::clone(queues), tasks.shutdown().clone());
    tasks.spawn("settling", TaskKind::Finisher, async move {
        tokio::select! {
            () = Arc::clone(&queues).settle_all() => unreachable!("it loops"),
            () = shutdown.triggered() => {}
        }
        queues.finish().await;
        Ok::<(), Infallible>(())
    });
}

fn spawn_measuring(tasks: &Tasks, fleet: &Arc<Fleet>) {
    /// As often as scrapers commonly come at most.
    const INTERVAL: Duration = Duration::from_secs(5);
    let fleet = Arc::clone(fleet);
    tasks.spawn("measuring", TaskKind::Helper, async move {
        let mut again = tokio::time::interval(INTERVAL);
        loop {
            again.tick().await;
            fleet.measure();
        }
        #[expect(unreachable_code, reason = "says what the task's errors are: none")]
        Ok::<(), Infallible>(())
    });
}
