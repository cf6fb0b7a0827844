//! Sends to queues that are moved, split and merged meanwhile.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use shoal_types::{Command, GroupRange, group_hash};
use support::{Answer, CLUSTER, Mode, Other, System, bodies, eventually, partitions, receipts};
use tokio::time::Instant;

const ALL: GroupRange = GroupRange::ALL;

fn is_send(command: &Command) -> bool {
    matches!(command, Command::Send { .. })
}

fn is_shown_seal(command: &Command) -> bool {
    matches!(command, Command::Succeed { .. })
}

/// A system with a queue and a second cluster, of which the manager has told.
async fn system(queue: &str) -> (System, Other) {
    let system = System::start().await;
    let other = system.add_cluster(0xc2);
    system.create(queue, Value::Null).await;
    (system, other)
}

async fn send(system: &System, queue: &str, body: &str, deadline_ms: u64) -> Answer {
    let request = system.request("POST", &format!("/v1/queues/{queue}/messages"));
    let request = request
        .header("x-deadline-ms", deadline_ms)
        .json(&json!({ "body": body }));
    Answer::read(request.send().await.unwrap()).await
}

/// Receives and acknowledges until nothing comes any more.
async fn drain(system: &System, queue: &str) -> Vec<Value> {
    let mut all = Vec::new();
    loop {
        let received = system
            .receive(queue, json!({ "max": 10 }))
            .await
            .expect(200);
        let messages = received["messages"].as_array().unwrap().clone();
        if messages.is_empty() {
            return all;
        }
        system.ack(queue, &receipts(&received)).await.expect(200);
        all.extend(messages);
    }
}

#[tokio::test]
async fn a_sealed_partition_leads_to_its_successor_although_nobody_told_of_either() {
    let system = System::start().await;
    let other = system.add_cluster_unseen(0xc2);
    system.create("orders", Value::Null).await;
    system.manager.kill();
    let old = system.manager.partitions("orders")[0];
    let new = system
        .manager
        .create_successors("orders", &[old], &[(other.cluster.id(), ALL)]);
    system.manager.seal("orders", old, &new);

    let sent = system
        .send("orders", json!({ "body": "x" }))
        .await
        .expect(201);
    assert_eq!(partitions(&sent), new);
    assert_eq!(other.cluster.count_asked(is_shown_seal), 1);
    // From now on it is known.
    let before = system.cluster.count_asked(is_send);
    for _ in 0..10 {
        let sent = system
            .send("orders", json!({ "body": "y" }))
            .await
            .expect(201);
        assert_eq!(partitions(&sent), new);
    }
    assert_eq!(system.cluster.count_asked(is_send), before);
    assert_eq!(other.cluster.count_asked(is_shown_seal), 1);
    let shown = system
        .ask("GET", "/v1/queues/orders", Value::Null)
        .await
        .expect(200);
    assert_eq!(shown["partitions"][0]["state"], "draining");
    assert_eq!(shown["partitions"][1]["state"], "active");
    assert_eq!(shown["counts"]["ready"], 11);
}

#[tokio::test]
async fn a_move_in_the_middle_of_a_stream_loses_and_doubles_nothing_and_keeps_each_groups_order() {
    const GROUPS: usize = 8;
    const EACH: usize = 60;
    let (system, other) = system("orders.fifo").await;
    let stream = |group: usize| {
        let system = &system;
        async move {
            for n in 0..EACH {
                let message = json!({ "body": n.to_string(), "group": format!("g{group}") });
                system.send("orders.fifo", message).await.expect(201);
            }
        }
    };
    let moving = async {
        let half = ALL.split(2);
        let moves = [
            vec![(other.cluster.id(), ALL)],
            vec![(CLUSTER, half[0]), (other.cluster.id(), half[1])],
        ];
        for places in moves {
            let before = other.cluster.count_asked(is_send) + system.cluster.count_asked(is_send);
            eventually("some more were sent", async || {
                let now = other.cluster.count_asked(is_send) + system.cluster.count_asked(is_send);
                now > before + 60
            })
            .await;
            let old = *system.manager.partitions("orders.fifo").last().unwrap();
            let new = system
                .manager
                .create_successors("orders.fifo", &[old], &places);
            system.manager.seal("orders.fifo", old, &new);
            tokio::time::sleep(Duration::from_millis(30)).await;
            system.manager.settle("orders.fifo", &[old], &new);
        }
    };
    let streams = futures_util::future::join_all((0..GROUPS).map(stream));
    tokio::join!(streams, moving);

    let mut by_group = BTreeMap::<String, Vec<String>>::new();
    let mut homes = BTreeMap::<String, BTreeSet<String>>::new();
    let mut messages = Vec::new();
    while messages.len() < GROUPS * EACH {
        let found = drain(&system, "orders.fifo").await;
        assert!(!found.is_empty(), "{} messages came", messages.len());
        messages.extend(found);
        // What was held back for older messages comes now.
        system.manager.tell_successors("orders.fifo");
    }
    for message in messages {
        let text = |field: &str| message[field].as_str().unwrap().to_owned();
        by_group
            .entry(text("group"))
            .or_default()
            .push(text("body"));
        homes
            .entry(text("group"))
            .or_default()
            .insert(text("id")[..18].to_owned());
    }
    let expected: Vec<String> = (0..EACH).map(|n| n.to_string()).collect();
    assert_eq!(by_group.len(), GROUPS);
    for (group, bodies) in by_group {
        assert_eq!(bodies, expected, "{group}");
    }
    assert!(
        homes.values().any(|homes| homes.len() > 1),
        "it was moved: {homes:?}"
    );
}

