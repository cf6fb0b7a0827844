//! What hosts report: stored if something changed, answered with what they should know.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use shoal_api::Problem;
use shoal_api::manager::HeartbeatReply;
use shoal_api::plan::EventKind;
use shoal_types::limits::{
    CAPACITY_MAX, CLUSTER_HOSTS, CLUSTER_ID_MAX, INCARNATION_MAX, LOADS_TOLD_MAX,
};
use shoal_types::{ClusterId, ErrorCode, HostId, HostState, HostStatus, LoadReport, is_address};
use tracing::{info, warn};

use crate::events::{EventLog, News};
use crate::fleet::Fleet;
use crate::keys;
use crate::limits::{ADDRESS_BYTES_MAX, HOSTS_MAX, TROUBLE_BYTES_MAX, ZONE_BYTES_MAX};
use crate::problem::store_problem;
use crate::ranges::{self, within};
use crate::records::{self, At, ClusterRecord, HostRecord, Record, Step};
use crate::store::{CommitError, MetadataStore, Transaction};
use crate::whole::Whole;

/// How often a heartbeat that meets other writers of the same records tries again; the host's next
/// one comes in a second.
const ATTEMPTS_MAX: usize = 5;

/// Takes heartbeats.
#[derive(Clone)]
pub(crate) struct Heartbeats {
    pub(crate) store: Arc<dyn MetadataStore>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) whole: Arc<Whole>,
    pub(crate) events: Arc<EventLog>,
    /// Clusters that hosts named and the store does not know, each told once.
    pub(crate) unknown: Arc<Mutex<BTreeSet<ClusterId>>>,
}

impl Heartbeats {
    /// Takes one heartbeat.
    ///
    /// # Errors
    /// If it is not valid, comes from an earlier start of the host than one already heard of, or the
    /// store fails.
    pub(crate) async fn take(&self, status: HostStatus) -> Result<HeartbeatReply, Problem> {
        check(&status)?;
        let has_clusters = self.fleet.has_clusters();
        self.whole.hear_host(&status, has_clusters).await;
        if self.whole.is_listening() {
            // Written to by those who come first, an old store would come past what those know who come later.
            self.admit(self.fleet.host(status.host).as_ref(), &status)?;
            self.fleet.heard(status);
            return Ok(HeartbeatReply::default());
        }
        self.store_changes(&status).await?;
        let (host, cluster) = (status.host, status.cluster);
        let belongs = !matches!(status.state, HostState::Removed | HostState::Forgotten);
        self.fleet.heard(status);
        if let Some(cluster) = cluster.filter(|_| belongs) {
            self.tell_if_unknown(host, cluster).await?;
        }
        if !self.whole.is_whole() {
            // What a store that lacks something says may be long past, and its revisions were given before.
            return Ok(HeartbeatReply::default());
        }
        Ok(HeartbeatReply {
            cluster: self.fleet.spec_for(host),
            revision: *self.store.watch().borrow(),
        })
    }

    /// A host of another system, or of a cluster that was left out when the store was rebuilt.
    async fn tell_if_unknown(&self, host: HostId, cluster: ClusterId) -> Result<(), Problem> {
        let is_news = self.whole.is_whole() && self.fleet.cluster(cluster).is_none() && {
            let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
            unknown.len() < HOSTS_MAX && unknown.insert(cluster)
        };
        if !is_news {
            return Ok(());
        }
        let text = format!(
            "{host} belongs to {cluster}, which is not known here: it is left alone. If it is one of this \
             system, `shoal manager rebuild` adds it"
        );
        let noted = self.events.note(News::of(EventKind::Found, cluster, text));
        noted.await.map_err(|error| store_problem(&error))
    }

    async fn store_changes(&self, status: &HostStatus) -> Result<(), Problem> {
        for _ in 0..ATTEMPTS_MAX {
            let before = self.fleet.host(status.host);
            self.admit(before.as_ref(), status)?;
            let after = HostRecord::after(before.as_ref().map(|at| &at.record), status);
            let cluster = self.cluster_with_new_address(&after);
            if cluster.is_none() && before.as_ref().is_some_and(|at| at.record == after) {
                return Ok(());
            }
            let mut transaction = Transaction::new()
                .expect(after.key(), before.as_ref().map(|at| at.revision))
                .put(after.key(), after.encode());
            if let Some(At { record, revision }) = &cluster {
                transaction = transaction
                    .expect(record.key(), Some(*revision))
                    .put(record.key(), record.encode());
            }
            match self.store.commit(transaction).await {
                Ok(revision) => {
                    log_change(before.as_ref().map(|at| &at.record), &after);
                    self.fleet.put_host(At {
                        record: after,
                        revision,
                    });
                    if let Some(At { record, .. }) = cluster {
                        self.fleet.put_cluster(At { record, revision });
                    }
                    return Ok(());
                }
                Err(CommitError::Conflict { .. }) => self.reload(status).await?,
                Err(CommitError::Store(error)) => return Err(store_problem(&error)),
            }
        }
        Err(Problem::new(
            ErrorCode::Busy,
            "the host's record is being changed by others",
        ))
    }

