//! What operators and the planner ask of clusters: checked, written down, carried out later by the
//! executor. An order that is given again changes nothing.

mod members;
mod pools;
mod stage;

pub(crate) use members::said;

use std::collections::BTreeSet;
use std::sync::Arc;

use shoal_api::Problem;
use shoal_api::manager::{ClusterInfo, FormRequest};
use shoal_planner::{FormRules, Held, form};
use shoal_types::{ClusterId, ErrorCode, HostId, HostState};

use crate::events::EventLog;
use crate::executor::Formation;
use crate::fleet::Fleet;
use crate::limits::{MEMBERS_ASKED_MAX, MEMBERS_SAFE_MIN, POOLS_TOLD_MAX};
use crate::problem::store_problem;
use crate::records::{self, At, ClusterRecord};
use crate::store::MetadataStore;

/// How often an order that meets other writers of the same records tries again.
const ATTEMPTS_MAX: usize = 5;

/// Takes orders.
#[derive(Clone)]
pub(crate) struct Orders {
    pub(crate) store: Arc<dyn MetadataStore>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) events: Arc<EventLog>,
    pub(crate) formation: Formation,
}

/// Who wants something, in words: part of the event that tells of it.
pub(crate) const OPERATOR: &str = "an operator asked for it";

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
        let Some(named) = asked.hosts else {
            return self.form_by_choice().await;
        };
        let hosts: BTreeSet<HostId> = named.iter().copied().collect();
        if hosts.len() != named.len() {
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
            self.check_one_pool(&hosts)?;
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

    /// Forms one more cluster of free hosts of one pool, of as many zones as there are.
    async fn form_by_choice(&self) -> Result<Ordered, Problem> {
        for _ in 0..ATTEMPTS_MAX {
            // An operator asks: not the time to wait for hosts of other zones, nor to keep spares.
            let rules = FormRules {
                patience: 0,
                kept: 0,
                ..self.formation.rules
            };
            let plan = form(&self.fleet.host_facts(), rules);
            let Some(new) = plan.clusters.first() else {
                return Err(Problem::new(ErrorCode::NoCapacity, why_none(&plan.held)));
            };
            let reason = format!("an operator asked for one more: {new}");
            let assigned = self.formation.assign(&new.members, reason).await;
            if let Some(cluster) = assigned.map_err(|error| store_problem(&error))? {
                return self.ordered(cluster, true);
            }
            for host in &new.members {
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

    /// Somebody else wrote: takes over what the store has now.
    async fn reload_cluster(&self, cluster: ClusterId) -> Result<(), Problem> {
        let read = records::read(&*self.store, &crate::keys::cluster(cluster)).await;
        if let Some(at) = read.map_err(|error| store_problem(&error))? {
            self.fleet.put_cluster(at);
        }
        Ok(())
    }

    async fn reload_host(&self, host: HostId) -> Result<(), Problem> {
        let read = records::read(&*self.store, &crate::keys::host(host)).await;
        if let Some(at) = read.map_err(|error| store_problem(&error))? {
            self.fleet.put_host(at);
        }
        Ok(())
    }

    fn known(&self, cluster: ClusterId) -> Result<At<ClusterRecord>, Problem> {
        self.fleet.cluster(cluster).ok_or_else(|| {
            let why = format!("there is no cluster {cluster}");
            Problem::new(ErrorCode::NotFound, why).at("cluster")
        })
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

/// Why no cluster can be formed.
fn why_none(held: &[Held]) -> String {
    if held.is_empty() {
        return "there is no unassigned host".to_owned();
    }
    let told = held.iter().take(POOLS_TOLD_MAX).map(Held::to_string);
    let mut told: Vec<String> = told.collect();
    if let Some(more @ 1..) = held.len().checked_sub(POOLS_TOLD_MAX) {
        told.push(format!("and {more} more pools wait"));
    }
    told.join("; ")
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
