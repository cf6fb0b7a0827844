//! What operators ask of clusters: checked, written down, carried out later by the executor. An order that
//! is given again changes nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use shoal_api::Problem;
use shoal_api::manager::{ActiveRequest, ChangeRequest, ClusterInfo, FormRequest};
use shoal_types::{ClusterId, ClusterMember, ErrorCode, HostId, HostState};
use tracing::info;

use crate::executor::Formation;
use crate::fleet::Fleet;
use crate::limits::{MEMBERS_ASKED_MAX, MEMBERS_SAFE_MIN};
use crate::problem::store_problem;
use crate::records::{
    self, At, ChangeRecord, ClusterRecord, ClusterStage, HostRecord, Record, Step,
};
use crate::store::{CommitError, MetadataStore, Transaction};

/// How often an order that meets other writers of the same records tries again.
const ATTEMPTS_MAX: usize = 5;

/// Takes orders.
#[derive(Clone)]
pub(crate) struct Orders {
    pub(crate) store: Arc<dyn MetadataStore>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) formation: Formation,
}

/// What came of an order.
pub(crate) struct Ordered {
    /// The cluster as it is now.
    pub(crate) cluster: ClusterInfo,
    /// False if everything is as asked for already.
    pub(crate) is_new: bool,
}

impl Orders {
    /// Forms a cluster of these hosts.
    ///
    /// # Errors
    /// If the hosts cannot be one, or the store fails.
    pub(crate) async fn form(&self, asked: FormRequest) -> Result<Ordered, Problem> {
        let hosts: BTreeSet<HostId> = asked.hosts.iter().copied().collect();
        if hosts.len() != asked.hosts.len() {
            return Err(Problem::invalid("hosts", "names a host twice"));
        }
        check_size("hosts", hosts.len(), asked.confirm)?;
        for _ in 0..ATTEMPTS_MAX {
            if let Some(cluster) = self.formed_of(&hosts) {
                return self.ordered(cluster, false);
            }
            for host in &hosts {
                self.check_free("hosts", *host)?;
            }
            let members: Vec<HostId> = hosts.iter().copied().collect();
            let reason = "an operator asked for these hosts".to_owned();
            let assigned = self.formation.assign(&members, reason).await;
            if let Some(cluster) = assigned.map_err(|error| store_problem(&error))? {
                return self.ordered(cluster, true);
            }
            for host in &hosts {
                self.reload_host(*host).await?;
            }
        }
        Err(busy())
    }

    /// The cluster whose members are just these.
    fn formed_of(&self, hosts: &BTreeSet<HostId>) -> Option<ClusterId> {
        let first = self.fleet.host(*hosts.first()?)?;
        let at = self.fleet.cluster(first.record.cluster?)?;
        let members = at.record.members.iter().map(|member| member.host);
        members
            .eq(hosts.iter().copied())
            .then_some(at.record.cluster)
    }

    /// Changes a cluster's members.
    ///
    /// # Errors
    /// If they cannot be changed so, something else is under way, or the store fails.
    pub(crate) async fn change(
        &self,
        cluster: ClusterId,
        asked: ChangeRequest,
    ) -> Result<Ordered, Problem> {
        for _ in 0..ATTEMPTS_MAX {
            let Some(at) = self.fleet.cluster(cluster) else {
                let why = format!("there is no cluster {cluster}");
                return Err(Problem::new(ErrorCode::NotFound, why).at("cluster"));
            };
            let Some(steps) = self.steps(&at.record, &asked)? else {
                return self.ordered(cluster, false);
            };
            match self.write(at, steps).await {
                Ok(()) => return self.ordered(cluster, true),
                Err(CommitError::Conflict { .. }) => self.reload(cluster, &asked).await?,
                Err(CommitError::Store(error)) => return Err(store_problem(&error)),
            }
        }
        Err(busy())
    }

