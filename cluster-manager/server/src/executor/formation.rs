//! Forming clusters: the planner says of which hosts, the store keeps it, and every host is told until
//! it confirms.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::Discriminant;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use shoal_api::plan::EventKind;
use shoal_planner::{FormPlan, FormRules, Held, NewCluster, WhyHeld, form};
use shoal_runtime::clock::SystemClock;
use shoal_runtime::telemetry::RateLimit;
use shoal_types::limits::CLUSTER_ID_MAX;
use shoal_types::{ClusterId, ClusterMember, HostId, HostReply, HostRequest, Revision};
use tokio::task::JoinSet;
use tracing::{debug, error, info, warn};

use super::HostClients;
use crate::events::{EventLog, News};
use crate::fleet::Fleet;
use crate::limits::{ATTEMPT_TIMEOUT, FORM_PAUSE_MAX, FORM_PAUSE_MIN};
use crate::records::{self, At, ClusterRecord, ClusterStage, HostRecord, Record};
use crate::store::{CommitError, MetadataStore, StoreError, Transaction};
use crate::whole::Whole;
use crate::{ids, keys};

/// Forms clusters.
#[derive(Clone)]
pub(crate) struct Formation {
    pub(crate) store: Arc<dyn MetadataStore>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) clients: Arc<HostClients>,
    pub(crate) clock: SystemClock,
    pub(crate) events: Arc<EventLog>,
    pub(crate) rules: FormRules,
    /// Clusters are formed as hosts come, without being asked for.
    pub(crate) forms_by_itself: bool,
    /// Nothing is formed by a store that lacks something.
    pub(crate) whole: Arc<Whole>,
}