#[tokio::test]
async fn a_retry_whose_first_attempt_was_executed_before_the_seal_gets_the_first_answer() {
    let (system, other) = system("orders").await;
    let old = system.manager.partitions("orders")[0];
    system
        .hosts
        .iter()
        .for_each(|host| host.set(Mode::ExecuteSilently));
    let sending = system.send("orders", json!({ "body": "once" }));
    let sealing = async {
        eventually("a host has it", async || {
            system.cluster.count_asked(is_send) == 1
        })
        .await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let new = system
            .manager
            .create_successors("orders", &[old], &[(other.cluster.id(), ALL)]);
        system.manager.seal("orders", old, &new);
        system.hosts.iter().for_each(|host| host.set(Mode::Answer));
    };
    let (sent, ()) = tokio::join!(sending, sealing);
    let sent = sent.expect(201);
    assert_eq!(
        (partitions(&sent), &sent["messages"][0]["sequence"]),
        (vec![old], &json!("1"))
    );
    assert_eq!(other.cluster.count_asked(is_send), 0);
    let all = drain(&system, "orders").await;
    assert_eq!(all.len(), 1);
}

#[tokio::test]
async fn a_split_fifo_queue_keeps_each_group_in_one_partition_and_answers_in_order() {
    let (system, other) = system("orders.fifo").await;
    let half = ALL.split(2);
    let places = [(CLUSTER, half[0]), (other.cluster.id(), half[1])];
    // Whether by the seal alone or by the manager's word: groups go the same way.
    let old = system.manager.partitions("orders.fifo")[0];
    let new = system
        .manager
        .create_successors("orders.fifo", &[old], &places);
    system.manager.seal("orders.fifo", old, &new);
    for round in 0..3 {
        let message =
            |n: usize| json!({ "body": format!("{round}/{n}"), "group": format!("g{n}") });
        let batch: Vec<Value> = (0..50).map(message).collect();
        let sent = system
            .send("orders.fifo", json!({ "messages": batch }))
            .await
            .expect(201);
        let expected = (0..50).map(|n| {
            let hash = group_hash(&format!("g{n}"));
            new[usize::from(half[1].contains(hash))]
        });
        assert_eq!(partitions(&sent), expected.collect::<Vec<_>>());
        if round == 0 {
            system.manager.settle("orders.fifo", &[old], &new);
        }
    }
    let all = drain(&system, "orders.fifo").await;
    assert_eq!(all.len(), 150);
    // What is answered is what is kept under it.
    let message = json!({ "body": "last", "group": "g7" });
    let sent = system.send("orders.fifo", message).await.expect(201);
    let received = system.receive("orders.fifo", Value::Null).await.expect(200);
    assert_eq!(received["messages"][0]["id"], sent["messages"][0]["id"]);
}

#[tokio::test]
async fn a_successor_of_two_opens_when_both_are_sealed_and_one_shows_it() {
    let (system, other) = system("orders.fifo").await;
    let half = ALL.split(2);
    let split = [(CLUSTER, half[0]), (CLUSTER, half[1])];
    let parts = system.manager.move_queue("orders.fifo", &split);
    let merged =
        system
            .manager
            .create_successors("orders.fifo", &parts, &[(other.cluster.id(), ALL)]);
    let send = |n: usize| {
        let message = json!({ "body": n.to_string(), "group": format!("g{n}") });
        system.send("orders.fifo", message)
    };
    system.manager.seal("orders.fifo", parts[0], &merged);
    let sending = futures_util::future::join_all((0..40).map(send));
    let sealing = async {
        // The groups of the other half go on meanwhile; these wait.
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert!(other.cluster.count_asked(is_shown_seal) > 0);
        system.manager.seal("orders.fifo", parts[1], &merged);
    };
    let (sent, ()) = tokio::join!(sending, sealing);
    let homes: BTreeSet<_> = sent
        .into_iter()
        .flat_map(|sent| partitions(&sent.expect(201)))
        .collect();
    assert!(homes.contains(&merged[0]));
    let shown = other.cluster.count_asked(is_shown_seal);
    assert!(shown <= 3, "each seal once, by one request: {shown}");
    assert_eq!(drain(&system, "orders.fifo").await.len(), 40);
}

