use serde_json::{Value, json};

use super::client::{BOTH, Client, handle, system};

async fn all(client: &Client<'_>, url: &str) -> Value {
    let asked = json!({"QueueUrl": url, "AttributeNames": ["All"]});
    client.done("GetQueueAttributes", asked).await["Attributes"].clone()
}

#[tokio::test]
async fn a_fresh_queue_has_the_attributes_of_a_fresh_queue_of_sqs() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let url = client
            .create(&format!("fresh-{protocol:?}"), json!({}))
            .await;
        assert_eq!(
            all(&client, &url).await,
            json!({
                "ApproximateNumberOfMessages": "0",
                "ApproximateNumberOfMessagesDelayed": "0",
                "ApproximateNumberOfMessagesNotVisible": "0",
                "CreatedTimestamp": "1790000000",
                "DelaySeconds": "0",
                "LastModifiedTimestamp": "1790000000",
                "MaximumMessageSize": "1048576",
                "MessageRetentionPeriod": "345600",
                "QueueArn": format!("arn:aws:sqs:us-east-1:000000000000:fresh-{protocol:?}"),
                "ReceiveMessageWaitTimeSeconds": "0",
                "SqsManagedSseEnabled": "true",
                "VisibilityTimeout": "30",
            })
        );
        let fifo = json!({"FifoQueue": "true"});
        let url = client
            .create(&format!("fresh-{protocol:?}.fifo"), fifo)
            .await;
        let shown = all(&client, &url).await;
        for (name, value) in [
            ("FifoQueue", "true"),
            ("ContentBasedDeduplication", "false"),
            ("DeduplicationScope", "queue"),
            ("FifoThroughputLimit", "perQueue"),
        ] {
            assert_eq!(shown[name], value, "{name}");
        }
    }
}

#[tokio::test]
async fn what_is_set_is_shown_as_it_was_set() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let url = client.create(&format!("set-{protocol:?}"), json!({})).await;
        let policy = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Sid": "one",
                "Effect": "Allow",
                "Principal": "*",
                "Action": "sqs:*",
                "Resource": "*",
                "Condition": {"ArnEquals": {"aws:SourceArn": "arn:aws:sns:us-east-1:1:topic"}},
            }],
        });
        let set = json!({
            "DelaySeconds": "1",
            "MaximumMessageSize": "2048",
            "MessageRetentionPeriod": "60",
            "ReceiveMessageWaitTimeSeconds": "20",
            "VisibilityTimeout": "43200",
            "Policy": policy.to_string(),
            "KmsMasterKeyId": "alias/aws/sqs",
            "KmsDataKeyReusePeriodSeconds": "86400",
            "SqsManagedSseEnabled": "false",
            "RedriveAllowPolicy": r#"{"redrivePermission":"denyAll"}"#,
        });
        let parameters = json!({"QueueUrl": url, "Attributes": set});
        client.done("SetQueueAttributes", parameters).await;
        let shown = all(&client, &url).await;
        for (name, value) in set.as_object().unwrap() {
            assert_eq!(shown[name], *value, "{name}");
        }
        // An empty text takes away what may be absent.
        let removed = json!({"Policy": "", "KmsMasterKeyId": ""});
        let parameters = json!({"QueueUrl": url, "Attributes": removed});
        client.done("SetQueueAttributes", parameters).await;
        let shown = all(&client, &url).await;
        assert!(shown["Policy"].is_null() && shown["KmsMasterKeyId"].is_null());
        assert_eq!(shown["DelaySeconds"], "1");
        // It was changed twice, each time a minute after the last one by the manager's clock.
        assert_eq!(shown["CreatedTimestamp"], "1790000000");
        assert_eq!(shown["LastModifiedTimestamp"], "1790000120");
    }
}

#[tokio::test]
async fn only_what_is_asked_for_is_shown() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let url = client
            .create(&format!("some-{protocol:?}"), json!({}))
            .await;
        let nothing = client
            .done("GetQueueAttributes", json!({"QueueUrl": url}))
            .await;
        assert_eq!(nothing, json!({}));
        let asked = json!({"QueueUrl": url, "AttributeNames": ["DelaySeconds", "Policy"]});
        let some = client.done("GetQueueAttributes", asked).await;
        assert_eq!(some, json!({"Attributes": {"DelaySeconds": "0"}}));
        let unknown = json!({"QueueUrl": url, "AttributeNames": ["Weight"]});
        let told = client
            .refused("GetQueueAttributes", unknown, "InvalidAttributeName")
            .await;
        assert_eq!(told, "Unknown Attribute Weight.");
    }
}

#[tokio::test]
async fn messages_are_counted_by_what_they_wait_for() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let url = client
            .create(&format!("counted-{protocol:?}"), json!({}))
            .await;
        for body in ["a", "b", "c"] {
            client.send(&url, body).await;
        }
        let later = json!({"QueueUrl": url, "MessageBody": "d", "DelaySeconds": 900});
        client.done("SendMessage", later).await;
        let received = client
            .done("ReceiveMessage", json!({"QueueUrl": url}))
            .await;
        assert!(!handle(&received["Messages"][0]).is_empty());
        // What KEDA asks for to scale by.
        let names = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        ];
        let asked = json!({"QueueUrl": url, "AttributeNames": names});
        let counts = client.done("GetQueueAttributes", asked).await["Attributes"].clone();
        assert_eq!(
            names.map(|name| counts[name].as_str().unwrap()),
            ["2", "1", "1"]
        );
    }
}

#[tokio::test]
async fn a_policy_that_would_not_be_evaluated_is_refused() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let url = client
            .create(&format!("policy-{protocol:?}"), json!({}))
            .await;
        let deny = json!({"Statement": {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sqs:*",
            "Resource": "*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }});
        let set = json!({"QueueUrl": url, "Attributes": {"Policy": deny.to_string()}});
        let told = client
            .refused("SetQueueAttributes", set, "InvalidAttributeValue")
            .await;
        assert!(told.contains("not evaluated"), "{told}");
        assert!(all(&client, &url).await["Policy"].is_null());
    }
}
