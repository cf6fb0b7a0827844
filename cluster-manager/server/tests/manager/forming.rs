//! Hosts register and become clusters.

use std::collections::BTreeSet;

use shoal_api::manager::ClusterState;
use shoal_api::plan::EventPage;
use shoal_types::{ClusterId, HostId, Incarnation, Revision};

use crate::support::{Running, Small, World, eventually, problem};

#[tokio::test]
async fn six_hosts_of_three_zones_become_two_clusters_that_each_survive_a_zone() {
    let data = tempfile::tempdir().unwrap();
    let manager = Running::start(data.path()).await;
    let world = World::default();
    let _hosts = world
        .hosts(&manager.client, &["a", "a", "b", "b", "c", "c"])
        .await;
    let clusters = manager.client.until_serving(2).await;
    let hosts = manager.client.hosts().await;
    let zone_of = |id: &HostId| &hosts.iter().find(|host| host.host == *id).unwrap().zone;
    let mut ids = BTreeSet::new();
    for cluster in &clusters {
        let zones: BTreeSet<_> = cluster.members.iter().map(zone_of).collect();
        assert_eq!((cluster.members.len(), zones.len()), (3, 3));
        assert_eq!(cluster.members, cluster.active);
        assert!(cluster.members.is_sorted());
        ids.insert(cluster.cluster);
    }
    assert_eq!(ids, BTreeSet::from([ClusterId(1), ClusterId(2)]));
    assert!(
        hosts
            .iter()
            .all(|host| host.alive && host.cluster.is_some())
    );
}

#[tokio::test]
async fn hosts_of_one_zone_become_a_cluster_when_patience_ends_and_two_hosts_never_do() {
    let data = tempfile::tempdir().unwrap();
    let manager = Running::start(data.path()).await;
    let world = World::default();
    let mut hosts = world.hosts(&manager.client, &["a", "a"]).await;
    eventually("both are known", async || {
        (manager.client.hosts().await.len() == 2).then_some(())
    })
    .await;
    assert!(manager.client.clusters().await.is_empty());
    hosts.extend(world.hosts(&manager.client, &["a"]).await);
    manager.client.until_serving(1).await;
}

#[tokio::test]
async fn clusters_of_four_are_formed_if_so_configured() {
    let data = tempfile::tempdir().unwrap();
    let manager = Running::with(data.path(), |config| config.cluster_size = 4).await;
    let world = World::default();
    let _hosts = world.hosts(&manager.client, &["a", "b", "c", "d"]).await;
    assert_eq!(manager.client.until_serving(1).await[0].members.len(), 4);
}

#[tokio::test]
async fn a_cluster_serves_only_after_its_last_host_confirmed() {
    let data = tempfile::tempdir().unwrap();
    let manager = Running::start(data.path()).await;
    let world = World::default();
    let mut hosts = world.hosts(&manager.client, &["a", "b"]).await;
    // The third reports but does not listen.
    let third = world
        .host(&manager.client, HostId(99), "c", Incarnation(1))
        .await;
    let status = third.status();
    drop(third);
    eventually("a cluster is decided", async || {
        manager.client.heartbeat(&status).await;
        let clusters = manager.client.clusters().await;
        let forming = clusters.first()?.state == ClusterState::Forming;
        assert!(forming, "{clusters:?}");
        Some(())
    })
    .await;
    assert!(
        manager
            .client
            .feed(Revision(0), 0)
            .await
            .clusters
            .is_empty()
    );
    hosts.push(
        world
            .host(&manager.client, HostId(99), "c", Incarnation(2))
            .await,
    );
    manager.client.until_serving(1).await;
    let feed = manager.client.feed(Revision(0), 0).await;
    let addresses: Vec<_> = feed.clusters[0]
        .members
        .iter()
        .map(|member| &*member.address)
        .collect();
    assert_eq!(
        addresses,
        hosts.iter().map(|host| host.address()).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_host_that_starts_again_elsewhere_is_found_there() {
    let mut small = Small::start().await;
    let before = small.client().feed(Revision(0), 0).await;
    let moved = small.hosts.remove(1).restarted(small.client()).await;
    let page = small.client().feed(before.revision, 20).await;
    let members = &page.clusters[0].members;
    assert_eq!(members[1].address, moved.address());
    assert_eq!(members[0], before.clusters[0].members[0]);
    eventually("the other members are told", async || {
        let told = small
            .client()
            .heartbeat(&small.hosts[0].status())
            .await
            .unwrap();
        (told.cluster.unwrap().members == *members).then_some(())
    })
    .await;
    let host = &small.client().hosts().await[1];
    assert_eq!(
        (host.incarnation, &*host.address),
        (Incarnation(2), moved.address())
    );
}

#[tokio::test]
async fn the_earlier_life_of_a_host_is_not_listened_to() {
    let mut small = Small::start().await;
    let first = small.hosts.remove(0);
    let stale = first.status();
    let _second = first.restarted(small.client()).await;
    eventually("the second start is known", async || {
        let hosts = small.client().hosts().await;
        (hosts[0].incarnation == Incarnation(2)).then_some(())
    })
    .await;
    let answer = small
        .client()
        .send_json(reqwest::Method::POST, "/v1/hosts/heartbeat", &stale)
        .await;
    let problem = problem(answer).await;
    assert_eq!(
        (problem.code.as_str(), problem.field.as_deref()),
        ("fenced", Some("incarnation"))
    );
}

#[tokio::test]
async fn a_host_that_belongs_to_an_unknown_cluster_is_left_alone() {
    let data = tempfile::tempdir().unwrap();
    let manager = Running::start(data.path()).await;
    let world = World::default();
    let zones = ["a", "b", "c"];
    let hosts = world.hosts(&manager.client, &zones).await;
    manager.client.until_serving(1).await;
    let mut foreign = hosts[0].status();
    (foreign.host, foreign.cluster) = (HostId(77), Some(ClusterId(41)));
    assert_eq!(
        manager.client.heartbeat(&foreign).await.unwrap().cluster,
        None
    );
    let _others = world.hosts(&manager.client, &zones).await;
    let clusters = manager.client.until_serving(2).await;
    assert!(!clusters[1].members.contains(&HostId(77)));
    assert_eq!(
        clusters[1].cluster,
        ClusterId(42),
        "no id is used that somebody has"
    );
    for _ in 0..2 {
        manager.client.heartbeat(&foreign).await;
    }
    let page: EventPage = manager.client.get("/v1/events?limit=1000").await;
    let told = page.events.iter();
    let told = told.filter(|event| event.text.contains("h4d belongs to c29"));
    assert_eq!(told.count(), 1, "an operator is told, once");
}
