//! The fleet is looked after: heat is measured and explained, the dead are replaced, clusters are drained
//! and retired, and every decision is told.

use std::path::Path;

use reqwest::{Method, StatusCode};
use serde_json::json;
use shoal_api::manager::{ClusterInfo, ClusterState};
use shoal_api::plan::{Event, EventKind, EventPage, PlanInfo};
use shoal_types::{HostId, HostState, LoadReport, PartitionLoad};

use crate::support::{Client, Host, Running, Small, World, eventually, problem};

/// A manager whose rounds are quicker than real ones, so that tests are.
async fn quick(data: &Path) -> Running {
    Running::with(data, |config| config.round_ms = 100).await
}

async fn plan(client: &Client) -> PlanInfo {
    client.get("/v1/plan").await
}

async fn events(client: &Client) -> Vec<Event> {
    let page: EventPage = client.get("/v1/events?after=0&limit=1000").await;
    page.events
}

/// Waits for an event with these words.
async fn until_told(client: &Client, words: &str) -> Event {
    eventually(words, async || {
        let mut events = events(client).await.into_iter();
        events.find(|event| event.text.contains(words))
    })
    .await
}

async fn drain(client: &Client, cluster: &str, drain: bool) -> reqwest::Response {
    let path = format!("/v1/clusters/{cluster}/drain");
    client
        .send_json(Method::POST, &path, &json!({ "drain": drain }))
        .await
}

async fn until_state(client: &Client, cluster: usize, state: ClusterState) -> ClusterInfo {
    eventually("the cluster's state", async || {
        let info = client.clusters().await.remove(cluster);
        (info.state == state).then_some(info)
    })
    .await
}

#[tokio::test]
async fn heat_is_the_sum_over_hosts_and_names_the_busiest_queue() {
    let data = tempfile::tempdir().unwrap();
    let manager = quick(data.path()).await;
    let client = &manager.client;
    let world = World::default();
    let hosts = world.hosts(client, &["a", "b", "c"]).await;
    client.until_serving(1).await;
    let partition = client.create("orders").await.partitions[0].partition;
    for (host, cpu_percent) in hosts.iter().zip([10, 60, 20]) {
        let partitions = vec![PartitionLoad {
            partition,
            operations: 9_000,
            bytes: 100,
        }];
        let load = LoadReport {
            operations: 12_000,
            bytes: 200,
            cpu_percent,
            partitions,
            ..LoadReport::default()
        };
        world.load(host.id(), load);
    }
    let heat = eventually("the cluster is judged", async || {
        let heat = plan(client).await.clusters.pop()?;
        let all = heat.measures.first()?.value == 36_000;
        (heat.heat == Some(120) && all).then_some(heat)
    })
    .await;
    assert_eq!(heat.measure.as_deref(), Some("operations"));
    let measure = |name: &str| {
        let mut all = heat.measures.iter();
        let found = all.find(|measure| measure.measure == name).unwrap();
        (found.value, found.target)
    };
    assert_eq!(heat.measures[0].measure, "operations", "the hottest first");
    assert_eq!(measure("operations"), (36_000, 30_000), "the sum");
    assert_eq!(measure("processor time"), (60, 75), "the busiest host's");
    assert_eq!(heat.busiest[0].queue.as_str(), "orders");
    assert_eq!(
        (heat.busiest[0].operations, heat.busiest[0].bytes),
        (27_000, 300)
    );
    let not_helped = eventually("nothing can be done", async || {
        plan(client).await.not_helped.pop()
    })
    .await;
    assert!(
        not_helped.why.contains("nothing is done"),
        "{}",
        not_helped.why
    );
}

#[tokio::test]
async fn a_dead_member_gives_its_place_to_a_spare_and_the_log_says_why() {
    let data = tempfile::tempdir().unwrap();
    let manager = Running::with(data.path(), |config| {
        (config.round_ms, config.silence_ms) = (100, 1_500);
        config.replace_after_s = 2;
    })
    .await;
    let client = &manager.client;
    let world = World::default();
    let mut hosts = world.hosts(client, &["a", "b", "c"]).await;
    client.until_serving(1).await;
    let spares = world.hosts(client, &["d"]).await;
    let dead = hosts.remove(0).id();
    let wanted: Vec<HostId> = hosts.iter().chain(&spares).map(Host::id).collect();
    eventually("the dead one is replaced", async || {
        let info = client.clusters().await.remove(0);
        (info.members == wanted && info.change.is_none()).then_some(())
    })
    .await;
    let decided = until_told(client, "not heard from for").await;
    let order = format!("{} is added, then {dead} is removed", spares[0].id());
    assert!(decided.text.contains(&order), "{}", decided.text);
    assert_eq!(decided.kind, EventKind::Decided);
    let done = until_told(client, &format!("done: {dead} is removed")).await;
    assert!(done.number > decided.number && done.at >= decided.at);

    // The next one has no spare: somebody must start a host.
    hosts.remove(0);
    let missing = until_told(client, "capacity needed: 1 hosts").await;
    assert_eq!(missing.kind, EventKind::Capacity);
    let needed = eventually("the plan says so", async || {
        plan(client).await.capacity_needed
    });
    let needed = needed.await;
    assert_eq!((needed.hosts, needed.replacements), (1, 1));
    // The metrics are those of the process, in which the other tests' managers measure too.
    eventually("the metric says so", async || {
        let metrics = reqwest::get(format!("http://{}/metrics", manager.admin()));
        let metrics = metrics.await.unwrap().text().await.unwrap();
        let says = metrics.contains("shoal_manager_capacity_needed_hosts 1");
        says.then_some(())
    })
    .await;
    let _helps = world.hosts(client, &["a"]).await;
    until_told(client, "no capacity is needed any more").await;
}

