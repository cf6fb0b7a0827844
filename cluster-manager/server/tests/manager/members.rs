//! Clusters formed on request, and their members changed.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shoal_api::Problem;
use shoal_api::manager::{ClusterInfo, HostInfo};
use shoal_types::{HostId, HostState, Revision};

use crate::support::{Client, Host, Running, Small, World, eventually, problem};

fn ids(hosts: &[Host]) -> Vec<String> {
    hosts.iter().map(|host| host.id().to_string()).collect()
}

async fn form(client: &Client, body: Value) -> reqwest::Response {
    client.send_json(Method::POST, "/v1/clusters", &body).await
}

async fn change(client: &Client, body: Value) -> reqwest::Response {
    let path = "/v1/clusters/c1/changes";
    client.send_json(Method::POST, path, &body).await
}

/// That a refusal of this body names the field, and says why with this word.
fn assert_says(refused: &Problem, status: u16, field: &str, word: &str, body: &Value) {
    assert_eq!(
        (refused.status, refused.field.as_deref()),
        (status, Some(field)),
        "{body}"
    );
    assert!(refused.detail.contains(word), "{body}: {}", refused.detail);
}

/// Waits until the cluster has just these members and nothing is under way.
async fn until_members(client: &Client, hosts: &[HostId]) -> ClusterInfo {
    eventually("the members change", async || {
        let mut clusters = client.clusters().await;
        let cluster = clusters.pop()?;
        (cluster.change.is_none() && cluster.members == hosts).then_some(cluster)
    })
    .await
}

async fn until_known(client: &Client, count: usize) {
    eventually("hosts are known", async || {
        (client.hosts().await.len() == count).then_some(())
    })
    .await;
}

/// A serving cluster of three hosts, and hosts that belong to none.
struct WithSpares {
    manager: Running,
    world: World,
    /// The members first.
    hosts: Vec<Host>,
    data: tempfile::TempDir,
}

impl WithSpares {
    async fn start(spares: &[&str]) -> Self {
        let Small {
            manager,
            world,
            mut hosts,
            data,
        } = Small::start().await;
        hosts.extend(world.hosts(&manager.client, spares).await);
        until_known(&manager.client, hosts.len()).await;
        Self {
            manager,
            world,
            hosts,
            data,
        }
    }

    fn client(&self) -> &Client {
        &self.manager.client
    }

    fn ids(&self) -> Vec<HostId> {
        self.hosts.iter().map(Host::id).collect()
    }
}

async fn explicit(data: &std::path::Path) -> Running {
    Running::with(data, |config| config.form_clusters = false).await
}

