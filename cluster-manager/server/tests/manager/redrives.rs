//! Tasks that move the messages of dead-letter queues: begun at each partition, followed to their end, ended early,
//! shown; also by a manager that was started meanwhile.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use shoal_api::redrive::{REDRIVES_PATH, RedriveInfo, RedriveStatus};
use shoal_types::{
    Command, MoveStatus, MoveTask, MoveTo, PartitionId, PartitionState, QueueId, QueueRoute,
    QueueSettings, Revision,
};

use crate::support::{Client, Small, Two, World, eventually, problem};

fn dying(to: &str) -> QueueSettings {
    QueueSettings {
        fifo: to.ends_with(".fifo"),
        dead_letter_queue: Some(to.parse().unwrap()),
        max_receive_count: Some(3),
        ..QueueSettings::default()
    }
}

async fn start(client: &Client, body: Value) -> Response {
    client.send_json(Method::POST, REDRIVES_PATH, &body).await
}

async fn started(client: &Client, body: Value) -> RedriveInfo {
    let answer = start(client, body).await;
    assert_eq!(
        answer.status(),
        StatusCode::CREATED,
        "{:?}",
        answer.text().await
    );
    answer.json().await.unwrap()
}

async fn cancel(client: &Client, queue: &str, body: Value) -> Response {
    let path = format!("{REDRIVES_PATH}/{queue}/cancel");
    client.send_json(Method::POST, &path, &body).await
}

async fn list(client: &Client, queue: &str) -> Vec<RedriveInfo> {
    client.get(&format!("{REDRIVES_PATH}?queue={queue}")).await
}

async fn until_begun(world: &World, partition: PartitionId, task: u64) -> MoveTask {
    eventually("the partition has the task", async || {
        world.task(partition).filter(|known| known.task == task)
    })
    .await
}

async fn until_is(client: &Client, queue: &str, status: RedriveStatus) -> RedriveInfo {
    eventually(status.as_str(), async || {
        let newest = list(client, queue).await.into_iter().next()?;
        (newest.status == status).then_some(newest)
    })
    .await
}

/// A cluster with `dead`, the dead-letter queue of `orders` and `bills`.
async fn with_dead() -> (Small, QueueRoute, Vec<QueueId>) {
    let small = Small::start().await;
    let dead = small.client().create("dead").await;
    let mut sources = Vec::new();
    for name in ["bills", "orders"] {
        let answer = small.client().put(name, &dying("dead")).await;
        let route: QueueRoute = answer.json().await.unwrap();
        sources.push(route.queue);
    }
    (small, dead, sources)
}

#[tokio::test]
async fn messages_go_back_to_all_queues_whose_dead_letters_are_taken() {
    let (small, dead, sources) = with_dead().await;
    let client = small.client();
    let partition = dead.partitions[0].partition;
    assert_eq!(list(client, "dead").await, []);
    let begun = started(client, json!({ "queue": "dead" })).await;
    assert_eq!(
        (begun.status, begun.to.clone()),
        (RedriveStatus::Running, None)
    );
    assert!(begun.task > 0);
    let told = until_begun(&small.world, partition, begun.task).await;
    let MoveTo::Origins(targets) = told.to else {
        panic!("{told:?}");
    };
    let queues: Vec<QueueId> = targets.iter().map(|target| target.queue).collect();
    assert_eq!((queues, told.per_second), (sources, None));

    small
        .world
        .progress(partition, MoveStatus::Running, [9, 4, 0]);
    eventually("it is seen how far it is", async || {
        let newest = list(client, "dead").await.remove(0);
        assert_eq!(
            (newest.status, newest.task),
            (RedriveStatus::Running, begun.task)
        );
        ((newest.to_move, newest.moved) == (9, 4)).then_some(())
    })
    .await;
    let busy = problem(start(client, json!({ "queue": "dead" })).await).await;
    assert_eq!((busy.status, busy.code.as_str()), (409, "busy"));
    assert!(
        busy.detail.contains(&begun.task.to_string()),
        "{}",
        busy.detail
    );
    small
        .world
        .progress(partition, MoveStatus::Completed, [9, 7, 2]);
    let over = until_is(client, "dead", RedriveStatus::Completed).await;
    assert_eq!((over.to_move, over.moved, over.failed), (9, 7, 2));
    assert_eq!(
        (over.started_at, over.reason.as_str()),
        (begun.started_at, "")
    );
}

