//! The manager is away: queues go on, changes wait and say so.

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shoal_types::GroupRange;
use support::{Answer, System, eventually, partitions, receipts};

#[tokio::test]
async fn known_queues_go_on_and_changes_answer_503() {
    let system = System::start().await;
    system.create("orders", Value::Null).await;
    system.manager.kill();

    system
        .send("orders", json!({ "body": "x" }))
        .await
        .expect(201);
    let received = system.receive("orders", Value::Null).await.expect(200);
    system.ack("orders", &receipts(&received)).await.expect(200);
    system
        .ask("GET", "/v1/queues/orders", Value::Null)
        .await
        .expect(200);
    let listed = system
        .ask("GET", "/v1/queues", Value::Null)
        .await
        .expect(200);
    assert_eq!(listed["queues"][0]["name"], "orders");

    for (method, path) in [
        ("PUT", "/v1/queues/new"),
        ("DELETE", "/v1/queues/orders"),
        ("GET", "/v1/queues/unknown"),
        ("GET", "/v1/clusters"),
        ("GET", "/v1/moves"),
        ("GET", "/v1/events?after=3"),
    ] {
        let refused = system.ask(method, path, Value::Null).await;
        assert_eq!(refused.status, 503, "{method} {path}");
        assert_eq!(refused.problem().0, "manager_unavailable");
        assert_eq!(refused.body["retryable"], true);
        assert!(refused.headers.contains_key("retry-after"));
    }
    let patched = system
        .ask("PATCH", "/v1/queues/orders", json!({ "delay_s": 1 }))
        .await;
    assert_eq!(patched.problem(), ("manager_unavailable", "no", None));

    system.manager.restart();
    system.create("new", Value::Null).await;
    system.manager.create("behind", true);
    eventually("the feed is followed again", async || {
        let listed = system
            .ask("GET", "/v1/queues", Value::Null)
            .await
            .expect(200);
        listed["queues"].as_array().unwrap().len() == 3
    })
    .await;
}

#[tokio::test]
async fn a_queue_that_the_feed_has_not_brought_yet_is_looked_up_once() {
    let system = System::start().await;
    system.manager.create("fresh", false);
    let sends = (0..20).map(|_| system.send("fresh", json!({ "body": "x" })));
    for sent in futures_util::future::join_all(sends).await {
        sent.expect(201);
    }
    assert_eq!(system.manager.lookups(), 1);
}

#[tokio::test]
async fn a_manager_that_is_back_is_asked_at_once_for_the_hosts_of_a_queue_that_somebody_needs() {
    // The frontend had asked in vain for so long that it paused for a second or two. A queue made right
    // after the manager was back was found, but not the hosts of its cluster: sends failed as not ready.
    let system = System::start().await;
    for (id, queue) in [(7, "first"), (8, "second")] {
        system.manager.kill();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let other = system.add_cluster(id);
        system.manager.restart();
        system.manager.create(queue, false);
        let old = system.manager.partitions(queue)[0];
        let places = [(other.cluster.id(), GroupRange::ALL)];
        let new = system.manager.create_successors(queue, &[old], &places);
        system.manager.seal(queue, old, &new);
        system.manager.settle(queue, &[old], &new);

        let started = Instant::now();
        let sent = system.send(queue, json!({ "body": "x" })).await.expect(201);
        assert_eq!(partitions(&sent), new);
        let waited = started.elapsed();
        assert!(waited < Duration::from_millis(500), "{waited:?}");
    }
}

#[tokio::test]
async fn a_missing_queue_is_not_asked_for_at_every_request_but_found_when_it_is_there() {
    let system = System::start().await;
    for _ in 0..10 {
        let missing = system.send("later", json!({ "body": "x" })).await;
        assert_eq!(
            (missing.status, missing.problem()),
            (404, ("queue_not_found", "no", Some("queue")))
        );
    }
    assert!(
        system.manager.lookups() <= 2,
        "{}",
        system.manager.lookups()
    );
    system.create("later", Value::Null).await;
    system
        .send("later", json!({ "body": "x" }))
        .await
        .expect(201);
}

#[tokio::test]
async fn a_queue_made_anew_under_its_name_is_found_although_the_route_is_stale() {
    let system = System::start().await;
    system.create("orders", Value::Null).await;
    system
        .send("orders", json!({ "body": "old" }))
        .await
        .expect(201);
    system.manager.replace_unseen("orders");
    let sent = system
        .send("orders", json!({ "body": "new" }))
        .await
        .expect(201);
    assert_eq!(sent["messages"][0]["sequence"], "1");
    let received = system
        .receive("orders", json!({ "max": 10 }))
        .await
        .expect(200);
    assert_eq!(received["messages"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_manager_that_says_nothing_is_waited_for_no_longer_than_the_deadline() {
    let system = System::start().await;
    system.manager.freeze();
    for (method, path, applied) in [
        ("PUT", "/v1/queues/new", "unknown"),
        ("POST", "/v1/queues/unknown/messages/receive", "no"),
    ] {
        let request = system.request(method, path).header("x-deadline-ms", "200");
        let started = tokio::time::Instant::now();
        let refused = Answer::read(request.send().await.unwrap()).await;
        assert_eq!(refused.status, 504, "{method} {path}");
        assert_eq!(refused.problem(), ("deadline_exceeded", applied, None));
        assert!(started.elapsed() < Duration::from_secs(2));
    }
}
