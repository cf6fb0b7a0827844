//! Queues that are not where the frontend believes them to be.

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use shoal_types::{ErrorCode, GroupRange, PartitionId};
use support::{Mode, Other, System, bodies, partitions, receipts};
use tokio::time::Instant;

const ALL: GroupRange = GroupRange::ALL;

/// A queue that was moved and whose first partition is gone; the frontend knows it from before.
async fn gone() -> (System, Other, PartitionId) {
    let system = System::start().await;
    let other = system.add_cluster(0xc2);
    system.manager.create("orders", false);
    system
        .send("orders", json!({ "body": "x", "ttl_s": 1 }))
        .await
        .expect(201);
    let old = system.manager.partitions("orders")[0];
    let new = system
        .manager
        .move_queue("orders", &[(other.cluster.id(), ALL)]);
    system.manager.delete_partition("orders", old, true);
    (system, other, new[0])
}

#[tokio::test]
async fn a_queue_with_one_partition_costs_one_command_for_each_request_and_nothing_else() {
    let system = System::start().await;
    system.create("orders.fifo", Value::Null).await;
    let asked = || system.cluster.count_asked(|_| true);
    let before = asked();
    let message = json!({ "body": "x", "group": "g" });
    let batch = json!({ "messages": [message, { "body": "y", "group": "h" }] });
    system.send("orders.fifo", batch).await.expect(201);
    let received = system
        .receive("orders.fifo", json!({ "max": 9 }))
        .await
        .expect(200);
    system
        .receive("orders.fifo", json!({ "wait_s": 2 }))
        .await
        .expect(200);
    system
        .ack("orders.fifo", &receipts(&received))
        .await
        .expect(200);
    system
        .ask("POST", "/v1/queues/orders.fifo/purge", Value::Null)
        .await
        .expect(204);
    assert_eq!(asked() - before, 5);
    assert_eq!(system.cluster.queries(), 0);
    assert_eq!(system.manager.lookups(), 0);
}

#[tokio::test]
async fn the_manager_is_asked_once_however_many_find_a_queue_gone() {
    let (system, _other, new) = gone().await;
    let before = system.manager.lookups();
    let sends = (0..30).map(|_| system.send("orders", json!({ "body": "y" })));
    let started = Instant::now();
    for sent in futures_util::future::join_all(sends).await {
        assert_eq!(partitions(&sent.expect(201)), [new]);
    }
    assert!(
        started.elapsed() < Duration::from_millis(1_000),
        "{:?}",
        started.elapsed()
    );
    let asked = system.manager.lookups() - before;
    assert!((1..=3).contains(&asked), "{asked}");
}

#[tokio::test]
async fn every_operation_goes_on_with_the_newer_route() {
    for operation in ["receive", "peek", "purge"] {
        let (system, other, _) = gone().await;
        let path = match operation {
            "purge" => "/v1/queues/orders/purge".to_owned(),
            other => format!("/v1/queues/orders/messages/{other}"),
        };
        let method = if operation == "peek" { "GET" } else { "POST" };
        let answer = system.ask(method, &path, Value::Null).await;
        assert!(
            (200..300).contains(&answer.status),
            "{operation}: {answer:?}"
        );
        drop(other);
    }
}

#[tokio::test]
async fn hosts_that_never_heard_of_a_partition_are_asked_once_and_then_the_manager() {
    let (system, _other, new) = gone().await;
    for host in &system.hosts {
        host.set(Mode::Refuse(ErrorCode::StaleRoute));
    }
    let before = system.cluster.asked().len();
    let started = Instant::now();
    let sent = system
        .send("orders", json!({ "body": "y" }))
        .await
        .expect(201);
    assert_eq!(partitions(&sent), [new]);
    assert_eq!(system.cluster.asked().len() - before, 3);
    assert!(
        started.elapsed() < Duration::from_millis(1_000),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn without_the_manager_it_is_said_soon_that_the_queue_is_elsewhere() {
    let (system, _other, _) = gone().await;
    system.manager.kill();
    let started = Instant::now();
    let refused = system.send("orders", json!({ "body": "y" })).await;
    assert_eq!(
        (refused.status, refused.problem()),
        (503, ("stale_route", "no", None))
    );
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.contains("manager"), "{detail}");
    assert!(
        started.elapsed() < Duration::from_millis(1_500),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_receipt_of_a_partition_that_only_another_frontend_knows_is_looked_for() {
    let (system, other, _) = gone().await;
    let behind = system.another_frontend().await;
    // Both have used the queue; only this one hears of the next move.
    let send = json!({ "body": "y" });
    system.send("orders", send.clone()).await.expect(201);
    behind.post("orders/messages", send).await.expect(201);
    system
        .manager
        .move_queue("orders", &[(support::CLUSTER, ALL)]);
    system
        .send("orders", json!({ "body": "z" }))
        .await
        .expect(201);
    let received = system
        .receive("orders", json!({ "max": 10 }))
        .await
        .expect(200);
    assert_eq!(bodies(&received), ["y", "y", "z"]);
    let lookups = system.manager.lookups();
    let acked = behind.post(
        "orders/messages/ack",
        json!({ "receipts": receipts(&received) }),
    );
    acked.await.expect(200);
    assert_eq!(system.manager.lookups(), lookups + 1);
    assert_eq!(
        bodies(&system.receive("orders", Value::Null).await.expect(200)),
        [""; 0]
    );
    drop(other);
}
