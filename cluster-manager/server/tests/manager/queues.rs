//! Queues are created, changed and deleted at their cluster, once, whatever happens on the way.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Method, StatusCode};
use shoal_api::manager::{ClusterState, RouteList};
use shoal_types::{Command, PartitionState, QueueSettings, Revision};

use crate::support::{Running, Small, World, eventually, problem};

fn held_back(seconds: u32) -> QueueSettings {
    QueueSettings {
        delay_s: seconds,
        ..QueueSettings::default()
    }
}

#[tokio::test]
async fn a_created_queue_is_at_its_cluster_and_everyone_is_told_the_same() {
    let small = Small::start().await;
    let route = small.client().create("orders").await;
    let partition = route.partitions[0];
    assert_eq!(partition.state, PartitionState::Active);
    let at_cluster = small.world.partition(partition.partition).unwrap();
    assert_eq!(at_cluster.cluster, partition.cluster);
    assert_eq!(
        at_cluster.settings,
        QueueSettings::default().partition(partition.epoch)
    );
    assert_eq!(small.client().queue("orders").await, Some(route.clone()));
    assert_eq!(
        small.client().feed(Revision(0), 0).await.queues,
        vec![route.clone()]
    );
    let list: RouteList = small.client().get("/v1/queues").await;
    assert_eq!((list.queues, list.next_cursor), (vec![route], None));
    assert_eq!(small.client().clusters().await[0].queues, 1);
}

#[tokio::test]
async fn creating_again_is_fine_with_the_same_settings_and_a_conflict_with_others() {
    let small = Small::start().await;
    let route = small.client().create("orders").await;
    let again = small
        .client()
        .put("orders", &QueueSettings::default())
        .await;
    assert_eq!(again.status(), StatusCode::OK);
    assert_eq!(
        again.json::<shoal_types::QueueRoute>().await.unwrap(),
        route
    );
    let other = problem(small.client().put("orders", &held_back(5)).await).await;
    assert_eq!((other.status, other.code.as_str()), (409, "queue_exists"));
    assert_eq!(small.client().queue("orders").await, Some(route));
}

#[tokio::test]
async fn of_concurrent_creations_one_wins_and_all_get_its_queue() {
    let small = Small::start().await;
    let creations = (0..40).map(|n| {
        let client = small.client().clone();
        // Every fourth wants something else.
        let settings = held_back(u32::from(n % 4 == 3));
        tokio::spawn(async move {
            let answer = client.put("orders", &settings).await;
            (settings, answer.status(), answer.text().await.unwrap())
        })
    });
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    let mut routes = BTreeSet::new();
    for creation in creations.collect::<Vec<_>>() {
        let (_, status, body) = creation.await.unwrap();
        *statuses.entry(status.as_u16()).or_default() += 1;
        if status.is_success() {
            routes.insert(body);
        }
    }
    assert_eq!(statuses.get(&201), Some(&1), "{statuses:?}");
    assert_eq!(
        statuses.keys().copied().collect::<Vec<_>>(),
        [200, 201, 409]
    );
    assert_eq!(routes.len(), 1, "all who agree are told the same");
    assert_eq!(small.world.partitions(), 1);
}

#[tokio::test]
async fn a_host_that_is_down_does_not_keep_queues_from_being_created() {
    let mut small = Small::start().await;
    drop(small.hosts.remove(0));
    for n in 0..20 {
        small.client().create(&format!("q{n}")).await;
    }
    assert_eq!(small.world.partitions(), 20);
}

#[tokio::test]
async fn another_host_is_asked_under_the_same_request_id() {
    let small = Small::start().await;
    small.world.refuse(true);
    let client = small.client().clone();
    let creating = tokio::spawn(async move { client.create("orders").await });
    let asked = eventually("all three hosts were asked", async || {
        let executed = small.world.executed();
        let hosts: BTreeSet<_> = executed.iter().map(|executed| executed.host).collect();
        (hosts.len() == 3).then_some(executed)
    })
    .await;
    small.world.refuse(false);
    creating.await.unwrap();
    let requests: BTreeSet<_> = asked.iter().map(|executed| executed.request).collect();
    assert_eq!(requests.len(), 1);
}

