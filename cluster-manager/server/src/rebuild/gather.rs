//! Asking a cluster for everything that it keeps for a manager that lost its store.

use std::time::Duration;

use shoal_types::{
    ClusterId, ClusterSpec, Command, ErrorCode, HostReply, HostRequest, KeptPartition, Outcome,
    PartitionId, PartitionPage, Query, QueryReply, Revision,
};
use tokio::time::Instant;
use tracing::debug;

use super::Progress;
use crate::executor::{HostClients, new_request};
use crate::fleet::{Fleet, Target};
use crate::limits::{
    ATTEMPT_TIMEOUT, REBUILD_PAGE, REBUILD_PAGE_TIMEOUT, REBUILD_PATIENCE, ROUND_PAUSE_MAX,
};

/// What a cluster keeps, as of one moment after it was asked for.
#[derive(Clone, Debug)]
pub(super) struct Gathered {
    pub(super) spec: ClusterSpec,
    /// The highest revision of an instruction that it carried out.
    pub(super) instructed: Revision,
    pub(super) partitions: Vec<KeptPartition>,
}

/// Whom to ask.
pub(super) struct Asking<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) clients: &'a HostClients,
    pub(super) progress: &'a Progress,
}

impl Asking<'_> {
    /// Asks the hosts in turn until one of them has told everything.
    pub(super) async fn gather(
        &self,
        cluster: ClusterId,
        hosts: &[Target],
    ) -> Result<Gathered, String> {
        let until = Instant::now() + REBUILD_PATIENCE;
        let mut last = "no host of it reports".to_owned();
        loop {
            for host in hosts {
                match self.gather_from(cluster, host).await {
                    Ok(gathered) => return Ok(gathered),
                    Err(why) => {
                        debug!(%cluster, host = %host.host, why, "host does not tell what it keeps");
                        last = format!("{}: {why}", host.host);
                    }
                }
            }
            if Instant::now() + ROUND_PAUSE_MAX >= until {
                return Err(last);
            }
            tokio::time::sleep(ROUND_PAUSE_MAX).await;
        }
    }

    /// Page by page from one host: another one may be behind it.
    async fn gather_from(&self, cluster: ClusterId, host: &Target) -> Result<Gathered, String> {
        self.have_it_catch_up(cluster, host).await?;
        let mut gathered: Option<Gathered> = None;
        let mut after: Option<PartitionId> = None;
        loop {
            let page = self.page(cluster, host, after).await?;
            let PartitionPage {
                partitions,
                more,
                cluster: spec,
                instructed,
            } = page;
            let all = gathered.get_or_insert_with(|| Gathered {
                spec: spec.clone(),
                instructed,
                partitions: Vec::new(),
            });
            (all.spec, all.instructed) = (spec, instructed);
            all.partitions.extend(partitions);
            let count = all.partitions.len();
            self.progress
                .say(format!("{cluster}: {count} partitions read"));
            after = all.partitions.last().map(|last| last.partition);
            if !more {
                break;
            }
        }
        gathered.ok_or_else(|| "it told nothing".to_owned())
    }

    /// What was answered to anybody before is executed at this host once it answers a command of its own;
    /// and a quorum of its cluster is there.
    async fn have_it_catch_up(&self, cluster: ClusterId, host: &Target) -> Result<(), String> {
        let client = self.clients.get(host.host, &host.address);
        let mut time = self.fleet.cluster_time(cluster);
        for _ in 0..2 {
            let request = new_request(Command::Tick, time);
            let call = HostRequest::Execute { cluster, request };
            let answer = client.call(&call, &[], ATTEMPT_TIMEOUT).await;
            let answer = answer.map_err(|error| error.to_string())?;
            match answer.result {
                Ok(HostReply::Outcome(Outcome::Done)) => return Ok(()),
                Ok(HostReply::Outcome(Outcome::Refused(refusal))) | Err(refusal) => {
                    let is_late = matches!(
                        refusal.code,
                        ErrorCode::DeadlineExceeded | ErrorCode::InvalidRequest
                    );
                    if !is_late {
                        return Err(refusal.to_string());
                    }
                    time = answer.clock;
                }
                Ok(other) => return Err(format!("it answered {other:?}")),
            }
        }
        Err("its cluster's time is not known yet".to_owned())
    }

    async fn page(
        &self,
        cluster: ClusterId,
        host: &Target,
        after: Option<PartitionId>,
    ) -> Result<PartitionPage, String> {
        let limit = REBUILD_PAGE;
        let query = Query::Partitions { after, limit };
        let call = HostRequest::Query { cluster, query };
        let timeout: Duration = REBUILD_PAGE_TIMEOUT;
        let client = self.clients.get(host.host, &host.address);
        let answer = client.call(&call, &[], timeout).await;
        match answer.map_err(|error| error.to_string())?.result {
            Ok(HostReply::Query(QueryReply::Partitions(page))) => Ok(page),
            Ok(other) => Err(format!("it answered {other:?}")),
            Err(refusal) => Err(refusal.to_string()),
        }
    }
}
