use serde_json::{Value, json};

use super::client::{BOTH, Client, bodies, system};
use crate::support::eventually;

/// A number as text, in which the query protocol has it.
fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn arn(queue: &str) -> String {
    format!("arn:aws:sqs:us-east-1:000000000000:{queue}")
}

/// A queue and its dead-letter queue, with so many dead letters.
struct Queues<'a> {
    client: Client<'a>,
    source: String,
    dead: String,
    source_url: String,
    dead_url: String,
}

impl<'a> Queues<'a> {
    async fn with_dead_letters(client: Client<'a>, count: usize) -> Self {
        let protocol = client.protocol;
        let (source, dead) = (format!("source-{protocol:?}"), format!("dead-{protocol:?}"));
        let dead_url = client.create(&dead, json!({})).await;
        let redrive = json!({"deadLetterTargetArn": arn(&dead), "maxReceiveCount": 1});
        let attributes = json!({"RedrivePolicy": redrive.to_string()});
        let source_url = client.create(&source, attributes).await;
        for n in 0..count {
            client.send(&source_url, &format!("m{n}")).await;
        }
        let mut received = 0;
        while received < count {
            let at_once = json!({
                "QueueUrl": source_url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 0,
            });
            let messages = client.done("ReceiveMessage", at_once).await;
            received += messages["Messages"].as_array().map_or(0, Vec::len);
        }
        let queues = Self {
            client,
            source,
            dead,
            source_url,
            dead_url,
        };
        eventually("the dead letters are there", async || {
            queues.ready(&queues.dead_url).await == count
        })
        .await;
        queues
    }

    /// Messages that can be received.
    async fn ready(&self, url: &str) -> usize {
        let names = ["ApproximateNumberOfMessages"];
        let asked = json!({"QueueUrl": url, "AttributeNames": names});
        let counted = self.client.done("GetQueueAttributes", asked).await;
        let ready = &counted["Attributes"]["ApproximateNumberOfMessages"];
        ready.as_str().unwrap().parse().unwrap()
    }

    async fn start(&self, more: Value) -> String {
        let mut asked = json!({"SourceArn": arn(&self.dead)});
        for (name, value) in more.as_object().unwrap() {
            asked[name] = value.clone();
        }
        let started = self.client.done("StartMessageMoveTask", asked).await;
        started["TaskHandle"].as_str().unwrap().to_owned()
    }

    /// The newest tasks.
    async fn tasks(&self, count: u32) -> Vec<Value> {
        let asked = json!({"SourceArn": arn(&self.dead), "MaxResults": count});
        let listed = self.client.done("ListMessageMoveTasks", asked).await;
        listed["Results"].as_array().cloned().unwrap_or_default()
    }

    async fn over(&self) -> Value {
        let mut newest = Value::Null;
        eventually("the task is over", async || {
            newest = self.tasks(1).await.remove(0);
            newest["Status"] != "RUNNING" && newest["Status"] != "CANCELLING"
        })
        .await;
        newest
    }
}

#[tokio::test]
async fn dead_letters_go_back_to_where_they_died() {
    let system = system().await;
    for protocol in BOTH {
        let queues = Queues::with_dead_letters(Client::new(&system, protocol), 3).await;
        assert!(queues.tasks(1).await.is_empty());
        queues.start(json!({})).await;
        let task = queues.over().await;
        assert_eq!(task["Status"], "COMPLETED");
        assert_eq!(task["SourceArn"], arn(&queues.dead));
        assert_eq!(text(&task["ApproximateNumberOfMessagesToMove"]), "3");
        assert_eq!(text(&task["ApproximateNumberOfMessagesMoved"]), "3");
        let started = text(&task["StartedTimestamp"]).parse::<u64>().unwrap();
        assert_eq!(started / 1_000, 1_790_000_000);
        // Shown of a task that runs, only that can be cancelled; and what was not said is not shown.
        for missing in [
            "TaskHandle",
            "DestinationArn",
            "MaxNumberOfMessagesPerSecond",
            "FailureReason",
        ] {
            assert!(task.get(missing).is_none(), "{missing}: {task}");
        }
        let mut back = queues.client.receive(&queues.source_url).await;
        back.sort_by_key(|message| message["Body"].to_string());
        assert_eq!(bodies(&back), ["m0", "m1", "m2"]);
        assert_eq!(queues.ready(&queues.dead_url).await, 0);
    }
}

#[tokio::test]
async fn dead_letters_go_to_a_queue_that_is_named() {
    let system = system().await;
    for protocol in BOTH {
        let queues = Queues::with_dead_letters(Client::new(&system, protocol), 2).await;
        let elsewhere = format!("elsewhere-{protocol:?}");
        let url = queues.client.create(&elsewhere, json!({})).await;
        let to = json!({"DestinationArn": arn(&elsewhere), "MaxNumberOfMessagesPerSecond": 500});
        queues.start(to).await;
        let task = queues.over().await;
        assert_eq!(task["Status"], "COMPLETED");
        assert_eq!(task["DestinationArn"], arn(&elsewhere));
        assert_eq!(text(&task["MaxNumberOfMessagesPerSecond"]), "500");
        assert_eq!(queues.ready(&url).await, 2);
        assert_eq!(queues.ready(&queues.source_url).await, 0);
    }
}

