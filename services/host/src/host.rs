//! Starting and stopping a host.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use shoal_runtime::admin::{self, AdminState, Readiness};
use shoal_runtime::clock::SystemClock;
use shoal_runtime::shutdown::Shutdown;
use shoal_runtime::task::{TaskKind, Tasks};
use shoal_runtime::telemetry;
use shoal_storage::DataFolder;
use shoal_transport::{Identity, Listener, PeerLinks};
use shoal_types::{HostState, HostStatus, LoadReport, Revision};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::task::TaskTracker;

use crate::bodies::BodyReader;
use crate::config::HostConfig;
use crate::core::Core;
use crate::disk_thread::DiskThread;
use crate::driver::{Driver, Input};
use crate::load::LoadWatch;
use crate::metric_names::{self, Observed};
use crate::other_clusters::OtherClusters;
use crate::recovery::Recovery;
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
        let recovery = Recovery::new(&config, &folder);
        let checkpoints = recovery.open_checkpoints()?;
        let core = recovery.recover(&checkpoints, &clock)?;
        tracing::info!(
            host = %folder.host(), %address, data = %config.data.display(),
            incarnation = %core.origin().incarnation, messages = core.machine().totals().0,
            "host started"
        );

        let tasks = Tasks::new("host", shutdown.child());
        let identity = Identity::host(folder.host(), core.origin().incarnation, advertise.clone());
        // Before anybody connects: a member that shows no cluster would be taken for one that forgot.
        if let Some(cluster) = core.cluster() {
            identity.set_cluster(cluster);
        }
        let (inputs_sender, inputs) = mpsc::channel(limits::INPUTS_MAX);
        let (status_sender, status) = watch::channel(first_status(&core, &config, advertise));
        let (readiness_sender, readiness) = watch::channel(readiness_of(&status.borrow()));
        let bodies = BodyReader::new(core.log().reader());
        let service = Service::new(inputs_sender.clone(), bodies.clone(), status.clone());
        let driver = Driver {
            disk: DiskThread::start(&folder.host().to_string(), inputs_sender.clone())?,
            checkpoints: Arc::new(checkpoints),
            recovery,
            bodies,
            jobs: TaskTracker::new(),
            teller: Default::default(),
            load: LoadWatch::new(config.capacity, clock.now().mono),
            reader: core.log().reader(),
            catch_up_reads: Arc::new(Semaphore::new(limits::CATCH_UP_READS_MAX)),
            links: PeerLinks::new(identity.clone(), inputs_sender.clone()),
            dialled: None,
            listed: Vec::new(),
            identity: identity.clone(),
            other_clusters: OtherClusters::new(),
            pusher: listener.pusher(),
            inputs,
            later: inputs_sender.clone(),
            status: status_sender,
            manager_at: Revision::default(),
            replies: BTreeMap::new(),
            observed: Observed::new(folder.host()),
            leave_until: None,
            sought: None,
            clock,
            core,
        };
        // The port closes only after the driver has left the view: answers still go out.
        let driver_ended = Shutdown::new();
        let (ended, admin_ends) = (driver_ended.clone(), driver_ended.clone());
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
        // Until it has left the view, it can be seen that it is stopping.
        let admin_serving = admin::serve(admin_listener, admin_state, admin_ends);
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

fn first_status(core: &Core, config: &HostConfig, address: String) -> HostStatus {
    let (messages, message_bytes) = core.machine().totals();
    HostStatus {
        host: core.origin().host,
        incarnation: core.origin().incarnation,
        address,
        zone: config.zone.clone(),
        pool: config.pool.clone(),
        state: core.state(),
        cluster: core.cluster(),
        view: core.engine().view().summary(),
        clock: core.clock(),
        messages,
        message_bytes,
        disk_used_percent: core.disk_used(),
        executed: core.machine().executed(),
        state_hash: core.machine().state_hash(),
        trouble: core.trouble(),
        load: LoadReport {
            capacity: config.capacity,
            ..LoadReport::default()
        },
        revision: core.instructed(),
    }
}

fn readiness_of(status: &HostStatus) -> Readiness {
    let why = status.trouble.as_deref();
    Readiness::NotReady(match status.state {
        HostState::Acting => return Readiness::Ready,
        HostState::Unassigned => why.unwrap_or("belongs to no cluster yet").to_owned().into(),
        HostState::Learning => "is to become a member of its cluster and catches up".into(),
        _ => why
            .unwrap_or("is catching up with its cluster")
            .to_owned()
            .into(),
    })
}

async fn follow_readiness(
    mut status: watch::Receiver<HostStatus>,
    readiness: watch::Sender<Readiness>,
) -> Result<(), std::convert::Infallible> {
    loop {
        readiness.send_replace(readiness_of(&status.borrow_and_update()));
        if status.changed().await.is_err() {
            return Ok(());
        }
    }
}
