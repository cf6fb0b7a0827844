use std::time::Duration;

use serde_json::{Value, json};

use super::client::{BOTH, Client, Protocol, bodies, handle, system};

async fn create(client: &Client<'_>, stem: &str, more: Value) -> String {
    let mut attributes = json!({"FifoQueue": "true"});
    attributes
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    client
        .create(&format!("{stem}-{:?}.fifo", client.protocol), attributes)
        .await
}

fn message(url: &str, body: &str, group: &str, id: &str) -> Value {
    json!({
        "QueueUrl": url,
        "MessageBody": body,
        "MessageGroupId": group,
        "MessageDeduplicationId": id,
    })
}

#[tokio::test]
async fn a_group_is_given_in_order_and_nothing_of_it_while_one_is_in_flight() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let url = create(&client, "order", json!({})).await;
        let mut numbers = Vec::new();
        for (body, group) in [("a1", "a"), ("a2", "a"), ("b1", "b"), ("a3", "a")] {
            let sent = client
                .done("SendMessage", message(&url, body, group, body))
                .await;
            numbers.push(sent["SequenceNumber"].as_str().unwrap().to_owned());
        }
        assert!(numbers.iter().all(|number| number.len() == 20) && numbers.is_sorted());
        let asked = json!({"QueueUrl": url, "MaxNumberOfMessages": 2, "AttributeNames": ["All"]});
        let first = client.done("ReceiveMessage", asked).await;
        let first = first["Messages"].as_array().unwrap();
        assert_eq!(bodies(first), ["a1", "a2"]);
        let told = &first[0]["Attributes"];
        assert_eq!(told["MessageGroupId"], "a");
        assert_eq!(told["MessageDeduplicationId"], "a1");
        assert_eq!(told["SequenceNumber"], *numbers[0]);
        assert_eq!(bodies(&client.receive(&url).await), ["b1"]);
        assert!(client.receive(&url).await.is_empty());
        for message in first {
            let deleted = json!({"QueueUrl": url, "ReceiptHandle": handle(message)});
            client.done("DeleteMessage", deleted).await;
        }
        assert_eq!(bodies(&client.receive(&url).await), ["a3"]);
    }
}

#[tokio::test]
async fn the_same_id_within_five_minutes_is_the_same_message() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let url = create(&client, "dedup", json!({})).await;
        let first = client
            .done("SendMessage", message(&url, "one", "a", "1"))
            .await;
        let again = client
            .done("SendMessage", message(&url, "other", "a", "1"))
            .await;
        assert_eq!(again["MessageId"], first["MessageId"]);
        assert_eq!(again["SequenceNumber"], first["SequenceNumber"]);
        // In the whole queue, also in another group.
        client
            .done("SendMessage", message(&url, "one", "b", "1"))
            .await;
        let received = client.receive(&url).await;
        assert_eq!(bodies(&received), ["one"]);
        let deleted = json!({"QueueUrl": url, "ReceiptHandle": handle(&received[0])});
        client.done("DeleteMessage", deleted).await;
        client
            .done("SendMessage", message(&url, "one", "a", "1"))
            .await;
        assert!(client.receive(&url).await.is_empty());
    }
}

#[tokio::test]
async fn deduplication_may_be_by_group() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let high_throughput = json!({
            "DeduplicationScope": "messageGroup",
            "FifoThroughputLimit": "perMessageGroupId",
        });
        let url = create(&client, "scope", high_throughput).await;
        for group in ["a", "b", "a"] {
            client
                .done("SendMessage", message(&url, group, group, "1"))
                .await;
        }
        assert_eq!(bodies(&client.receive(&url).await), ["a", "b"]);
    }
}

#[tokio::test]
async fn equal_bodies_are_one_message_where_the_queue_says_so() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let url = create(
            &client,
            "content",
            json!({"ContentBasedDeduplication": "true"}),
        )
        .await;
        for (body, colour) in [("x", "red"), ("x", "blue"), ("y", "red")] {
            let colour = json!({"DataType": "String", "StringValue": colour});
            let sent = json!({
                "QueueUrl": url,
                "MessageBody": body,
                "MessageGroupId": "a",
                "MessageAttributes": {"colour": colour},
            });
            client.done("SendMessage", sent).await;
        }
        let received = client.receive(&url).await;
        assert_eq!(bodies(&received), ["x", "y"]);
        let of_x = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
        assert_eq!(received[0]["Attributes"]["MessageDeduplicationId"], of_x);
    }
}

