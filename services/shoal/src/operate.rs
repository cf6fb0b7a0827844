//! Commands about clusters, asked of the manager itself. Each may be given again: what is done
//! already is not done twice, and what is under way is followed to its end.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Client, Method, RequestBuilder};
use serde::de::DeserializeOwned;
use shoal_api::Problem;
use shoal_api::manager::{
    ActiveRequest, CLUSTERS_PATH, ChangeRequest, ChangeStep, ClusterInfo, ClusterState,
    DrainRequest, FormRequest, HOSTS_PATH, HostInfo,
};
use shoal_api::plan::{EventQuery, MOVES_PATH, MoveInfo, MoveRequest};
use shoal_runtime::http_client;
use shoal_types::{ClusterId, HostId};
use tokio::time::Instant;

use crate::cli::{ClusterCommand, OperatorArgs, ReplaceArgs};
use crate::output::print;

/// One answer of the manager takes no longer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Between looks at what is under way.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// `shoal cluster …`
pub(crate) async fn cluster(command: ClusterCommand) -> anyhow::Result<()> {
    match command {
        ClusterCommand::List(endpoint) => crate::commands::clusters(&endpoint).await,
        ClusterCommand::Form {
            operator,
            yes,
            hosts,
        } => {
            let manager = Manager::new(operator)?;
            let body = FormRequest {
                hosts: Some(hosts).filter(|hosts| !hosts.is_empty()),
                confirm: yes,
            };
            let formed: ClusterInfo = manager.post(CLUSTERS_PATH, &body).await?;
            let cluster = formed.cluster;
            let formed = manager
                .follow(cluster, |cluster| cluster.state == ClusterState::Serving)
                .await?;
            manager.show(&formed)
        }
        ClusterCommand::Add {
            operator,
            cluster,
            host,
        } => {
            let change = ChangeRequest {
                add: Some(host),
                ..ChangeRequest::default()
            };
            Manager::new(operator)?.change(cluster, &change).await
        }
        ClusterCommand::Drain {
            operator,
            cluster,
            cancel,
            forward,
        } => {
            let manager = Manager::new(operator)?;
            let body = DrainRequest {
                drain: !cancel,
                forward,
            };
            let path = format!("{CLUSTERS_PATH}/{cluster}/drain");
            let cluster: ClusterInfo = manager.post(&path, &body).await?;
            manager.show(&cluster)
        }
        ClusterCommand::Explain { operator, cluster } => {
            crate::explain::explain(operator, cluster).await
        }
        ClusterCommand::Events {
            operator,
            after,
            limit,
        } => crate::explain::events(operator, EventQuery { after, limit }).await,
        ClusterCommand::Active {
            operator,
            cluster,
            only,
            all: _,
        } => {
            let change = ChangeRequest {
                active: Some(only.map_or(ActiveRequest::All, ActiveRequest::Only)),
                ..ChangeRequest::default()
            };
            Manager::new(operator)?.change(cluster, &change).await
        }
        ClusterCommand::Shrink {
            operator,
            yes,
            cluster,
            host,
        } => {
            let change = ChangeRequest {
                remove: Some(host),
                confirm: yes,
                ..ChangeRequest::default()
            };
            Manager::new(operator)?.change(cluster, &change).await
        }
    }
}

/// `shoal host replace`
pub(crate) async fn replace(args: ReplaceArgs) -> anyhow::Result<()> {
    let ReplaceArgs { operator, old, new } = args;
    let manager = Manager::new(operator)?;
    let clusters: Vec<ClusterInfo> = manager.get(CLUSTERS_PATH).await?;
    let has = |cluster: &&ClusterInfo, host: &HostId| cluster.members.contains(host);
    // Done already, the new host is the member.
    let found = clusters.iter().find(|cluster| has(cluster, &old));
    let found = found.or_else(|| clusters.iter().find(|cluster| has(cluster, &new)));
    let cluster = found.with_context(|| format!("{old} is no member of any cluster"))?;
    let change = ChangeRequest {
        add: Some(new),
        remove: Some(old),
        ..ChangeRequest::default()
    };
    manager.change(cluster.cluster, &change).await
}

/// `shoal move start`
pub(crate) async fn start_move(operator: OperatorArgs, asked: &MoveRequest) -> anyhow::Result<()> {
    let output = operator.output;
    let begun: MoveInfo = Manager::new(operator)?.post(MOVES_PATH, asked).await?;
    print(output, &begun, |begun| format!("begun: {}\n", begun.text))
}

/// The member that alone is to take commands, if one is.
fn alone(active: ActiveRequest) -> Option<HostId> {
    match active {
        ActiveRequest::Only(host) => Some(host),
        ActiveRequest::All => None,
    }
}

/// The manager's API from the command line.
pub(crate) struct Manager {
    http: Client,
    args: OperatorArgs,
    until: Instant,
}

