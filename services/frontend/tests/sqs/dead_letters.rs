use serde_json::{Value, json};

use super::client::{BOTH, Client, bodies, handle, system};
use crate::support::eventually;

fn policy(queue: &str, count: u32) -> Value {
    let arn = format!("arn:aws:sqs:us-east-1:000000000000:{queue}");
    json!(json!({"deadLetterTargetArn": arn, "maxReceiveCount": count}).to_string())
}

#[tokio::test]
async fn a_dead_letter_queue_is_named_shown_and_taken_away() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let dead = format!("dead-{protocol:?}");
        let dead_url = client.create(&dead, json!({})).await;
        let redrive = policy(&dead, 3);
        let attributes = json!({"RedrivePolicy": redrive});
        let url = client
            .create(&format!("source-{protocol:?}"), attributes)
            .await;
        let asked = json!({"QueueUrl": url, "AttributeNames": ["RedrivePolicy"]});
        let shown = client.done("GetQueueAttributes", asked.clone()).await;
        assert_eq!(shown["Attributes"]["RedrivePolicy"], redrive);
        let sources = client
            .done("ListDeadLetterSourceQueues", json!({"QueueUrl": dead_url}))
            .await;
        assert_eq!(sources["queueUrls"], json!([url]));

        let none = json!({"QueueUrl": url, "Attributes": {"RedrivePolicy": ""}});
        client.done("SetQueueAttributes", none).await;
        let shown = client.done("GetQueueAttributes", asked).await;
        assert!(shown["Attributes"]["RedrivePolicy"].is_null());
        let sources = client
            .done("ListDeadLetterSourceQueues", json!({"QueueUrl": dead_url}))
            .await;
        assert!(sources["queueUrls"].as_array().is_none_or(Vec::is_empty));
    }
}

#[tokio::test]
async fn sources_come_in_pages() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let dead = format!("dead-{protocol:?}");
        let dead_url = client.create(&dead, json!({})).await;
        for n in 1..=3 {
            let attributes = json!({"RedrivePolicy": policy(&dead, n)});
            client
                .create(&format!("s{n}-{protocol:?}"), attributes)
                .await;
        }
        let first = json!({"QueueUrl": dead_url, "MaxResults": 2});
        let page = client.done("ListDeadLetterSourceQueues", first).await;
        assert_eq!(page["queueUrls"].as_array().unwrap().len(), 2);
        let token = &page["NextToken"];
        let rest = json!({"QueueUrl": dead_url, "MaxResults": 2, "NextToken": token});
        let page = client.done("ListDeadLetterSourceQueues", rest).await;
        assert_eq!(page["queueUrls"].as_array().unwrap().len(), 1);
        assert!(page["NextToken"].is_null());
        // A token of one list is none of another.
        let other = json!({"NextToken": token, "MaxResults": 2});
        client
            .refused("ListQueues", other, "InvalidParameterValue")
            .await;
    }
}

#[tokio::test]
async fn a_dead_letter_queue_has_to_be_there_fit_and_allow_it() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let name = |stem: &str| format!("{stem}-{protocol:?}");
        let arn = |stem: &str| format!("arn:aws:sqs:us-east-1:000000000000:{}", name(stem));
        let fifo = json!({"FifoQueue": "true"});
        client.create(&format!("{}.fifo", name("dead")), fifo).await;
        let by_queue = json!({"redrivePermission": "byQueue", "sourceQueueArns": [arn("a")]});
        let only_a = json!({"RedriveAllowPolicy": by_queue.to_string()});
        client.create(&name("picky"), only_a).await;

        for (dead, why) in [
            (name("missing"), "does not exist"),
            (name("picky"), "does not allow"),
            (format!("{}.fifo", name("dead")), "FIFO"),
            (name("b"), "itself"),
        ] {
            let attributes = json!({"RedrivePolicy": policy(&dead, 3)});
            let asked = json!({"QueueName": name("b"), "Attributes": attributes});
            let refused = client.ask("CreateQueue", asked).await;
            assert_eq!(refused.status, 400, "{refused:?}");
            let told = refused.body["message"].as_str().unwrap();
            assert!(told.contains(why), "{told}");
        }
        let attributes = json!({"RedrivePolicy": policy(&name("picky"), 3)});
        client.create(&name("a"), attributes).await;
    }
}

#[tokio::test]
async fn a_message_that_was_received_too_often_arrives_once_and_says_where_it_died() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let dead = format!("dead-{protocol:?}");
        let dead_url = client.create(&dead, json!({})).await;
        let source = format!("source-{protocol:?}");
        let attributes = json!({"RedrivePolicy": policy(&dead, 2), "VisibilityTimeout": "0"});
        let url = client.create(&source, attributes).await;
        let sent = client.send(&url, "poison").await;
        for n in 1..=2 {
            let received = client.receive(&url).await;
            assert_eq!(bodies(&received), ["poison"]);
            let count = &received[0]["Attributes"];
            assert_eq!(count["ApproximateReceiveCount"], n.to_string());
            assert!(count["DeadLetterQueueSourceArn"].is_null());
        }
        let mut arrived = Vec::new();
        eventually("the dead letter is there", async || {
            arrived.extend(client.receive(&dead_url).await);
            !arrived.is_empty()
        })
        .await;
        assert_eq!(bodies(&arrived), ["poison"]);
        let told = &arrived[0]["Attributes"];
        let arn = format!("arn:aws:sqs:us-east-1:000000000000:{source}");
        assert_eq!(told["DeadLetterQueueSourceArn"], arn);
        assert_eq!(told["ApproximateReceiveCount"], "1");
        assert_ne!(arrived[0]["MessageId"], sent["MessageId"]);
        assert!(client.receive(&url).await.is_empty());

        // Only if it is asked for.
        let back = json!({
            "QueueUrl": dead_url, "ReceiptHandle": handle(&arrived[0]), "VisibilityTimeout": 0,
        });
        client.done("ChangeMessageVisibility", back).await;
        let asked = json!({"QueueUrl": dead_url, "AttributeNames": ["SentTimestamp"]});
        let received = client.done("ReceiveMessage", asked).await;
        let told = &received["Messages"][0]["Attributes"];
        assert!(told["SentTimestamp"].is_string());
        assert!(told["DeadLetterQueueSourceArn"].is_null());
    }
}

#[tokio::test]
async fn a_dead_letter_of_a_queue_that_is_gone_does_not_say_where_it_died() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let dead = format!("dead-{protocol:?}");
        let dead_url = client.create(&dead, json!({})).await;
        let source = format!("source-{protocol:?}");
        let attributes = json!({"RedrivePolicy": policy(&dead, 1), "VisibilityTimeout": "0"});
        let url = client.create(&source, attributes.clone()).await;
        client.send(&url, "poison").await;
        assert_eq!(client.receive(&url).await.len(), 1);
        eventually("the dead letter is there", async || {
            let asked = json!({
                "QueueUrl": dead_url, "AttributeNames": ["ApproximateNumberOfMessages"],
            });
            let counted = client.done("GetQueueAttributes", asked).await;
            counted["Attributes"]["ApproximateNumberOfMessages"] == "1"
        })
        .await;
        // A new queue of the same name is another one.
        client.done("DeleteQueue", json!({"QueueUrl": url})).await;
        client.create(&source, attributes).await;
        let arrived = client.receive(&dead_url).await;
        assert_eq!(bodies(&arrived), ["poison"]);
        assert!(arrived[0]["Attributes"]["DeadLetterQueueSourceArn"].is_null());
    }
}
