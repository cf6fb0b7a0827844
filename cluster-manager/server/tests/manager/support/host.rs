//! Hosts that register, form clusters and execute the manager's instructions as real ones do, with all
//! partitions in one map that hosts of a cluster share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use reqwest::Method;
use shoal_api::manager::{HEARTBEAT_PATH, HeartbeatReply};
use shoal_runtime::shutdown::Shutdown;
use shoal_transport::{HostService, Identity, Listener, PeerEvent, Remote, Response};
use shoal_types::{
    ClusterId, ClusterSpec, Command, DeadLetters, ErrorCode, HostId, HostReply, HostRequest,
    HostState, HostStatus, Incarnation, LoadReport, MoveStatus, MoveTask, PartitionId, Query,
    QueryReply, Refusal, RequestId, Revision, Ts, ViewNumber, ViewSummary,
};
use tokio::sync::mpsc;

use super::Client;
use super::partitions::{Partition, Partitions};

/// All that is durable: what hosts know when they start again, and what their clusters executed.
#[derive(Clone, Default)]
pub(crate) struct World(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Instructions are answered "not ready" while this is set.
    refusing: AtomicBool,
    last_host: AtomicU64,
}

#[derive(Default)]
struct State {
    partitions: Partitions,
    /// Instructions that are answered with an error.
    fails: Option<Fails>,
    refuses_successors: bool,
    refuses_heirs: bool,
    refuses_pages: bool,
    refuses_successions: bool,
    formed: BTreeMap<HostId, ClusterSpec>,
    learning: BTreeMap<HostId, ClusterSpec>,
    /// Every list that a member was told, in order.
    ordered: Vec<ClusterSpec>,
    /// What hosts say that they do; nothing if they are not named here.
    loads: BTreeMap<HostId, LoadReport>,
    /// The highest revision that a host was answered with.
    told: BTreeMap<HostId, Revision>,
    executed: Vec<Executed>,
}

/// Instructions that are answered with an error.
#[derive(Clone, Copy)]
pub(crate) struct Fails {
    /// Of this kind …
    pub(crate) what: &'static str,
    /// … as this tells.
    pub(crate) kind: fn(&Command) -> &'static str,
    /// They are executed all the same, as if the answer had got lost.
    pub(crate) executed: bool,
}

/// An instruction that reached a host.
#[derive(Clone, Debug)]
pub(crate) struct Executed {
    pub(crate) host: HostId,
    pub(crate) request: RequestId,
    pub(crate) command: Command,
}

impl World {
    /// Starts a host in each zone and has it report to the manager.
    pub(crate) async fn hosts(&self, manager: &Client, zones: &[&str]) -> Vec<Host> {
        self.hosts_of("", manager, zones).await
    }

    /// The same, of a pool.
    pub(crate) async fn hosts_of(&self, pool: &str, manager: &Client, zones: &[&str]) -> Vec<Host> {
        let mut hosts = Vec::new();
        for zone in zones {
            let id = HostId(self.0.last_host.fetch_add(1, Ordering::Relaxed) + 1);
            let at = (pool, *zone);
            hosts.push(self.host_of(at, manager, id, Incarnation(1)).await);
        }
        hosts
    }

    /// Starts one host.
    pub(crate) async fn host(
        &self,
        manager: &Client,
        id: HostId,
        zone: &str,
        incarnation: Incarnation,
    ) -> Host {
        self.host_of(("", zone), manager, id, incarnation).await
    }

    /// The same, of a pool and in a zone.
    pub(crate) async fn host_of(
        &self,
        (pool, zone): (&str, &str),
        manager: &Client,
        id: HostId,
        incarnation: Incarnation,
    ) -> Host {
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.address().to_string();
        let shutdown = Shutdown::new();
        let fake = Arc::new(Fake {
            world: self.clone(),
            id,
            incarnation,
            address,
            zone: zone.to_owned(),
            pool: pool.to_owned(),
        });
        let identity = Identity::host(id, incarnation, fake.address.clone());
        let (peers, _) = mpsc::channel::<PeerEvent>(1);
        tokio::spawn(listener.serve(identity, Arc::clone(&fake), peers, shutdown.clone()));
        tokio::spawn(Arc::clone(&fake).report(manager.clone(), shutdown.clone()));
        Host { fake, shutdown }
    }

    /// From now on clusters answer that they are not ready, or execute again.
    pub(crate) fn refuse(&self, refuse: bool) {
        self.0.refusing.store(refuse, Ordering::Relaxed);
    }

    /// Every list of members that a member was told, in order.
    pub(crate) fn ordered(&self) -> Vec<ClusterSpec> {
        self.state().ordered.clone()
    }