impl Manager {
    pub(crate) fn new(args: OperatorArgs) -> anyhow::Result<Self> {
        Ok(Self {
            http: http_client::builder(&args.manager)
                .timeout(TIMEOUT)
                .no_proxy()
                .build()?,
            until: Instant::now() + Duration::from_secs(args.wait),
            args,
        })
    }

    /// Asks for a change of the members and follows it to its end.
    async fn change(&self, cluster: ClusterId, change: &ChangeRequest) -> anyhow::Result<()> {
        let path = format!("{CLUSTERS_PATH}/{cluster}/changes");
        let _: ClusterInfo = self.post(&path, change).await?;
        let changed = self
            .follow(cluster, |cluster| cluster.change.is_none())
            .await?;
        let members: BTreeSet<HostId> = changed.members.iter().copied().collect();
        let is_so = change.add.is_none_or(|host| members.contains(&host))
            && change.remove.is_none_or(|host| !members.contains(&host))
            && change
                .active
                .is_none_or(|active| changed.only == alone(active));
        if !is_so {
            bail!(
                "{cluster} is not as asked for: the change was taken back, or another one came after it"
            );
        }
        self.show(&changed)
    }

    /// Looks again and again, and says what is new, until it is done.
    async fn follow(
        &self,
        cluster: ClusterId,
        is_done: impl Fn(&ClusterInfo) -> bool,
    ) -> anyhow::Result<ClusterInfo> {
        let mut told = String::new();
        loop {
            let now = self.look_at(cluster).await?;
            if is_done(&now) {
                return Ok(now);
            }
            let state = self.progress(&now).await;
            if state != told {
                eprintln!("{cluster}: {state}");
                told = state;
            }
            if self.is_late() {
                bail!(
                    "{cluster} is not done after {} s: {told}. It goes on; give the same command again to \
                     follow it",
                    self.args.wait
                );
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// True once the time to wait for is over.
    pub(crate) fn is_late(&self) -> bool {
        Instant::now() >= self.until
    }

    async fn look_at(&self, cluster: ClusterId) -> anyhow::Result<ClusterInfo> {
        let clusters: Vec<ClusterInfo> = self.get(CLUSTERS_PATH).await?;
        let found = clusters.into_iter().find(|info| info.cluster == cluster);
        found.with_context(|| format!("there is no cluster {cluster}"))
    }

    async fn progress(&self, cluster: &ClusterInfo) -> String {
        let Some(change) = &cluster.change else {
            return match cluster.state {
                ClusterState::Forming => "its hosts are being told".to_owned(),
                _ => "its hosts are about to act".to_owned(),
            };
        };
        let step = match change.steps.first() {
            Some(ChangeStep::Add(host)) => format!("adding {host}{}", self.lag_of(*host).await),
            Some(ChangeStep::Remove(host)) => format!("removing {host}"),
            Some(ChangeStep::Only(host)) => format!("{host} alone is to take commands"),
            Some(ChangeStep::All) => "all members are to take commands".to_owned(),
            None => String::new(),
        };
        match change.progress.as_str() {
            "" => step,
            why => format!("{step}: {why}"),
        }
    }

    /// What a newcomer says of itself.
    async fn lag_of(&self, host: HostId) -> String {
        let hosts: Vec<HostInfo> = self.get(HOSTS_PATH).await.unwrap_or_default();
        let host = hosts.into_iter().find(|info| info.host == host);
        host.map_or_else(String::new, |host| {
            format!(" ({} messages in view {})", host.messages, host.view)
        })
    }

    fn show(&self, cluster: &ClusterInfo) -> anyhow::Result<()> {
        print(self.args.output, cluster, |cluster| {
            let members: Vec<String> = cluster.members.iter().map(HostId::to_string).collect();
            let only = cluster
                .only
                .map(|host| format!(", of which {host} alone takes commands"));
            let only = only.unwrap_or_default();
            let is = match cluster.state {
                ClusterState::Draining => format!(
                    "is being drained, {} partitions are left; its members are",
                    cluster.queues
                ),
                _ => "has the members".to_owned(),
            };
            format!("{} {is} {}{only}\n", cluster.cluster, members.join(" "))
        })
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.answer(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl serde::Serialize,
    ) -> anyhow::Result<T> {
        self.answer(self.request(Method::POST, path).json(body))
            .await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let base = self.args.manager.trim_end_matches('/');
        self.http.request(method, format!("{base}{path}"))
    }

    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> anyhow::Result<T> {
        let manager = &self.args.manager;
        let answer = request.send().await;
        let answer = answer.with_context(|| format!("the manager at {manager} does not answer"))?;
        let is_good = answer.status().is_success();
        let body = answer.bytes().await?;
        if !is_good {
            let problem: Problem = serde_json::from_slice(&body).with_context(|| {
                format!(
                    "{manager} is no manager: {}",
                    String::from_utf8_lossy(&body)
                )
            })?;
            bail!("{}", problem.detail);
        }
        serde_json::from_slice(&body)
            .with_context(|| format!("{manager} answers in another version"))
    }
}
