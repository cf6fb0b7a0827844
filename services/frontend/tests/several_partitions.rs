//! Everything but sends, at queues that have several partitions.

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use shoal_transport::faults::Fault;
use shoal_types::{Command, GroupRange, PartitionId};
use support::{Answer, CLUSTER, Other, System, bodies, eventually, partitions, receipts};
use tokio::time::Instant;

const ALL: GroupRange = GroupRange::ALL;

fn is_receive(command: &Command) -> bool {
    matches!(command, Command::Receive { .. })
}

/// A queue that was moved: messages `old0` to `old2` at the first cluster, `new0` and `new1` at the second.
async fn moved() -> (System, Other, [PartitionId; 2]) {
    let system = System::start().await;
    let other = system.add_cluster(0xc2);
    system.create("orders", Value::Null).await;
    let send = async |bodies: &[&str]| {
        let messages: Vec<Value> = bodies.iter().map(|body| json!({ "body": body })).collect();
        let sent = system
            .send("orders", json!({ "messages": messages }))
            .await
            .expect(201);
        partitions(&sent)[0]
    };
    let old = send(&["old0", "old1", "old2"]).await;
    system
        .manager
        .move_queue("orders", &[(other.cluster.id(), ALL)]);
    let new = send(&["new0", "new1"]).await;
    assert_ne!(old, new);
    (system, other, [old, new])
}

/// A queue that was split in two, and its first partition is gone.
async fn split() -> (System, Other, Vec<PartitionId>) {
    let system = System::start().await;
    let other = system.add_cluster(0xc2);
    system.create("orders", Value::Null).await;
    let old = system.manager.partitions("orders")[0];
    let half = ALL.split(2);
    let places = [(CLUSTER, half[0]), (other.cluster.id(), half[1])];
    let new = system.manager.move_queue("orders", &places);
    system.manager.delete_partition("orders", old, true);
    eventually("the feed has told", async || {
        let shown = system
            .ask("GET", "/v1/queues/orders", Value::Null)
            .await
            .expect(200);
        shown["partitions"].as_array().unwrap().len() == 2 && shown["counts"].is_object()
    })
    .await;
    (system, other, new)
}

/// Sends a message to one half of a queue that was split, by a group that belongs there.
async fn send_to(system: &System, partition: PartitionId) {
    let half = ALL.split(2);
    let low = partition == system.manager.partitions("orders")[0];
    let belongs = |group: &String| half[usize::from(!low)].contains(shoal_types::group_hash(group));
    let group = (0..).map(|n: u32| n.to_string()).find(belongs).unwrap();
    let sent = system
        .send("orders", json!({ "body": "x", "group": group }))
        .await
        .expect(201);
    assert_eq!(partitions(&sent), [partition]);
}

#[tokio::test]
async fn the_oldest_epoch_is_served_first_and_the_answer_filled_from_the_next() {
    let (system, _other, _) = moved().await;
    let received = system
        .receive("orders", json!({ "max": 2 }))
        .await
        .expect(200);
    assert_eq!(bodies(&received), ["old0", "old1"]);
    let received = system
        .receive("orders", json!({ "max": 2 }))
        .await
        .expect(200);
    assert_eq!(bodies(&received), ["old2", "new0"]);
    let received = system
        .receive("orders", json!({ "max": 2, "wait_s": 5 }))
        .await
        .expect(200);
    assert_eq!(bodies(&received), ["new1"]);
    let received = system
        .receive("orders", json!({ "max": 2 }))
        .await
        .expect(200);
    assert_eq!(bodies(&received), [""; 0]);
}