    /// From now on a host reports this load, as one report after the other.
    pub(crate) fn load(&self, host: HostId, load: LoadReport) {
        self.state().loads.insert(host, load);
    }

    /// As if all hosts had been started again: what they were answered they did not keep.
    pub(crate) fn forget_told(&self) {
        self.state().told.clear();
    }

    fn told(&self, host: HostId, revision: Revision) {
        let mut state = self.state();
        let told = state.told.entry(host).or_default();
        *told = revision.max(*told);
    }

    /// As a real host reports it.
    fn known_to(&self, host: HostId) -> Revision {
        let state = self.state();
        let formed = state.formed.get(&host);
        let formed = formed.map(|spec| (spec.revision, state.partitions.instructed(spec.cluster)));
        let (listed, instructed) = formed.unwrap_or_default();
        let told = state.told.get(&host).copied().unwrap_or_default();
        listed.max(instructed).max(told)
    }

    fn load_of(&self, host: HostId) -> LoadReport {
        let mut state = self.state();
        let load = state.loads.entry(host).or_default();
        load.number += 1;
        load.clone()
    }

    /// From now on these instructions are answered with an error.
    pub(crate) fn fails(&self, fails: Option<Fails>) {
        self.state().fails = fails;
    }

    /// From now on no successor is created, for good.
    pub(crate) fn refuse_successors(&self, refuse: bool) {
        self.state().refuses_successors = refuse;
    }

    /// From now on no heir is created, for good.
    pub(crate) fn refuse_heirs(&self, refuse: bool) {
        self.state().refuses_heirs = refuse;
    }

    /// Where a sealed partition believes the hosts of its first successor.
    pub(crate) fn successor_at(&self, partition: PartitionId) -> Vec<String> {
        self.state().partitions.successor_at(partition)
    }

    /// From now on no host tells what it keeps.
    pub(crate) fn refuse_pages(&self, refuse: bool) {
        self.state().refuses_pages = refuse;
    }

    /// From now on no host tells how far a partition is in being followed.
    pub(crate) fn refuse_successions(&self, refuse: bool) {
        self.state().refuses_successions = refuse;
    }

    /// A partition keeps so many messages.
    pub(crate) fn holds(&self, partition: PartitionId, messages: u64) {
        self.state().partitions.holds(partition, messages);
    }

    /// Where a partition's dead letters go, as it was told.
    pub(crate) fn dead_letters(&self, partition: PartitionId) -> Option<DeadLetters> {
        self.state()
            .partitions
            .transfers
            .dead_letters(partition)
            .cloned()
    }

    /// The last task of a partition.
    pub(crate) fn task(&self, partition: PartitionId) -> Option<MoveTask> {
        self.state().partitions.transfers.task(partition).cloned()
    }

    /// A partition's task is so far: messages to move, moved, failed.
    pub(crate) fn progress(&self, partition: PartitionId, status: MoveStatus, moved: [u64; 3]) {
        let transfers = &mut self.state().partitions.transfers;
        transfers.progress(partition, status, moved);
    }

    /// A partition is told something that the manager at hand knows nothing of.
    pub(crate) fn instruct(&self, command: Command) {
        self.state().partitions.transfers.apply(command).unwrap();
    }

    fn not_refusing(&self) -> Result<(), Refusal> {
        match self.0.refusing.load(Ordering::Relaxed) {
            true => Err(Refusal::not_applied(ErrorCode::NotReady, "told to refuse")),
            false => Ok(()),
        }
    }

    pub(crate) fn partition(&self, partition: PartitionId) -> Option<Partition> {
        self.state().partitions.all.get(&partition).copied()
    }

    pub(crate) fn partitions(&self) -> usize {
        self.state().partitions.all.len()
    }

    /// Every instruction that reached a host, in order.
    pub(crate) fn executed(&self) -> Vec<Executed> {
        self.state().executed.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }
}

/// A running host; gone when dropped.
pub(crate) struct Host {
    fake: Arc<Fake>,
    shutdown: Shutdown,
}

impl Host {
    pub(crate) fn id(&self) -> HostId {
        self.fake.id
    }

    pub(crate) fn address(&self) -> &str {
        &self.fake.address
    }

    /// The same host after a restart, on another port.
    pub(crate) async fn restarted(self, manager: &Client) -> Self {
        let fake = Arc::clone(&self.fake);
        drop(self);
        let next = Incarnation(fake.incarnation.0 + 1);
        let at = (&*fake.pool, &*fake.zone);
        fake.world.host_of(at, manager, fake.id, next).await
    }