    /// What is to be done; `None` if it is done or under way.
    fn steps(
        &self,
        record: &ClusterRecord,
        asked: &ChangeRequest,
    ) -> Result<Option<Vec<Step>>, Problem> {
        let is_member = |host: HostId| record.members.iter().any(|member| member.host == host);
        let cluster = record.cluster;
        if let Some(active) = asked.active {
            return self.active_steps(record, asked, active);
        }
        if asked.add.is_none() && asked.remove.is_none() {
            return Err(Problem::invalid(
                "add",
                "neither a host to add nor one to remove",
            ));
        }
        if asked.add == asked.remove {
            return Err(Problem::invalid("add", "is the host to be removed"));
        }
        let add = asked.add.filter(|host| !is_member(*host));
        let remove = asked.remove.filter(|host| is_member(*host));
        if let Some(change) = &record.change {
            let wanted = [asked.add, asked.remove].into_iter().flatten();
            let pending = |host: HostId| change.steps.iter().any(|step| step.host() == Some(host));
            let same = change.steps.iter().all(|step| match step {
                Step::Add(member) => Some(member.host) == add,
                Step::Remove(host) => Some(*host) == asked.remove,
                Step::Only(_) => false,
            });
            if same && [add, remove].into_iter().flatten().all(pending) {
                return Ok(None);
            }
            // An addition that does not come about can be taken back.
            let added = change.steps.iter().find_map(|step| match step {
                Step::Add(member) => Some(member.host),
                Step::Remove(_) | Step::Only(_) => None,
            });
            if added.is_some() && wanted.eq(added) && asked.remove == added {
                return Ok(Some(added.map(Step::Remove).into_iter().collect()));
            }
            return Err(one_at_a_time(cluster, change));
        }
        if record.stage == ClusterStage::Forming {
            return Err(conflict(
                "cluster",
                format!("{cluster} is still being formed"),
            ));
        }
        if let Some(host) = asked.remove.filter(|_| remove.is_none()) {
            // Whoever asks again after it came about is told that it did.
            let came_about = match asked.add {
                Some(add) => is_member(add),
                None => !self.belongs_elsewhere(host, cluster),
            };
            if !came_about {
                let why = format!("{host} is no member of {cluster}");
                return Err(Problem::new(ErrorCode::NotFound, why).at("remove"));
            }
        }
        let mut steps = Vec::new();
        if let Some(host) = add {
            self.check_free("add", host)?;
            let at = self.fleet.host(host).ok_or_else(|| unknown("add", host))?;
            let address = at.record.address;
            steps.push(Step::Add(ClusterMember { host, address }));
        }
        steps.extend(remove.map(Step::Remove));
        if steps.is_empty() {
            return Ok(None);
        }
        let after =
            record.members.len() + usize::from(add.is_some()) - usize::from(remove.is_some());
        let field = if add.is_some() { "add" } else { "remove" };
        // A replacement leaves the size as it is, whatever that is.
        if add.is_none() || remove.is_none() {
            check_size(field, after, asked.confirm || after >= record.members.len())?;
        }
        Ok(Some(steps))
    }

    /// What is to be done so that one member alone, or all, take commands.
    fn active_steps(
        &self,
        record: &ClusterRecord,
        asked: &ChangeRequest,
        active: ActiveRequest,
    ) -> Result<Option<Vec<Step>>, Problem> {
        let cluster = record.cluster;
        if asked.add.is_some() || asked.remove.is_some() {
            return Err(Problem::invalid(
                "active",
                "changes together with the members",
            ));
        }
        let only = match active {
            ActiveRequest::Only(host) => Some(host),
            ActiveRequest::All => None,
        };
        let wanted = vec![Step::Only(only)];
        if let Some(change) = &record.change {
            return match change.steps == wanted {
                true => Ok(None),
                false => Err(one_at_a_time(cluster, change)),
            };
        }
        let is_member = |host| record.members.iter().any(|member| member.host == host);
        if let Some(host) = only.filter(|host| !is_member(*host)) {
            let why = format!("{host} is no member of {cluster}");
            return Err(Problem::new(ErrorCode::NotFound, why).at("active"));
        }
        if record.stage == ClusterStage::Forming {
            return Err(conflict(
                "cluster",
                format!("{cluster} is still being formed"),
            ));
        }
        Ok((record.only != only).then_some(wanted))
    }

    /// True if the host is known to be no business of this cluster's, now or before.
    fn belongs_elsewhere(&self, host: HostId, cluster: ClusterId) -> bool {
        let known = self.fleet.host(host).map(|at| at.record);
        known.is_none_or(|record| match record.state {
            HostState::Removed => false,
            HostState::Unassigned => true,
            _ => record.cluster.is_some_and(|other| other != cluster),
        })
    }

    fn check_free(&self, field: &str, host: HostId) -> Result<(), Problem> {
        let at = self.fleet.host(host).ok_or_else(|| unknown(field, host))?;
        if let Some(cluster) = at.record.cluster {
            return Err(conflict(
                field,
                format!("{host} belongs to {cluster} already"),
            ));
        }
        if self.fleet.is_free_and_alive(host) {
            return Ok(());
        }
        let why = match at.record.state {
            HostState::Unassigned => format!("{host} was not heard of lately"),
            state => format!(
                "{host} is {}: only a host with an empty data folder can become a member",
                word(state)
            ),
        };
        Err(conflict(field, why))
    }