#[tokio::test]
async fn a_held_partition_is_not_asked() {
    let system = System::start().await;
    let other = system.add_cluster(0xc2);
    system.create("orders", Value::Null).await;
    let old = system.manager.partitions("orders")[0];
    system
        .manager
        .create_successors("orders", &[old], &[(other.cluster.id(), ALL)]);
    eventually("the feed has told", async || {
        let shown = system
            .ask("GET", "/v1/queues/orders", Value::Null)
            .await
            .expect(200);
        shown["partitions"][1]["state"] == "held"
    })
    .await;
    system
        .receive("orders", json!({ "wait_s": 1 }))
        .await
        .expect(200);
    assert_eq!(other.cluster.count_asked(is_receive), 0);
}

#[tokio::test]
async fn a_waiting_receive_finds_a_message_of_a_draining_partition_whose_lease_ran_out() {
    let (system, _other, _) = moved().await;
    let taken = json!({ "max": 5, "visibility_timeout_s": 1 });
    let first = system.receive("orders", taken).await.expect(200);
    // Only this one comes back.
    system
        .ack("orders", &receipts(&first)[1..])
        .await
        .expect(200);
    let started = Instant::now();
    let received = system
        .receive("orders", json!({ "wait_s": 20 }))
        .await
        .expect(200);
    assert_eq!(bodies(&received), ["old0"]);
    assert_eq!(received["messages"][0]["receive_count"], 2);
    assert!(
        started.elapsed() < Duration::from_millis(2_500),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_waiting_receive_finds_what_comes_to_any_of_several_active_partitions() {
    let (system, other, new) = split().await;
    for partition in [new[0], new[1], new[0], new[1]] {
        let waiting = system.receive("orders", json!({ "wait_s": 20 }));
        let sending = async {
            let waits = || system.cluster.waiting() + other.cluster.waiting() == 1;
            eventually("it waits", async || waits()).await;
            send_to(&system, partition).await
        };
        let started = Instant::now();
        let (received, ()) = tokio::join!(waiting, sending);
        let received = received.expect(200);
        assert_eq!(received["messages"].as_array().unwrap().len(), 1);
        assert!(
            started.elapsed() < Duration::from_millis(2_000),
            "{:?}",
            started.elapsed()
        );
        system.ack("orders", &receipts(&received)).await.expect(200);
    }
    eventually("nobody waits", async || {
        system.cluster.waiting() + other.cluster.waiting() == 0
    })
    .await;
}

#[tokio::test]
async fn receives_begin_with_a_different_active_partition_each_time() {
    let (system, _other, new) = split().await;
    for n in 0..10 {
        send_to(&system, new[n % 2]).await;
    }
    let mut counts = [0; 2];
    for _ in 0..8 {
        let received = system.receive("orders", Value::Null).await.expect(200);
        let from = partitions(&received)[0];
        counts[usize::from(from == new[1])] += 1;
    }
    assert_eq!(counts, [4, 4]);
}

#[tokio::test]
async fn a_wait_from_before_the_move_ends_and_finds_what_comes_to_the_successor() {
    for auto_ack in [false, true] {
        finds_what_comes_to_the_successor(auto_ack).await;
    }
}

async fn finds_what_comes_to_the_successor(auto_ack: bool) {
    let system = System::start().await;
    let other = system.add_cluster(0xc2);
    system.create("orders", Value::Null).await;
    let waiting = system.receive("orders", json!({ "wait_s": 20, "auto_ack": auto_ack }));
    let moving = async {
        eventually("it waits", async || system.cluster.waiting() == 1).await;
        system
            .manager
            .move_queue("orders", &[(other.cluster.id(), ALL)]);
        eventually("it waits at the successor", async || {
            other.cluster.waiting() == 1
        })
        .await;
        eventually("the old waiter is forgotten", async || {
            system.cluster.waiting() == 0
        })
        .await;
        system
            .send("orders", json!({ "body": "x" }))
            .await
            .expect(201);
    };
    let started = Instant::now();
    let (received, ()) = tokio::join!(waiting, moving);
    assert_eq!(bodies(&received.expect(200)), ["x"]);
    assert!(
        started.elapsed() < Duration::from_millis(2_500),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn what_a_wait_is_given_just_before_the_move_is_its_answer() {
    let system = System::start_with_proxies().await;
    let other = system.add_cluster(0xc2);
    system.create("orders", Value::Null).await;
    let old = system.manager.partitions("orders")[0];
    // Connections and cluster time are there.
    system
        .send("orders", json!({ "body": "warm" }))
        .await
        .expect(201);
    system
        .receive("orders", json!({ "auto_ack": true }))
        .await
        .expect(200);
    let waiting = system.receive("orders", json!({ "wait_s": 20 }));
    let moving = async {
        eventually("it waits", async || system.cluster.waiting() == 1).await;
        for proxy in &system.proxies {
            proxy.set(Fault::Delay(Duration::from_millis(150)));
        }
        // The host answers, and while the answer is on its way, the queue is moved.
        system.cluster.send_directly(old, "x");
        assert_eq!(system.cluster.waiting(), 0);
        system
            .manager
            .move_queue("orders", &[(other.cluster.id(), ALL)]);
    };
    let started = Instant::now();
    let (received, ()) = tokio::join!(waiting, moving);
    let received = received.expect(200);
    assert_eq!(bodies(&received), ["x"]);
    assert_eq!(received["messages"][0]["receive_count"], 1);
    assert!(
        started.elapsed() < Duration::from_millis(1_000),
        "{:?}",
        started.elapsed()
    );
    let gave_back = |command: &Command| matches!(command, Command::Unreceive { .. });
    assert_eq!(system.cluster.count_asked(gave_back), 0);
}

#[tokio::test]
async fn the_same_attempt_finds_the_same_messages_whatever_came_to_older_partitions_meanwhile() {
    let (system, _other, _) = moved().await;
    let receive = async |key: &str, body: Value| {
        let request = system.request("POST", "/v1/queues/orders/messages/receive");
        let request = request.header("Idempotency-Key", key).json(&body);
        Answer::read(request.send().await.unwrap())
            .await
            .expect(200)
    };
    let first = receive("a", json!({ "max": 10 })).await;
    assert_eq!(
        bodies(&first),
        ["old0", "old1", "old2"],
        "of one partition only"
    );
    let second = receive("b", json!({ "max": 10 })).await;
    assert_eq!(bodies(&second), ["new0", "new1"]);
    let release = json!({ "receipts": receipts(&first)[..1] });
    system
        .ask("POST", "/v1/queues/orders/messages/release", release)
        .await
        .expect(200);
    assert_eq!(receive("b", json!({ "max": 10 })).await, second);
    assert_eq!(
        receive("b", json!({ "max": 10, "wait_s": 5 })).await,
        second
    );
    assert_eq!(
        bodies(&receive("a", json!({ "max": 10 })).await),
        ["old1", "old2"]
    );
    assert_eq!(bodies(&receive("c", json!({ "max": 10 })).await), ["old0"]);
}

#[tokio::test]
async fn receipts_are_seen_to_wherever_their_messages_lie_and_answered_in_order() {
    let (system, _other, [old, _]) = moved().await;
    let received = system
        .receive("orders", json!({ "max": 5 }))
        .await
        .expect(200);
    let all = receipts(&received);
    let mixed = [3, 0, 4, 1].map(|n: usize| all[n].clone());
    let extend = json!({ "receipts": mixed, "visibility_timeout_s": 60 });
    let extend = || system.ask("POST", "/v1/queues/orders/messages/extend", extend.clone());
    extend().await.expect(200);
    system
        .ack("orders", &[all[0].clone(), all[4].clone()])
        .await
        .expect(200);
    let extended = extend().await.expect(207);
    let oks: Vec<_> = extended["receipts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["ok"].clone())
        .collect();
    assert_eq!(oks, [true, false, false, true]);
    let named: Vec<_> = extended["receipts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["receipt"].clone())
        .collect();
    assert_eq!(named, mixed);

    // The old partition goes; its messages are gone with it.
    system.ack("orders", &all[1..3]).await.expect(200);
    for written_down in [false, true] {
        if written_down {
            system.manager.delete_partition("orders", old, true);
            eventually("the feed has told", async || {
                let shown = system
                    .ask("GET", "/v1/queues/orders", Value::Null)
                    .await
                    .expect(200);
                shown["partitions"].as_array().unwrap().len() == 1
            })
            .await;
        } else {
            system.manager.delete_partition("orders", old, false);
        }
        let gone = extend().await.expect(207);
        assert_eq!(gone["receipts"][1]["reason"], "gone", "{gone}");
        assert_eq!(gone["receipts"][0]["ok"], true);
        system.ack("orders", &all[..3]).await.expect(200);
    }
    system.create("others", Value::Null).await;
    let foreign = system.ack("others", &all[3..]).await;
    assert_eq!(foreign.status, 400);
    assert_eq!(foreign.problem().0, "invalid_receipt");
}

#[tokio::test]
async fn a_lost_cluster_is_named_and_what_was_done_elsewhere_is_told() {
    let (system, other, [old, new]) = moved().await;
    let received = system
        .receive("orders", json!({ "max": 4 }))
        .await
        .expect(200);
    other.hosts.iter().for_each(|host| host.kill());
    let ask = async |method: &str, path: &str, body: Value| {
        let request = system.request(method, &format!("/v1/queues/orders/{path}"));
        let request = request.header("x-deadline-ms", 700).json(&body);
        Answer::read(request.send().await.unwrap()).await
    };
    let acked = ask(
        "POST",
        "messages/ack",
        json!({ "receipts": receipts(&received) }),
    )
    .await;
    assert_eq!((acked.status, acked.problem().1), (503, "unknown"));
    let detail = acked.body["detail"].as_str().unwrap();
    assert!(
        detail.contains(&new.to_string()) && detail.contains("3 of 4"),
        "{detail}"
    );

    let purged = ask("POST", "purge", json!({})).await;
    assert_eq!((purged.status, purged.problem().1), (503, "unknown"));
    let detail = purged.body["detail"].as_str().unwrap();
    assert!(
        detail.starts_with(&new.to_string()) && detail.ends_with(&old.to_string()),
        "{detail}"
    );

    let request = system.request("GET", "/v1/queues/orders/messages/peek");
    let peeked = Answer::read(request.header("x-deadline-ms", 700).send().await.unwrap()).await;
    assert_eq!((peeked.status, peeked.problem().1), (503, "no"));
    assert!(
        peeked.body["detail"]
            .as_str()
            .unwrap()
            .starts_with(&new.to_string())
    );
    let shown = system
        .ask("GET", "/v1/queues/orders", Value::Null)
        .await
        .expect(200);
    assert_eq!(shown["counts"], Value::Null);
    // Nothing was found, but not everywhere was looked.
    let received = ask("POST", "messages/receive", json!({})).await;
    assert_eq!(received.status, 503);
}

#[tokio::test]
async fn a_lost_cluster_does_not_keep_back_what_the_others_have() {
    let (system, other, _) = moved().await;
    system.hosts.iter().for_each(|host| host.kill());
    let started = Instant::now();
    let received = system
        .receive("orders", json!({ "max": 5, "wait_s": 5 }))
        .await
        .expect(200);
    assert_eq!(bodies(&received), ["new0", "new1"]);
    assert!(
        started.elapsed() < Duration::from_millis(2_500),
        "{:?}",
        started.elapsed()
    );
    drop(other);
}

#[tokio::test]
async fn counts_peek_and_purge_reach_all_partitions() {
    let (system, _other, _) = moved().await;
    let count = async || {
        let shown = system
            .ask("GET", "/v1/queues/orders", Value::Null)
            .await
            .expect(200);
        shown["counts"].clone()
    };
    assert_eq!(count().await["ready"], 5);
    let peek = async |limit: u32| {
        let path = format!("/v1/queues/orders/messages/peek?limit={limit}");
        bodies(&system.ask("GET", &path, Value::Null).await.expect(200))
    };
    assert_eq!(peek(2).await, ["old0", "old1"]);
    assert_eq!(peek(10).await, ["old0", "old1", "old2", "new0", "new1"]);
    system
        .ask("POST", "/v1/queues/orders/purge", Value::Null)
        .await
        .expect(204);
    assert_eq!(peek(10).await, [""; 0]);
    assert_eq!(count().await["bytes"], 0);
}

/// The message that a late receipt is of may have gone on: said to be deleted, it would come again.
#[tokio::test]
async fn a_receipt_of_a_partition_that_is_gone_deletes_nothing_of_what_its_heir_took_over() {
    for written_down in [false, true] {
        let system = System::start().await;
        let other = system.add_cluster(0xc2);
        system.create("orders", Value::Null).await;
        system
            .send("orders", json!({ "body": "x" }))
            .await
            .expect(201);
        let received = system.receive("orders", json!({})).await.expect(200);
        let old = system.manager.partitions("orders")[0];
        let to = other.cluster.id();
        system.manager.move_queue("orders", &[(to, ALL)]);
        system.manager.add_heir("orders", old, to);
        system.manager.delete_partition("orders", old, written_down);
        let heirs = |shown: &Value| {
            let places = shown["partitions"].as_array().unwrap().iter();
            places.filter(|place| place["epoch"] == 0).count()
        };
        let expected = if written_down { 1 } else { 2 };
        eventually("the feed has told", async || {
            let shown = system.ask("GET", "/v1/queues/orders", Value::Null).await;
            heirs(&shown.expect(200)) == expected
        })
        .await;
        let late = system.ack("orders", &receipts(&received)).await;
        let late = late.expect(207);
        assert_eq!(late["receipts"][0]["reason"], "expired", "{late}");
    }
}

/// A moved queue of which one message lies at the heir, on a cluster that this frontend may not know of, and
/// the manager, who knows of all that, is gone. The receipt is of that message.
async fn forwarded(cluster_is_known: bool) -> (System, [Other; 2], [PartitionId; 2], Vec<String>) {
    let system = System::start().await;
    let to = system.add_cluster(0xc2);
    system.create("orders", Value::Null).await;
    system
        .send("orders", json!({ "body": "old" }))
        .await
        .expect(201);
    let received = system
        .receive("orders", json!({ "visibility_timeout_s": 0 }))
        .await
        .expect(200);
    let old = system.manager.partitions("orders")[0];
    system
        .manager
        .move_queue("orders", &[(to.cluster.id(), ALL)]);
    system
        .send("orders", json!({ "body": "new" }))
        .await
        .expect(201);
    eventually("the feed has told", async || {
        let shown = system.ask("GET", "/v1/queues/orders", Value::Null).await;
        shown.expect(200)["partitions"].as_array().unwrap().len() == 2
    })
    .await;
    let elsewhere = match cluster_is_known {
        true => system.add_cluster(0xc3),
        false => system.add_cluster_unseen(0xc3),
    };
    system.manager.kill();
    let heir = system
        .manager
        .add_heir("orders", old, elsewhere.cluster.id());
    system.manager.forward("orders", old, heir);
    assert_eq!(elsewhere.cluster.ready(heir), 1);
    let receipt = receipts(&received);
    (system, [to, elsewhere], [old, heir], receipt)
}

/// It emptied the partitions that it knew of, said that it was done, and what had gone on came after all.
#[tokio::test]
async fn a_purge_reaches_an_heir_that_nobody_has_told_this_frontend_of() {
    let (system, [_to, elsewhere], [_, heir], _) = forwarded(false).await;
    system
        .ask("POST", "/v1/queues/orders/purge", Value::Null)
        .await
        .expect(204);
    assert_eq!(elsewhere.cluster.ready(heir), 0);
}

/// The partition that it knew of was emptied, and what had been sent to the one that follows came after all.
#[tokio::test]
async fn a_purge_reaches_those_who_follow_although_nobody_has_told_this_frontend_of_them() {
    let system = System::start().await;
    let to = system.add_cluster(0xc2);
    system.create("orders", Value::Null).await;
    system
        .send("orders", json!({ "body": "old" }))
        .await
        .expect(201);
    system.manager.kill();
    let places = [(to.cluster.id(), ALL)];
    let follower = system.manager.move_queue("orders", &places)[0];
    to.cluster.send_directly(follower, "new");
    assert_eq!(to.cluster.ready(follower), 1);
    system
        .ask("POST", "/v1/queues/orders/purge", Value::Null)
        .await
        .expect(204);
    assert_eq!(to.cluster.ready(follower), 0);
    let left = system.receive("orders", json!({})).await.expect(200);
    assert_eq!(left["messages"], json!([]));
}

/// It was answered as done, without a question to the manager, and the message came again from the heir.
#[tokio::test]
async fn a_late_receipt_of_a_partition_that_is_gone_does_not_delete_what_went_on() {
    let (system, _others, [old, heir], late) = forwarded(true).await;
    system.manager.delete_partition("orders", old, true);
    system.manager.restart();
    let acked = system.ack("orders", &late).await.expect(207);
    assert_eq!(acked["receipts"][0]["reason"], "expired", "{acked}");
    let again = system.receive("orders", json!({ "wait_s": 5 })).await;
    assert!(
        !again.expect(200)["messages"].as_array().unwrap().is_empty(),
        "{heir}"
    );
}

/// The heir has what was in the partition that is gone, and only the manager knows which that is.
#[tokio::test]
async fn a_purge_that_may_not_have_reached_all_says_so() {
    let (system, [to, elsewhere], [old, heir], _) = forwarded(true).await;
    system.manager.delete_partition("orders", old, true);
    let refused = system
        .ask("POST", "/v1/queues/orders/purge", Value::Null)
        .await;
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert_eq!(refused.body["retryable"], true);
    assert_eq!(elsewhere.cluster.ready(heir), 1);
    system.manager.restart();
    system
        .ask("POST", "/v1/queues/orders/purge", Value::Null)
        .await
        .expect(204);
    assert_eq!(elsewhere.cluster.ready(heir), 0);
    drop(to);
}

/// The whole batch failed: a consumer could finish with nothing as long as the manager was away.
#[tokio::test]
async fn without_the_manager_only_the_receipt_that_it_would_have_to_be_asked_about_fails() {
    let (system, others, [old, heir], late) = forwarded(true).await;
    system.manager.delete_partition("orders", old, true);
    system.manager.restart();
    eventually("the feed has told", async || {
        let shown = system.ask("GET", "/v1/queues/orders", Value::Null).await;
        let shown = shown.expect(200);
        let places = shown["partitions"].as_array().unwrap();
        let ids: Vec<_> = places
            .iter()
            .map(|place| place["partition"].clone())
            .collect();
        ids.contains(&json!(heir.to_string())) && !ids.contains(&json!(old.to_string()))
    })
    .await;
    let received = system
        .receive("orders", json!({ "max": 10 }))
        .await
        .expect(200);
    let fresh = receipts(&received);
    assert!(!fresh.is_empty());
    system.manager.kill();
    let alone = system.ack("orders", &late).await;
    assert_eq!(alone.problem().0, "manager_unavailable", "{}", alone.body);
    let all: Vec<String> = [&late[..], &fresh].concat();
    let acked = system.ack("orders", &all).await.expect(207);
    assert_eq!(acked["receipts"][0]["reason"], "unavailable", "{acked}");
    let rest = &acked["receipts"].as_array().unwrap()[1..];
    assert!(rest.iter().all(|item| item["ok"] == true), "{acked}");
    system.manager.restart();
    let again = system.ack("orders", &all).await.expect(207);
    assert_eq!(again["receipts"][0]["reason"], "expired", "{again}");
    drop(others);
}
