//! A manager with two or more clusters, which moves queues by itself and soon.

use reqwest::{Method, StatusCode};
use serde_json::json;
use shoal_api::plan::{EventPage, MoveInfo, PlanInfo};
use shoal_types::{PartitionId, PartitionRoute, PartitionState, QueueRoute, QueueSettings};

use super::{Client, Host, Running, World, eventually};

/// Two clusters or more, and a queue on the first.
pub(crate) struct Two {
    pub(crate) manager: Running,
    pub(crate) world: World,
    hosts: Vec<Host>,
    data: tempfile::TempDir,
    pub(crate) route: QueueRoute,
}

impl Two {
    pub(crate) async fn start() -> Self {
        Self::with(2, "").await
    }

    /// So many clusters, and a queue on the first whose name ends so.
    pub(crate) async fn with(clusters: usize, name_ends: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let manager = quick(data.path()).await;
        let world = World::default();
        let zones = ["a", "b", "c"].repeat(clusters);
        let hosts = world.hosts(&manager.client, &zones).await;
        manager.client.until_serving(clusters).await;
        let route = first_on(&manager.client, "c1", name_ends).await;
        Self {
            manager,
            world,
            hosts,
            data,
            route,
        }
    }

    /// All hosts start again, on other ports.
    pub(crate) async fn restart_hosts(&mut self) {
        for host in std::mem::take(&mut self.hosts) {
            self.hosts.push(host.restarted(&self.manager.client).await);
        }
    }

    /// Where the hosts of a partition's cluster are by now.
    pub(crate) async fn addresses(&self, of: &PartitionRoute) -> Vec<String> {
        let clusters = self.client().clusters().await.into_iter();
        let mut clusters = clusters.filter(|info| info.cluster == of.cluster);
        let members = clusters.next().unwrap().members;
        let addresses = members.iter().map(|member| {
            let host = self.hosts.iter().find(|host| host.id() == *member);
            host.unwrap().address().to_owned()
        });
        addresses.collect()
    }

    pub(crate) fn client(&self) -> &Client {
        &self.manager.client
    }

    pub(crate) fn old(&self) -> PartitionId {
        self.route.partitions[0].partition
    }

    /// Kills the manager and starts another one on what it left.
    pub(crate) async fn restarted(self) -> Self {
        let Self {
            manager,
            world,
            hosts,
            data,
            route,
        } = self;
        manager.stop().await;
        let manager = quick(data.path()).await;
        for host in &hosts {
            host.reports_to(&manager.client);
        }
        Self {
            manager,
            world,
            hosts,
            data,
            route,
        }
    }

    pub(crate) async fn drain(&self) {
        self.asked_to_drain("c1", json!({ "drain": true })).await;
    }

    /// Without patience for what nobody consumes.
    pub(crate) async fn drain_and_forward(&self) {
        self.drain_and_forward_off("c1").await;
    }

    /// The same, of another cluster.
    pub(crate) async fn drain_and_forward_off(&self, cluster: &str) {
        self.asked_to_drain(cluster, json!({ "drain": true, "forward": true }))
            .await;
    }

    async fn asked_to_drain(&self, cluster: &str, body: serde_json::Value) {
        let path = format!("/v1/clusters/{cluster}/drain");
        let asked = self.client().send_json(Method::POST, &path, &body);
        assert_eq!(asked.await.status(), StatusCode::OK);
    }

    pub(crate) async fn partitions(&self) -> Vec<PartitionRoute> {
        let queue = self.client().queue(self.route.name.as_str()).await;
        queue.unwrap().partitions
    }

    /// Waits until the queue has so many partitions, the last one in this state, and gives them.
    pub(crate) async fn until(&self, count: usize, state: PartitionState) -> Vec<PartitionRoute> {
        eventually("the queue's partitions", async || {
            let partitions = self.partitions().await;
            let last = partitions.last().unwrap();
            (partitions.len() == count && last.state == state).then_some(partitions)
        })
        .await
    }

    /// What the plan says about why something is not done.
    pub(crate) async fn explained(&self, words: &str) -> String {
        eventually(words, async || {
            let plan: PlanInfo = self.client().get("/v1/plan").await;
            let texts = plan.not_helped.into_iter().map(|one| one.why);
            texts.into_iter().find(|text| text.contains(words))
        })
        .await
    }

    pub(crate) async fn moves(&self) -> Vec<MoveInfo> {
        self.client().get("/v1/moves").await
    }

    pub(crate) async fn until_over(&self) {
        eventually("nothing is under way", async || {
            self.moves().await.is_empty().then_some(())
        })
        .await;
    }

    pub(crate) async fn told(&self, words: &str) -> String {
        eventually(words, async || {
            let page: EventPage = self.client().get("/v1/events?after=0&limit=1000").await;
            let texts = page.events.into_iter().map(|event| event.text);
            texts.into_iter().find(|text| text.contains(words))
        })
        .await
    }
}

async fn quick(data: &std::path::Path) -> Running {
    Running::with(data, |config| {
        (config.round_ms, config.move_queues) = (100, true);
    })
    .await
}

async fn first_on(client: &Client, cluster: &str, name_ends: &str) -> QueueRoute {
    let settings = QueueSettings {
        fifo: name_ends.ends_with(".fifo"),
        ..QueueSettings::default()
    };
    first_with(client, cluster, ("queue", name_ends), &settings).await
}

/// A queue whose name begins and ends so, on this cluster.
pub(crate) async fn first_with(
    client: &Client,
    cluster: &str,
    (begins, ends): (&str, &str),
    settings: &QueueSettings,
) -> QueueRoute {
    for n in 0..100 {
        let created = client.put(&format!("{begins}-{n}{ends}"), settings).await;
        assert_eq!(created.status(), StatusCode::CREATED);
        let route: QueueRoute = created.json().await.unwrap();
        if route.partitions[0].cluster.to_string() == cluster {
            return route;
        }
        assert_eq!(
            client.delete(route.name.as_str()).await.status(),
            StatusCode::NO_CONTENT
        );
    }
    panic!("a hundred names none of which belongs to {cluster}");
}
