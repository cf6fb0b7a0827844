use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shoal_types::PartitionId;
use shoal_types::limits::LEASED_MAX;

use super::client::{BOTH, Client, Protocol, bodies, system};

#[tokio::test]
async fn a_message_comes_back_as_it_was_sent() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let url = client
            .create(&format!("exact-{protocol:?}"), json!({}))
            .await;
        for body in [
            "hello",
            " spaces\tand\nlines\r\n ",
            "🐟 \u{200F}rtl \u{FFFD} \u{10FFFF}",
            "<![CDATA[ ]]> </Message> & &amp; \"'",
        ] {
            let sent = client.send(&url, body).await;
            let received = client.receive(&url).await;
            assert_eq!(bodies(&received), [body]);
            let message = &received[0];
            assert_eq!(message["MessageId"], sent["MessageId"]);
            assert_eq!(message["MD5OfBody"], sent["MD5OfMessageBody"]);
            let handle = json!({"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]});
            client.done("DeleteMessage", handle).await;
        }
        let sent = client.send(&url, "hello").await;
        assert_eq!(sent["MD5OfMessageBody"], "5d41402abc4b2a76b9719d911017c592");
        assert_eq!(sent["MessageId"].as_str().unwrap().len(), 36);
        assert!(sent["SequenceNumber"].is_null());
    }
}

#[tokio::test]
async fn nothing_to_receive_is_an_answer_without_messages() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let url = client
            .create(&format!("empty-{protocol:?}"), json!({}))
            .await;
        let received = client
            .done("ReceiveMessage", json!({"QueueUrl": url}))
            .await;
        assert_eq!(received, json!({}));
    }
}