    /// From now on it reports to this manager too.
    pub(crate) fn reports_to(&self, manager: &Client) {
        let fake = Arc::clone(&self.fake);
        tokio::spawn(fake.report(manager.clone(), self.shutdown.clone()));
    }

    /// What it would report now.
    pub(crate) fn status(&self) -> HostStatus {
        self.fake.status()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

struct Fake {
    world: World,
    id: HostId,
    incarnation: Incarnation,
    address: String,
    zone: String,
    pool: String,
}

impl Fake {
    async fn report(self: Arc<Self>, manager: Client, shutdown: Shutdown) {
        // Quicker than real hosts, so that tests are.
        let mut again = tokio::time::interval(Duration::from_millis(50));
        while !shutdown.is_triggered() {
            again.tick().await;
            // A manager that is gone is heard of by its test.
            if let Some(reply) = manager.heartbeat(&self.status()).await {
                self.world.told(self.id, reply.revision);
            }
        }
    }

    fn status(&self) -> HostStatus {
        let formed = self.world.state().formed.get(&self.id).cloned();
        let members: Vec<_> = formed
            .iter()
            .flat_map(|spec| &spec.members)
            .map(|member| member.host)
            .collect();
        HostStatus {
            host: self.id,
            incarnation: self.incarnation,
            address: self.address.clone(),
            zone: self.zone.clone(),
            pool: self.pool.clone(),
            state: match &formed {
                Some(_) if members.contains(&self.id) => HostState::Acting,
                Some(_) => HostState::Removed,
                None => HostState::Unassigned,
            },
            cluster: formed.as_ref().map(|spec| spec.cluster),
            view: ViewSummary {
                number: ViewNumber(u64::from(formed.is_some())),
                active: members.clone(),
                members,
            },
            clock: now(),
            messages: 0,
            message_bytes: 0,
            executed: Default::default(),
            state_hash: 0,
            trouble: None,
            disk_used_percent: 7,
            load: self.world.load_of(self.id),
            revision: self.world.known_to(self.id),
        }
    }

    fn form(&self, spec: ClusterSpec) -> Result<HostReply, Refusal> {
        assert!(
            spec.members.iter().any(|member| member.host == self.id),
            "it is a member"
        );
        let mut state = self.world.state();
        let formed = state.formed.entry(self.id).or_insert_with(|| spec.clone());
        if formed.cluster == spec.cluster {
            Ok(HostReply::Formed)
        } else {
            Err(Refusal::not_applied(ErrorCode::Fenced, "formed otherwise"))
        }
    }

    fn succession(&self, partition: PartitionId) -> Result<HostReply, Refusal> {
        let state = self.world.state();
        if state.refuses_successions {
            return Err(Refusal::not_applied(ErrorCode::NotReady, "told to refuse"));
        }
        let known = state.partitions.succession(partition)?;
        Ok(HostReply::Query(QueryReply::Succession(known)))
    }

    fn outbox(&self, cluster: ClusterId, partition: PartitionId) -> Result<HostReply, Refusal> {
        let state = self.world.state();
        let known = state.partitions.all.get(&partition);
        if known.is_none_or(|known| known.cluster != cluster) {
            return Err(Refusal::not_applied(
                ErrorCode::StaleRoute,
                "no such partition here",
            ));
        }
        let outbox = state.partitions.transfers.outbox(partition);
        Ok(HostReply::Query(QueryReply::Outbox(Box::new(outbox))))
    }

    fn partitions(
        &self,
        cluster: ClusterId,
        after: Option<PartitionId>,
        limit: u16,
    ) -> Result<HostReply, Refusal> {
        let state = self.world.state();
        if state.refuses_pages {
            return Err(Refusal::not_applied(ErrorCode::NotReady, "told to refuse"));
        }
        let spec = state.formed.get(&self.id);
        let spec = spec.filter(|spec| spec.cluster == cluster).cloned();
        let spec =
            spec.ok_or_else(|| Refusal::not_applied(ErrorCode::StaleRoute, "another cluster"))?;
        // Few to a page, so that there are several.
        let page = state
            .partitions
            .kept(spec, after, usize::from(limit).min(2));
        Ok(HostReply::Query(QueryReply::Partitions(page)))
    }

    fn learn(&self, spec: ClusterSpec) -> Result<HostReply, Refusal> {
        self.world.not_refusing()?;
        let mut state = self.world.state();
        state.learning.insert(self.id, spec);
        Ok(HostReply::Learning)
    }

    /// As real hosts do: one host of difference, fenced by the revision, the newcomer having been told.
    fn change(&self, spec: ClusterSpec) -> Result<HostReply, Refusal> {
        self.world.not_refusing()?;
        let mut state = self.world.state();
        let present = state.formed.get(&self.id).cloned();
        let present = present.filter(|present| present.members.iter().any(|m| m.host == self.id));
        let refused = |code, why: &'static str| Err(Refusal::not_applied(code, why));
        let Some(present) = present else {
            return refused(ErrorCode::NotReady, "no member");
        };
        state.ordered.push(spec.clone());
        if present == spec {
            return Ok(HostReply::MembersChanged);
        }
        if spec.revision <= present.revision {
            return refused(ErrorCode::Fenced, "stale");
        }
        let only = |a: &ClusterSpec, b: &ClusterSpec| -> Vec<HostId> {
            let of_b: Vec<_> = b.members.iter().map(|m| m.host).collect();
            let hosts = a.members.iter().map(|m| m.host);
            hosts.filter(|host| !of_b.contains(host)).collect()
        };
        let (come, go) = (only(&spec, &present), only(&present, &spec));
        if come.len() + go.len() > 1 {
            return refused(ErrorCode::InvalidRequest, "more than one");
        }
        if come
            .iter()
            .any(|host| state.learning.get(host) != Some(&spec))
        {
            return refused(ErrorCode::NotReady, "the newcomer was not told");
        }
        for member in spec.members.iter().map(|m| m.host).chain(go) {
            state.formed.insert(member, spec.clone());
        }
        Ok(HostReply::MembersChanged)
    }

    fn execute(
        &self,
        cluster: ClusterId,
        request: shoal_types::Request,
    ) -> Result<HostReply, Refusal> {
        let mut state = self.world.state();
        let command = request.command;
        state.executed.push(Executed {
            host: self.id,
            request: request.id,
            command: command.clone(),
        });
        if self.world.0.refusing.load(Ordering::Relaxed) {
            return Err(Refusal::not_applied(ErrorCode::NotReady, "told to refuse"));
        }
        if state.formed.get(&self.id).map(|spec| spec.cluster) != Some(cluster) {
            return Err(Refusal::not_applied(
                ErrorCode::StaleRoute,
                "another cluster",
            ));
        }
        if request.deadline < now() {
            return Err(Refusal::not_applied(
                ErrorCode::DeadlineExceeded,
                "too late",
            ));
        }
        if state.refuses_successors && matches!(command, Command::CreateSuccessor { .. }) {
            return Err(Refusal::not_applied(ErrorCode::Fenced, "told to refuse"));
        }
        if state.refuses_heirs && matches!(command, Command::CreateHeir { .. }) {
            return Err(Refusal::not_applied(ErrorCode::Fenced, "told to refuse"));
        }
        let fails = state
            .fails
            .filter(|fails| (fails.kind)(&command) == fails.what);
        if fails.is_some_and(|fails| !fails.executed) {
            return Err(Refusal::not_applied(ErrorCode::NotReady, "told to fail"));
        }
        let applied = state.partitions.apply(cluster, command);
        match fails {
            Some(_) => Err(Refusal::not_applied(ErrorCode::NotReady, "told to fail")),
            None => applied.map(HostReply::Outcome),
        }
    }
}

impl HostService for Fake {
    async fn call(
        self: Arc<Self>,
        _caller: Arc<Remote>,
        request: HostRequest,
        _bodies: Vec<Bytes>,
        _wait: Duration,
    ) -> Response {
        let result = match request {
            HostRequest::Form { spec } => self.form(spec),
            HostRequest::Execute { cluster, request } => self.execute(cluster, request),
            HostRequest::Status => Ok(HostReply::Status(Box::new(self.status()))),
            HostRequest::Learn { spec } => self.learn(spec),
            HostRequest::ChangeMembers { spec } => self.change(spec),
            HostRequest::Query {
                query: Query::Succession { partition },
                ..
            } => self.succession(partition),
            HostRequest::Query {
                cluster,
                query: Query::Partitions { after, limit },
            } => self.partitions(cluster, after, limit),
            HostRequest::Query {
                cluster,
                query: Query::Outbox { partition },
            } => self.outbox(cluster, partition),
            HostRequest::Query { .. } => panic!("the manager does not ask"),
        };
        Response {
            clock: now(),
            result,
            bodies: Vec::new(),
        }
    }
}

impl Client {
    /// Reports once, if the manager is there.
    pub(crate) async fn heartbeat(&self, status: &HostStatus) -> Option<HeartbeatReply> {
        let body = serde_json::to_vec(status).unwrap();
        let sent = self.try_send(Method::POST, HEARTBEAT_PATH, body).await;
        sent?.error_for_status().ok()?.json().await.ok()
    }
}

pub(super) fn now() -> Ts {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Ts(u64::try_from(since_1970.as_micros()).unwrap())
}