#[tokio::test]
async fn what_a_cluster_did_not_do_in_time_is_unavailable_and_done_later() {
    let small = Small::start().await;
    small.world.refuse(true);
    let late = problem(
        small
            .client()
            .put("orders", &QueueSettings::default())
            .await,
    )
    .await;
    assert_eq!(
        (late.status, late.code.as_str(), late.retryable),
        (503, "unavailable", true)
    );
    assert_eq!(serde_json::to_value(late.applied).unwrap(), "unknown");
    assert_eq!(
        small.client().queue("orders").await,
        None,
        "nobody sees it before it is there"
    );
    small.world.refuse(false);
    let route = eventually("it is created", async || {
        small.client().queue("orders").await
    })
    .await;
    assert!(
        small
            .world
            .partition(route.partitions[0].partition)
            .is_some()
    );
    assert_eq!(
        small
            .client()
            .put("orders", &QueueSettings::default())
            .await
            .status(),
        200
    );
}

#[tokio::test]
async fn new_settings_reach_the_cluster_under_a_higher_fence() {
    let small = Small::start().await;
    let before = small.client().create("orders").await;
    let partition = before.partitions[0];
    let created = small.world.partition(partition.partition).unwrap();
    let answer = small
        .client()
        .send_json(Method::PATCH, "/v1/queues/orders", &held_back(9))
        .await;
    assert_eq!(answer.status(), StatusCode::OK);
    let after: shoal_types::QueueRoute = answer.json().await.unwrap();
    assert_eq!(after.settings, held_back(9));
    assert!(after.revision > before.revision);
    assert_eq!(
        (after.queue, after.partitions),
        (before.queue, before.partitions)
    );
    let changed = small.world.partition(partition.partition).unwrap();
    assert_eq!(changed.settings, held_back(9).partition(partition.epoch));
    assert!(changed.revision > created.revision);
    assert_eq!(
        small.client().feed(before.revision, 0).await.queues.len(),
        1
    );
}