#[tokio::test]
async fn while_a_successor_stays_closed_sends_are_refused_in_time_and_nothing_is_applied() {
    let (system, other) = system("orders").await;
    let old = system.manager.partitions("orders")[0];
    let places = [(other.cluster.id(), ALL)];
    // It waits for another one, too, of which nobody knows.
    let waits_for = [old, shoal_types::PartitionId(0xdead)];
    let new = system
        .manager
        .create_successors("orders", &waits_for, &places);
    system.manager.seal("orders", old, &new);
    let started = Instant::now();
    let refused = send(&system, "orders", "x", 500).await;
    assert_eq!(
        (refused.status, refused.problem()),
        (503, ("not_ready", "no", None))
    );
    assert!(
        refused.body["detail"].as_str().unwrap().contains("pdead"),
        "{}",
        refused.body
    );
    assert!(
        started.elapsed() < Duration::from_millis(900),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(other.cluster.count_asked(is_shown_seal), 1);
}

#[tokio::test]
async fn a_newer_word_of_the_manager_wins_over_the_seal() {
    let (system, other) = system("orders").await;
    let old = system.manager.partitions("orders")[0];
    let first = system
        .manager
        .create_successors("orders", &[old], &[(other.cluster.id(), ALL)]);
    system.manager.seal("orders", old, &first);
    system
        .send("orders", json!({ "body": "1" }))
        .await
        .expect(201);
    // And on to a third one, of which the manager tells, and nobody shows a seal.
    let second = system
        .manager
        .create_successors("orders", &first, &[(CLUSTER, ALL)]);
    system.manager.seal("orders", first[0], &second);
    system.manager.settle("orders", &[old, first[0]], &second);
    eventually("the feed has told", async || {
        let shown = system
            .ask("GET", "/v1/queues/orders", Value::Null)
            .await
            .expect(200);
        shown["partitions"][2]["state"] == "active"
    })
    .await;
    let before = other.cluster.count_asked(is_send);
    let sent = system
        .send("orders", json!({ "body": "2" }))
        .await
        .expect(201);
    assert_eq!(partitions(&sent), second);
    assert_eq!(other.cluster.count_asked(is_send), before);
    let received = system
        .receive("orders", json!({ "max": 10 }))
        .await
        .expect(200);
    assert_eq!(bodies(&received), ["1", "2"]);
}

#[tokio::test]
async fn of_a_divided_batch_each_message_says_for_itself_what_became_of_it() {
    let (system, other) = system("orders").await;
    let half = ALL.split(2);
    let places = [(CLUSTER, half[0]), (other.cluster.id(), half[1])];
    let new = system.manager.move_queue("orders", &places);
    let message = |n: usize| json!({ "body": n.to_string(), "group": format!("g{n}") });
    let batch: Vec<Value> = (0..20).map(message).collect();
    eventually("the feed has told", async || {
        let sent = system
            .send("orders", json!({ "messages": batch }))
            .await
            .expect(201);
        BTreeSet::from_iter(partitions(&sent)) == BTreeSet::from_iter(new.clone())
    })
    .await;
    system
        .ask("POST", "/v1/queues/orders/purge", Value::Null)
        .await
        .expect(204);

    other.hosts.iter().for_each(|host| host.kill());
    let request = system.request("POST", "/v1/queues/orders/messages");
    let request = request
        .header("x-deadline-ms", 700)
        .json(&json!({ "messages": batch }));
    let sent = Answer::read(request.send().await.unwrap())
        .await
        .expect(207);
    let messages = sent["messages"].as_array().unwrap();
    for (n, message) in messages.iter().enumerate() {
        let lost = half[1].contains(group_hash(&format!("g{n}")));
        assert_eq!(message["error"].is_object(), lost, "{n}: {message}");
        if lost {
            assert_eq!(message["error"]["retryable"], true);
            let detail = message["error"]["detail"].as_str().unwrap();
            assert!(detail.starts_with(&new[1].to_string()), "{detail}");
        }
    }
}

#[tokio::test]
async fn messages_without_a_group_go_anywhere_and_repetitions_go_where_the_first_went() {
    let (system, other) = system("orders").await;
    let half = ALL.split(2);
    let places = [(CLUSTER, half[0]), (other.cluster.id(), half[1])];
    let new = system.manager.move_queue("orders", &places);
    let mut homes = BTreeSet::new();
    for n in 0..40 {
        let batch = json!({ "messages": [{ "body": "a" }, { "body": "b" }] });
        let send = async |key: Option<String>| {
            let request = system
                .request("POST", "/v1/queues/orders/messages")
                .json(&batch);
            let request = match key {
                Some(key) => request.header("Idempotency-Key", key),
                None => request,
            };
            Answer::read(request.send().await.unwrap())
                .await
                .expect(201)
        };
        let anywhere = partitions(&send(None).await);
        assert_eq!(anywhere[0], anywhere[1], "one choice for a request");
        homes.insert(anywhere[0]);
        let key = format!("k{n}");
        assert_eq!(send(Some(key.clone())).await, send(Some(key)).await);

        let by_id = json!({ "body": "c", "dedup_id": format!("d{n}") });
        let first = system.send("orders", by_id.clone()).await.expect(201);
        assert_eq!(system.send("orders", by_id).await.expect(201), first);
    }
    assert!(homes.is_superset(&BTreeSet::from_iter(new)), "{homes:?}");
    let shown = system
        .ask("GET", "/v1/queues/orders", Value::Null)
        .await
        .expect(200);
    assert_eq!(shown["counts"]["ready"], 40 * 5);
}