#[tokio::test]
async fn a_cluster_is_formed_of_the_hosts_that_were_named_and_of_no_others() {
    let data = tempfile::tempdir().unwrap();
    let manager = explicit(data.path()).await;
    let world = World::default();
    let hosts = world.hosts(&manager.client, &["a", "a", "b", "c"]).await;
    until_known(&manager.client, 4).await;
    assert!(
        manager.client.clusters().await.is_empty(),
        "nobody asked for one"
    );

    let named = &ids(&hosts)[..3];
    let answer = form(&manager.client, json!({ "hosts": named })).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let again = form(&manager.client, json!({ "hosts": named })).await;
    assert_eq!(again.status(), StatusCode::OK);
    let cluster = manager.client.until_serving(1).await.remove(0);
    let members: Vec<_> = hosts[..3].iter().map(Host::id).collect();
    assert_eq!(cluster.members, members);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_the_field_and_the_reason() {
    let five = WithSpares::start(&["a", "b"]).await;
    let (client, world) = (five.client(), &five.world);
    let id = ids(&five.hosts);
    let (m1, m2, free) = (&id[0], &id[1], &id[3]);

    for (body, status, field, word) in [
        (json!({ "hosts": [] }), 400, "hosts", "has members"),
        (json!({ "hosts": [free, free] }), 400, "hosts", "twice"),
        (json!({ "hosts": [free] }), 400, "hosts", "confirm"),
        (json!({ "hosts": id }), 400, "hosts", "5 hosts"),
        (
            json!({ "hosts": [free, m1, "h777"] }),
            409,
            "hosts",
            "belongs to c1 already",
        ),
        (
            json!({ "hosts": [free, &id[4], "h777"] }),
            404,
            "hosts",
            "never reported",
        ),
    ] {
        let refused = problem(form(client, body.clone()).await).await;
        assert_says(&refused, status, field, word, &body);
    }
    for (body, status, field, word) in [
        (json!({}), 400, "add", "neither"),
        (
            json!({ "add": free, "remove": free }),
            400,
            "add",
            "is the host to be removed",
        ),
        (json!({ "add": "h777" }), 404, "add", "never reported"),
        (json!({ "remove": free }), 404, "remove", "no member of c1"),
        (
            json!({ "remove": "h777" }),
            404,
            "remove",
            "no member of c1",
        ),
        (json!({ "remove": m1 }), 400, "remove", "confirm"),
        (
            json!({ "add": free, "remove": "h777" }),
            404,
            "remove",
            "no member of c1",
        ),
    ] {
        let refused = problem(change(client, body.clone()).await).await;
        assert_says(&refused, status, field, word, &body);
    }
    let nowhere = "/v1/clusters/c9/changes";
    let refused = client
        .send_json(Method::POST, nowhere, &json!({ "add": free }))
        .await;
    assert_eq!(problem(refused).await.status, 404);
    let wrong = "/v1/clusters/nine/changes";
    let refused = client
        .send_json(Method::POST, wrong, &json!({ "add": free }))
        .await;
    assert_eq!(problem(refused).await.field.as_deref(), Some("cluster"));

    // One change at a time; the same one may be asked for again.
    world.refuse(true);
    assert_eq!(
        change(client, json!({ "add": free })).await.status(),
        StatusCode::ACCEPTED
    );
    assert_eq!(
        change(client, json!({ "add": free })).await.status(),
        StatusCode::ACCEPTED
    );
    let refused = problem(change(client, json!({ "add": &id[4], "remove": m2 })).await).await;
    assert_eq!(refused.status, 409);
    assert!(
        refused.detail.contains("one change at a time"),
        "{}",
        refused.detail
    );
}

#[tokio::test]
async fn a_cluster_grows_and_shrinks_and_frontends_hear_of_it() {
    let four = WithSpares::start(&["a"]).await;
    let (client, world, id) = (four.client(), &four.world, four.ids());

    let asked = json!({ "add": id[3].to_string() });
    assert_eq!(
        change(client, asked.clone()).await.status(),
        StatusCode::ACCEPTED
    );
    until_members(client, &id).await;
    assert_eq!(
        change(client, asked).await.status(),
        StatusCode::OK,
        "it is so already"
    );

    let asked = json!({ "remove": id[0].to_string() });
    assert_eq!(
        change(client, asked.clone()).await.status(),
        StatusCode::ACCEPTED
    );
    until_members(client, &id[1..]).await;
    assert_eq!(change(client, asked).await.status(), StatusCode::OK);
    let feed = client.feed(Revision(0), 0).await;
    let members: Vec<_> = feed.clusters[0].members.iter().map(|m| m.host).collect();
    assert_eq!(members, id[1..]);
    let gone = eventually("the removed host says so", async || {
        let hosts: Vec<HostInfo> = client.hosts().await;
        hosts
            .into_iter()
            .find(|host| host.state == HostState::Removed)
    })
    .await;
    assert_eq!((gone.host, gone.cluster), (id[0], None));
    let revisions: Vec<Revision> = world.ordered().iter().map(|spec| spec.revision).collect();
    assert!(revisions.is_sorted(), "{revisions:?}");
}

#[tokio::test]
async fn a_manager_that_restarts_in_the_middle_of_a_replacement_carries_it_on() {
    let four = WithSpares::start(&["a"]).await;
    let (address, id) = (four.client().clone(), four.ids());
    let (old, by) = (id[0], id[3]);
    let WithSpares {
        manager,
        world,
        hosts,
        data,
    } = four;

    world.refuse(true);
    let asked = json!({ "add": by.to_string(), "remove": old.to_string() });
    assert_eq!(
        change(&address, asked.clone()).await.status(),
        StatusCode::ACCEPTED
    );
    let under_way = eventually("it says why it waits", async || {
        let change = address.clusters().await.pop()?.change?;
        change.progress.contains("told to refuse").then_some(change)
    })
    .await;
    assert_eq!(under_way.steps.len(), 2);
    drop(hosts);
    manager.stop().await;

    let manager = Running::start(data.path()).await;
    let mut back = Vec::new();
    for (id, zone) in [
        (HostId(1), "a"),
        (HostId(2), "b"),
        (HostId(3), "c"),
        (by, "a"),
    ] {
        let incarnation = shoal_types::Incarnation(2);
        back.push(world.host(&manager.client, id, zone, incarnation).await);
    }
    world.refuse(false);
    let members = [HostId(2), HostId(3), by];
    until_members(&manager.client, &members).await;
    assert_eq!(
        change(&manager.client, asked).await.status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn an_addition_that_does_not_come_about_is_taken_back() {
    let four = WithSpares::start(&["a"]).await;
    let (client, world, id) = (four.client(), &four.world, four.ids());
    world.refuse(true);
    let add = json!({ "add": id[3].to_string() });
    assert_eq!(change(client, add).await.status(), StatusCode::ACCEPTED);
    let remove = json!({ "remove": id[3].to_string() });
    assert_eq!(change(client, remove).await.status(), StatusCode::ACCEPTED);
    world.refuse(false);
    until_members(client, &id[..3]).await;
}

#[tokio::test]
async fn one_member_alone_takes_commands_until_all_may_again() {
    let three = WithSpares::start(&[]).await;
    let (client, id) = (three.client(), three.ids());
    let only = json!({ "active": { "only": id[1].to_string() } });
    let all = json!({ "active": "all" });
    let accepted = change(client, only.clone()).await.status();
    assert_eq!(accepted, StatusCode::ACCEPTED);
    assert_eq!(until_members(client, &id).await.only, Some(id[1]));
    assert_eq!(change(client, only).await.status(), StatusCode::OK);
    assert_eq!(change(client, all).await.status(), StatusCode::ACCEPTED);
    assert_eq!(until_members(client, &id).await.only, None);
    let stranger = json!({ "active": { "only": "h777" } });
    let refused = problem(change(client, stranger).await).await;
    assert_eq!(
        (refused.status, refused.field.as_deref()),
        (404, Some("active"))
    );
}
