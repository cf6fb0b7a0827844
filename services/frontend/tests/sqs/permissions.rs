use serde_json::{Value, json};

use super::client::{BOTH, Client, system};

const OWNER: &str = "111111111111";
const OTHER: &str = "222222222222";
const NO_SUCH_QUEUE: &str = "AWS.SimpleQueueService.NonExistentQueue";

#[tokio::test]
async fn another_account_may_do_what_it_is_permitted_and_knows_of_nothing_else() {
    let system = system().await;
    for protocol in BOTH {
        let owner = Client::new(&system, protocol).of(OWNER);
        let other = owner.of(OTHER);
        let url = owner
            .create(&format!("shared-{protocol:?}"), json!({}))
            .await;
        let send = json!({"QueueUrl": url, "MessageBody": "hello"});
        other
            .refused("SendMessage", send.clone(), NO_SUCH_QUEUE)
            .await;

        let permission = json!({
            "QueueUrl": url,
            "Label": "senders",
            "AWSAccountIds": [OTHER],
            "Actions": ["SendMessage", "GetQueueUrl"],
        });
        owner.done("AddPermission", permission.clone()).await;
        other.done("SendMessage", send.clone()).await;
        let entries = json!([{"Id": "a", "MessageBody": "batched"}]);
        let batch = json!({"QueueUrl": url, "Entries": entries});
        other.done("SendMessageBatch", batch).await;
        let named = json!({
            "QueueName": format!("shared-{protocol:?}"),
            "QueueOwnerAWSAccountId": OWNER,
        });
        assert_eq!(other.done("GetQueueUrl", named).await["QueueUrl"], *url);
        let refused = other.ask("ReceiveMessage", json!({"QueueUrl": url})).await;
        assert_eq!((refused.status, refused.code()), (403, "AccessDenied"));
        owner
            .of("333333333333")
            .refused("SendMessage", send.clone(), NO_SUCH_QUEUE)
            .await;

        // Who sent it is told.
        let received = owner.receive(&url).await;
        assert_eq!(received.len(), 2);
        for message in &received {
            assert_eq!(message["Attributes"]["SenderId"], OTHER);
        }
        owner
            .refused("AddPermission", permission, "InvalidParameterValue")
            .await;
        let label = json!({"QueueUrl": url, "Label": "senders"});
        owner.done("RemovePermission", label.clone()).await;
        owner
            .refused("RemovePermission", label, "InvalidParameterValue")
            .await;
        other.refused("SendMessage", send, NO_SUCH_QUEUE).await;
    }
}

#[tokio::test]
async fn a_permission_is_shown_as_a_policy() {
    let system = system().await;
    for protocol in BOTH {
        let owner = Client::new(&system, protocol).of(OWNER);
        let name = format!("policy-{protocol:?}");
        let url = owner.create(&name, json!({})).await;
        let permission = json!({
            "QueueUrl": url,
            "Label": "one",
            "AWSAccountIds": [OTHER, "333333333333"],
            "Actions": ["ReceiveMessage"],
        });
        owner.done("AddPermission", permission).await;
        let asked = json!({"QueueUrl": url, "AttributeNames": ["Policy"]});
        let shown = owner.done("GetQueueAttributes", asked).await;
        let policy = shown["Attributes"]["Policy"].as_str().unwrap();
        let arn = format!("arn:aws:sqs:us-east-1:{OWNER}:{name}");
        assert_eq!(
            serde_json::from_str::<Value>(policy).unwrap(),
            json!({
                "Version": "2008-10-17",
                "Id": format!("{arn}/SQSDefaultPolicy"),
                "Statement": [{
                    "Sid": "one",
                    "Effect": "Allow",
                    "Principal": {"AWS": [
                        format!("arn:aws:iam::{OTHER}:root"),
                        "arn:aws:iam::333333333333:root",
                    ]},
                    "Action": "SQS:ReceiveMessage",
                    "Resource": arn,
                }],
            })
        );
    }
}

#[tokio::test]
async fn what_changes_a_queue_is_its_own_accounts_whatever_its_policy_allows() {
    let system = system().await;
    for protocol in BOTH {
        let owner = Client::new(&system, protocol).of(OWNER);
        let other = owner.of(OTHER);
        let url = owner.create(&format!("open-{protocol:?}"), json!({})).await;
        let allow = json!({"Statement": {
            "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*",
        }});
        let set = json!({"QueueUrl": url, "Attributes": {"Policy": allow.to_string()}});
        owner.done("SetQueueAttributes", set.clone()).await;
        let purge = json!({"QueueUrl": url});
        other.done("PurgeQueue", purge).await;
        let permission = json!({
            "QueueUrl": url,
            "Label": "mine",
            "AWSAccountIds": [OTHER],
            "Actions": ["*"],
        });
        let tags = json!({"QueueUrl": url, "Tags": {"a": "b"}});
        for (operation, parameters) in [
            ("DeleteQueue", json!({"QueueUrl": url})),
            ("SetQueueAttributes", set),
            ("AddPermission", permission),
            ("TagQueue", tags),
            ("ListQueueTags", json!({"QueueUrl": url})),
        ] {
            other.refused(operation, parameters, "AccessDenied").await;
        }
    }
}

#[tokio::test]
async fn what_a_policy_denies_to_all_its_owner_can_still_undo() {
    let system = system().await;
    for protocol in BOTH {
        let owner = Client::new(&system, protocol).of(OWNER);
        let url = owner
            .create(&format!("closed-{protocol:?}"), json!({}))
            .await;
        let deny = json!({"Statement": {
            "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": "*",
        }});
        let set = json!({"QueueUrl": url, "Attributes": {"Policy": deny.to_string()}});
        owner.done("SetQueueAttributes", set).await;
        let send = json!({"QueueUrl": url, "MessageBody": "hello"});
        owner
            .refused("SendMessage", send.clone(), "AccessDenied")
            .await;
        let undo = json!({"QueueUrl": url, "Attributes": {"Policy": ""}});
        owner.done("SetQueueAttributes", undo).await;
        owner.done("SendMessage", send).await;
    }
}
