//! Having clusters change their members: one step after the other, each told again until the cluster says
//! that it is done, then written down. Whatever happens in between, the record says what to do next, and
//! doing it again does no harm: lists are fenced by the record's revision.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use shoal_api::plan::EventKind;
use shoal_types::{ClusterId, ClusterSpec, HostId, HostReply, HostRequest};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::HostClients;
use crate::events::{EventLog, News};
use crate::fleet::{Fleet, Target};
use crate::limits::{ATTEMPT_TIMEOUT, CHANGE_PAUSE_MAX, CHANGE_PAUSE_MIN, CHANGE_TIMEOUT};
use crate::orders::said;
use crate::records::{self, At, ClusterRecord, HostRecord, Record, Step};
use crate::store::{CommitError, MetadataStore, StoreError, Transaction};
use crate::whole::Whole;

/// Carries out changes of members.
#[derive(Clone)]
pub(crate) struct Membership {
    pub(crate) store: Arc<dyn MetadataStore>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) events: Arc<EventLog>,
    pub(crate) clients: Arc<HostClients>,
    /// Nobody is told anything by a store that lacks something.
    pub(crate) whole: Arc<Whole>,
}

impl Membership {
    /// Carries out changes as they are asked for, and those that an earlier process began. Runs until it is
    /// dropped.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) async fn run(self) -> Result<(), StoreError> {
        let mut changes = self.fleet.changes();
        let mut pursued = JoinSet::new();
        let mut under_way = BTreeSet::new();
        loop {
            changes.borrow_and_update();
            for cluster in self.fleet.changing() {
                if under_way.insert(cluster) {
                    pursued.spawn(self.clone().pursue(cluster));
                }
            }
            tokio::select! {
                _ = changes.changed() => {}
                Some(ended) = pursued.join_next() => {
                    let cluster = ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
                    under_way.remove(&cluster);
                }
            }
        }
    }

    /// Works on a cluster's change until there is none.
    async fn pursue(self, cluster: ClusterId) -> Result<ClusterId, StoreError> {
        let mut pause = CHANGE_PAUSE_MIN;
        let mut asked = 0;
        // The record is looked at anew for each attempt: an operator may want something else by now.
        while let Some(at) = self.fleet.cluster(cluster)
            && let Some(spec) = at.next_spec()
            && let Some(step) = at.record.step().cloned()
        {
            let attempt = match self.whole.is_whole() {
                true => self.attempt(&step, &spec, asked).await,
                false => Err("the store is to be rebuilt".to_owned()),
            };
            match attempt {
                Ok(()) => {
                    pause = CHANGE_PAUSE_MIN;
                    self.write_down(at, &step).await?;
                }
                Err(why) => {
                    debug!(%cluster, ?step, why, "the members are not changed yet");
                    self.fleet.note_progress(cluster, why);
                    asked += 1;
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(CHANGE_PAUSE_MAX);
                }
            }
        }
        Ok(cluster)
    }

    /// Has the newcomer follow, and a member see to the change. `Ok` if a quorum of the members is at it.
    async fn attempt(&self, step: &Step, spec: &ClusterSpec, asked: usize) -> Result<(), String> {
        let cluster = spec.cluster;
        let note = |text: String| self.fleet.note_progress(cluster, text);
        if let Step::Add(member) = step {
            note(format!("{} is told to follow the cluster", member.host));
            let learn = HostRequest::Learn { spec: spec.clone() };
            let told = self
                .call(member.host, &member.address, learn, ATTEMPT_TIMEOUT)
                .await;
            match told {
                Ok(HostReply::Learning) => note(format!("{} catches up", member.host)),
                Ok(other) => return Err(format!("{} answered {other:?}", member.host)),
                // The members decide; a newcomer that restarts follows by itself.
                Err(why) => debug!(%cluster, host = %member.host, why, "newcomer not told"),
            }
        }
        let target = self.member_to_ask(cluster, step.host(), asked)?;
        let change = HostRequest::ChangeMembers { spec: spec.clone() };
        match self
            .call(target.host, &target.address, change, CHANGE_TIMEOUT)
            .await?
        {
            HostReply::MembersChanged => Ok(()),
            other => Err(format!("{} answered {other:?}", target.host)),
        }
    }

    /// A member that stays; those first that act, each in its turn.
    fn member_to_ask(
        &self,
        cluster: ClusterId,
        but_not: Option<HostId>,
        asked: usize,
    ) -> Result<Target, String> {
        let mut targets = self.fleet.targets(cluster);
        targets.retain(|target| Some(target.host) != but_not);
        let acting = targets.iter().filter(|target| target.acting).count();
        let among = if acting > 0 { acting } else { targets.len() };
        let chosen = asked.checked_rem(among).map(|n| targets.swap_remove(n));
        chosen.ok_or_else(|| format!("{cluster} has no other member that could see to it"))
    }

    async fn call(
        &self,
        host: HostId,
        address: &str,
        request: HostRequest,
        timeout: Duration,
    ) -> Result<HostReply, String> {
        let client = self.clients.get(host, address);
        let answer = client.call(&request, &[], timeout).await;
        let answer = answer.map_err(|error| format!("{host}: {error}"))?;
        answer
            .result
            .map_err(|refusal| format!("{host}: {refusal}"))
    }

    /// The cluster has done a step.
    async fn write_down(&self, mut at: At<ClusterRecord>, step: &Step) -> Result<(), StoreError> {
        loop {
            let At { record, revision } = at;
            if !record.step().is_some_and(|wanted| wanted.is_same(step)) {
                // Something else is wanted by now.
                return Ok(());
            }
            let cluster = record.cluster;
            let after = record.after_step(revision);
            let mut transaction = Transaction::new()
                .expect(after.key(), Some(revision))
                .put(after.key(), after.encode());
            let parted = match step {
                Step::Remove(host) => self.fleet.host(*host),
                Step::Add(_) | Step::Only(_) => None,
            };
            let parted = parted.filter(|host| host.record.cluster == Some(cluster));
            let parted = parted.map(|host| At {
                record: HostRecord {
                    cluster: None,
                    ..host.record
                },
                revision: host.revision,
            });
            if let Some(host) = &parted {
                let key = host.record.key();
                transaction = transaction
                    .expect(key.clone(), Some(host.revision))
                    .put(key, host.record.encode());
            }
            let text = format!("{cluster}: done: {}", said(step));
            let news = News::of(EventKind::Done, cluster, text);
            match self.events.commit(transaction, news).await {
                Ok(revision) => {
                    let record = after;
                    self.fleet.note_progress(cluster, String::new());
                    self.fleet.put_cluster(At { record, revision });
                    if let Some(At { record, .. }) = parted {
                        self.fleet.put_host(At { record, revision });
                    }
                    return Ok(());
                }
                // An address changed, or a host reported.
                Err(CommitError::Conflict { key }) => {
                    warn!(%cluster, key, "the record changed meanwhile");
                    if let Some(host) = step.host() {
                        let read = records::read(&*self.store, &crate::keys::host(host)).await?;
                        if let Some(host) = read {
                            self.fleet.put_host(host);
                        }
                    }
                    let read = records::read(&*self.store, &crate::keys::cluster(cluster)).await?;
                    let Some(newer) = read else { return Ok(()) };
                    self.fleet.put_cluster(newer);
                    let Some(newer) = self.fleet.cluster(cluster) else {
                        return Ok(());
                    };
                    at = newer;
                }
                Err(CommitError::Store(error)) => return Err(error),
            }
        }
    }
}
