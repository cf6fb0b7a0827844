//! Writing down what was found.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;
use shoal_api::plan::EventKind;
use shoal_types::{ClusterId, ClusterMember, ClusterSpec, HostState, Incarnation, Revision};

use super::gather::Gathered;
use super::plan::{Change, Plan};
use super::{Ended, Rebuild};
use crate::events::News;
use crate::ids;
use crate::keys;
use crate::limits::REBUILD_CONCURRENCY;
use crate::queues::Taken;
use crate::records::{self, At, ClusterRecord, ClusterStage, HostRecord, RebuildingRecord, Record};
use crate::store::{CommitError, Transaction};

/// How often a record that hosts' heartbeats change meanwhile is tried again.
const ATTEMPTS_MAX: usize = 5;

impl Rebuild {
    pub(super) async fn write_begun(
        &self,
        above: Revision,
        last_cluster: ClusterId,
        (last_queue, last_partition): (u64, u64),
    ) -> Ended<Revision> {
        let begun = RebuildingRecord {
            since: self.clock.now().wall,
        };
        let mut transaction = Transaction::new()
            .above(above)
            .put(begun.key(), begun.encode());
        for (counter, last) in [
            (keys::CLUSTER_IDS, last_cluster.0),
            (keys::QUEUE_IDS, last_queue),
            (keys::PARTITION_IDS, last_partition),
        ] {
            let raised = ids::raise(&*self.store, transaction, counter, last).await;
            transaction = raised.map_err(|error| error.to_string())?;
        }
        let revision = self.store.commit(transaction).await;
        let revision = revision.map_err(|error| error.to_string())?;
        self.queues.forget_reserved_ids().await;
        Ok(revision)
    }

    pub(super) async fn write_ended(&self, text: String) -> Ended<Revision> {
        let transaction = Transaction::new()
            .remove(keys::REBUILDING)
            .remove(keys::LACKING)
            // What was left out before may have been given by those who told of it.
            .remove(keys::OPENED);
        let news = News {
            kind: EventKind::Done,
            clusters: Vec::new(),
            queue: None,
            text,
        };
        let ended = self.events.commit(transaction, news).await;
        ended.map_err(|error| error.to_string())
    }

    /// Clusters first: queues are counted where they are. Gives those that the store did not know.
    pub(super) async fn write_clusters(
        &self,
        gathered: &BTreeMap<ClusterId, Gathered>,
        was_lacking: bool,
    ) -> Ended<BTreeSet<ClusterId>> {
        let mut added = BTreeSet::new();
        for (cluster, told) in gathered {
            self.progress.say(format!("{cluster} is written"));
            if self.write_cluster(&told.spec, was_lacking).await? {
                added.insert(*cluster);
            }
        }
        Ok(added)
    }

    /// True if it is new.
    async fn write_cluster(&self, spec: &ClusterSpec, was_lacking: bool) -> Ended<bool> {
        let failed = |error: CommitError| error.to_string();
        for _ in 0..ATTEMPTS_MAX {
            let before = self.fleet.cluster(spec.cluster);
            let is_known = |before: &At<ClusterRecord>| {
                // What a whole store has not written down yet, it carries on by itself.
                let is_pending = !was_lacking && before.record.change.is_some();
                is_pending || before.is_as_new_as(spec)
            };
            if before.as_ref().is_some_and(is_known) {
                return Ok(false);
            }
            let record = self.cluster_record(before.as_ref(), spec);
            let mut transaction = Transaction::new()
                .expect(record.key(), before.as_ref().map(|at| at.revision))
                .put(record.key(), record.encode());
            let mut hosts = Vec::new();
            for member in &record.members {
                let known = self.fleet.host(member.host);
                let after = assigned(known.as_ref(), member, spec.cluster);
                let Some(after) = after else { continue };
                transaction = transaction
                    .expect(after.key(), known.map(|at| at.revision))
                    .put(after.key(), after.encode());
                hosts.push(after);
            }
            let text = format!(
                "{} was found: {} members, as its hosts report",
                spec.cluster,
                record.members.len()
            );
            let news = News::of(EventKind::Found, spec.cluster, text);
            match self.events.commit(transaction, news).await {
                Ok(revision) => {
                    self.fleet.put_cluster(At { record, revision });
                    for record in hosts {
                        self.fleet.put_host(At { record, revision });
                    }
                    return Ok(before.is_none());
                }
                Err(CommitError::Conflict { .. }) => self.reload(spec).await.map_err(failed)?,
                Err(error) => return Err(failed(error)),
            }
        }
        Err(format!("the records of {} are being changed", spec.cluster))
    }

