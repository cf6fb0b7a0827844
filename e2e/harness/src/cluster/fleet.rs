//! What a system says of its hosts and clusters, and the one thing that it is asked to do with them: the
//! same for every driver and for `shoal dev`.

use anyhow::{Context as _, Result, bail, ensure};
use serde::de::DeserializeOwned;
use shoal_api::manager::{
    CLUSTERS_PATH, ChangeRequest, ClusterInfo, ClusterState, HOSTS_PATH, HostInfo,
};
use shoal_types::{HostId, HostState};

use crate::limits::{BACK, START};
use crate::wait;

/// A system, looked at through its frontends.
#[derive(Clone, Debug)]
pub struct Fleet {
    frontends: Vec<String>,
}

impl Fleet {
    /// Behind a frontend's `http://…`, or several with commas between them.
    #[must_use]
    pub fn at(endpoint: &str) -> Self {
        Self {
            frontends: endpoint.split(',').map(str::to_owned).collect(),
        }
    }

    /// All hosts that ever reported.
    ///
    /// # Errors
    /// If the frontend or the manager does not answer.
    pub async fn hosts(&self) -> Result<Vec<HostInfo>> {
        self.get(HOSTS_PATH).await
    }

    /// All clusters.
    ///
    /// # Errors
    /// If nobody answers.
    pub async fn clusters(&self) -> Result<Vec<ClusterInfo>> {
        self.get(CLUSTERS_PATH).await
    }

    /// The cluster of a system that has one.
    ///
    /// # Errors
    /// If nobody answers, or there is none yet.
    pub async fn cluster(&self) -> Result<ClusterInfo> {
        let clusters = self.clusters().await?;
        clusters.into_iter().next().context("no cluster yet")
    }

    /// Waits until so many hosts act, each in its cluster's one view.
    ///
    /// # Errors
    /// If they do not within the time of a start.
    pub async fn serving(&self, hosts: usize) -> Result<()> {
        wait::until("the hosts to serve", START, async || {
            let clusters = self.clusters().await?;
            let serve = |cluster: &ClusterInfo| cluster.state == ClusterState::Serving;
            let acting: usize = clusters.iter().map(|cluster| cluster.active.len()).sum();
            ensure!(
                clusters.iter().all(serve) && acting == hosts,
                "{clusters:?}"
            );
            Ok(())
        })
        .await
    }

    /// The members of each cluster, once all of them take commands.
    ///
    /// # Errors
    /// If they do not within [`BACK`].
    pub async fn all_act(&self) -> Result<Vec<Vec<HostId>>> {
        wait::until("all members to act", BACK, async || {
            let clusters = self.clusters().await?;
            let all = |cluster: &ClusterInfo| cluster.active == cluster.members;
            ensure!(clusters.iter().all(all), "{clusters:?}");
            let members = clusters.into_iter().map(|cluster| cluster.members);
            Ok(members.collect())
        })
        .await
    }

    /// All members of each cluster have executed the same, and came to the same state by it. Nobody may
    /// send or receive any more.
    ///
    /// # Errors
    /// If they have not within [`BACK`], or their states differ.
    pub async fn same_state(&self) -> Result<()> {
        let clusters = self.all_act().await?;
        ensure!(!clusters.is_empty(), "there is no cluster");
        for members in clusters {
            self.same_state_of(&members).await?;
        }
        Ok(())
    }

    async fn same_state_of(&self, members: &[HostId]) -> Result<()> {
        let states = wait::until("all to have executed the same", BACK, async || {
            let mut states = self.hosts().await?;
            states.retain(|host| members.contains(&host.host));
            ensure!(states.len() == members.len(), "{states:?}");
            let executed = |host: &HostInfo| host.executed == states[0].executed;
            ensure!(states.iter().all(executed), "{states:?}");
            Ok(states)
        })
        .await?;
        let hashes: Vec<&str> = states.iter().map(|host| host.state_hash.as_str()).collect();
        println!("state hashes: {hashes:?}");
        ensure!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
        ensure!(hashes[0] != "0000000000000000", "nothing was executed");
        Ok(())
    }

    /// The member that others dial there.
    ///
    /// # Errors
    /// If there is none.
    pub async fn member_at(&self, address: &str) -> Result<HostId> {
        let clusters = self.clusters().await?;
        let is_member = |host| clusters.iter().any(|all| all.members.contains(&host));
        let hosts = self.hosts().await?;
        let found = hosts
            .iter()
            .find(|host| host.address == address && is_member(host.host));
        Ok(found
            .with_context(|| format!("no member at {address}: {hosts:?}"))?
            .host)
    }

    /// A host there that belongs to no cluster, once it reports.
    ///
    /// # Errors
    /// If none does within [`BACK`].
    pub async fn newcomer_at(&self, address: &str) -> Result<HostId> {
        wait::until("a newcomer to report", BACK, async || {
            let hosts = self.hosts().await?;
            let found = hosts.iter().find(|host| {
                host.address == address && host.alive && host.state == HostState::Unassigned
            });
            Ok(found.with_context(|| format!("{hosts:?}"))?.host)
        })
        .await
    }

    /// Asks the manager to put a newcomer into a member's place, and waits until it is there and acts.
    ///
    /// # Errors
    /// If the manager refuses, or it does not come about within [`BACK`].
    pub async fn replace(&self, manager: &str, old: HostId, new: HostId) -> Result<()> {
        let change = ChangeRequest {
            add: Some(new),
            remove: Some(old),
            ..ChangeRequest::default()
        };
        let clusters = self.clusters().await?;
        let its = clusters.iter().find(|all| all.members.contains(&old));
        let cluster = its.with_context(|| format!("{old} is no member"))?.cluster;
        let url = format!("{manager}{CLUSTERS_PATH}/{cluster}/changes");
        let body = serde_json::to_vec(&change)?;
        let request = reqwest::Client::new()
            .post(url)
            .header("content-type", "application/json")
            .body(body);
        let answer = request.send().await?;
        let status = answer.status();
        if !status.is_success() {
            bail!("{change:?}: {status} {}", answer.text().await?);
        }
        wait::until("the newcomer to take the place", BACK, async || {
            let clusters = self.clusters().await?;
            let its = clusters.iter().find(|one| one.cluster == cluster);
            let cluster = its.context("the cluster is gone")?;
            let is_there = cluster.change.is_none()
                && cluster.active.contains(&new)
                && !cluster.members.contains(&old);
            ensure!(is_there, "{cluster:?}");
            Ok(())
        })
        .await
    }

    /// From the first frontend that answers.
    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let mut last = None;
        for frontend in &self.frontends {
            match get(&format!("{frontend}{path}")).await {
                Ok(found) => return Ok(found),
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("no frontend was named")?)
    }
}

async fn get<T: DeserializeOwned>(url: &str) -> Result<T> {
    let answer = reqwest::get(url).await?.error_for_status()?;
    Ok(serde_json::from_slice(&answer.bytes().await?)?)
}
