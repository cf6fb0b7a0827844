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

/// A system with one cluster, looked at through its frontend.
#[derive(Clone, Debug)]
pub struct Fleet {
    endpoint: String,
}

impl Fleet {
    /// Behind a frontend's `http://…`.
    #[must_use]
    pub fn at(endpoint: &str) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
        }
    }

    /// All hosts that ever reported.
    ///
    /// # Errors
    /// If the frontend or the manager does not answer.
    pub async fn hosts(&self) -> Result<Vec<HostInfo>> {
        self.get(HOSTS_PATH).await
    }

    /// The cluster.
    ///
    /// # Errors
    /// If nobody answers, or there is none yet.
    pub async fn cluster(&self) -> Result<ClusterInfo> {
        let clusters: Vec<ClusterInfo> = self.get(CLUSTERS_PATH).await?;
        clusters.into_iter().next().context("no cluster yet")
    }

    /// Waits until so many members act in one view.
    ///
    /// # Errors
    /// If they do not within the time of a start.
    pub async fn serving(&self, members: usize) -> Result<()> {
        wait::until("the cluster to serve", START, async || {
            let cluster = self.cluster().await?;
            let all = cluster.state == ClusterState::Serving && cluster.active.len() == members;
            ensure!(all, "{cluster:?}");
            Ok(())
        })
        .await
    }

    /// The members, once all of them take commands.
    ///
    /// # Errors
    /// If they do not within [`BACK`].
    pub async fn all_act(&self) -> Result<Vec<HostId>> {
        wait::until("all members to act", BACK, async || {
            let cluster = self.cluster().await?;
            ensure!(cluster.active == cluster.members, "{cluster:?}");
            Ok(cluster.members)
        })
        .await
    }

    /// All members have executed the same, and came to the same state by it. Nobody may send or receive
    /// any more.
    ///
    /// # Errors
    /// If they have not within [`BACK`], or their states differ.
    pub async fn same_state(&self) -> Result<()> {
        let members = self.all_act().await?;
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
        let members = self.cluster().await?.members;
        let hosts = self.hosts().await?;
        let found = hosts
            .iter()
            .find(|host| host.address == address && members.contains(&host.host));
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
        let cluster = self.cluster().await?.cluster;
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
            let cluster = self.cluster().await?;
            let is_there = cluster.change.is_none()
                && cluster.active.contains(&new)
                && !cluster.members.contains(&old);
            ensure!(is_there, "{cluster:?}");
            Ok(())
        })
        .await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let url = format!("{}{path}", self.endpoint);
        let answer = reqwest::get(url).await?.error_for_status()?;
        Ok(serde_json::from_slice(&answer.bytes().await?)?)
    }
}