impl Formation {
    /// Forms clusters as hosts come, and completes those that an earlier process began. Runs until it
    /// is dropped.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) async fn run(self) -> Result<(), StoreError> {
        /// Time alone may change a plan: hosts fall silent, patience ends.
        const LOOK_AGAIN: Duration = Duration::from_secs(1);
        let mut changes = self.fleet.changes();
        let mut confirming = JoinSet::new();
        let mut under_way = BTreeSet::new();
        let mut told = BTreeMap::new();
        loop {
            changes.borrow_and_update();
            let plan = form(&self.fleet.host_facts(), self.rules);
            let wait = held_for(&plan).map_or(LOOK_AGAIN, |left| left.min(LOOK_AGAIN));
            tell(&plan, &mut told);
            let is_whole = self.whole.is_whole();
            if self.forms_by_itself && is_whole {
                for cluster in &plan.clusters {
                    self.decide(cluster).await?;
                }
            }
            let forming = self.fleet.forming().into_iter();
            for cluster in forming.filter(|_| is_whole) {
                if under_way.insert(cluster) {
                    confirming.spawn(self.clone().confirm(cluster));
                }
            }
            tokio::select! {
                _ = changes.changed() => {}
                () = tokio::time::sleep(wait) => {}
                Some(confirmed) = confirming.join_next() => {
                    let cluster = confirmed.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
                    under_way.remove(&cluster);
                }
            }
        }
    }

    /// Writes the decision down. If a host changed meanwhile, nothing is written and the next plan will
    /// be about the hosts as they are then.
    async fn decide(&self, new: &NewCluster) -> Result<(), StoreError> {
        self.assign(&new.members, new.to_string()).await.map(|_| ())
    }

    /// Makes these hosts a cluster, unless one of them changes meanwhile or is of another pool by now.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) async fn assign(
        &self,
        members: &[HostId],
        reason: String,
    ) -> Result<Option<ClusterId>, StoreError> {
        static SAID: RateLimit = RateLimit::new(Duration::from_secs(60));
        let floor = self.fleet.last_cluster_id().0;
        if floor >= CLUSTER_ID_MAX {
            if let Some(passed_over) = SAID.allow() {
                error!(last = %ClusterId(floor), passed_over, "no cluster is formed: a host or the store names the last id that there may be");
            }
            return Ok(None);
        }
        let (id, counted) = ids::count_up(&*self.store, keys::CLUSTER_IDS, 1, floor).await?;
        let cluster = ClusterId(id);
        let hosts: Vec<_> = members
            .iter()
            .filter_map(|host| self.fleet.host(*host))
            .collect();
        let mut pools = hosts.iter().map(|at| &at.record.pool);
        let first = pools.next();
        if !pools.all(|pool| Some(pool) == first) {
            debug!("a host came to be of another pool while a cluster was decided");
            return Ok(None);
        }
        let address = |at: &At<HostRecord>| ClusterMember {
            host: at.record.host,
            address: at.record.address.clone(),
        };
        let record = ClusterRecord {
            cluster,
            stage: ClusterStage::Forming,
            members: hosts.iter().map(address).collect(),
            reason,
            created_at: self.clock.now().wall,
            only: None,
            forward: false,
            change: None,
            listed: Some(Revision(0)),
        };
        let mut transaction = counted
            .expect(record.key(), None)
            .put(record.key(), record.encode());
        let mut assigned = Vec::with_capacity(hosts.len());
        for At {
            record: host,
            revision,
        } in hosts
        {
            let host = HostRecord {
                cluster: Some(cluster),
                ..host
            };
            transaction = transaction
                .expect(host.key(), Some(revision))
                .put(host.key(), host.encode());
            assigned.push(host);
        }
        let text = format!("{cluster} is to be formed: {}", record.reason);
        let news = News::of(EventKind::Decided, cluster, text);
        match self.events.commit(transaction, news).await {
            Ok(revision) => {
                self.fleet.put_cluster(At { record, revision });
                for record in assigned {
                    self.fleet.put_host(At { record, revision });
                }
                Ok(Some(cluster))
            }
            Err(CommitError::Conflict { key }) => {
                debug!(key, "a host changed while a cluster was decided");
                Ok(None)
            }
            Err(CommitError::Store(error)) => Err(error),
        }
    }

    /// Tells every host until all have confirmed, then writes that down.
    async fn confirm(self, cluster: ClusterId) -> Result<ClusterId, StoreError> {
        let members = self.fleet.targets(cluster);
        let looks = members
            .iter()
            .map(|member| self.look_at(cluster, member.host));
        join_all(looks).await;
        let members = members.into_iter();
        join_all(members.map(|member| self.confirm_member(cluster, member.host))).await;
        loop {
            let Some(At {
                mut record,
                revision,
            }) = self.fleet.cluster(cluster)
            else {
                return Ok(cluster);
            };
            record.stage = ClusterStage::Formed;
            let transaction = Transaction::new()
                .expect(record.key(), Some(revision))
                .put(record.key(), record.encode());
            let text = format!("{cluster} is formed: all its hosts have confirmed");
            let news = News::of(EventKind::Done, cluster, text);
            match self.events.commit(transaction, news).await {
                Ok(revision) => {
                    self.fleet.put_cluster(At { record, revision });
                    return Ok(cluster);
                }
                // A host's address changed.
                Err(CommitError::Conflict { key }) => {
                    if let Some(newer) = records::read(&*self.store, &key).await? {
                        self.fleet.put_cluster(newer);
                    }
                }
                Err(CommitError::Store(error)) => return Err(error),
            }
        }
    }

    /// Waits until a host answers and belongs to no cluster, or to this one. Before all do, none is told: an
    /// empty folder must not form a cluster that others of the list remember otherwise.
    async fn look_at(&self, cluster: ClusterId, host: HostId) {
        let mut pause = FORM_PAUSE_MIN;
        loop {
            let Err(why) = self.is_free_for(cluster, host).await else {
                return;
            };
            if pause == FORM_PAUSE_MIN {
                warn!(%cluster, %host, why, "cluster waits for a host before it is formed");
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(FORM_PAUSE_MAX);
        }
    }

    async fn is_free_for(&self, cluster: ClusterId, host: HostId) -> Result<(), String> {
        // It may have started again elsewhere.
        let address = self.fleet.host(host).ok_or("it is not known any more")?;
        let client = self.clients.get(host, &address.record.address);
        let answer = client
            .call(&HostRequest::Status, &[], ATTEMPT_TIMEOUT)
            .await;
        match answer.map_err(|error| error.to_string())?.result {
            Ok(HostReply::Status(status)) => match status.cluster {
                Some(other) if other != cluster => Err(format!("it belongs to {other}")),
                _ => Ok(()),
            },
            Ok(other) => Err(format!("it answered {other:?}")),
            Err(refusal) => Err(refusal.to_string()),
        }
    }

    async fn confirm_member(&self, cluster: ClusterId, host: HostId) {
        let mut pause = FORM_PAUSE_MIN;
        loop {
            match self.tell_member(cluster, host).await {
                Ok(()) => return,
                Err(why) if pause == FORM_PAUSE_MIN => {
                    warn!(%cluster, %host, why, "host has not confirmed its cluster yet");
                }
                Err(why) => debug!(%cluster, %host, why, "host has not confirmed its cluster yet"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(FORM_PAUSE_MAX);
        }
    }

    async fn tell_member(&self, cluster: ClusterId, host: HostId) -> Result<(), String> {
        if !self.whole.is_whole() {
            return Err("the store is to be rebuilt".to_owned());
        }
        let at = self.fleet.cluster(cluster).ok_or("the cluster is gone")?;
        let spec = at.record.spec(at.revision);
        let member = spec.members.iter().find(|member| member.host == host);
        let client = self
            .clients
            .get(host, &member.ok_or("no member any more")?.address);
        let answer = client
            .call(&HostRequest::Form { spec }, &[], ATTEMPT_TIMEOUT)
            .await;
        match answer.map_err(|error| error.to_string())?.result {
            Ok(HostReply::Formed) => Ok(()),
            Ok(other) => Err(format!("it answered {other:?}")),
            Err(refusal) => Err(refusal.to_string()),
        }
    }
}

fn held_for(plan: &FormPlan) -> Option<Duration> {
    let patience_left = plan.held.iter().filter_map(|held| match held.why {
        WhyHeld::TooFewZones { patience_left, .. } => Some(Duration::from_micros(patience_left)),
        WhyHeld::TooFew { .. } | WhyHeld::Kept { .. } => None,
    });
    patience_left.min()
}

/// Says why hosts wait, once per reason and pool.
fn tell(plan: &FormPlan, told: &mut BTreeMap<String, Discriminant<WhyHeld>>) {
    let reason = |held: &Held| (held.pool.clone(), std::mem::discriminant(&held.why));
    let now: BTreeMap<_, _> = plan.held.iter().map(reason).collect();
    for held in &plan.held {
        if told.get(&held.pool) != now.get(&held.pool) {
            info!(%held, "hosts wait for a cluster");
        }
    }
    *told = now;
}
