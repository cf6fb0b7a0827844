//! Who is there: hosts as they were last heard of, clusters, and how many queues each has.
//!
//! The records are a copy of what the store has; which hosts are alive, and how busy they are, is
//! known here only. Every decision is made from here and checked by the store when it is written.

mod planned;
mod report;
mod reporting;
mod state;
mod window;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shoal_planner::{HostFacts, NoCapacity, Placement, place, pool_of};
use shoal_runtime::clock::SystemClock;
use shoal_types::{
    ClusterId, ClusterMember, ClusterSpec, HostId, HostStatus, Micros, QueueName, Ts,
};
use tokio::sync::watch;

use crate::keys;
use crate::records::{self, At, ClusterRecord, ClusterStage, HostRecord, QueueRecord};
use crate::store::{MetadataStore, StoreError};
use state::{Host, State};

/// What the manager knows of hosts and clusters.
pub(crate) struct Fleet {
    state: Mutex<State>,
    /// Counts what may change a decision: hosts that come or change, clusters that begin to serve.
    changed: watch::Sender<u64>,
    clock: SystemClock,
}

/// A host that can be asked to carry out an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) host: HostId,
    pub(crate) address: String,
    /// True if it said lately that it takes commands.
    pub(crate) acting: bool,
}

impl Fleet {
    /// What the store has. Hosts count as heard at this moment, as they were when their last change
    /// was stored: a manager that restarts does not take everyone for dead. A host that is silent for
    /// longer than `silence` counts as gone.
    pub(crate) async fn load(
        store: &dyn MetadataStore,
        clock: SystemClock,
        silence: Micros,
    ) -> Result<Self, StoreError> {
        let now = clock.now().mono;
        let mut state = State {
            silence,
            ..State::default()
        };
        records::read_all::<HostRecord>(store, keys::HOSTS, |at| {
            state.put_host(at, now);
        })
        .await?;
        records::read_all::<ClusterRecord>(store, keys::CLUSTERS, |at| {
            state.put_cluster(at);
        })
        .await?;
        Ok(Self {
            state: Mutex::new(state),
            changed: watch::Sender::new(0),
            clock,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Told when a decision may come out differently.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn notify(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    // ---- Hosts

    /// A host's record, if it has one.
    pub(crate) fn host(&self, host: HostId) -> Option<At<HostRecord>> {
        self.state().hosts.get(&host).map(|host| host.at.clone())
    }

    pub(crate) fn host_count(&self) -> usize {
        self.state().hosts.len()
    }

    /// Takes over a record that was read or written. An older one than is known changes nothing.
    pub(crate) fn put_host(&self, at: At<HostRecord>) {
        if self.state().put_host(at, self.clock.now().mono) {
            self.notify();
        }
    }

    /// A heartbeat of a host whose record is up to date.
    pub(crate) fn heard(&self, status: HostStatus) {
        let now = self.clock.now().mono;
        let mut state = self.state();
        let silence = state.silence;
        let Some(host) = state.hosts.get_mut(&status.host) else {
            return;
        };
        host.gathered.take_in(&status.load);
        let news = !host.is_alive(now, silence)
            || host
                .status
                .as_ref()
                .map(|before| (before.state, &before.view))
                != Some((status.state, &status.view));
        host.heard = now;
        host.status = Some(status);
        drop(state);
        if news {
            self.notify();
        }
    }

    /// What forming clusters must know of all hosts.
    pub(crate) fn host_facts(&self) -> Vec<HostFacts> {
        let now = self.clock.now().mono;
        let state = self.state();
        let facts = |host: &Host| HostFacts {
            host: host.at.record.host,
            pool: host.at.record.pool.clone(),
            zone: host.at.record.zone.clone(),
            alive: host.is_alive(now, state.silence),
            assigned: !host.is_free(),
            known_for: now.since(host.known_since),
        };
        state.hosts.values().map(facts).collect()
    }

    // ---- Clusters

    /// Clusters with a change that is not carried out yet.
    pub(crate) fn changing(&self) -> Vec<ClusterId> {
        let state = self.state();
        let clusters = state.clusters.values();
        let changing = clusters.filter(|cluster| cluster.at.record.change.is_some());
        changing.map(|cluster| cluster.at.record.cluster).collect()
    }

    /// Says how far a cluster's change is.
    pub(crate) fn note_progress(&self, cluster: ClusterId, progress: String) {
        if let Some(cluster) = self.state().clusters.get_mut(&cluster) {
            cluster.progress = progress;
        }
    }

    /// The pool that the members of a cluster are of, one of them not counted. `None` if nothing is known of
    /// any of them.
    pub(crate) fn pool_of(
        &self,
        cluster: &ClusterRecord,
        but_not: Option<HostId>,
    ) -> Option<String> {
        let state = self.state();
        let members = cluster.members.iter().map(|member| member.host);
        let counted = members.filter(|host| Some(*host) != but_not);
        let known = counted.filter_map(|host| state.hosts.get(&host));
        pool_of(known.map(|host| &*host.at.record.pool)).map(str::to_owned)
    }

    /// True if the host was heard lately and belongs nowhere.
    pub(crate) fn is_free_and_alive(&self, host: HostId) -> bool {
        let now = self.clock.now().mono;
        let state = self.state();
        let host = state.hosts.get(&host);
        host.is_some_and(|host| host.is_alive(now, state.silence) && host.is_free())
    }

    /// By this clock records are dated.
    pub(crate) fn now(&self) -> Ts {
        self.clock.now().wall
    }

    pub(crate) fn cluster(&self, cluster: ClusterId) -> Option<At<ClusterRecord>> {
        self.state()
            .clusters
            .get(&cluster)
            .map(|cluster| cluster.at.clone())
    }

    /// Takes over a record that was read or written. An older one than is known changes nothing.
    pub(crate) fn put_cluster(&self, at: At<ClusterRecord>) {
        if self.state().put_cluster(at) {
            self.notify();
        }
    }

    /// Clusters whose hosts have not all confirmed.
    pub(crate) fn forming(&self) -> Vec<ClusterId> {
        let state = self.state();
        let forming = |at: &At<ClusterRecord>| at.record.stage == ClusterStage::Forming;
        let clusters = state
            .clusters
            .values()
            .filter(|cluster| forming(&cluster.at));
        clusters.map(|cluster| cluster.at.record.cluster).collect()
    }

    /// The largest cluster id that any host or record mentions.
    pub(crate) fn last_cluster_id(&self) -> ClusterId {
        let state = self.state();
        let known = state.clusters.keys().next_back().copied();
        let claimed = state
            .hosts
            .values()
            .filter_map(|host| host.at.record.cluster)
            .max();
        known.max(claimed).unwrap_or_default()
    }

    /// What a host is told about its cluster.
    pub(crate) fn spec_for(&self, host: HostId) -> Option<ClusterSpec> {
        let state = self.state();
        let cluster = state.hosts.get(&host)?.at.record.cluster?;
        let at = &state.clusters.get(&cluster)?.at;
        Some(at.record.spec(at.revision))
    }

    /// The hosts of a cluster, those first who are most likely to carry out an instruction.
    pub(crate) fn targets(&self, cluster: ClusterId) -> Vec<Target> {
        let now = self.clock.now().mono;
        let state = self.state();
        let Some(cluster) = state.clusters.get(&cluster) else {
            return Vec::new();
        };
        let target = |member: &ClusterMember| {
            let host = state.hosts.get(&member.host);
            Target {
                host: member.host,
                address: member.address.clone(),
                acting: host.is_some_and(|host| host.is_acting(now, state.silence)),
            }
        };
        let mut targets: Vec<_> = cluster.at.record.members.iter().map(target).collect();
        targets.sort_by_key(|target| !target.acting);
        targets
    }

    /// True if the cluster has queues or may get some, and a majority of its hosts acts.
    pub(crate) fn is_serving(&self, cluster: ClusterId) -> bool {
        let now = self.clock.now().mono;
        let state = self.state();
        state
            .clusters
            .get(&cluster)
            .is_some_and(|cluster| state.serves(cluster, now))
    }

    /// True if another cluster than this one takes new queues.
    pub(crate) fn takes_queues_besides(&self, cluster: ClusterId) -> bool {
        let facts = self.state().cluster_facts(self.clock.now().mono);
        let mut others = facts.iter().filter(|(id, _)| **id != cluster);
        others.any(|(_, facts)| facts.serving)
    }

    /// The cluster's time, roughly: the furthest clock of those that its hosts reported, and the time
    /// since then. Before the first report: our own clock.
    pub(crate) fn cluster_time(&self, cluster: ClusterId) -> Ts {
        let now = self.clock.now();
        let state = self.state();
        let members = state
            .clusters
            .get(&cluster)
            .into_iter()
            .flat_map(|c| &c.at.record.members);
        let clocks = members.filter_map(|member| {
            let host = state.hosts.get(&member.host)?;
            Some(
                host.status
                    .as_ref()?
                    .clock
                    .after(now.mono.since(host.heard)),
            )
        });
        clocks.max().unwrap_or(now.wall)
    }

    // ---- Queues

    /// Decides where a queue goes, and counts it there until the reservation is dropped or kept.
    pub(crate) fn place(
        self: &Arc<Self>,
        queue: &QueueName,
    ) -> Result<(Placement, Reservation), NoCapacity> {
        let now = self.clock.now().mono;
        let mut state = self.state();
        let facts = state.cluster_facts(now);
        let placement = place(&state.ring, &facts, queue)?;
        let cluster = placement.cluster;
        state.count_queue(cluster, 1);
        drop(state);
        Ok((
            placement,
            Reservation {
                fleet: Arc::clone(self),
                cluster,
                kept: false,
            },
        ))
    }

    /// A queue that was found in the store.
    pub(crate) fn queue_found(&self, queue: &QueueRecord) {
        self.count(queue, 1);
    }

    /// A queue that is gone from the store.
    pub(crate) fn queue_gone(&self, queue: &QueueRecord) {
        self.count(queue, -1);
    }

    /// A queue has other partitions than before.
    pub(crate) fn partitions_changed(&self, before: &QueueRecord, after: &QueueRecord) {
        self.count(after, 1);
        self.count(before, -1);
    }

    fn count(&self, queue: &QueueRecord, change: i64) {
        let mut state = self.state();
        queue
            .clusters()
            .for_each(|cluster| state.count_queue(cluster, change));
    }

    /// The hosts of a cluster with their addresses as last heard.
    pub(crate) fn members(&self, cluster: ClusterId) -> Vec<ClusterMember> {
        let state = self.state();
        let cluster = state.clusters.get(&cluster);
        cluster.map_or_else(Vec::new, |cluster| cluster.at.record.members.clone())
    }

    /// The same of all clusters.
    pub(crate) fn all_members(&self) -> BTreeMap<ClusterId, Vec<ClusterMember>> {
        let state = self.state();
        let clusters = state.clusters.iter();
        clusters
            .map(|(id, cluster)| (*id, cluster.at.record.members.clone()))
            .collect()
    }

    /// Partitions of all clusters.
    pub(crate) fn queue_count(&self) -> u64 {
        self.state()
            .clusters
            .values()
            .map(|cluster| cluster.queues)
            .sum()
    }
}

/// A queue that is counted at its cluster while its record is being written.
#[must_use]
pub(crate) struct Reservation {
    fleet: Arc<Fleet>,
    cluster: ClusterId,
    kept: bool,
}

impl Reservation {
    /// The record is written.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.kept {
            self.fleet.state().count_queue(self.cluster, -1);
        }
    }
}