#[tokio::test]
async fn attributes_are_given_by_name_and_prefix_with_the_checksum_of_those() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let attributes = json!({"VisibilityTimeout": "0"});
        let url = client
            .create(&format!("attr-{protocol:?}"), attributes)
            .await;
        let sent = json!({
            "QueueUrl": url,
            "MessageBody": "x",
            "MessageAttributes": {
                "a": {"DataType": "String", "StringValue": "b"},
                "trace.id": {"DataType": "Number.float", "StringValue": "1.50"},
                "trace.raw": {"DataType": "Binary", "BinaryValue": "AP8="},
            },
        });
        let sent = client.done("SendMessage", sent).await;
        for (asked, given) in [
            (json!([]), vec![]),
            (json!(["a"]), vec!["a"]),
            (json!(["a", "missing"]), vec!["a"]),
            (json!(["trace.*"]), vec!["trace.id", "trace.raw"]),
            (json!(["All"]), vec!["a", "trace.id", "trace.raw"]),
            (json!([".*"]), vec!["a", "trace.id", "trace.raw"]),
        ] {
            let asked = json!({"QueueUrl": url, "MessageAttributeNames": asked});
            let received = client.done("ReceiveMessage", asked).await;
            let message = &received["Messages"][0];
            let empty = serde_json::Map::new();
            let attributes = message["MessageAttributes"].as_object().unwrap_or(&empty);
            let names: Vec<&String> = attributes.keys().collect();
            assert_eq!(names, given);
            match given.len() {
                0 => assert!(message["MD5OfMessageAttributes"].is_null()),
                1 => {
                    let known = "bef8bf215374a0a228d67533b1a488be";
                    assert_eq!(message["MD5OfMessageAttributes"], known);
                    let value = json!({"DataType": "String", "StringValue": "b"});
                    assert_eq!(attributes["a"], value);
                }
                2 => assert_ne!(
                    message["MD5OfMessageAttributes"],
                    sent["MD5OfMessageAttributes"]
                ),
                _ => {
                    assert_eq!(
                        message["MD5OfMessageAttributes"],
                        sent["MD5OfMessageAttributes"]
                    );
                    assert_eq!(attributes["trace.raw"]["BinaryValue"], "AP8=");
                    assert_eq!(attributes["trace.id"]["DataType"], "Number.float");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_sqs_knows_of_a_message_is_told_if_asked_for_by_either_list() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let attributes = json!({"VisibilityTimeout": "0"});
        let url = client
            .create(&format!("known-{protocol:?}"), attributes)
            .await;
        client.send(&url, "x").await;
        let plain = client
            .done("ReceiveMessage", json!({"QueueUrl": url}))
            .await;
        assert!(plain["Messages"][0]["Attributes"].is_null());
        for list in ["AttributeNames", "MessageSystemAttributeNames"] {
            let asked = json!({"QueueUrl": url, list: ["SenderId", "ApproximateReceiveCount"]});
            let received = client.done("ReceiveMessage", asked).await;
            let told = received["Messages"][0]["Attributes"].as_object().unwrap();
            assert_eq!(told.len(), 2);
            assert_eq!(told["SenderId"], "000000000000");
        }
        let received = client.receive(&url).await;
        let told = received[0]["Attributes"].as_object().unwrap();
        let names: Vec<&String> = told.keys().collect();
        assert_eq!(
            names,
            [
                "ApproximateFirstReceiveTimestamp",
                "ApproximateReceiveCount",
                "SenderId",
                "SentTimestamp",
            ]
        );
        assert_eq!(told["ApproximateReceiveCount"], "4");
        let millis = |name: &str| told[name].as_str().unwrap().parse::<u64>().unwrap();
        let (sent, first) = (
            millis("SentTimestamp"),
            millis("ApproximateFirstReceiveTimestamp"),
        );
        assert!(sent <= first && first < sent + 60_000, "{told:?}");
        assert!(sent > 1_600_000_000_000);
        let unknown = json!({"QueueUrl": url, "AttributeNames": ["Weight"]});
        client
            .refused("ReceiveMessage", unknown, "InvalidAttributeName")
            .await;
    }
}

#[tokio::test]
async fn a_trace_header_goes_with_a_message_and_is_none_of_its_attributes() {
    const HEADER: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1";
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let name = format!("traced-{protocol:?}");
        // The header does not count in a message's size.
        let attributes = json!({"MaximumMessageSize": "1024", "VisibilityTimeout": "0"});
        let url = client.create(&name, attributes).await;
        let trace = json!({"AWSTraceHeader": {"DataType": "String", "StringValue": HEADER}});
        let sent = json!({
            "QueueUrl": url,
            "MessageBody": "x".repeat(1_024),
            "MessageSystemAttributes": trace,
        });
        let sent = client.done("SendMessage", sent).await;
        assert_eq!(
            sent["MD5OfMessageSystemAttributes"].as_str().unwrap().len(),
            32
        );
        assert!(sent["MD5OfMessageAttributes"].is_null());
        let received = client.receive(&url).await;
        assert_eq!(received[0]["Attributes"]["AWSTraceHeader"], HEADER);
        assert!(received[0]["MessageAttributes"].is_null());

        // REST does not show what it does not know.
        let rest = system.receive(&name, json!({})).await.expect(200);
        assert_eq!(rest["messages"][0]["attributes"], json!({}));
        let peek = format!("/v1/queues/{name}/messages/peek");
        let peeked = system.ask("GET", &peek, Value::Null).await.expect(200);
        assert_eq!(peeked["messages"][0]["attributes"], json!({}));
    }
}

#[tokio::test]
async fn in_a_batch_only_what_is_wrong_fails() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let attributes = json!({"MaximumMessageSize": "1024"});
        let url = client
            .create(&format!("batch-{protocol:?}"), attributes)
            .await;
        let entries = json!([
            {"Id": "good", "MessageBody": "a"},
            {"Id": "control", "MessageBody": "\u{8}"},
            {"Id": "large", "MessageBody": "x".repeat(1_025)},
            {"Id": "late", "MessageBody": "b", "DelaySeconds": 901},
            {"Id": "also-good", "MessageBody": "c"},
        ]);
        let batch = json!({"QueueUrl": url, "Entries": entries});
        let done = client.done("SendMessageBatch", batch).await;
        let ids = |list: &str| -> Vec<String> {
            let entries = done[list].as_array().unwrap();
            entries
                .iter()
                .map(|entry| entry["Id"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(ids("Successful"), ["good", "also-good"]);
        assert_eq!(ids("Failed"), ["control", "large", "late"]);
        for entry in done["Failed"].as_array().unwrap() {
            let fault = &entry["SenderFault"];
            assert!(*fault == json!(true) || *fault == json!("true"), "{entry}");
            assert!(!entry["Code"].as_str().unwrap().is_empty());
        }
        assert_eq!(bodies(&client.receive(&url).await), ["a", "c"]);
    }
}

#[tokio::test]
async fn a_delay_holds_a_message_back() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let attributes = json!({"DelaySeconds": "1"});
        let url = client
            .create(&format!("late-{protocol:?}"), attributes)
            .await;
        let started = Instant::now();
        client.send(&url, "as the queue says").await;
        let at_once = json!({"QueueUrl": url, "MessageBody": "at once", "DelaySeconds": 0});
        client.done("SendMessage", at_once).await;
        assert_eq!(bodies(&client.receive(&url).await), ["at once"]);
        let wait = json!({"QueueUrl": url, "WaitTimeSeconds": 5});
        let received = client.done("ReceiveMessage", wait).await;
        assert_eq!(received["Messages"][0]["Body"], "as the queue says");
        let waited = started.elapsed();
        assert!(waited >= Duration::from_millis(950), "{waited:?}");
    }
}

