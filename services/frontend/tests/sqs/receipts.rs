use std::time::Duration;

use serde_json::{Value, json};

use super::client::{BOTH, Client, bodies, handle, system};

fn with(url: &str, handle: &str) -> Value {
    json!({"QueueUrl": url, "ReceiptHandle": handle})
}

fn visible_in(url: &str, handle: &str, seconds: u32) -> Value {
    json!({"QueueUrl": url, "ReceiptHandle": handle, "VisibilityTimeout": seconds})
}

#[tokio::test]
async fn a_deleted_message_is_gone_and_can_be_deleted_again() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let attributes = json!({"VisibilityTimeout": "0"});
        let url = client
            .create(&format!("del-{protocol:?}"), attributes)
            .await;
        client.send(&url, "x").await;
        let received = client.receive(&url).await;
        // The lease has run out, and nobody else has the message.
        client
            .done("DeleteMessage", with(&url, handle(&received[0])))
            .await;
        client
            .done("DeleteMessage", with(&url, handle(&received[0])))
            .await;
        assert!(client.receive(&url).await.is_empty());
    }
}

#[tokio::test]
async fn the_older_of_two_handles_is_answered_well_and_deletes_nothing() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let attributes = json!({"VisibilityTimeout": "0"});
        let url = client
            .create(&format!("older-{protocol:?}"), attributes)
            .await;
        client.send(&url, "x").await;
        let first = client.receive(&url).await;
        let asked = json!({"QueueUrl": url, "VisibilityTimeout": 30});
        let second = client.done("ReceiveMessage", asked).await;
        let second = handle(&second["Messages"][0]).to_owned();
        assert_ne!(handle(&first[0]), second);
        client
            .done("DeleteMessage", with(&url, handle(&first[0])))
            .await;
        client
            .refused(
                "ChangeMessageVisibility",
                visible_in(&url, handle(&first[0]), 0),
                "InvalidParameterValue",
            )
            .await;
        client
            .done("ChangeMessageVisibility", visible_in(&url, &second, 0))
            .await;
        assert_eq!(bodies(&client.receive(&url).await), ["x"]);
    }
}

#[tokio::test]
async fn a_lease_ends_when_its_holder_says() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let attributes = json!({"VisibilityTimeout": "1"});
        let url = client
            .create(&format!("lease-{protocol:?}"), attributes)
            .await;
        client.send(&url, "x").await;
        let received = client.receive(&url).await;
        let longer = visible_in(&url, handle(&received[0]), 30);
        client.done("ChangeMessageVisibility", longer).await;
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        assert!(client.receive(&url).await.is_empty());
        let now = visible_in(&url, handle(&received[0]), 0);
        client.done("ChangeMessageVisibility", now).await;
        let again = client.receive(&url).await;
        assert_eq!(bodies(&again), ["x"]);
        assert_eq!(again[0]["Attributes"]["ApproximateReceiveCount"], "2");
        // A change is not kept for the next receive.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        let once_more = client.receive(&url).await;
        assert_eq!(bodies(&once_more), ["x"]);
    }
}

/// The error said neither which parameter was wrong nor what it was: clients that look for SQS's text found
/// another one.
#[tokio::test]
async fn a_lease_lasts_at_most_twelve_hours_from_its_receive() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let url = client
            .create(&format!("half-a-day-{protocol:?}"), json!({}))
            .await;
        client.send(&url, "x").await;
        let received = client.receive(&url).await;
        let asked = visible_in(&url, handle(&received[0]), 43_200);
        let told = client
            .refused("ChangeMessageVisibility", asked, "InvalidParameterValue")
            .await;
        let expected = "Value 43200 for parameter VisibilityTimeout is invalid. Reason: Total \
                        VisibilityTimeout for the message is beyond the limit [43200 seconds]";
        assert_eq!(told, expected);
        let asked = visible_in(&url, handle(&received[0]), 43_000);
        client.done("ChangeMessageVisibility", asked).await;
    }
}

