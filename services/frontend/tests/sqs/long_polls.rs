use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;

use super::client::{BOTH, Client, Protocol, bodies, system};
use super::support::eventually;

#[tokio::test]
async fn a_receive_waits_for_a_message_and_not_for_a_full_batch() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let url = client
            .create(&format!("wait-{protocol:?}"), json!({}))
            .await;
        let asked = json!({"QueueUrl": url, "WaitTimeSeconds": 20, "MaxNumberOfMessages": 10});
        let started = Instant::now();
        let (received, ()) = tokio::join!(client.done("ReceiveMessage", asked), async {
            eventually("it waits", async || system.cluster.waiting() == 1).await;
            client.send(&url, "x").await;
        });
        assert_eq!(received["Messages"][0]["Body"], "x");
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test]
async fn without_a_time_of_its_own_it_waits_as_the_queue_says() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let attributes = json!({"ReceiveMessageWaitTimeSeconds": "1"});
        let url = client
            .create(&format!("default-{protocol:?}"), attributes)
            .await;
        let started = Instant::now();
        assert_eq!(
            client
                .done("ReceiveMessage", json!({"QueueUrl": url}))
                .await,
            json!({})
        );
        assert!(started.elapsed() >= Duration::from_millis(950));
        let at_once = json!({"QueueUrl": url, "WaitTimeSeconds": 0});
        let started = Instant::now();
        assert_eq!(client.done("ReceiveMessage", at_once).await, json!({}));
        assert!(started.elapsed() < Duration::from_millis(900));
    }
}

#[tokio::test]
async fn whose_queue_is_deleted_meanwhile_need_not_wait_to_the_end() {
    let system = system().await;
    let client = Client::new(&system, Protocol::Json);
    let url = client.create("deleted", json!({})).await;
    let asked = json!({"QueueUrl": url, "WaitTimeSeconds": 20});
    let started = Instant::now();
    let (reply, ()) = tokio::join!(client.ask("ReceiveMessage", asked), async {
        eventually("it waits", async || system.cluster.waiting() == 1).await;
        client.done("DeleteQueue", json!({"QueueUrl": url})).await;
    });
    assert!(started.elapsed() < Duration::from_secs(15));
    match reply.status {
        200 => assert_eq!(reply.body, json!({})),
        _ => assert_eq!(reply.code(), "AWS.SimpleQueueService.NonExistentQueue"),
    }
}

/// A client that had gone away while it waited was given the next message all the same, which then lay in
/// nobody's hands until its lease ran out: what is dropped here must be forgotten by the hosts.
#[tokio::test]
async fn who_has_gone_away_gets_nothing() {
    let system = system().await;
    let client = Client::new(&system, Protocol::Json);
    let url = client.create("ghost", json!({})).await;
    let asked = json!({"QueueUrl": url, "WaitTimeSeconds": 20});
    let ghost = client.ask("ReceiveMessage", asked);
    let gone = tokio::time::timeout(Duration::from_millis(300), ghost);
    assert!(gone.await.is_err());
    eventually("nobody waits", async || system.cluster.waiting() == 0).await;
    client.send(&url, "x").await;
    assert_eq!(bodies(&client.receive(&url).await), ["x"]);
}

/// All who waited came back to the other frontends in the same moment, since the one that stopped let them
/// go all at once, or after five seconds with no answer at all.
#[tokio::test]
async fn who_waits_at_a_frontend_that_stops_is_answered_by_turns() {
    const WAITERS: usize = 100;
    let system = system().await;
    let client = Client::new(&system, Protocol::Json);
    let url = client.create("stopping", json!({})).await;
    let asked = json!({"QueueUrl": url, "WaitTimeSeconds": 20});
    let wait = async || {
        let answer = client.done("ReceiveMessage", asked.clone()).await;
        assert_eq!(answer, json!({}));
        Instant::now()
    };
    let stop = async {
        let all_wait = async || system.cluster.waiting() == WAITERS;
        eventually("all wait", all_wait).await;
        system.stop();
        Instant::now()
    };
    let (ends, stopped) = tokio::join!(join_all((0..WAITERS).map(|_| wait())), stop);
    let after = |end: &Instant| end.duration_since(stopped);
    let early = ends
        .iter()
        .filter(|end| after(end) < Duration::from_millis(500));
    let (early, last) = (early.count(), ends.iter().map(after).max().unwrap());
    assert!(
        (20..=80).contains(&early),
        "{early} in the first half second"
    );
    assert!(last < Duration::from_secs(3), "{last:?}");
    eventually("nobody waits", async || system.cluster.waiting() == 0).await;
}
