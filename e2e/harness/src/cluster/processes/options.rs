//! How many processes of what are started, and with which settings.

use anyhow::Result;

use super::Processes;
use crate::bench::Bench;
use crate::binary::Release;
use crate::cluster::Cluster as _;

/// A log segment: small, so that tests begin and remove many.
const SEGMENT_BYTES: u32 = 1 << 20;

/// How to start [`Processes`].
#[derive(Clone)]
pub struct ProcessesOptions<'a> {
    pub(super) bench: &'a Bench,
    pub(super) hosts: usize,
    pub(super) disk_bytes: Option<u64>,
    pub(super) segment_bytes: u32,
    pub(super) edge: Release,
    pub(super) direct: bool,
}

impl<'a> ProcessesOptions<'a> {
    pub(crate) fn new(bench: &'a Bench) -> Self {
        Self {
            bench,
            hosts: 3,
            disk_bytes: None,
            segment_bytes: SEGMENT_BYTES,
            edge: Release::This,
            direct: false,
        }
    }

    /// So many hosts; 3 if not said.
    #[must_use]
    pub fn hosts(mut self, hosts: usize) -> Self {
        self.hosts = hosts;
        self
    }

    /// Every host has a [`LoopDisk`] of so many bytes, whose power can be lost and which can be full.
    #[must_use]
    pub fn disks_of(mut self, bytes: u64) -> Self {
        self.disk_bytes = Some(bytes);
        self
    }

    /// Bytes of a log segment; 1 MiB if not said.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u32) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// The release of manager and frontend; hosts always begin with this one.
    #[must_use]
    pub fn edge(mut self, release: Release) -> Self {
        self.edge = release;
        self
    }

    /// Without the proxies: hosts dial one another, for figures that no proxy has a part in. Links
    /// cannot be cut then.
    #[must_use]
    pub fn direct(mut self) -> Self {
        self.direct = true;
        self
    }

    /// Starts everything and waits until the cluster serves.
    ///
    /// # Errors
    /// If something does not start, with the end of its log.
    pub async fn start(self) -> Result<Processes<'a>> {
        let mut cluster = Processes::prepare(self).await?;
        for host in 0..cluster.hosts() {
            cluster.restart(host).await?;
        }
        cluster.serving().await?;
        Ok(cluster)
    }
}
