//! Asking a cluster for everything that it keeps for a manager that lost its store.

use std::time::Duration;

use shoal_types::limits::{ID_MAX, REVISION_MAX};
use shoal_types::{
    ClusterId, ClusterSpec, Command, Epoch, ErrorCode, HostReply, HostRequest, KeptPartition,
    Outcome, PartitionId, PartitionPage, Query, QueryReply, Revision,
};
use tokio::time::Instant;
use tracing::debug;

use super::Progress;
use crate::executor::{HostClients, new_request};
use crate::fleet::{Fleet, Target};
use crate::limits::{
    ATTEMPT_TIMEOUT, REBUILD_PAGE, REBUILD_PAGE_TIMEOUT, REBUILD_PARTITIONS_MAX, REBUILD_PATIENCE,
    ROUND_PAUSE_MAX,
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
            if count > REBUILD_PARTITIONS_MAX {
                return Err(format!(
                    "it told more than {REBUILD_PARTITIONS_MAX} partitions"
                ));
            }
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
            Ok(HostReply::Query(QueryReply::Partitions(page))) => {
                check_page(&page, after)?;
                Ok(page)
            }
            Ok(other) => Err(format!("it answered {other:?}")),
            Err(refusal) => Err(refusal.to_string()),
        }
    }
}

/// What goes into the store, and what the next ids and revisions are to be above, is within its range; and the
/// pages come to an end.
fn check_page(page: &PartitionPage, after: Option<PartitionId>) -> Result<(), String> {
    let within = |what: &str, value: u64, max: u64| match value <= max {
        true => Ok(()),
        false => Err(format!(
            "it told the {what} {value}, and there is none above {max}"
        )),
    };
    within("revision", page.instructed.0, REVISION_MAX)?;
    within("revision", page.cluster.revision.0, REVISION_MAX)?;
    let mut last = after;
    for kept in &page.partitions {
        if last.is_some_and(|last| last >= kept.partition) {
            return Err(format!("it told {} out of order", kept.partition));
        }
        last = Some(kept.partition);
        within("partition", kept.partition.0, ID_MAX)?;
        within("epoch", kept.settings.epoch.0.into(), Epoch::MAX.0.into())?;
        within("revision", kept.revision.0, REVISION_MAX)?;
        let described = kept.description.as_ref().map_or(0, |one| one.revision.0);
        within("revision", described, REVISION_MAX)?;
    }
    match page.more && page.partitions.is_empty() {
        true => Err("it told an empty page, and that there are more".to_owned()),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::{Description, KeptPartition, QueueSettings, Standing};

    use super::*;

    fn page(change: impl FnOnce(&mut PartitionPage)) -> PartitionPage {
        let mut page = PartitionPage {
            partitions: vec![KeptPartition {
                partition: PartitionId(7),
                settings: QueueSettings::default().partition(Epoch(0)),
                revision: Revision(1),
                description: Some(Description {
                    revision: Revision(1),
                    bytes: b"{}".as_slice().into(),
                }),
                standing: Standing::Open,
            }],
            more: false,
            cluster: ClusterSpec {
                cluster: ClusterId(1),
                members: Vec::new(),
                revision: Revision(1),
                only: None,
            },
            instructed: Revision(1),
        };
        change(&mut page);
        page
    }

    /// Revisions go on above what is told, and ids above a thousand times that: from the last number there is
    /// none that can be counted on from.
    #[test]
    fn numbers_of_a_page_are_within_their_ranges() {
        fn described(page: &mut PartitionPage) -> &mut Revision {
            let kept = page.partitions[0].description.as_mut();
            &mut kept.expect("it has one").revision
        }
        type Set = fn(&mut PartitionPage, u64);
        let numbers: [(Set, u64); 6] = [
            (
                |page, value| page.instructed = Revision(value),
                REVISION_MAX,
            ),
            (
                |page, value| page.cluster.revision = Revision(value),
                REVISION_MAX,
            ),
            (
                |page, value| page.partitions[0].revision = Revision(value),
                REVISION_MAX,
            ),
            (
                |page, value| *described(page) = Revision(value),
                REVISION_MAX,
            ),
            (
                |page, value| page.partitions[0].partition = PartitionId(value),
                ID_MAX,
            ),
            (
                |page, value| {
                    let epoch = u32::try_from(value).unwrap_or(u32::MAX);
                    page.partitions[0].settings.epoch = Epoch(epoch);
                },
                Epoch::MAX.0 as u64,
            ),
        ];
        for (at, (set, max)) in numbers.into_iter().enumerate() {
            for value in [0, 1, max - 1, max, max + 1, u64::MAX - 1, u64::MAX] {
                let told = check_page(&page(|page| set(page, value)), None);
                assert_eq!(told.is_ok(), value <= max, "number {at}, {value}: {told:?}");
            }
        }
    }

    #[test]
    fn pages_that_would_never_end_are_refused() {
        let again = check_page(&page(|_| ()), Some(PartitionId(7)));
        assert!(again.unwrap_err().contains("out of order"));
        let empty = page(|page| {
            page.partitions.clear();
            page.more = true;
        });
        assert!(check_page(&empty, Some(PartitionId(7))).is_err());
    }
}
