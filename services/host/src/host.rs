//! Starting and stopping a host.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use shoal_replication::EngineConfig;
use shoal_runtime::admin::{self, AdminState, Readiness};
use shoal_runtime::clock::SystemClock;
use shoal_runtime::shutdown::Shutdown;
use shoal_runtime::task::{TaskKind, Tasks};
use shoal_runtime::telemetry;
use shoal_storage::{CheckpointOptions, Checkpoints, DataFolder, Log, LogOptions, Lsn, random_u64};
use shoal_transport::{Identity, Listener, PeerLinks};
use shoal_types::{HostState, HostStatus};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};

use crate::bodies::BodyReader;
use crate::config::HostConfig;
use crate::core::{self, Core, Effect, Opened};
use crate::disk_thread::DiskThread;
use crate::driver::{Driver, Input};
use crate::metric_names::{self, Observed};
use crate::service::Service;
use crate::{heartbeat, limits};

/// A host that runs.
pub struct Host {
    /// Where peers, frontends and the manager connect.
    pub address: SocketAddr,
    /// Health, readiness and metrics.
    pub admin: SocketAddr,
    /// Whether it acts in its cluster's current view.
    pub readiness: watch::Receiver<Readiness>,
    tasks: Tasks,
    /// The folder's lock is held as long as anything runs.
    _folder: DataFolder,
}

/// How long a stopping host may take to wind up: leaving the view, then closing connections.
const GRACE: Duration = Duration::from_secs(8);

impl Host {
    /// Binds, recovers what the data folder holds, and runs until `shutdown`.
    ///
    /// # Errors
    /// If a port is taken, the folder is locked or damaged, or a setting is wrong.
    pub async fn start(config: HostConfig, shutdown: Shutdown) -> anyhow::Result<Self> {
        config.validate().map_err(anyhow::Error::msg)?;
        telemetry::describe(metric_names::ALL);
        let listener = Listener::bind(config.listen)
            .await
            .with_context(|| format!("cannot listen on {}", config.listen))?;
        let admin_listener = TcpListener::bind(config.admin)
            .await
            .with_context(|| format!("cannot listen on {}", config.admin))?;
        let (address, admin_address) = (listener.address(), admin_listener.local_addr()?);
        let advertise = config
            .advertise
            .clone()
            .unwrap_or_else(|| address.to_string());

        let folder = DataFolder::open(&config.data)?;
        let clock = SystemClock::new();
        let (core, checkpoints) = recover(&config, &folder, &clock)?;
        tracing::info!(
            host = %folder.host(), %address, data = %config.data.display(),
            incarnation = %core.origin().incarnation, messages = core.machine().totals().0,
            "host started"
        );

        let tasks = Tasks::new("host", shutdown.child());
        let identity = Identity::host(folder.host(), core.origin().incarnation, advertise.clone());
        let (inputs_sender, inputs) = mpsc::channel(limits::INPUTS_MAX);
        let (status_sender, status) = watch::channel(first_status(&core, &config, advertise));
        let (readiness_sender, readiness) = watch::channel(not_ready(HostState::Joining));
        let reader = core.log().reader();
        let service = Service::new(
            inputs_sender.clone(),
            BodyReader::new(reader.clone()),
            status.clone(),
        );
        let driver = Driver {
            disk: DiskThread::start(&folder.host().to_string(), inputs_sender.clone())?,
            checkpoints: Arc::new(checkpoints),
            reader,
            catch_up_reads: Arc::new(Semaphore::new(limits::CATCH_UP_READS_MAX)),
            links: PeerLinks::new(identity.clone(), inputs_sender.clone()),
            dialled: None,
            listed: Vec::new(),
            identity: identity.clone(),
            pusher: listener.pusher(),
            inputs,
            later: inputs_sender.clone(),
            status: status_sender,
            replies: BTreeMap::new(),
            observed: Observed::new(folder.host()),
            leave_until: None,
            clock,
            core,
        };
        // The port closes only after the driver has left the view: answers still go out.
        let driver_ended = Shutdown::new();
        let ended = driver_ended.clone();
        tasks.spawn("driver", TaskKind::Essential, async move {
            let result = driver.run().await;
            ended.trigger();
            result
        });
        let serving = listener.serve(
            identity,
            Arc::new(service),
            inputs_sender.clone(),
            driver_ended,
        );
        tasks.spawn("port", TaskKind::Finisher, serving);
        tasks.spawn("leaving", TaskKind::Finisher, {
            let (inputs, shutdown) = (inputs_sender.clone(), tasks.shutdown().clone());
            async move {
                shutdown.triggered().await;
                // If the driver is gone, so is the view.
                let _ = inputs.send(Input::Leave).await;
                Ok::<(), std::convert::Infallible>(())
            }
        });
        tasks.spawn(
            "heartbeat",
            TaskKind::Helper,
            heartbeat::run(config.manager.clone(), status.clone(), inputs_sender),
        );
        tasks.spawn(
            "readiness",
            TaskKind::Helper,
            follow_readiness(status, readiness_sender),
        );
        let admin_state = AdminState {
            readiness: readiness.clone(),
            config: config.dump(),
        };
        let admin_serving = admin::serve(admin_listener, admin_state, tasks.shutdown().clone());
        tasks.spawn("admin", TaskKind::Finisher, admin_serving);
        Ok(Self {
            address,
            admin: admin_address,
            readiness,
            tasks,
            _folder: folder,
        })
    }