#[tokio::test]
async fn a_task_is_one_at_a_time_and_can_be_cancelled() {
    let system = system().await;
    for protocol in BOTH {
        let queues = Queues::with_dead_letters(Client::new(&system, protocol), 20).await;
        let client = queues.client;
        let slowly = json!({"MaxNumberOfMessagesPerSecond": 1});
        let handle = queues.start(slowly).await;
        let running = &queues.tasks(1).await[0];
        assert_eq!(running["Status"], "RUNNING");
        assert_eq!(running["TaskHandle"], handle);
        assert_eq!(text(&running["ApproximateNumberOfMessagesToMove"]), "20");

        let again = json!({"SourceArn": arn(&queues.dead)});
        let told = client
            .refused("StartMessageMoveTask", again, "InvalidParameterValue")
            .await;
        assert!(
            told.starts_with("There is already a task running."),
            "{told}"
        );

        let cancel = json!({"TaskHandle": handle});
        let cancelled = client.done("CancelMessageMoveTask", cancel.clone()).await;
        let moved = text(&cancelled["ApproximateNumberOfMessagesMoved"]);
        assert!(moved.parse::<u32>().unwrap() < 20);
        let task = queues.over().await;
        assert_eq!(task["Status"], "CANCELLED");
        assert!(task.get("TaskHandle").is_none());
        // What has ended is no task that could be cancelled.
        let gone = client
            .refused("CancelMessageMoveTask", cancel, "ResourceNotFoundException")
            .await;
        assert_eq!(gone, "Task does not exist.");

        // Another one can follow, and the newest comes first.
        queues.start(json!({})).await;
        assert_eq!(queues.over().await["Status"], "COMPLETED");
        let both = queues.tasks(10).await;
        let statuses: Vec<_> = both.iter().map(|task| &task["Status"]).collect();
        assert_eq!(statuses, ["COMPLETED", "CANCELLED"]);
        assert_eq!(queues.tasks(1).await.len(), 1);
    }
}

#[tokio::test]
async fn tasks_that_cannot_be_are_refused_as_aws_does() {
    let system = system().await;
    for protocol in BOTH {
        let queues = Queues::with_dead_letters(Client::new(&system, protocol), 0).await;
        let client = queues.client;
        let fifo = format!("other-{protocol:?}.fifo");
        client.create(&fifo, json!({"FifoQueue": "true"})).await;
        let dead = || arn(&queues.dead);
        let elsewhere = "arn:aws:sqs:eu-west-1:000000000000:elsewhere";
        let anothers = "arn:aws:sqs:us-east-1:123456789012:anothers";
        let theirs = Client::new(&system, protocol).of("123456789012");
        theirs.create("anothers", json!({})).await;
        let (bad, gone) = ("InvalidParameterValue", "ResourceNotFoundException");
        for (source, destination, code, why) in [
            (
                arn("missing"),
                None,
                gone,
                "SourceArn parameter doesn't exist",
            ),
            (
                anothers.to_owned(),
                None,
                gone,
                "SourceArn parameter doesn't exist",
            ),
            (
                arn(&queues.source),
                None,
                bad,
                "must be configured as a Dead Letter",
            ),
            (
                dead(),
                Some(arn("missing")),
                gone,
                "DestinationArn parameter",
            ),
            (
                dead(),
                Some(anothers.to_owned()),
                gone,
                "DestinationArn parameter",
            ),
            (
                dead(),
                Some(elsewhere.to_owned()),
                gone,
                "DestinationArn parameter",
            ),
            (dead(), Some(dead()), bad, "cannot be the same"),
            (dead(), Some(arn(&fifo)), bad, "of the same queue type"),
            (dead(), Some("x".to_owned()), bad, "DestinationArn"),
            ("x".to_owned(), None, bad, "SourceArn"),
        ] {
            let asked = json!({"SourceArn": source, "DestinationArn": destination});
            let told = client.refused("StartMessageMoveTask", asked, code).await;
            assert!(told.contains(why), "{told}");
        }
        for rate in [0, 501] {
            let asked = json!({"SourceArn": dead(), "MaxNumberOfMessagesPerSecond": rate});
            client.refused("StartMessageMoveTask", asked, bad).await;
        }
        for count in [0, 11] {
            let asked = json!({"SourceArn": dead(), "MaxResults": count});
            client.refused("ListMessageMoveTasks", asked, bad).await;
        }
        let missing = json!({"SourceArn": arn("missing")});
        let reply = client.ask("ListMessageMoveTasks", missing).await;
        assert_eq!((reply.status, reply.code()), (404, gone));
        for handle in ["x", "AAAA", &"A".repeat(5_000)] {
            let asked = json!({"TaskHandle": handle});
            let told = client.refused("CancelMessageMoveTask", asked, bad).await;
            assert_eq!(told, "Value for parameter TaskHandle is invalid.");
        }
        assert!(queues.tasks(10).await.is_empty());
    }
}

#[tokio::test]
async fn a_handle_of_another_accounts_task_is_none() {
    let system = system().await;
    for protocol in BOTH {
        let queues = Queues::with_dead_letters(Client::new(&system, protocol), 2).await;
        let slowly = json!({"MaxNumberOfMessagesPerSecond": 1});
        let handle = queues.start(slowly).await;
        let cancel = json!({"TaskHandle": handle});
        let stranger = queues.client.of("123456789012");
        let gone = "ResourceNotFoundException";
        stranger
            .refused("CancelMessageMoveTask", cancel.clone(), gone)
            .await;
        queues.client.done("CancelMessageMoveTask", cancel).await;
    }
}