#[tokio::test]
async fn what_is_not_in_flight_cannot_be_kept_longer() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let attributes = json!({"VisibilityTimeout": "0"});
        let url = client
            .create(&format!("ended-{protocol:?}"), attributes)
            .await;
        client.send(&url, "x").await;
        let received = client.receive(&url).await;
        let asked = visible_in(&url, handle(&received[0]), 30);
        let not_in_flight = "AWS.SimpleQueueService.MessageNotInflight";
        client
            .refused("ChangeMessageVisibility", asked.clone(), not_in_flight)
            .await;
        client
            .done("DeleteMessage", with(&url, handle(&received[0])))
            .await;
        client
            .refused("ChangeMessageVisibility", asked, "InvalidParameterValue")
            .await;
    }
}

#[tokio::test]
async fn a_batch_says_of_each_handle_what_became_of_it() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let url = client
            .create(&format!("some-{protocol:?}"), json!({}))
            .await;
        let other = client
            .create(&format!("other-{protocol:?}"), json!({}))
            .await;
        for queue in [&url, &other] {
            client.send(queue, "a").await;
            client.send(queue, "b").await;
        }
        let received = client.receive(&url).await;
        let foreign = client.receive(&other).await;
        let entries = json!([
            {"Id": "one", "ReceiptHandle": handle(&received[0]), "VisibilityTimeout": 0},
            {"Id": "bad", "ReceiptHandle": "nonsense", "VisibilityTimeout": 0},
            {"Id": "foreign", "ReceiptHandle": handle(&foreign[0]), "VisibilityTimeout": 0},
            {"Id": "long", "ReceiptHandle": handle(&received[1]), "VisibilityTimeout": 43_201},
        ]);
        let asked = json!({"QueueUrl": url, "Entries": entries});
        let done = client.done("ChangeMessageVisibilityBatch", asked).await;
        let codes = |done: &Value| -> Vec<(String, String)> {
            let failed = done["Failed"].as_array().cloned().unwrap_or_default();
            let text = |entry: &Value, name: &str| entry[name].as_str().unwrap().to_owned();
            failed
                .iter()
                .map(|e| (text(e, "Id"), text(e, "Code")))
                .collect()
        };
        let of = |id: &str, code: &str| (id.to_owned(), code.to_owned());
        assert_eq!(done["Successful"], json!([{"Id": "one"}]));
        assert_eq!(
            codes(&done),
            [
                of("bad", "ReceiptHandleIsInvalid"),
                of("foreign", "ReceiptHandleIsInvalid"),
                of("long", "InvalidParameterValue"),
            ]
        );
        let again = client.receive(&url).await;
        assert_eq!(bodies(&again), ["a"]);
        let entries = json!([
            {"Id": "two", "ReceiptHandle": handle(&received[1])},
            {"Id": "bad", "ReceiptHandle": "nonsense"},
            {"Id": "one", "ReceiptHandle": handle(&again[0])},
        ]);
        let asked = json!({"QueueUrl": url, "Entries": entries});
        let done = client.done("DeleteMessageBatch", asked).await;
        assert_eq!(done["Successful"], json!([{"Id": "two"}, {"Id": "one"}]));
        assert_eq!(codes(&done), [of("bad", "ReceiptHandleIsInvalid")]);
        // The other queue's messages are as they were.
        client
            .done("DeleteMessage", with(&other, handle(&foreign[0])))
            .await;
    }
}

#[tokio::test]
async fn a_handle_that_is_none_is_refused_and_shown() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let url = client
            .create(&format!("none-{protocol:?}"), json!({}))
            .await;
        client.send(&url, "x").await;
        let received = client.receive(&url).await;
        let good = handle(&received[0]);
        let flipped = match good.strip_suffix('0') {
            Some(start) => format!("{start}1"),
            None => format!("{}0", &good[..good.len() - 1]),
        };
        for bad in ["x", &flipped, &good[..43], &"QUJD".repeat(2_560)] {
            let told = client
                .refused("DeleteMessage", with(&url, bad), "ReceiptHandleIsInvalid")
                .await;
            assert!(told.contains(&bad[..1]) && told.len() < 300, "{told}");
        }
        client.done("DeleteMessage", with(&url, good)).await;
    }
}
