//! Hosts that die, fall silent or refuse: clients notice nothing, and nothing is done twice.

mod support;

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};
use shoal_frontend::FrontendConfig;
use shoal_types::ErrorCode;
use support::{Answer, FakeCluster, Mode, System, eventually, receipts};
use tokio::time::Instant;

/// A system with a queue, all of whose hosts have been spoken to.
async fn system() -> System {
    let system = System::start().await;
    system.create("orders", Value::Null).await;
    eventually("all hosts were asked", async || {
        system
            .send("orders", json!({ "body": "warm" }))
            .await
            .expect(201);
        let asked: HashSet<_> = system
            .cluster
            .asked()
            .iter()
            .map(|(host, _)| *host)
            .collect();
        asked.len() == 3
    })
    .await;
    system
        .ask("POST", "/v1/queues/orders/purge", Value::Null)
        .await
        .expect(204);
    system
}

async fn bodies(system: &System) -> Vec<String> {
    let received = system
        .receive("orders", json!({ "max": 1_000 }))
        .await
        .expect(200);
    let messages = received["messages"].as_array().unwrap();
    messages
        .iter()
        .map(|m| m["body"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_host_that_dies_in_the_middle_of_a_call_is_replaced_under_the_same_request_id() {
    let system = system().await;
    for host in &system.hosts {
        host.set(Mode::ExecuteSilently);
    }
    let before = system.cluster.asked().len();
    let sending = system.send("orders", json!({ "body": "once" }));
    let killing = async {
        eventually("a host has it", async || {
            system.cluster.asked().len() > before
        })
        .await;
        let (host, _) = system.cluster.asked()[before];
        for other in system.hosts.iter().filter(|other| other.id != host) {
            other.set(Mode::Answer);
        }
        system.host(host.0).kill();
    };
    let started = Instant::now();
    let (sent, ()) = tokio::join!(sending, killing);
    sent.expect(201);
    assert!(
        started.elapsed() < Duration::from_millis(500),
        "{:?}",
        started.elapsed()
    );
    let asked = &system.cluster.asked()[before..];
    assert_eq!(asked.len(), 2);
    assert_ne!(asked[0].0, asked[1].0);
    assert_eq!(asked[0].1, asked[1].1, "the same request");
    assert_eq!(bodies(&system).await, ["once"]);
}

#[tokio::test]
async fn a_host_that_falls_silent_is_not_waited_for() {
    let system = system().await;
    system.host(1).set(Mode::ExecuteSilently);
    for n in 0..20 {
        let started = Instant::now();
        system
            .send("orders", json!({ "body": n.to_string() }))
            .await
            .expect(201);
        assert!(
            started.elapsed() < Duration::from_millis(1_500),
            "{:?}",
            started.elapsed()
        );
    }
    assert_eq!(bodies(&system).await.len(), 20);
}

#[tokio::test]
async fn hosts_that_were_not_ready_are_asked_again_while_another_one_is_silent() {
    let system = system().await;
    let before = system.cluster.asked().len();
    system.hosts.iter().for_each(|host| host.set(Mode::Silent));
    let sending = system.send("orders", json!({ "body": "x" }));
    let changing = async {
        eventually("a host has it", async || {
            system.cluster.asked().len() > before
        })
        .await;
        let (silent, _) = system.cluster.asked()[before];
        let others = || system.hosts.iter().filter(|host| host.id != silent);
        others().for_each(|host| host.set(Mode::Refuse(ErrorCode::NotReady)));
        let both_refused = || system.cluster.asked().len() > before + 2;
        eventually("both others refused", async || both_refused()).await;
        others().for_each(|host| host.set(Mode::Answer));
    };
    let started = Instant::now();
    let (sent, ()) = tokio::join!(sending, changing);
    sent.expect(201);
    assert!(
        started.elapsed() < Duration::from_millis(1_500),
        "{:?}",
        started.elapsed()
    );
}

/// A host fell silent, another one was asked, and the moment after that the first one's connection broke: a
/// third was asked although the second had just begun.
#[tokio::test]
async fn while_one_attempt_does_well_the_failure_of_another_starts_no_more() {
    let system = system().await;
    let before = system.cluster.asked().len();
    let asked = || system.cluster.asked().len() - before;
    system.hosts.iter().for_each(|host| host.set(Mode::Silent));
    let sending = system.send("orders", json!({ "body": "x" }));
    let failing = async {
        eventually("two hosts have it", async || asked() == 2).await;
        system.hosts.iter().for_each(|host| host.set(Mode::Answer));
        let (silent, _) = system.cluster.asked()[before];
        system.host(silent.0).kill();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(asked(), 2, "the second is not silent yet");
    };
    let (sent, ()) = tokio::join!(sending, failing);
    sent.expect(201);
}

#[tokio::test]
async fn a_new_view_moves_what_waits_at_hosts_outside_of_it_at_once() {
    let system = system().await;
    for host in &system.hosts {
        host.set(Mode::Silent);
    }
    let before = system.cluster.asked().len();
    let started = Instant::now();
    let sending = system.send("orders", json!({ "body": "moved" }));
    let moving = async {
        eventually("a host has it", async || {
            system.cluster.asked().len() > before
        })
        .await;
        let (silent, _) = system.cluster.asked()[before];
        let others: Vec<u64> = [1, 2, 3].into_iter().filter(|id| *id != silent.0).collect();
        others
            .iter()
            .for_each(|id| system.host(*id).set(Mode::Answer));
        system.host(others[0]).push_view(7, &others);
    };
    let (sent, ()) = tokio::join!(sending, moving);
    sent.expect(201);
    assert!(
        started.elapsed() < Duration::from_millis(500),
        "sooner than a hedge"
    );
}

#[tokio::test]
async fn a_receive_that_waits_at_a_host_that_dies_waits_on_elsewhere() {
    let system = system().await;
    let before = system.cluster.asked().len();
    let waiting = system.receive("orders", json!({ "wait_s": 20 }));
    let meanwhile = async {
        eventually("somebody waits", async || system.cluster.waiting() == 1).await;
        let (host, _) = system.cluster.asked()[before];
        system.host(host.0).kill();
        eventually("it waits elsewhere", async || {
            system.cluster.asked().len() > before + 1
        })
        .await;
        system
            .send("orders", json!({ "body": "late" }))
            .await
            .expect(201);
    };
    let (received, ()) = tokio::join!(waiting, meanwhile);
    let received = received.expect(200);
    assert_eq!(received["messages"][0]["body"], "late");
    system.ack("orders", &receipts(&received)).await.expect(200);
}

#[tokio::test]
async fn hosts_that_refuse_are_passed_over_and_the_last_refusal_is_told() {
    let system = system().await;
    system.host(1).set(Mode::Refuse(ErrorCode::NotReady));
    system.host(2).set(Mode::Refuse(ErrorCode::Busy));
    for _ in 0..10 {
        system
            .send("orders", json!({ "body": "x" }))
            .await
            .expect(201);
    }
    system.host(3).set(Mode::Refuse(ErrorCode::NotReady));
    let request = system.request("POST", "/v1/queues/orders/messages");
    let request = request
        .header("x-deadline-ms", "300")
        .json(&json!({ "body": "x" }));
    let refused = Answer::read(request.send().await.unwrap()).await;
    assert_eq!(refused.status, 503);
    assert_eq!(
        refused.problem().1,
        "no",
        "no host applied it: {}",
        refused.body
    );
    assert_eq!(refused.body["retryable"], true);
}

#[tokio::test]
async fn with_all_hosts_dead_it_is_certain_that_nothing_was_applied() {
    let system = system().await;
    system.hosts.iter().for_each(|host| host.kill());
    let shown = system
        .ask("GET", "/v1/queues/orders", Value::Null)
        .await
        .expect(200);
    assert_eq!(
        shown["counts"],
        Value::Null,
        "settings are shown all the same"
    );
    // The connections' ends are noticed at once; nothing is sent on them any more.
    let started = Instant::now();
    let mut answer = None;
    eventually("the closed connections are noticed", async || {
        let request = system.request("POST", "/v1/queues/orders/messages");
        let request = request
            .header("x-deadline-ms", "200")
            .json(&json!({ "body": "x" }));
        let refused = Answer::read(request.send().await.unwrap()).await;
        assert_eq!((refused.status, refused.problem().0), (503, "unavailable"));
        let certain = refused.problem().1 == "no";
        answer = Some(refused);
        certain
    })
    .await;
    assert!(started.elapsed() < Duration::from_secs(3));
    system.hosts.iter().for_each(|host| host.restart());
    system
        .send("orders", json!({ "body": "x" }))
        .await
        .expect(201);
}

#[tokio::test]
async fn a_command_without_an_answer_is_in_doubt() {
    let system = system().await;
    system
        .hosts
        .iter()
        .for_each(|host| host.set(Mode::ExecuteSilently));
    let request = system.request("POST", "/v1/queues/orders/messages");
    let request = request
        .header("x-deadline-ms", "300")
        .json(&json!({ "body": "x" }));
    let failed = Answer::read(request.send().await.unwrap()).await;
    assert_eq!(failed.status, 504);
    assert_eq!(failed.problem(), ("deadline_exceeded", "unknown", None));
}

#[tokio::test]
async fn hosts_whose_clock_is_minutes_off_are_served_by_their_own_time() {
    for ahead_s in [-300, 300] {
        let cluster = FakeCluster::new(ahead_s * 1_000_000);
        let system = System::start_on(cluster, FrontendConfig::default()).await;
        system.create("orders", Value::Null).await;
        system
            .send("orders", json!({ "body": "x" }))
            .await
            .expect(201);
        assert_eq!(bodies(&system).await, ["x"]);
    }
}

#[tokio::test]
async fn damaged_bytes_are_not_handed_out() {
    let system = system().await;
    system
        .send("orders", json!({ "body": "x" }))
        .await
        .expect(201);
    system.cluster.damage_bodies(true);
    let refused = system
        .receive("orders", json!({ "visibility_timeout_s": 0 }))
        .await;
    assert_eq!((refused.status, refused.problem().0), (500, "corrupt"));
    system.cluster.damage_bodies(false);
    eventually("the message is back", async || {
        bodies(&system).await == ["x"]
    })
    .await;
}

#[tokio::test]
async fn an_overload_is_refused_before_the_body_is_read() {
    let config = FrontendConfig {
        in_flight_max: 1,
        ..Default::default()
    };
    let system = System::start_with(config).await;
    system.create("orders", Value::Null).await;
    system.hosts.iter().for_each(|host| host.set(Mode::Silent));
    let before = system.cluster.asked().len();
    let slow = system
        .request("POST", "/v1/queues/orders/messages")
        .json(&json!({ "body": "x" }));
    let slow = tokio::spawn(slow.send());
    eventually("it is under way", async || {
        system.cluster.asked().len() > before
    })
    .await;
    let refused = system.send("orders", json!({ "body": "y" })).await;
    assert_eq!(
        (refused.status, refused.problem()),
        (503, ("busy", "no", None))
    );
    slow.abort();
    system.hosts.iter().for_each(|host| host.set(Mode::Answer));
    eventually("there is room again", async || {
        system.send("orders", json!({ "body": "y" })).await.status == 201
    })
    .await;
}