    async fn write(&self, at: At<ClusterRecord>, steps: Vec<Step>) -> Result<(), CommitError> {
        let At { record, revision } = at;
        let newcomers: Vec<At<HostRecord>> = steps
            .iter()
            .filter_map(|step| match step {
                Step::Add(member) => self.fleet.host(member.host),
                Step::Remove(_) | Step::Only(_) => None,
            })
            .collect();
        info!(cluster = %record.cluster, ?steps, "a change of the members was asked for");
        let record = ClusterRecord {
            change: Some(ChangeRecord {
                steps,
                asked_at: self.fleet.now(),
            }),
            ..record
        };
        let mut transaction = Transaction::new()
            .expect(record.key(), Some(revision))
            .put(record.key(), record.encode());
        let mut assigned = Vec::new();
        for At {
            record: host,
            revision,
        } in newcomers
        {
            let host = HostRecord {
                cluster: Some(record.cluster),
                ..host
            };
            transaction = transaction
                .expect(host.key(), Some(revision))
                .put(host.key(), host.encode());
            assigned.push(host);
        }
        let revision = self.store.commit(transaction).await?;
        self.fleet.put_cluster(At { record, revision });
        for record in assigned {
            self.fleet.put_host(At { record, revision });
        }
        Ok(())
    }

    /// Somebody else wrote: takes over what the store has now.
    async fn reload(&self, cluster: ClusterId, asked: &ChangeRequest) -> Result<(), Problem> {
        let read = records::read(&*self.store, &crate::keys::cluster(cluster)).await;
        if let Some(at) = read.map_err(|error| store_problem(&error))? {
            self.fleet.put_cluster(at);
        }
        match asked.add {
            Some(host) => self.reload_host(host).await,
            None => Ok(()),
        }
    }

    async fn reload_host(&self, host: HostId) -> Result<(), Problem> {
        let read = records::read(&*self.store, &crate::keys::host(host)).await;
        if let Some(at) = read.map_err(|error| store_problem(&error))? {
            self.fleet.put_host(at);
        }
        Ok(())
    }

    fn ordered(&self, cluster: ClusterId, is_new: bool) -> Result<Ordered, Problem> {
        let info = self.fleet.cluster_info(cluster);
        let cluster = info
            .ok_or_else(|| Problem::new(ErrorCode::Internal, format!("{cluster} is gone again")))?;
        Ok(Ordered { cluster, is_new })
    }
}

fn check_size(field: &str, members: usize, confirmed: bool) -> Result<(), Problem> {
    if members == 0 {
        return Err(Problem::invalid(field, "a cluster has members"));
    }
    if members > MEMBERS_ASKED_MAX {
        let why = format!(
            "a cluster of {members} hosts is more than {MEMBERS_ASKED_MAX}; more capacity is another cluster"
        );
        return Err(Problem::invalid(field, why));
    }
    if members < MEMBERS_SAFE_MIN && !confirmed {
        let why = format!(
            "a cluster of {members} stops when it loses one host; set confirm if that is meant"
        );
        return Err(Problem::invalid(field, why));
    }
    Ok(())
}

fn one_at_a_time(cluster: ClusterId, change: &ChangeRecord) -> Problem {
    let under_way: Vec<String> = change.steps.iter().map(said).collect();
    let why = format!(
        "{cluster} is changing its members already: {}; one change at a time",
        under_way.join(", then ")
    );
    conflict("cluster", why)
}

fn conflict(field: &str, why: String) -> Problem {
    Problem::invalid(field, why).status(409)
}

fn unknown(field: &str, host: HostId) -> Problem {
    Problem::new(
        ErrorCode::NotFound,
        format!("{field}: {host} has never reported"),
    )
    .at(field)
}

fn busy() -> Problem {
    Problem::new(ErrorCode::Busy, "the records are being changed by others")
}

fn said(step: &Step) -> String {
    match step {
        Step::Add(member) => format!("{} is added", member.host),
        Step::Remove(host) => format!("{host} is removed"),
        Step::Only(Some(host)) => format!("{host} alone takes commands"),
        Step::Only(None) => "all members take commands".to_owned(),
    }
}

fn word(state: HostState) -> &'static str {
    match state {
        HostState::Unassigned => "unassigned",
        HostState::Joining => "joining a cluster",
        HostState::Acting => "a member",
        HostState::Learning => "learning",
        HostState::NeedsSnapshot => "in need of a snapshot",
        HostState::Removed => "removed from its cluster",
        HostState::Forgotten => "refused by its cluster",
    }
}
