//! Queues that are set to `partitions: auto`, and back.

use reqwest::{Method, StatusCode};
use shoal_api::plan::PlanInfo;
use shoal_types::{
    Command, Epoch, GroupRange, LoadReport, PartitionLoad, PartitionRoute, Partitioning,
    QueueSettings,
};

use crate::support::{Two, eventually};

/// Says of the queue what it is to be, and gives its route's settings.
async fn set(two: &Two, partitions: Partitioning) -> QueueSettings {
    let settings = QueueSettings {
        partitions,
        ..QueueSettings::default()
    };
    let path = format!("/v1/queues/{}", two.route.name);
    let changed = two.client().send_json(Method::PATCH, &path, &settings);
    assert_eq!(changed.await.status(), StatusCode::OK);
    let queue = two.client().queue(two.route.name.as_str()).await;
    queue.unwrap().settings
}

/// The queue asks 1.2 times of its cluster what that is to bear; or nobody asks anything of anyone.
async fn flood(two: &Two, is_flooded: bool) {
    for host in &two.client().clusters().await[0].members {
        let load = match is_flooded {
            false => LoadReport::default(),
            true => LoadReport {
                operations: 12_000,
                partitions: vec![PartitionLoad {
                    partition: two.old(),
                    operations: 12_000,
                    bytes: 0,
                }],
                ..LoadReport::default()
            },
        };
        two.world.load(*host, load);
    }
}

async fn until_parts(two: &Two, count: usize) -> Vec<PartitionRoute> {
    let parts = eventually("the queue is in as many parts", async || {
        let parts = two.partitions().await;
        (parts.len() == count).then_some(parts)
    });
    let parts = parts.await;
    two.until_over().await;
    parts
}

#[tokio::test]
async fn partitions_is_a_setting_that_is_kept_and_by_which_no_partition_behaves_otherwise() {
    let two = Two::start().await;
    assert_eq!(two.route.settings.partitions, Partitioning::One);
    let auto = set(&two, Partitioning::Auto).await;
    assert_eq!(auto.partitions, Partitioning::Auto);
    let two = two.restarted().await;
    let kept = two.client().queue(two.route.name.as_str()).await.unwrap();
    assert_eq!(kept.settings.partitions, Partitioning::Auto);
    assert_eq!(set(&two, Partitioning::One).await, QueueSettings::default());
    let executed = two.world.executed();
    let as_before = QueueSettings::default().partition(Epoch::default());
    let mut told = executed.iter().filter_map(|one| match &one.command {
        Command::ConfigurePartition { settings, .. } => Some(*settings),
        _ => None,
    });
    assert!(told.all(|settings| settings == as_before));
}

#[tokio::test]
async fn an_overheated_queue_is_split_if_it_may_be_and_merged_when_it_is_to_be_one_again() {
    let two = Two::start().await;
    flood(&two, true).await;
    let why = eventually("it may not be split", async || {
        let plan: PlanInfo = two.client().get("/v1/plan").await;
        let mut why = plan.not_helped.into_iter().map(|one| one.why);
        why.find(|why| why.contains("`partitions: auto` would allow it"))
    });
    why.await;
    assert_eq!(two.partitions().await.len(), 1);

    set(&two, Partitioning::Auto).await;
    two.told("split ").await;
    flood(&two, false).await;
    let parts = until_parts(&two, 2).await;
    let groups: Vec<GroupRange> = parts.iter().map(|part| part.groups).collect();
    assert_eq!(groups, GroupRange::ALL.split(2), "sends are spread");
    let clusters: Vec<String> = parts.iter().map(|part| part.cluster.to_string()).collect();
    assert_eq!(clusters, ["c1", "c2"]);

    set(&two, Partitioning::One).await;
    two.told("it has 2 partitions and is set to one").await;
    let whole = until_parts(&two, 1).await;
    assert_eq!(whole[0].groups, GroupRange::ALL);
    assert!(whole[0].epoch > parts[1].epoch);
    assert_eq!(two.world.partitions(), 1, "nothing is left over");
}
