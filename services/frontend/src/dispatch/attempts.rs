//! The hosts of which one request is asked at the moment, and what becomes of them when it ends.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use shoal_transport::{CallError, Response};
use shoal_types::{ClusterId, HostId, HostReply, HostRequest};
use tokio::time::Instant;

use super::cluster::{Cluster, HostLink};
use super::{Dispatcher, unreceived};

type Attempt = BoxFuture<'static, (Arc<HostLink>, Result<Response, CallError>)>;

/// See the module. Dropped, it cancels them.
#[derive(Default)]
pub(super) struct Attempts {
    running: FuturesUnordered<Attempt>,
    at: Vec<Running>,
}

/// A host that is being asked.
struct Running {
    link: Arc<HostLink>,
    /// Until then its silence means nothing.
    patient_until: Instant,
}

impl Attempts {
    /// Asks a host, which has so much time.
    pub(super) fn start(
        &mut self,
        link: Arc<HostLink>,
        request: Arc<HostRequest>,
        bodies: Vec<Bytes>,
        time: Duration,
        patient_until: Instant,
    ) {
        self.at.push(Running {
            link: Arc::clone(&link),
            patient_until,
        });
        self.running.push(Box::pin(async move {
            let result = link.client.call(&request, &bodies, time).await;
            (link, result)
        }));
    }

    /// The next one that ends; `None` if none is running.
    pub(super) async fn next(&mut self) -> Option<(Arc<HostLink>, Result<Response, CallError>)> {
        let (link, result) = self.running.next().await?;
        self.at.retain(|running| running.link.host != link.host);
        Some((link, result))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    pub(super) fn hosts(&self) -> Vec<HostId> {
        self.at.iter().map(|running| running.link.host).collect()
    }

    /// Whether one of the hosts takes commands, as far as is known.
    pub(super) fn any_active(&self, cluster: &Cluster) -> bool {
        let mut at = self.at.iter();
        at.any(|running| cluster.is_active(running.link.host))
    }

    /// Until when one is waited for that does well; `None` if none does.
    pub(super) fn patient_until(&self, cluster: &Cluster) -> Option<Instant> {
        let now = Instant::now();
        let well = |running: &&Running| {
            running.patient_until > now && cluster.is_active(running.link.host)
        };
        let well = self.at.iter().filter(well);
        well.map(|running| running.patient_until).max()
    }

    /// All of them are silent.
    pub(super) fn failed(&self) {
        self.at.iter().for_each(|running| running.link.failed());
    }

    /// Lets them end by themselves. How many do is bounded by the retry budget.
    pub(super) fn leave(self) {
        let mut running = self.running;
        if !running.is_empty() {
            tokio::spawn(async move { while running.next().await.is_some() {} });
        }
    }

    /// Lets them end by themselves. What they were given is nobody's and goes back.
    pub(super) fn give_back(self, dispatcher: &Arc<Dispatcher>, cluster: ClusterId) {
        if !self.running.is_empty() {
            let dispatcher = Arc::clone(dispatcher);
            tokio::spawn(async move { give_back(&dispatcher, cluster, self.running).await });
        }
    }
}

async fn give_back(
    dispatcher: &Arc<Dispatcher>,
    cluster: ClusterId,
    mut running: FuturesUnordered<Attempt>,
) {
    while let Some((_, result)) = running.next().await {
        let Ok(Ok(HostReply::Outcome(outcome))) = result.map(|response| response.result) else {
            continue;
        };
        if let Some(command) = unreceived(&outcome) {
            dispatcher.give_back(cluster, command).await;
        }
    }
}