#[tokio::test]
async fn what_a_fifo_queue_needs_and_does_not_take() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let url = create(&client, "needs", json!({})).await;
        let without = |names: &[&str]| {
            let mut message = message(&url, "x", "a", "1");
            for name in names {
                message.as_object_mut().unwrap().remove(*name);
            }
            message
        };
        let no_group = without(&["MessageGroupId"]);
        let told = client
            .refused("SendMessage", no_group, "MissingParameter")
            .await;
        assert_eq!(
            told,
            "The request must contain the parameter MessageGroupId."
        );
        let no_id = without(&["MessageDeduplicationId"]);
        let told = client
            .refused("SendMessage", no_id, "InvalidParameterValue")
            .await;
        assert!(told.starts_with("The queue should either have ContentBasedDeduplication"));
        let mut late = message(&url, "x", "a", "1");
        late["DelaySeconds"] = json!(1);
        client
            .refused("SendMessage", late.clone(), "InvalidParameterValue")
            .await;
        // No delay is none of its own.
        late["DelaySeconds"] = json!(0);
        client.done("SendMessage", late).await;

        let standard = client.create(&format!("std-{protocol:?}"), json!({})).await;
        let mut with_id = message(&standard, "x", "a", "1");
        client
            .refused("SendMessage", with_id.clone(), "InvalidParameterValue")
            .await;
        with_id
            .as_object_mut()
            .unwrap()
            .remove("MessageDeduplicationId");
        client.done("SendMessage", with_id).await;

        // In a batch it fails the entry alone.
        let entries = json!([
            {"Id": "good", "MessageBody": "x", "MessageGroupId": "a", "MessageDeduplicationId": "2"},
            {"Id": "bad", "MessageBody": "x", "MessageDeduplicationId": "3"},
        ]);
        let asked = json!({"QueueUrl": url, "Entries": entries});
        let done = client.done("SendMessageBatch", asked).await;
        assert_eq!(done["Successful"][0]["Id"], "good");
        assert_eq!(done["Failed"][0]["Code"], "MissingParameter");
    }
}

#[tokio::test]
async fn a_handle_whose_lease_has_run_out_neither_deletes_nor_extends() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let url = create(&client, "expired", json!({"VisibilityTimeout": "1"})).await;
        client
            .done("SendMessage", message(&url, "x", "a", "1"))
            .await;
        let received = client.receive(&url).await;
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        let old = json!({"QueueUrl": url, "ReceiptHandle": handle(&received[0])});
        let told = client
            .refused("DeleteMessage", old.clone(), "InvalidParameterValue")
            .await;
        assert!(told.ends_with("The receipt handle has expired."), "{told}");
        let mut longer = old;
        longer["VisibilityTimeout"] = json!(30);
        let told = client
            .refused("ChangeMessageVisibility", longer, "InvalidParameterValue")
            .await;
        assert!(told.ends_with("The receipt handle has expired."), "{told}");
        assert_eq!(bodies(&client.receive(&url).await), ["x"]);
    }
}

#[tokio::test]
async fn the_same_attempt_receives_the_same_messages() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let url = create(&client, "attempt", json!({})).await;
        for body in ["1", "2"] {
            client
                .done("SendMessage", message(&url, body, "a", body))
                .await;
        }
        let attempt = json!({"QueueUrl": url, "ReceiveRequestAttemptId": "first"});
        let one = client.done("ReceiveMessage", attempt.clone()).await;
        assert_eq!(one["Messages"][0]["Body"], "1");
        let again = client.done("ReceiveMessage", attempt).await;
        assert_eq!(again["Messages"][0]["Body"], "1");
        assert_eq!(
            again["Messages"][0]["ReceiptHandle"],
            one["Messages"][0]["ReceiptHandle"]
        );
        let other = json!({"QueueUrl": url, "ReceiveRequestAttemptId": "second"});
        assert_eq!(client.done("ReceiveMessage", other).await, json!({}));
    }
}

#[tokio::test]
async fn a_message_is_the_same_through_either_api() {
    let system = system().await;
    let client = Client::new(&system, Protocol::Json);
    let url = create(&client, "both", json!({})).await;
    client
        .done("SendMessage", message(&url, "by SQS", "a", "1"))
        .await;
    let sent = json!({"body": "by REST", "group": "a", "dedup_id": "1"});
    system.send("both-Json.fifo", sent).await.expect(201);
    assert_eq!(bodies(&client.receive(&url).await), ["by SQS"]);
}
