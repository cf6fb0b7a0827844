//! A frontend that is told to stop: who comes is served and told to go, and whoever was heard is answered.

mod support;

use std::time::{Duration, Instant};

use reqwest::header::CONNECTION;
use serde_json::{Value, json};
use shoal_frontend::FrontendConfig;
use support::{Mode, System, eventually};

const DRAIN: Duration = Duration::from_millis(800);

async fn system(drain: Duration) -> System {
    let config = FrontendConfig {
        drain_ms: drain.as_millis() as u32,
        ..FrontendConfig::default()
    };
    let system = System::start_with(config).await;
    system.create("orders", Value::Null).await;
    system
}

async fn readyz(system: &System) -> reqwest::Result<(u16, String)> {
    let url = format!("http://{}/readyz", system.frontend.admin);
    let answer = reqwest::get(url).await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

/// The admin port goes last.
async fn has_ended(system: &System) {
    eventually("it has ended", async || readyz(system).await.is_err()).await;
}

#[tokio::test]
async fn it_serves_on_and_asks_everybody_to_go_until_the_drain_is_over() {
    let system = system(DRAIN).await;
    assert_eq!(readyz(&system).await.unwrap().0, 200);
    let answer = system.send("orders", json!({ "body": "before" })).await;
    assert!(!answer.headers.contains_key(CONNECTION), "{answer:?}");

    let stopped = Instant::now();
    system.stop();
    eventually("it says so", async || {
        readyz(&system).await.unwrap() == (503, "is stopping\n".to_owned())
    })
    .await;
    // New connections as well as the one that is there.
    for _ in 0..3 {
        let answer = system.send("orders", json!({ "body": "during" })).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(answer.headers[CONNECTION], "close");
    }
    let url = system.url("/v1/queues");
    eventually("its port is closed", async || {
        let refused = system.http.get(&url).send().await.err();
        refused.is_some_and(|error| error.is_connect())
    })
    .await;
    assert!(stopped.elapsed() >= DRAIN, "{:?}", stopped.elapsed());
    has_ended(&system).await;
}

#[tokio::test]
async fn without_a_drain_it_stops_at_once_and_answers_what_it_was_asked() {
    let system = system(Duration::ZERO).await;
    system.hosts.iter().for_each(|host| host.set(Mode::Silent));
    let before = system.cluster.asked().len();
    let asking = system.request("POST", "/v1/queues/orders/messages");
    let asking = tokio::spawn(asking.json(&json!({ "body": "x" })).send());
    eventually("it is under way", async || {
        system.cluster.asked().len() > before
    })
    .await;
    let stopped = Instant::now();
    system.stop();
    let url = system.url("/v1/queues");
    eventually("its port is closed", async || {
        let refused = system.http.get(&url).send().await.err();
        refused.is_some_and(|error| error.is_connect())
    })
    .await;
    assert!(stopped.elapsed() < DRAIN, "{:?}", stopped.elapsed());
    system.hosts.iter().for_each(|host| host.set(Mode::Answer));
    let answer = asking.await.unwrap().unwrap();
    assert_eq!(answer.status().as_u16(), 201);
    has_ended(&system).await;
}

/// It used to end the connection, and the client could not tell whether it had been heard at all.
#[tokio::test]
async fn a_request_that_may_take_longer_than_the_frontend_has_is_answered_too() {
    let system = system(Duration::ZERO).await;
    system.hosts.iter().for_each(|host| host.set(Mode::Silent));
    let before = system.cluster.asked().len();
    let asking = system
        .request("POST", "/v1/queues/orders/messages")
        .header("x-deadline-ms", 30_000)
        .json(&json!({ "body": "x" }));
    let asking = tokio::spawn(asking.send());
    eventually("it is under way", async || {
        system.cluster.asked().len() > before
    })
    .await;
    system.stop();
    let answer = support::Answer::read(asking.await.unwrap().unwrap()).await;
    assert_eq!(
        (answer.status, answer.problem()),
        (504, ("deadline_exceeded", "unknown", None))
    );
    has_ended(&system).await;
}