    /// Waits until the host has ended.
    ///
    /// # Errors
    /// If it ended by itself, or did not end in time.
    pub async fn stopped(self) -> anyhow::Result<()> {
        Ok(self.tasks.stopped(GRACE).await?)
    }
}

/// From the data folder to a core whose new incarnation is on disk, so that it may be shown.
fn recover(
    config: &HostConfig,
    folder: &DataFolder,
    clock: &SystemClock,
) -> anyhow::Result<(Core, Checkpoints)> {
    let options = CheckpointOptions {
        cache_bytes: config.checkpoint_cache_bytes,
    };
    let checkpoints = Checkpoints::open(folder.disk(), options)?;
    let checkpoint = checkpoints.load()?;
    let replay_from = checkpoint
        .as_ref()
        .map_or(Lsn::FIRST, |loaded| loaded.replay_from);
    let log_options = LogOptions {
        segment_bytes: config.segment_bytes,
        replay_from,
        log_bytes_max: config.log_bytes_max,
        ..LogOptions::new(folder.host(), random_u64()?)
    };
    let (log, scan) = Log::open(folder.disk(), log_options)?;
    if let Some(torn) = scan.torn_tail() {
        tracing::warn!(file = torn.file, offset = torn.offset, lsn = %torn.lsn, "an unfinished write was left out");
    }
    let engine = EngineConfig::new(folder.host(), random_u64()?);
    let opened = Opened {
        checkpoint,
        log,
        scan,
        witness: None,
        checkpoint_pace: Default::default(),
    };
    let mut core = core::recover(folder.host(), opened, engine, clock.now())?;
    write_incarnation(&mut core, clock)?;
    Ok((core, checkpoints))
}

/// The first batch, on this thread: nobody may see this life of the process before it is on disk.
fn write_incarnation(core: &mut Core, clock: &SystemClock) -> anyhow::Result<()> {
    core.begin_turn(clock.now());
    for effect in core.end_turn() {
        match effect {
            Effect::Write(batch) => {
                let done = batch.write()?;
                core.on_written(done);
            }
            Effect::Fatal(reason) => anyhow::bail!(reason),
            // Nobody is connected yet; what matters is sent again.
            _ => {}
        }
    }
    Ok(())
}

fn first_status(core: &Core, config: &HostConfig, address: String) -> HostStatus {
    let (messages, message_bytes) = core.machine().totals();
    HostStatus {
        host: core.origin().host,
        incarnation: core.origin().incarnation,
        address,
        zone: config.zone.clone(),
        state: core.state(),
        cluster: core.cluster(),
        view: core.engine().view().summary(),
        clock: core.clock(),
        messages,
        message_bytes,
        disk_used_percent: core.disk_used(),
    }
}

fn not_ready(state: HostState) -> Readiness {
    Readiness::NotReady(match state {
        HostState::Unassigned => "belongs to no cluster yet".into(),
        HostState::Learning => "is to become a member of its cluster and catches up".into(),
        HostState::NeedsSnapshot => {
            "needs a snapshot: what it lacks is in no log of its cluster any more".into()
        }
        HostState::Removed => "was removed from its cluster".into(),
        _ => "does not act in the current view of its cluster: starting, catching up, cut off, or in \
              dispute with the others over the executed state"
            .into(),
    })
}

async fn follow_readiness(
    mut status: watch::Receiver<HostStatus>,
    readiness: watch::Sender<Readiness>,
) -> Result<(), std::convert::Infallible> {
    loop {
        let state = status.borrow_and_update().state;
        readiness.send_replace(match state {
            HostState::Acting => Readiness::Ready,
            other => not_ready(other),
        });
        if status.changed().await.is_err() {
            return Ok(());
        }
    }
}