    fn admit(&self, before: Option<&At<HostRecord>>, status: &HostStatus) -> Result<(), Problem> {
        match before {
            Some(at) if at.record.incarnation > status.incarnation => {
                let newest = at.record.incarnation;
                let detail = format!(
                    "incarnation: {} has reported its start number {newest} already; do two processes use one data folder?",
                    status.host
                );
                Err(Problem::new(ErrorCode::Fenced, detail).at("incarnation"))
            }
            None if self.fleet.host_count() >= HOSTS_MAX => Err(Problem::new(
                ErrorCode::Busy,
                format!("{HOSTS_MAX} hosts are known already"),
            )),
            _ => Ok(()),
        }
    }

    /// The host's cluster, if its record must say where the host listens now. Not while the store lacks
    /// something: who is in the cluster is then for its hosts to say.
    fn cluster_with_new_address(&self, host: &HostRecord) -> Option<At<ClusterRecord>> {
        if !self.whole.is_whole() {
            return None;
        }
        let mut at = self.fleet.cluster(host.cluster?)?;
        let ClusterRecord {
            members, change, ..
        } = &mut at.record;
        let steps = change.iter_mut().flat_map(|change| &mut change.steps);
        let newcomers = steps.filter_map(|step| match step {
            Step::Add(member) => Some(member),
            Step::Remove(_) | Step::Only(_) => None,
        });
        let mut listed = members.iter_mut().chain(newcomers);
        let member = listed.find(|member| member.host == host.host)?;
        if member.address == host.address {
            return None;
        }
        member.address.clone_from(&host.address);
        Some(at)
    }

    /// Somebody else wrote: takes over what the store has now.
    async fn reload(&self, status: &HostStatus) -> Result<(), Problem> {
        let store = &*self.store;
        let read = records::read::<HostRecord>(store, &keys::host(status.host)).await;
        let Some(host) = read.map_err(|error| store_problem(&error))? else {
            return Ok(());
        };
        let cluster = host.record.cluster;
        self.fleet.put_host(host);
        if let Some(cluster) = cluster {
            let read = records::read::<ClusterRecord>(store, &keys::cluster(cluster)).await;
            if let Some(cluster) = read.map_err(|error| store_problem(&error))? {
                self.fleet.put_cluster(cluster);
            }
        }
        Ok(())
    }
}

fn check(status: &HostStatus) -> Result<(), Problem> {
    if status.host.0 == 0 {
        return Err(Problem::invalid("host", "0 is no host"));
    }
    within("incarnation", status.incarnation.0, 1..=INCARNATION_MAX)?;
    ranges::revision("revision", status.revision)?;
    if let Some(cluster) = status.cluster {
        within("cluster", cluster.0, 1..=CLUSTER_ID_MAX)?;
    }
    if !is_address(&status.address) {
        let why = format!(
            "{:?} is not name:port of at most {ADDRESS_BYTES_MAX} bytes",
            status.address
        );
        return Err(Problem::invalid("address", why));
    }
    if !(1..=ZONE_BYTES_MAX).contains(&status.zone.len()) {
        let why = format!(
            "has {} bytes, expected 1 to {ZONE_BYTES_MAX}",
            status.zone.len()
        );
        return Err(Problem::invalid("zone", why));
    }
    if status.pool.len() > ZONE_BYTES_MAX {
        let bytes = status.pool.len();
        let why = format!("has {bytes} bytes, expected at most {ZONE_BYTES_MAX}");
        return Err(Problem::invalid("pool", why));
    }
    for (field, hosts) in [
        ("members", &status.view.members),
        ("active", &status.view.active),
    ] {
        if hosts.len() > *CLUSTER_HOSTS.end() {
            let why = format!("{} hosts are more than a cluster has", hosts.len());
            return Err(Problem::invalid(format!("view.{field}"), why));
        }
    }
    within(
        "disk_used_percent",
        status.disk_used_percent.into(),
        0..=100,
    )?;
    let trouble = status.trouble.as_ref().map_or(0, String::len);
    if trouble > TROUBLE_BYTES_MAX {
        let why = format!("has {trouble} bytes, expected at most {TROUBLE_BYTES_MAX}");
        return Err(Problem::invalid("trouble", why));
    }
    check_load(&status.load)
}

fn check_load(load: &LoadReport) -> Result<(), Problem> {
    let capacity = u64::from(load.capacity);
    within("load.capacity", capacity, 1..=CAPACITY_MAX.into())?;
    within("load.cpu_percent", load.cpu_percent.into(), 0..=100)?;
    if load.partitions.len() > LOADS_TOLD_MAX {
        let why = format!("{} are more than {LOADS_TOLD_MAX}", load.partitions.len());
        return Err(Problem::invalid("load.partitions", why));
    }
    Ok(())
}

fn log_change(before: Option<&HostRecord>, after: &HostRecord) {
    let HostRecord {
        host,
        address,
        zone,
        pool,
        incarnation,
        state,
        ..
    } = after;
    match before {
        None => info!(%host, address, zone, pool, "host registered"),
        Some(before) if before.incarnation != *incarnation => {
            info!(%host, address, %incarnation, "host started again");
        }
        Some(before) if before.zone != *zone => {
            warn!(%host, was = before.zone, zone, "host stands in another zone; its cluster stays as it is");
        }
        Some(before) if before.pool != *pool => {
            warn!(%host, was = before.pool, pool, "host is of another pool; its cluster stays as it is");
        }
        Some(_) => info!(%host, address, ?state, "host changed"),
    }
}
