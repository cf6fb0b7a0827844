use std::time::Duration;

use serde_json::json;
use shoal_frontend::FrontendConfig;

use super::client::{BOTH, Client, Protocol, open, system};
use super::support::System;

#[tokio::test]
async fn a_purge_takes_everything_that_was_sent_before_also_what_is_in_flight() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let attributes = json!({"VisibilityTimeout": "1"});
        let url = client
            .create(&format!("purged-{protocol:?}"), attributes)
            .await;
        for body in ["a", "b"] {
            client.send(&url, body).await;
        }
        client
            .done("ReceiveMessage", json!({"QueueUrl": url}))
            .await;
        client.done("PurgeQueue", json!({"QueueUrl": url})).await;
        client.send(&url, "after").await;
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        let received = client.receive(&url).await;
        assert_eq!(super::client::bodies(&received), ["after"]);

        let refused = client.ask("PurgeQueue", json!({"QueueUrl": url})).await;
        assert_eq!(refused.status, 403);
        assert_eq!(
            refused.code(),
            "AWS.SimpleQueueService.PurgeQueueInProgress"
        );
    }
}

#[tokio::test]
async fn where_it_is_configured_so_a_queue_is_purged_as_often_as_one_likes() {
    let config = FrontendConfig {
        purge_pause_s: 0,
        ..open()
    };
    let system = System::start_with(config).await;
    let client = Client::new(&system, Protocol::Json);
    let url = client.create("purged", json!({})).await;
    for _ in 0..3 {
        client.done("PurgeQueue", json!({"QueueUrl": url})).await;
    }
}
