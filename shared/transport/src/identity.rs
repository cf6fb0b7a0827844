//! Who is at either end of a connection.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use shoal_types::{ClusterId, HostId, Incarnation, WireVersion};

use crate::handshake::VERSIONS;

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// A host of a cluster, or of none yet.
    Host,
    /// A frontend.
    Frontend,
    /// The queue-cluster manager.
    Manager,
    /// A tool, or an application that talks to hosts directly.
    Client,
}

impl Role {
    /// A word for metrics and log lines.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Frontend => "frontend",
            Self::Manager => "manager",
            Self::Client => "client",
        }
    }
}

/// Who this process is to others. Clones share what a host learns while it runs: its cluster, and a later
/// life of itself.
#[derive(Clone, Debug)]
pub struct Identity(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    role: Role,
    host: HostId,
    incarnation: AtomicU64,
    address: String,
    /// 0: none yet. A cluster's id is never 0.
    cluster: AtomicU64,
    versions: RangeInclusive<WireVersion>,
}

impl Identity {
    /// A host. `address` is what others should dial.
    #[must_use]
    pub fn host(host: HostId, incarnation: Incarnation, address: impl Into<String>) -> Self {
        Self::new(Role::Host, host, incarnation, address.into())
    }

    /// Anything but a host, which has no name.
    ///
    /// # Panics
    /// If `role` is that of a host.
    #[must_use]
    pub fn caller(role: Role) -> Self {
        assert!(role != Role::Host, "hosts have names");
        Self::new(role, HostId(0), Incarnation(0), String::new())
    }

    fn new(role: Role, host: HostId, incarnation: Incarnation, address: String) -> Self {
        Self(Arc::new(Inner {
            role,
            host,
            incarnation: AtomicU64::new(incarnation.0),
            address,
            cluster: AtomicU64::new(0),
            versions: VERSIONS,
        }))
    }

    /// The same in a release that speaks other versions; for tests of what releases do together.
    ///
    /// # Panics
    /// If there are clones of it.
    #[must_use]
    pub fn speaking(mut self, versions: RangeInclusive<WireVersion>) -> Self {
        let inner = Arc::get_mut(&mut self.0).expect("nobody else has it yet");
        inner.versions = versions;
        self
    }

    /// The versions that it speaks.
    pub(crate) fn versions(&self) -> &RangeInclusive<WireVersion> {
        &self.0.versions
    }

    /// From now on this host belongs to a cluster; later handshakes say so.
    pub fn set_cluster(&self, cluster: ClusterId) {
        self.0.cluster.store(cluster.0, Ordering::Relaxed);
    }

    /// From now on this host is in a later life of it, without its process having been started anew; later
    /// handshakes say so.
    pub fn set_incarnation(&self, incarnation: Incarnation) {
        self.0.incarnation.store(incarnation.0, Ordering::Relaxed);
    }

    /// Which host; [`HostId`] 0 if it is none.
    #[must_use]
    pub fn host_id(&self) -> HostId {
        self.0.host
    }

    /// What others are told.
    pub(crate) fn shown(&self) -> Remote {
        let cluster = self.0.cluster.load(Ordering::Relaxed);
        Remote {
            role: self.0.role,
            host: self.0.host,
            incarnation: Incarnation(self.0.incarnation.load(Ordering::Relaxed)),
            cluster: (cluster != 0).then_some(ClusterId(cluster)),
            address: self.0.address.clone(),
        }
    }
}

/// Who is at the other end, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    /// What it is.
    pub role: Role,
    /// Which host; 0 if it is none.
    pub host: HostId,
    /// Which start of its process; 0 if it is no host.
    pub incarnation: Incarnation,
    /// The cluster it belongs to.
    pub cluster: Option<ClusterId>,
    /// What others should dial; empty if it is no host.
    pub address: String,
}