#[tokio::test]
async fn settings_that_are_none_of_the_clusters_business_are_noted_there_once() {
    let small = Small::start().await;
    small.client().create("orders").await;
    let asked = small.world.executed().len();
    let settings = QueueSettings {
        receive_wait_s: 5,
        tags: [("team".to_owned(), "shop".to_owned())].into(),
        ..QueueSettings::default()
    };
    for _ in 0..2 {
        let path = "/v1/queues/orders";
        let answer = small
            .client()
            .send_json(Method::PATCH, path, &settings)
            .await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
    assert_eq!(
        small.client().queue("orders").await.unwrap().settings,
        settings
    );
    let executed = small.world.executed();
    let noted: Vec<String> = executed
        .iter()
        .skip(asked)
        .filter_map(|executed| match &executed.command {
            Command::Describe { description, .. } => {
                String::from_utf8(description.bytes.to_vec()).ok()
            }
            _ => None,
        })
        .collect();
    assert_eq!(noted.len(), 1, "{executed:?}");
    assert!(noted[0].contains(r#""team":"shop""#), "{noted:?}");
}

#[tokio::test]
async fn a_deleted_queue_is_gone_everywhere_and_its_name_is_another_queues() {
    let small = Small::start().await;
    let first = small.client().create("orders").await;
    assert_eq!(
        small.client().delete("orders").await.status(),
        StatusCode::NO_CONTENT
    );
    assert_eq!(small.world.partitions(), 0);
    assert_eq!(small.client().queue("orders").await, None);
    assert_eq!(small.client().clusters().await[0].queues, 0);
    let gone = problem(small.client().delete("orders").await).await;
    assert_eq!((gone.status, gone.code.as_str()), (404, "queue_not_found"));
    let page = small.client().feed(first.revision, 0).await;
    assert_eq!(
        (page.queues, page.deleted),
        (vec![], vec![first.name.clone()])
    );

    let second = small.client().create("orders").await;
    assert!(second.queue > first.queue);
    assert!(second.partitions[0].partition > first.partitions[0].partition);
    let page = small.client().feed(first.revision, 0).await;
    assert_eq!((page.queues, page.deleted), (vec![second], vec![]));
}

#[tokio::test]
async fn a_deletion_that_the_cluster_has_not_followed_yet_is_a_deletion() {
    let small = Small::start().await;
    let route = small.client().create("orders").await;
    small.world.refuse(true);
    let late = problem(small.client().delete("orders").await).await;
    assert_eq!(late.code.as_str(), "unavailable");
    assert_eq!(small.client().queue("orders").await, None);
    assert_eq!(
        small.client().feed(route.revision, 0).await.deleted,
        [route.name]
    );
    small.world.refuse(false);
    let second = small.client().create("orders").await;
    assert!(second.queue > route.queue);
    assert_eq!(small.world.partitions(), 1);
    let deletes = small.world.executed().into_iter();
    let fences: BTreeSet<_> = deletes
        .filter_map(|executed| match executed.command {
            Command::DeletePartition { revision, .. } => Some(revision),
            _ => None,
        })
        .collect();
    assert_eq!(fences.len(), 1, "repeated under the same fence");
}

#[tokio::test]
async fn without_a_serving_cluster_there_is_no_capacity() {
    let data = tempfile::tempdir().unwrap();
    let manager = Running::start(data.path()).await;
    let none = problem(
        manager
            .client
            .put("orders", &QueueSettings::default())
            .await,
    )
    .await;
    assert_eq!(
        (none.status, none.code.as_str(), none.retryable),
        (503, "no_capacity", true)
    );
    assert_eq!(serde_json::to_value(none.applied).unwrap(), "no");
    assert_eq!(manager.client.queue("orders").await, None);
}

#[tokio::test]
async fn a_creation_waits_a_moment_for_the_first_cluster() {
    let data = tempfile::tempdir().unwrap();
    let manager = Running::start(data.path()).await;
    let client = manager.client.clone();
    let creating = tokio::spawn(async move { client.create("orders").await });
    let world = World::default();
    let _hosts = world.hosts(&manager.client, &["a", "b", "c"]).await;
    creating.await.unwrap();
}

#[tokio::test]
async fn queues_go_to_clusters_that_serve_and_spread_over_them() {
    let data = tempfile::tempdir().unwrap();
    let manager = Running::start(data.path()).await;
    let world = World::default();
    let mut hosts = world
        .hosts(&manager.client, &["a", "b", "c", "a", "b", "c"])
        .await;
    let clusters = manager.client.until_serving(2).await;
    for n in 0..40 {
        manager.client.create(&format!("q{n}")).await;
    }
    let queues: Vec<_> = manager
        .client
        .clusters()
        .await
        .iter()
        .map(|info| info.queues)
        .collect();
    assert_eq!(queues.iter().sum::<u64>(), 40);
    assert!(
        queues.iter().all(|count| (15..=25).contains(count)),
        "{queues:?}"
    );

    let dead = &clusters[0];
    let kept = dead.members[0];
    hosts.retain(|host| host.id() == kept || !dead.members.contains(&host.id()));
    eventually("the cluster lost its majority", async || {
        let now = manager.client.clusters().await;
        (now[0].state == ClusterState::Unavailable).then_some(())
    })
    .await;
    for n in 0..10 {
        let route = manager.client.create(&format!("later{n}")).await;
        assert_eq!(route.partitions[0].cluster, clusters[1].cluster);
    }
}

#[tokio::test]
async fn queues_are_listed_by_name_page_by_page() {
    let small = Small::start().await;
    for name in ["b2", "a", "b1", "c", "b3"] {
        small.client().create(name).await;
    }
    let page = async |query: &str| {
        let list: RouteList = small.client().get(&format!("/v1/queues{query}")).await;
        let names: Vec<_> = list
            .queues
            .iter()
            .map(|route| route.name.to_string())
            .collect();
        (names.join(" "), list.next_cursor)
    };
    assert_eq!(page("").await, ("a b1 b2 b3 c".to_owned(), None));
    assert_eq!(
        page("?prefix=b&limit=2").await,
        ("b1 b2".to_owned(), Some("b2".to_owned()))
    );
    assert_eq!(
        page("?prefix=b&limit=2&cursor=b2").await,
        ("b3".to_owned(), None)
    );
    assert_eq!(page("?prefix=x").await, (String::new(), None));
}
