//! A manager that stops, at whatever point, goes on where it was.

use std::path::Path;

use shoal_api::manager::Feed;
use shoal_manager::Manager;
use shoal_runtime::shutdown::Shutdown;
use shoal_types::{Command, QueueSettings, Revision};

use crate::support::{Running, Small, World, eventually, problem};

#[tokio::test]
async fn everything_is_there_again() {
    let small = Small::start().await;
    let queues = [
        small.client().create("a").await,
        small.client().create("b").await,
    ];
    small.client().create("gone").await;
    small.client().delete("gone").await;
    let (clusters, hosts) = (
        small.client().clusters().await,
        small.client().hosts().await,
    );
    let feed = small.client().feed(Revision(0), 0).await;
    let Small {
        manager,
        world,
        hosts: fakes,
        data,
    } = small;
    manager.stop().await;

    let manager = Running::start(data.path()).await;
    let after = manager.client.feed(Revision(0), 0).await;
    assert!(after.revision > feed.revision, "each start leaves some out");
    let revision = feed.revision;
    assert_eq!(Feed { revision, ..after }, feed);
    let again = manager.client.clusters().await;
    assert_eq!(again[0].members, clusters[0].members);
    assert_eq!(again[0].queues, 2);
    assert_eq!(
        again[0].state, clusters[0].state,
        "hosts are not dead because nobody listened"
    );
    let known: Vec<_> = manager
        .client
        .hosts()
        .await
        .into_iter()
        .map(|host| host.address)
        .collect();
    assert_eq!(
        known,
        hosts
            .into_iter()
            .map(|host| host.address)
            .collect::<Vec<_>>()
    );
    // Nothing new is decided before somebody of the cluster could say that the store is too old.
    fakes[0].reports_to(&manager.client);
    let next = manager.client.create("c").await;
    assert!(
        queues
            .iter()
            .all(|queue| queue.queue < next.queue && queue.revision < next.revision)
    );
    assert!(world.partition(next.partitions[0].partition).is_some());
    drop(fakes);
}

/// What another process would find if this one were killed now.
fn crash_image(of: &Path) -> tempfile::TempDir {
    let image = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(of).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), image.path().join(file.file_name())).unwrap();
    }
    image
}

#[tokio::test]
async fn a_creation_cut_off_between_decision_and_cluster_is_completed_under_its_fence() {
    let small = Small::start().await;
    small.world.refuse(true);
    let cut_off = problem(
        small
            .client()
            .put("orders", &QueueSettings::default())
            .await,
    )
    .await;
    assert_eq!(cut_off.code.as_str(), "unavailable");
    let image = crash_image(small.data.path());
    small.manager.stop().await;
    small.world.refuse(false);

    let manager = Running::start(image.path()).await;
    let route = eventually("it is completed", async || {
        manager.client.queue("orders").await
    })
    .await;
    let fences = small
        .world
        .executed()
        .into_iter()
        .filter_map(|executed| match executed.command {
            Command::CreatePartition {
                partition,
                revision,
                ..
            } => Some((partition, revision)),
            Command::Describe { .. } => None,
            other => panic!("{other:?}"),
        });
    let mut fences: Vec<_> = fences.collect();
    fences.dedup();
    assert_eq!(fences.len(), 1, "the same partition under the same fence");
    assert_eq!(fences[0].0, route.partitions[0].partition);
    assert_eq!(manager.client.clusters().await[0].queues, 1);
}

#[tokio::test]
async fn a_deletion_cut_off_is_completed_too() {
    let small = Small::start().await;
    small.client().create("orders").await;
    small.world.refuse(true);
    small.client().delete("orders").await;
    small.manager.stop().await;
    small.world.refuse(false);
    let manager = Running::start(small.data.path()).await;
    assert_eq!(manager.client.queue("orders").await, None);
    eventually("the partition is gone", async || {
        (small.world.partitions() == 0).then_some(())
    })
    .await;
    eventually("it counts no more", async || {
        (manager.client.clusters().await[0].queues == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_cluster_decided_but_not_confirmed_is_confirmed_after_the_restart() {
    let data = tempfile::tempdir().unwrap();
    let manager = Running::start(data.path()).await;
    let world = World::default();
    let hosts = world.hosts(&manager.client, &["a", "b", "c"]).await;
    let statuses: Vec<_> = hosts.iter().map(|host| host.status()).collect();
    drop(hosts);
    let decided = eventually("a cluster is decided", async || {
        for status in &statuses {
            manager.client.heartbeat(status).await;
        }
        manager.client.clusters().await.pop()
    })
    .await;
    manager.stop().await;
    let manager = Running::start(data.path()).await;
    let mut hosts = Vec::new();
    for status in statuses {
        let next = shoal_types::Incarnation(status.incarnation.0 + 1);
        hosts.push(
            world
                .host(&manager.client, status.host, &status.zone, next)
                .await,
        );
    }
    let formed = manager.client.until_serving(1).await;
    assert_eq!(
        (formed[0].cluster, &formed[0].members),
        (decided.cluster, &decided.members)
    );
}

#[tokio::test]
async fn a_second_manager_on_the_same_data_is_refused_with_the_reason() {
    let data = tempfile::tempdir().unwrap();
    let first = Running::start(data.path()).await;
    let config = shoal_manager::ManagerConfig {
        data: data.path().to_owned(),
        listen: ([127, 0, 0, 1], 0).into(),
        admin: ([127, 0, 0, 1], 0).into(),
        ..Default::default()
    };
    let refused = Manager::start(config, Shutdown::new()).await.err().unwrap();
    let holder = format!("is in use by process {}", std::process::id());
    assert!(format!("{refused:#}").contains(&holder), "{refused:#}");
    first.stop().await;
}

#[tokio::test]
async fn the_admin_port_says_that_it_is_ready_and_what_it_does() {
    let small = Small::start().await;
    let admin = small.manager.admin();
    let get = async |path: &str| {
        let answer = reqwest::get(format!("http://{admin}{path}")).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(get("/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(get("/readyz").await, (200, "ready\n".to_owned()));
    let (_, metrics) = get("/metrics").await;
    assert!(
        metrics.contains("shoal_manager_requests_total{operation=\"heartbeat\",result=\"ok\"}")
    );
    let (_, config) = get("/debug/config").await;
    assert!(config.contains("cluster_size = 3"), "{config}");
}