#[tokio::test]
async fn a_queue_takes_messages_up_to_its_own_size() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let url = client
            .create(&format!("sized-{protocol:?}"), json!({}))
            .await;
        let send = |body: String| json!({"QueueUrl": url, "MessageBody": body});
        client
            .done("SendMessage", send("x".repeat(1_048_576)))
            .await;
        let told = client
            .refused(
                "SendMessage",
                send("x".repeat(1_048_577)),
                "InvalidParameterValue",
            )
            .await;
        assert!(told.contains("1048576"), "{told}");
        assert_eq!(
            client.receive(&url).await[0]["Body"]
                .as_str()
                .unwrap()
                .len(),
            1_048_576
        );
        let smaller = json!({"QueueUrl": url, "Attributes": {"MaximumMessageSize": "1024"}});
        client.done("SetQueueAttributes", smaller).await;
        let told = client
            .refused(
                "SendMessage",
                send("x".repeat(1_025)),
                "InvalidParameterValue",
            )
            .await;
        assert!(told.contains("1024"), "{told}");
    }
}

#[tokio::test]
async fn a_message_group_of_a_standard_queue_comes_back_and_orders_nothing() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let url = client
            .create(&format!("fair-{protocol:?}"), json!({}))
            .await;
        for body in ["a", "b"] {
            let sent = json!({"QueueUrl": url, "MessageBody": body, "MessageGroupId": "tenant"});
            client.done("SendMessage", sent).await;
        }
        let received = client.receive(&url).await;
        assert_eq!(received.len(), 2);
        assert_eq!(received[0]["Attributes"]["MessageGroupId"], "tenant");
    }
}

#[tokio::test]
async fn with_too_much_in_flight_a_standard_queue_says_so() {
    let system = system().await;
    let json = Client::new(&system, Protocol::Json);
    let attributes = json!({"VisibilityTimeout": "43200"});
    let url = json.create("flight", attributes).await;
    let first = json.send(&url, "deleted again").await;
    let id = first["MessageId"].as_str().unwrap().replace('-', "");
    let partition = PartitionId(u64::from_str_radix(&id[..16], 16).unwrap());
    let received = json.receive(&url).await;
    let handle = json!({"QueueUrl": url, "ReceiptHandle": received[0]["ReceiptHandle"]});
    json.done("DeleteMessage", handle).await;
    system.cluster.send_and_lease(partition, LEASED_MAX);
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        // Whether anything else is there or not: that is not looked at any more.
        for _ in 0..2 {
            let refused = client.ask("ReceiveMessage", json!({"QueueUrl": url})).await;
            assert_eq!((refused.status, refused.code()), (403, "OverLimit"));
            client.send(&url, "one too many").await;
        }
    }
}

#[tokio::test]
async fn a_full_queue_says_so_in_a_way_that_is_not_tried_again() {
    let system = system().await;
    system.create("full", json!({"max_messages": 1})).await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let url = system.url("/000000000000/full");
        if protocol == Protocol::Json {
            client.send(&url, "fits").await;
        }
        let asked = json!({"QueueUrl": url, "MessageBody": "does not"});
        let refused = client.ask("SendMessage", asked).await;
        assert_eq!((refused.status, refused.code()), (403, "OverLimit"));
    }
}
