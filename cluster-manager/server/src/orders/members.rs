//! Changes of a cluster's members.

use shoal_api::Problem;
use shoal_api::manager::{ActiveRequest, ChangeRequest};
use shoal_api::plan::EventKind;
use shoal_types::{ClusterId, ClusterMember, ErrorCode, HostId, HostState};

use super::{ATTEMPTS_MAX, Ordered, Orders, busy, check_size, conflict, unknown};
use crate::events::News;
use crate::problem::store_problem;
use crate::records::{At, ChangeRecord, ClusterRecord, ClusterStage, HostRecord, Record, Step};
use crate::store::{CommitError, Transaction};

impl Orders {
    /// Changes a cluster's members; `why` tells in words who wants it.
    ///
    /// # Errors
    /// If they cannot be changed so, something else is under way, or the store fails.
    pub(crate) async fn change(
        &self,
        cluster: ClusterId,
        asked: ChangeRequest,
        why: &str,
    ) -> Result<Ordered, Problem> {
        for _ in 0..ATTEMPTS_MAX {
            let at = self.known(cluster)?;
            let Some(steps) = self.steps(&at.record, &asked)? else {
                return self.ordered(cluster, false);
            };
            match self.write(at, steps, why).await {
                Ok(()) => return self.ordered(cluster, true),
                Err(CommitError::Conflict { .. }) => {
                    self.reload_cluster(cluster).await?;
                    if let Some(host) = asked.add {
                        self.reload_host(host).await?;
                    }
                }
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
        check_stage(record)?;
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
            self.check_pool(record, &at.record, remove)?;
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
        check_stage(record)?;
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

    async fn write(
        &self,
        at: At<ClusterRecord>,
        steps: Vec<Step>,
        why: &str,
    ) -> Result<(), CommitError> {
        let At { record, revision } = at;
        let newcomers: Vec<At<HostRecord>> = steps
            .iter()
            .filter_map(|step| match step {
                Step::Add(member) => self.fleet.host(member.host),
                Step::Remove(_) | Step::Only(_) => None,
            })
            .collect();
        let all: Vec<String> = steps.iter().map(said).collect();
        let text = format!("{}: {}: {why}", record.cluster, all.join(", then "));
        let news = News::of(EventKind::Decided, record.cluster, text);
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
        let revision = self.events.commit(transaction, news).await?;
        self.fleet.put_cluster(At { record, revision });
        for record in assigned {
            self.fleet.put_host(At { record, revision });
        }
        Ok(())
    }
}

fn check_stage(record: &ClusterRecord) -> Result<(), Problem> {
    let why = match record.stage {
        ClusterStage::Formed | ClusterStage::Draining => return Ok(()),
        ClusterStage::Forming => "is still being formed",
        ClusterStage::Retired => "is retired",
    };
    Err(conflict("cluster", format!("{} {why}", record.cluster)))
}

fn one_at_a_time(cluster: ClusterId, change: &ChangeRecord) -> Problem {
    let under_way: Vec<String> = change.steps.iter().map(said).collect();
    let why = format!(
        "{cluster} is changing its members already: {}; one change at a time",
        under_way.join(", then ")
    );
    conflict("cluster", why)
}

pub(crate) fn said(step: &Step) -> String {
    match step {
        Step::Add(member) => format!("{} is added", member.host),
        Step::Remove(host) => format!("{host} is removed"),
        Step::Only(Some(host)) => format!("{host} alone takes commands"),
        Step::Only(None) => "all members take commands".to_owned(),
    }
}