#[tokio::test]
async fn an_empty_cluster_that_is_drained_is_retired_and_its_hosts_are_no_spares() {
    let data = tempfile::tempdir().unwrap();
    let manager = quick(data.path()).await;
    let client = &manager.client;
    let world = World::default();
    let _hosts = world.hosts(client, &["a", "b", "c", "a", "b", "c"]).await;
    client.until_serving(2).await;
    assert_eq!(drain(client, "c1", true).await.status(), StatusCode::OK);
    until_state(client, 0, ClusterState::Retired).await;
    until_told(client, "c1 is drained: an operator asked for it").await;
    let retired = until_told(client, "c1 is retired").await;
    assert_eq!(retired.kind, EventKind::Done);
    for n in 0..20 {
        let route = client.create(&format!("queue-{n}")).await;
        assert_eq!(route.partitions[0].cluster.to_string(), "c2");
    }
    let clusters = client.feed(Default::default(), 0).await.clusters;
    assert_eq!(clusters.len(), 1, "frontends need not know it any more");
    let refused = problem(
        client
            .send_json(Method::POST, "/v1/clusters", &json!({}))
            .await,
    )
    .await;
    assert_eq!(refused.code.as_str(), "no_capacity", "{}", refused.detail);
    let again = problem(drain(client, "c1", false).await).await;
    assert_eq!(
        (again.status, again.field.as_deref()),
        (409, Some("cluster"))
    );
    let last = problem(drain(client, "c2", true).await).await;
    assert!(last.detail.contains("only cluster"), "{}", last.detail);
    eventually("nothing is planned for it", async || {
        (plan(client).await.clusters.len() == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_draining_cluster_is_one_over_a_restart_until_an_operator_says_otherwise() {
    let data = tempfile::tempdir().unwrap();
    // The first look comes long after this.
    let slow = |config: &mut shoal_manager::ManagerConfig| config.round_ms = 60_000;
    let manager = Running::with(data.path(), slow).await;
    let world = World::default();
    let zones = ["a", "b", "c", "a", "b", "c"];
    let _hosts = world.hosts(&manager.client, &zones).await;
    manager.client.until_serving(2).await;
    let drained = drain(&manager.client, "c1", true).await;
    let info: ClusterInfo = drained.json().await.unwrap();
    assert_eq!(info.state, ClusterState::Draining);
    manager.stop().await;

    let manager = Running::with(data.path(), slow).await;
    let client = &manager.client;
    assert_eq!(client.clusters().await[0].state, ClusterState::Draining);
    assert_eq!(drain(client, "c1", true).await.status(), StatusCode::OK);
    assert_eq!(drain(client, "c1", false).await.status(), StatusCode::OK);
    assert_eq!(client.clusters().await[0].state, ClusterState::Serving);
    until_told(client, "c1 is not drained any more").await;
    let told = events(client).await;
    assert!(told.iter().map(|event| event.number).is_sorted());
    let asked = told
        .iter()
        .filter(|event| event.text.contains("c1 is drained"));
    assert_eq!(asked.count(), 1, "asking again changed nothing");
    let mut missing = problem(drain(client, "c9", true).await).await;
    assert_eq!(missing.status, 404);
    missing = problem(drain(client, "nine", true).await).await;
    assert_eq!(missing.field.as_deref(), Some("cluster"));
}

#[tokio::test]
async fn spares_that_are_kept_are_made_a_cluster_of_only_on_request() {
    let data = tempfile::tempdir().unwrap();
    let manager = Running::with(data.path(), |config| config.spares_kept = 1).await;
    let client = &manager.client;
    let world = World::default();
    let mut hosts = world.hosts(client, &["a", "b", "c"]).await;
    eventually("all are known", async || {
        (client.hosts().await.len() == 3).then_some(())
    })
    .await;
    assert!(
        client.clusters().await.is_empty(),
        "one has to be left over"
    );
    hosts.extend(world.hosts(client, &["d"]).await);
    client.until_serving(1).await;
    hosts.extend(world.hosts(client, &["e", "f"]).await);
    let free = eventually("three are free", async || {
        let hosts = client.hosts().await;
        let free = hosts
            .iter()
            .filter(|host| host.state == HostState::Unassigned);
        (free.count() == 3).then_some(hosts)
    })
    .await;
    assert_eq!(free.len(), 6);
    let asked = client.send(Method::POST, "/v1/clusters", "{}");
    assert_eq!(asked.await.status(), StatusCode::CREATED);
    client.until_serving(2).await;
    until_told(client, "an operator asked for one more").await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_its_field() {
    let small = Small::start().await;
    let client = small.client();
    for (path, field) in [
        ("/v1/events?limit=0", "limit"),
        ("/v1/events?limit=1001", "limit"),
        ("/v1/events?before=3", "before"),
    ] {
        let refused = problem(client.send(Method::GET, path, "").await).await;
        assert_eq!(
            (refused.status, refused.field.as_deref()),
            (400, Some(field)),
            "{path}"
        );
    }
    let mut status = serde_json::to_value(small.hosts[0].status()).unwrap();
    for (field, value) in [
        ("capacity", json!(0)),
        ("capacity", json!(17)),
        ("cpu_percent", json!(101)),
    ] {
        let right = status["load"][field].clone();
        status["load"][field] = value;
        let sent = client.send_json(Method::POST, "/v1/hosts/heartbeat", &status);
        let refused = problem(sent.await).await;
        assert_eq!(refused.field, Some(format!("load.{field}")));
        status["load"][field] = right;
    }
    // A host of an earlier release says nothing of its load.
    status.as_object_mut().unwrap().remove("load");
    let sent = client.send_json(Method::POST, "/v1/hosts/heartbeat", &status);
    assert_eq!(sent.await.status(), StatusCode::OK);
}
