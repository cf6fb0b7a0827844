//! Hosts of one pool stay among themselves: in clusters that are formed, and in those that are changed.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shoal_api::manager::HostInfo;
use shoal_api::plan::EventPage;
use shoal_types::{HostId, Incarnation};

use crate::support::{Client, Host, Running, World, eventually, problem};

const ZONES: [&str; 3] = ["a", "b", "c"];

async fn until_known(client: &Client, count: usize) -> Vec<HostInfo> {
    eventually("hosts are known", async || {
        let hosts = client.hosts().await;
        (hosts.len() == count).then_some(hosts)
    })
    .await
}

/// That an order is refused for its hosts' pools, and names both.
async fn assert_mixed(client: &Client, path: &str, body: Value, field: &str, names: [&str; 2]) {
    let answer = client.send_json(Method::POST, path, &body).await;
    let refused = problem(answer).await;
    assert_eq!(
        (refused.status, refused.field.as_deref()),
        (409, Some(field)),
        "{body}"
    );
    let both = names.iter().all(|name| refused.detail.contains(name));
    assert!(both, "{body}: {}", refused.detail);
    assert_eq!(refused.applied, shoal_types::Applied::No);
}

#[tokio::test]
async fn each_pool_is_a_cluster_and_the_rest_wait_without_holding_it_up() {
    let data = tempfile::tempdir().unwrap();
    let manager = Running::start(data.path()).await;
    let client = &manager.client;
    let world = World::default();
    // By their ids and zones alone the first three would be a cluster.
    let mut orders = world.hosts_of("orders", client, &["a", "b"]).await;
    let _few = world.hosts_of("bills", client, &["c", "d"]).await;
    let _unnamed = world.hosts(client, &["e"]).await;
    until_known(client, 5).await;
    assert!(client.clusters().await.is_empty());
    let answer = client.send(Method::POST, "/v1/clusters", "{}").await;
    let none = problem(answer).await;
    assert_eq!(none.code.as_str(), "no_capacity");
    assert!(
        none.detail
            .contains("2 unassigned hosts of pool \"bills\" are fewer than a cluster's 3"),
        "{}",
        none.detail
    );

    orders.extend(world.hosts_of("orders", client, &["c"]).await);
    let cluster = client.until_serving(1).await.remove(0);
    assert_eq!(cluster.members, ids(&orders));
    let hosts = until_known(client, 6).await;
    let shown: Vec<&str> = hosts.iter().map(|host| &*host.pool).collect();
    assert_eq!(shown, ["orders", "orders", "bills", "bills", "", "orders"]);
    let page: EventPage = client.get("/v1/events?limit=1000").await;
    let told = page.events.iter();
    assert!(
        told.clone()
            .any(|event| event.text.contains("3 hosts of pool \"orders\" in 3 zones")),
        "{page:?}"
    );
}

#[tokio::test]
async fn an_order_that_mixes_pools_is_refused_and_names_both() {
    let data = tempfile::tempdir().unwrap();
    let manager = Running::start(data.path()).await;
    let client = &manager.client;
    let world = World::default();
    let members = world.hosts_of("orders", client, &ZONES).await;
    client.until_serving(1).await;
    let (bill, unnamed) = (
        world.hosts_of("bills", client, &["d", "e"]).await,
        world.hosts(client, &["d"]).await,
    );
    until_known(client, 6).await;
    let (member, bills, unnamed) = (ids(&members)[0], texts(&bill), texts(&unnamed));

    let change = "/v1/clusters/c1/changes";
    let both = ["pool \"bills\"", "pool \"orders\""];
    let add = json!({ "add": bills[0] });
    assert_mixed(client, change, add, "add", both).await;
    let replace = json!({ "add": bills[0], "remove": member.to_string() });
    assert_mixed(client, change, replace, "add", both).await;
    let form = json!({ "hosts": [bills[0], bills[1], unnamed[0]] });
    let both = ["pool \"bills\"", "the pool without a name"];
    assert_mixed(client, "/v1/clusters", form, "hosts", both).await;
    assert_eq!(client.clusters().await.len(), 1);

    let own = world.hosts_of("orders", client, &["d"]).await;
    until_known(client, 7).await;
    let add = json!({ "add": texts(&own)[0] });
    let answer = client.send_json(Method::POST, change, &add).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_host_that_comes_to_be_of_another_pool_stays_where_it_is() {
    let data = tempfile::tempdir().unwrap();
    let manager = Running::start(data.path()).await;
    let client = &manager.client;
    let world = World::default();
    let mut hosts = world.hosts(client, &ZONES).await;
    let before = client.until_serving(1).await.remove(0);
    drop(hosts.remove(0));
    let id = before.members[0];
    let at = ("orders", "a");
    hosts.push(world.host_of(at, client, id, Incarnation(2)).await);
    eventually("its pool is known", async || {
        let hosts = client.hosts().await;
        (hosts[0].pool == "orders").then_some(())
    })
    .await;
    let after = client.until_serving(1).await.remove(0);
    assert_eq!(after.members, before.members);
}

fn ids(hosts: &[Host]) -> Vec<HostId> {
    hosts.iter().map(Host::id).collect()
}

fn texts(hosts: &[Host]) -> Vec<String> {
    ids(hosts).iter().map(HostId::to_string).collect()
}