#[tokio::test]
async fn messages_go_to_one_queue_at_a_rate_and_the_last_ten_tasks_are_shown() {
    let (small, dead, _) = with_dead().await;
    let client = small.client();
    let other = client.create("other").await;
    let partition = dead.partitions[0].partition;
    let mut tasks = Vec::new();
    for n in 1..=12_u64 {
        let body = json!({ "queue": "dead", "to": "other", "max_per_second": 500 });
        let begun = started(client, body).await;
        let told = until_begun(&small.world, partition, begun.task).await;
        let MoveTo::One(target) = told.to else {
            panic!("{told:?}");
        };
        assert_eq!((target.queue, told.per_second), (other.queue, Some(500)));
        small
            .world
            .progress(partition, MoveStatus::Completed, [n, n, 0]);
        until_is(client, "dead", RedriveStatus::Completed).await;
        tasks.insert(0, begun.task);
    }
    tasks.truncate(10);
    let shown: Vec<u64> = list(client, "dead")
        .await
        .iter()
        .map(|one| one.task)
        .collect();
    assert_eq!(shown, tasks, "newest first");
}

#[tokio::test]
async fn a_task_is_cancelled_once() {
    let (small, dead, _) = with_dead().await;
    let client = small.client();
    let partition = dead.partitions[0].partition;
    let none = problem(cancel(client, "dead", json!({})).await).await;
    assert_eq!((none.status, none.code.as_str()), (404, "not_found"));
    let begun = started(client, json!({ "queue": "dead" })).await;
    until_begun(&small.world, partition, begun.task).await;
    let other = problem(cancel(client, "dead", json!({ "task": begun.task + 1 })).await).await;
    assert_eq!(other.status, 404);
    let ended = cancel(client, "dead", json!({ "task": begun.task })).await;
    assert_eq!(ended.status(), StatusCode::OK);
    let ended: RedriveInfo = ended.json().await.unwrap();
    assert_eq!(ended.status, RedriveStatus::Cancelling);
    until_is(client, "dead", RedriveStatus::Cancelled).await;
    let again = problem(cancel(client, "dead", json!({ "task": begun.task })).await).await;
    assert_eq!(again.status, 409, "{}", again.detail);
    assert!(again.detail.contains("cancelled"), "{}", again.detail);
    let again = problem(cancel(client, "dead", json!({})).await).await;
    assert_eq!(again.status, 404);
}

#[tokio::test]
async fn what_cannot_be_moved_is_refused_by_the_field() {
    let (small, ..) = with_dead().await;
    let client = small.client();
    client.create("ordered.fifo").await;
    for (body, status, words) in [
        (
            json!({ "queue": "orders" }),
            400,
            "queue: orders is the dead-letter queue of no",
        ),
        (json!({ "queue": "missing" }), 404, "missing"),
        (
            json!({ "queue": "dead", "to": "dead" }),
            400,
            "to: is the queue itself",
        ),
        (
            json!({ "queue": "dead", "to": "missing" }),
            400,
            "to: there is no queue missing",
        ),
        (
            json!({ "queue": "dead", "to": "ordered.fifo" }),
            400,
            "to: of dead and ordered.fifo",
        ),
        (
            json!({ "queue": "dead", "to": "123456789012/a/b" }),
            400,
            "to: ",
        ),
        (
            json!({ "queue": "dead", "max_per_second": 0 }),
            400,
            "max_per_second: 0",
        ),
        (
            json!({ "queue": "dead", "max_per_second": 501 }),
            400,
            "max_per_second: 501",
        ),
        (json!({ "queue": "dead", "rate": 1 }), 400, "rate"),
    ] {
        let refused = problem(start(client, body).await).await;
        assert_eq!(refused.status, status, "{}", refused.detail);
        assert!(refused.detail.contains(words), "{}", refused.detail);
    }
    assert_eq!(list(client, "dead").await, [], "nothing was begun");
}

