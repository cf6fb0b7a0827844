//! The hosts of one cluster as this frontend sees them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use shoal_transport::{ClientOptions, HostClient, Identity};
use shoal_types::{ClusterId, ClusterRoute, HostId, Push, ViewSummary};
use tokio::sync::watch;
use tokio::time::Instant;

use super::choice::Candidate;
use super::cluster_clock::ClusterClock;

/// After a failure a host is asked only if there is no better one. A restarted host is thus back in
/// use this long after it was last tried in vain.
const FAILING_FOR: Duration = Duration::from_millis(250);

type OnPush = Arc<dyn Fn(Push) + Send + Sync>;

/// One cluster: its hosts, its newest view, its time.
pub(super) struct Cluster {
    pub(super) id: ClusterId,
    pub(super) clock: ClusterClock,
    hosts: RwLock<Arc<[Arc<HostLink>]>>,
    view: watch::Sender<ViewSummary>,
    identity: Identity,
    on_push: OnPush,
}

/// A host at an address.
pub(super) struct HostLink {
    pub(super) host: HostId,
    pub(super) client: HostClient,
    /// Milliseconds from `started` until when it counts as failing; 0: it does not.
    failing_until: AtomicU64,
    started: Instant,
}

impl Cluster {
    pub(super) fn new(route: &ClusterRoute, identity: Identity, on_push: OnPush) -> Arc<Self> {
        let cluster = Self {
            id: route.cluster,
            clock: ClusterClock::new(),
            hosts: RwLock::new(Arc::new([])),
            view: watch::Sender::new(ViewSummary::default()),
            identity,
            on_push,
        };
        cluster.set_hosts(route);
        Arc::new(cluster)
    }

    /// Takes over members and addresses; connections to those that stay are kept.
    pub(super) fn set_hosts(&self, route: &ClusterRoute) {
        let mut hosts = self.hosts.write().unwrap_or_else(PoisonError::into_inner);
        let link = |host: HostId, address: &str| {
            let same =
                |link: &&Arc<HostLink>| link.host == host && link.client.address() == address;
            hosts
                .iter()
                .find(same)
                .cloned()
                .unwrap_or_else(|| self.connect(host, address))
        };
        let links = route
            .members
            .iter()
            .map(|member| link(member.host, &member.address));
        let links: Arc<[_]> = links.collect();
        *hosts = links;
    }

    fn connect(&self, host: HostId, address: &str) -> Arc<HostLink> {
        let options = ClientOptions {
            identity: self.identity.clone(),
            host: Some(host),
            cluster: Some(self.id),
            on_push: Arc::clone(&self.on_push),
        };
        Arc::new(HostLink {
            host,
            client: HostClient::new(address, options),
            failing_until: AtomicU64::new(0),
            started: Instant::now(),
        })
    }

    /// Takes over a view if it is the newest.
    pub(super) fn set_view(&self, view: ViewSummary) {
        self.view.send_if_modified(|known| {
            let newer = view.number > known.number;
            if newer {
                *known = view;
            }
            newer
        });
    }

    /// Tells of new views.
    pub(super) fn views(&self) -> watch::Receiver<ViewSummary> {
        self.view.subscribe()
    }

    pub(super) fn hosts(&self) -> Arc<[Arc<HostLink>]> {
        Arc::clone(&self.hosts.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a host takes commands, as far as is known.
    pub(super) fn is_active(&self, host: HostId) -> bool {
        is_active(&self.view.borrow(), host)
    }

    pub(super) fn candidates(&self, links: &[Arc<HostLink>], tried: &[HostId]) -> Vec<Candidate> {
        let view = self.view.borrow();
        let candidate = |link: &Arc<HostLink>| Candidate {
            tried: tried.contains(&link.host),
            active: is_active(&view, link.host),
            failing: link.is_failing(),
            in_flight: link.client.in_flight(),
        };
        links.iter().map(candidate).collect()
    }
}

fn is_active(view: &ViewSummary, host: HostId) -> bool {
    // Before the first view is known every host is as good as another.
    view.active.is_empty() || view.active.contains(&host)
}

impl HostLink {
    /// The host failed us just now.
    pub(super) fn failed(&self) {
        let until = self.started.elapsed() + FAILING_FOR;
        self.failing_until
            .store(until.as_millis() as u64, Ordering::Relaxed);
    }

    /// The host answered just now.
    pub(super) fn answered(&self) {
        if self.failing_until.load(Ordering::Relaxed) != 0 {
            self.failing_until.store(0, Ordering::Relaxed);
        }
    }

    fn is_failing(&self) -> bool {
        match self.failing_until.load(Ordering::Relaxed) {
            0 => false,
            until => (self.started.elapsed().as_millis() as u64) < until,
        }
    }
}