    /// With what the hosts know better, and addresses as last heard.
    fn cluster_record(
        &self,
        before: Option<&At<ClusterRecord>>,
        spec: &ClusterSpec,
    ) -> ClusterRecord {
        let address = |member: &ClusterMember| {
            let known = self.fleet.host(member.host);
            known.map_or_else(|| member.address.clone(), |at| at.record.address)
        };
        let members = spec.members.iter().map(|member| ClusterMember {
            host: member.host,
            address: address(member),
        });
        let members = members.collect();
        match before {
            // A change that an older copy wants is past: the hosts know a later list.
            Some(before) => ClusterRecord {
                members,
                only: spec.only,
                change: None,
                listed: Some(spec.revision),
                ..before.record.clone()
            },
            None => ClusterRecord {
                cluster: spec.cluster,
                stage: self.stage(spec),
                members,
                reason: "found as its hosts reported it".to_owned(),
                created_at: self.clock.now().wall,
                only: spec.only,
                change: None,
                listed: Some(spec.revision),
                forward: false,
            },
        }
    }

    /// A member that belongs to no cluster was not told yet that it is one.
    fn stage(&self, spec: &ClusterSpec) -> ClusterStage {
        let is_free = |member: &ClusterMember| {
            let known = self.fleet.host(member.host);
            known.is_some_and(|at| at.record.state == HostState::Unassigned)
        };
        match spec.members.iter().any(is_free) {
            true => ClusterStage::Forming,
            false => ClusterStage::Formed,
        }
    }

    /// A heartbeat wrote: takes over what the store has now.
    async fn reload(&self, spec: &ClusterSpec) -> Result<(), CommitError> {
        let key = keys::cluster(spec.cluster);
        if let Some(at) = records::read::<ClusterRecord>(&*self.store, &key).await? {
            self.fleet.put_cluster(at);
        }
        for member in &spec.members {
            let key = keys::host(member.host);
            if let Some(at) = records::read::<HostRecord>(&*self.store, &key).await? {
                self.fleet.put_host(at);
            }
        }
        Ok(())
    }

    pub(super) async fn write_queues(&self, planned: &Plan) -> Ended<()> {
        let all = planned.changes.len();
        let mut done = 0;
        for some in planned.changes.chunks(REBUILD_CONCURRENCY) {
            try_join_all(some.iter().map(|change| self.write_queue(change))).await?;
            done += some.len();
            self.progress
                .say(format!("{done} of {all} queues are written"));
        }
        for gone in &planned.gone {
            let name = &gone.record.name;
            let written = self.queues.take_as_deleted(gone).await;
            written
                .map_err(|error| format!("{name} could not be removed: {error}; run it again"))?;
        }
        Ok(())
    }

    async fn write_queue(&self, change: &Change) -> Ended<()> {
        let taken = Taken {
            before: change.before.as_ref(),
            after: &change.after,
            moves: &change.moves,
            over: &change.over,
        };
        let name = &change.after.name;
        let written = self.queues.take_over(taken).await;
        written.map_err(|error| format!("{name} could not be written: {error}; run it again"))
    }
}

/// The record of a member, if it is to become another one. Of a member that has not reported only its
/// list tells; in which zone it stands and of which pool it is, nobody does.
fn assigned(
    known: Option<&At<HostRecord>>,
    member: &ClusterMember,
    cluster: ClusterId,
) -> Option<HostRecord> {
    match known {
        Some(at) if at.record.cluster == Some(cluster) => None,
        Some(at) => Some(HostRecord {
            cluster: Some(cluster),
            ..at.record.clone()
        }),
        None => Some(HostRecord {
            host: member.host,
            address: member.address.clone(),
            zone: "unknown".to_owned(),
            pool: String::new(),
            incarnation: Incarnation(0),
            state: HostState::Joining,
            cluster: Some(cluster),
        }),
    }
}