/// A dead-letter queue with what is left of it on one cluster and what is new on another.
#[tokio::test]
async fn a_task_is_about_all_partitions_and_goes_on_with_the_next_manager() {
    let two = Two::start().await;
    let name = two.route.name.to_string();
    two.client().put("orders", &dying(&name)).await;
    two.world.holds(two.old(), 3);
    two.drain().await;
    let partitions = two.until(2, PartitionState::Active).await;
    let begun = started(two.client(), json!({ "queue": name, "max_per_second": 9 })).await;
    for partition in &partitions {
        let told = until_begun(&two.world, partition.partition, begun.task).await;
        assert_eq!(told.per_second, Some(4), "the rate is shared");
    }
    two.world
        .progress(partitions[0].partition, MoveStatus::Completed, [3, 3, 0]);
    two.world
        .progress(partitions[1].partition, MoveStatus::Running, [5, 2, 0]);
    let two = two.restarted().await;
    let client = two.client();
    eventually("both are summed", async || {
        let newest = list(client, &name).await.remove(0);
        assert_eq!(
            (newest.task, newest.status),
            (begun.task, RedriveStatus::Running)
        );
        ((newest.to_move, newest.moved) == (8, 5)).then_some(())
    })
    .await;
    two.world
        .progress(partitions[1].partition, MoveStatus::Completed, [5, 4, 1]);
    let over = until_is(client, &name, RedriveStatus::Completed).await;
    assert_eq!((over.to_move, over.moved, over.failed), (8, 7, 1));
    // What was emptied may go only now.
    two.world.holds(two.old(), 0);
    two.until_over().await;
    assert_eq!(two.world.partition(two.old()), None);
}

/// Where a task sends messages to is fixed when it begins, but for what hosts learn from seals.
#[tokio::test]
async fn a_partition_that_a_task_was_told_of_is_not_deleted_before_its_end() {
    let two = Two::start().await;
    let target = two.route.name.to_string();
    let client = two.client();
    let dead = client.create("dead").await;
    client.put("orders", &dying("dead")).await;
    let begun = started(client, json!({ "queue": "dead", "to": target })).await;
    let on = dead.partitions[0].partition;
    until_begun(&two.world, on, begun.task).await;
    two.world.progress(on, MoveStatus::Running, [5, 2, 0]);
    let order = json!({ "queue": target, "to": "c2" });
    let moved = client.send_json(Method::POST, "/v1/moves", &order).await;
    assert_eq!(moved.status(), StatusCode::ACCEPTED);
    eventually("the deletion waits", async || {
        let progress = two.moves().await.pop()?.progress;
        progress
            .contains("may know of no other partition")
            .then_some(())
    })
    .await;
    assert!(two.world.partition(two.old()).is_some());
    two.world.progress(on, MoveStatus::Completed, [5, 5, 0]);
    two.until_over().await;
    assert_eq!(two.world.partition(two.old()), None);
}

#[tokio::test]
async fn a_task_ends_with_its_queue() {
    let (small, dead, _) = with_dead().await;
    let client = small.client();
    let begun = started(client, json!({ "queue": "dead" })).await;
    until_begun(&small.world, dead.partitions[0].partition, begun.task).await;
    assert_eq!(client.delete("dead").await.status(), StatusCode::NO_CONTENT);
    let gone = client
        .send(Method::GET, &format!("{REDRIVES_PATH}?queue=dead"), "")
        .await;
    assert_eq!(problem(gone).await.code.as_str(), "queue_not_found");
    let anew = client.create("dead").await;
    assert_eq!(list(client, "dead").await, [], "it is another queue");
    let begun = started(client, json!({ "queue": "dead" })).await;
    until_begun(&small.world, anew.partitions[0].partition, begun.task).await;
}

/// The store was lost, and with it what ran.
#[tokio::test]
async fn a_task_of_which_the_store_knows_nothing_is_ended_first() {
    let (small, dead, _) = with_dead().await;
    let client = small.client();
    let partition = dead.partitions[0].partition;
    let begun = started(client, json!({ "queue": "dead" })).await;
    let told = until_begun(&small.world, partition, begun.task).await;
    small
        .world
        .progress(partition, MoveStatus::Completed, [0, 0, 0]);
    until_is(client, "dead", RedriveStatus::Completed).await;
    let instruct = |task: u64| {
        small.world.instruct(Command::StartMove {
            partition,
            task: Box::new(MoveTask {
                task,
                ..told.clone()
            }),
            revision: Revision(told.task),
        });
    };
    instruct(1);
    let next = started(client, json!({ "queue": "dead" })).await;
    until_begun(&small.world, partition, next.task).await;
    small
        .world
        .progress(partition, MoveStatus::Completed, [0, 0, 0]);
    until_is(client, "dead", RedriveStatus::Completed).await;
}
