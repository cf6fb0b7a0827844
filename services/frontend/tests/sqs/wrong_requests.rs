//! What clients get wrong: each request with what it must be answered, in both protocols, and nothing may
//! come of it.

use serde_json::{Map, Value, json};

use super::client::{BOTH, Client, system};

const NO_SUCH_QUEUE: &str = "AWS.SimpleQueueService.NonExistentQueue";
const INVALID: &str = "InvalidParameterValue";
const MISSING: &str = "MissingParameter";
const CONTENTS: &str = "InvalidMessageContents";
const HANDLE: &str = "ReceiptHandleIsInvalid";

/// A request, and the codes of which one is right.
struct Wrong {
    operation: &'static str,
    parameters: Value,
    codes: Vec<&'static str>,
}

fn wrong(operation: &'static str, parameters: Value, code: &'static str) -> Wrong {
    Wrong {
        operation,
        parameters,
        codes: vec![code],
    }
}

fn either(operation: &'static str, parameters: Value, codes: &[&'static str]) -> Wrong {
    Wrong {
        operation,
        parameters,
        codes: codes.to_vec(),
    }
}

/// Sends all of them in both protocols and shows which were answered otherwise; then looks whether anything
/// came of them.
async fn check(corpus: impl Fn(&str, &str) -> Vec<Wrong>) {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let url = client.create(&format!("q-{protocol:?}"), json!({})).await;
        let fifo = json!({"FifoQueue": "true"});
        let fifo_url = client.create(&format!("q-{protocol:?}.fifo"), fifo).await;
        let before = client.done("ListQueues", json!({})).await;
        let mut otherwise = Vec::new();
        for Wrong {
            operation,
            parameters,
            codes,
        } in corpus(&url, &fifo_url)
        {
            let reply = client.ask(operation, parameters.clone()).await;
            if reply.status < 400 || !codes.contains(&reply.code()) {
                let mut shown = parameters.to_string();
                shown.truncate(300);
                otherwise.push(format!("{operation} {shown}: {reply:?}, not {codes:?}"));
            }
        }
        assert!(
            otherwise.is_empty(),
            "{protocol:?}:\n{}",
            otherwise.join("\n")
        );
        assert_eq!(client.done("ListQueues", json!({})).await, before);
        assert!(client.receive(&url).await.is_empty());
        assert!(client.receive(&fifo_url).await.is_empty());
    }
}

#[tokio::test]
async fn queue_urls_that_are_none() {
    check(|url, _| {
        let send = |url: Value| json!({"QueueUrl": url, "MessageBody": "x"});
        let mut corpus = vec![
            wrong("SendMessage", json!({"MessageBody": "x"}), MISSING),
            either("SendMessage", send(json!("")), &[MISSING, NO_SUCH_QUEUE]),
            wrong(
                "SendMessage",
                send(json!(format!("{url}-not"))),
                NO_SUCH_QUEUE,
            ),
            wrong(
                "SendMessage",
                send(json!("http://x/000000000000/../q")),
                NO_SUCH_QUEUE,
            ),
            wrong(
                "SendMessage",
                send(json!(format!("http://x/{}", "q".repeat(4_096)))),
                NO_SUCH_QUEUE,
            ),
            wrong(
                "SendMessage",
                send(json!("http://x/999999999999/q-Json")),
                NO_SUCH_QUEUE,
            ),
        ];
        for operation in [
            "DeleteQueue",
            "PurgeQueue",
            "ListQueueTags",
            "GetQueueAttributes",
        ] {
            let asked = json!({"QueueUrl": format!("{url}-not")});
            corpus.push(wrong(operation, asked, NO_SUCH_QUEUE));
        }
        corpus.push(wrong(
            "GetQueueUrl",
            json!({"QueueName": "nothing"}),
            NO_SUCH_QUEUE,
        ));
        corpus
    })
    .await;
}

#[tokio::test]
async fn names_and_attributes_of_queues() {
    check(|url, _| {
        let mut corpus = Vec::new();
        for name in ["a b", "a/b", &"x".repeat(81), "x.fifo", "éè", "a.fifo.fifo"] {
            corpus.push(wrong("CreateQueue", json!({"QueueName": name}), INVALID));
        }
        corpus.push(wrong("CreateQueue", json!({}), MISSING));
        let empty = json!({"QueueName": ""});
        corpus.push(either("CreateQueue", empty, &[MISSING, INVALID]));
        let fifo = json!({"QueueName": "x", "Attributes": {"FifoQueue": "true"}});
        corpus.push(wrong("CreateQueue", fifo, INVALID));
        let value = "InvalidAttributeValue";
        for (name, values) in [
            ("VisibilityTimeout", ["-1", "43201", "abc", "1e3"]),
            ("DelaySeconds", ["-1", "901", "", "1.5"]),
            ("MaximumMessageSize", ["1023", "1048577", "1 024", "0x400"]),
            ("MessageRetentionPeriod", ["59", "1209601", "-60", "∞"]),
            ("ReceiveMessageWaitTimeSeconds", ["21", "-1", "x", " 1"]),
            ("KmsDataKeyReusePeriodSeconds", ["59", "86401", "", "a"]),
            ("SqsManagedSseEnabled", ["yes", "1", "", "TRUEE"]),
        ] {
            for text in values {
                let attributes = json!({name: text});
                let created = json!({"QueueName": "new", "Attributes": attributes});
                corpus.push(either("CreateQueue", created, &[value, INVALID]));
                let set = json!({"QueueUrl": url, "Attributes": attributes});
                corpus.push(either("SetQueueAttributes", set, &[value, INVALID]));
            }
        }
        for name in [
            "Weight",
            "ContentBasedDeduplication",
            "FifoThroughputLimit",
            "QueueArn",
        ] {
            let attributes = json!({name: "true"});
            let set = json!({"QueueUrl": url, "Attributes": attributes});
            corpus.push(either(
                "SetQueueAttributes",
                set,
                &["InvalidAttributeName", value],
            ));
        }
        let fifo = json!({"QueueUrl": url, "Attributes": {"FifoQueue": "true"}});
        corpus.push(wrong("SetQueueAttributes", fifo, "InvalidAttributeName"));
        corpus
    })
    .await;
}

#[tokio::test]
async fn redrive_policies() {
    check(|url, fifo_url| {
        let arn = |name: &str| format!("arn:aws:sqs:us-east-1:000000000000:{name}");
        let name = url.rsplit('/').next().unwrap();
        let dead = |arn: &str, count: Value| {
            json!({"deadLetterTargetArn": arn, "maxReceiveCount": count}).to_string()
        };
        let fifo = fifo_url.rsplit('/').next().unwrap();
        let policies = [
            "x".to_owned(),
            "[]".to_owned(),
            "{}".to_owned(),
            json!({"deadLetterTargetArn": arn("q")}).to_string(),
            json!({"maxReceiveCount": 3}).to_string(),
            dead("nothing", json!(3)),
            dead(&arn("nothing"), json!(3)),
            dead(&arn(name), json!(3)),
            dead(&arn(fifo), json!(3)),
            dead(&arn(fifo), json!(0)),
            dead(&arn(fifo), json!(1_001)),
            dead("arn:aws:sqs:eu-west-1:000000000000:q", json!(3)),
            dead("arn:aws:sqs:us-east-1:111111111111:q", json!(3)),
        ];
        let codes = [INVALID, "InvalidAttributeValue"];
        let of = |policy: String| {
            let set = json!({"QueueUrl": url, "Attributes": {"RedrivePolicy": policy}});
            either("SetQueueAttributes", set, &codes)
        };
        policies.into_iter().map(of).collect()
    })
    .await;
}

#[tokio::test]
async fn messages() {
    check(|url, fifo_url| {
        let send = |more: Value| {
            let mut message = json!({"QueueUrl": url, "MessageBody": "x"});
            message
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            message
        };
        let mut corpus = vec![
            wrong("SendMessage", json!({"QueueUrl": url}), MISSING),
            wrong("SendMessage", send(json!({"MessageBody": ""})), MISSING),
            wrong(
                "SendMessage",
                send(json!({"MessageDeduplicationId": "1"})),
                INVALID,
            ),
            wrong(
                "SendMessage",
                send(json!({"MessageGroupId": "x".repeat(129)})),
                INVALID,
            ),
            wrong(
                "SendMessage",
                send(json!({"MessageGroupId": "a b"})),
                INVALID,
            ),
        ];
        for body in ["\u{0}", "a\u{8}", "\u{FFFE}", "\u{FFFF}"] {
            corpus.push(wrong(
                "SendMessage",
                send(json!({"MessageBody": body})),
                CONTENTS,
            ));
        }
        for delay in [-1, 901] {
            corpus.push(wrong(
                "SendMessage",
                send(json!({"DelaySeconds": delay})),
                INVALID,
            ));
        }
        let text = json!({"DataType": "String", "StringValue": "x"});
        let eleven: Map<_, _> = (0..11).map(|n| (format!("a{n}"), text.clone())).collect();
        for attributes in [
            Value::Object(eleven),
            json!({"x".repeat(257): text}),
            json!({"AWS.x": text}),
            json!({"amazon.x": text}),
            json!({".x": text}),
            json!({"a..b": text}),
            json!({"a b": text}),
            json!({"a": {"DataType": "Strin", "StringValue": "x"}}),
            json!({"a": {"DataType": "Number", "StringValue": "abc"}}),
            json!({"a": {"DataType": "String", "StringValue": ""}}),
            json!({"a": {"StringValue": "x"}}),
            json!({"a": {"DataType": "Binary", "StringValue": "x"}}),
            json!({"a": {"DataType": "String", "StringValue": "x", "BinaryValue": "eA=="}}),
        ] {
            corpus.push(wrong(
                "SendMessage",
                send(json!({"MessageAttributes": attributes})),
                INVALID,
            ));
        }
        let system = json!({"MessageSystemAttributes": {"SenderId": text}});
        corpus.push(wrong("SendMessage", send(system), INVALID));
        let fifo = |group: &str, id: &str| {
            let mut message = send(json!({"QueueUrl": fifo_url, "MessageGroupId": group}));
            message["MessageDeduplicationId"] = json!(id);
            message
        };
        corpus.push(wrong("SendMessage", fifo(&"x".repeat(129), "1"), INVALID));
        corpus.push(wrong("SendMessage", fifo("a", &"x".repeat(129)), INVALID));
        corpus.push(wrong("SendMessage", fifo("é", "1"), INVALID));
        corpus
    })
    .await;
}

#[tokio::test]
async fn batches() {
    check(|url, _| {
        let of = |entries: Vec<Value>| json!({"QueueUrl": url, "Entries": entries});
        let entry = |id: &str, body: &str| json!({"Id": id, "MessageBody": body});
        let id = "AWS.SimpleQueueService.InvalidBatchEntryId";
        let eleven = (0..11).map(|n| entry(&format!("e{n}"), "x")).collect();
        let large = "x".repeat(600_000);
        vec![
            wrong(
                "SendMessageBatch",
                of(vec![]),
                "AWS.SimpleQueueService.EmptyBatchRequest",
            ),
            wrong(
                "SendMessageBatch",
                of(eleven),
                "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            ),
            wrong(
                "SendMessageBatch",
                of(vec![entry("a", "x"), entry("a", "y")]),
                "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
            ),
            wrong("SendMessageBatch", of(vec![entry("a b", "x")]), id),
            wrong(
                "SendMessageBatch",
                of(vec![entry(&"x".repeat(81), "x")]),
                id,
            ),
            wrong(
                "SendMessageBatch",
                of(vec![entry("a", &large), entry("b", &large)]),
                "AWS.SimpleQueueService.BatchRequestTooLong",
            ),
        ]
    })
    .await;
}

#[tokio::test]
async fn receives_and_receipts() {
    check(|url, fifo_url| {
        let mut corpus = Vec::new();
        for (name, values) in [
            ("MaxNumberOfMessages", vec![0, 11, -1]),
            ("VisibilityTimeout", vec![-1, 43_201]),
            ("WaitTimeSeconds", vec![-1, 21]),
        ] {
            for value in values {
                let asked = json!({"QueueUrl": url, name: value});
                corpus.push(wrong("ReceiveMessage", asked, INVALID));
            }
        }
        let attempt = json!({"QueueUrl": fifo_url, "ReceiveRequestAttemptId": "x".repeat(129)});
        corpus.push(wrong("ReceiveMessage", attempt, INVALID));
        corpus.push(wrong("DeleteMessage", json!({"QueueUrl": url}), MISSING));
        for handle in ["x", "AQEB", "é", &"0".repeat(44), &"a".repeat(10_240)] {
            let asked = json!({"QueueUrl": url, "ReceiptHandle": handle});
            corpus.push(wrong("DeleteMessage", asked.clone(), HANDLE));
            let mut asked = asked;
            asked["VisibilityTimeout"] = json!(1);
            corpus.push(wrong("ChangeMessageVisibility", asked, HANDLE));
        }
        let no_time = json!({"QueueUrl": url, "ReceiptHandle": "x"});
        corpus.push(wrong("ChangeMessageVisibility", no_time, MISSING));
        corpus
    })
    .await;
}

#[tokio::test]
async fn lists_permissions_and_tags() {
    check(|url, _| {
        let mut corpus = Vec::new();
        for results in [0, 1_001, -1] {
            corpus.push(wrong("ListQueues", json!({"MaxResults": results}), INVALID));
        }
        let permit = |label: &str, accounts: Value, actions: Value| {
            json!({"QueueUrl": url, "Label": label, "AWSAccountIds": accounts, "Actions": actions})
        };
        let one = json!(["111111111111"]);
        let send = json!(["SendMessage"]);
        let eight = json!(["SendMessage", "ReceiveMessage", "DeleteMessage", "PurgeQueue",
            "GetQueueUrl", "GetQueueAttributes", "ChangeMessageVisibility",
            "ListDeadLetterSourceQueues"]);
        let add = "AddPermission";
        corpus.push(wrong(add, permit("a b", one.clone(), send.clone()), INVALID));
        corpus.push(wrong(add, permit("a", json!(["12"]), send.clone()), INVALID));
        corpus.push(wrong(add, permit("a", json!([]), send), MISSING));
        corpus.push(wrong(add, permit("a", one.clone(), json!(["DeleteQueue"])), INVALID));
        corpus.push(wrong(add, permit("a", one.clone(), json!([])), MISSING));
        corpus.push(wrong(add, permit("a", one, eight), "OverLimit"));
        let label = json!({"QueueUrl": url, "Label": "never there"});
        corpus.push(wrong("RemovePermission", label, INVALID));
        let tags = |tags: Value| json!({"QueueUrl": url, "Tags": tags});
        let many: Map<_, _> = (0..51).map(|n| (format!("t{n}"), json!(""))).collect();
        corpus.push(wrong("TagQueue", tags(Value::Object(many)), INVALID));
        corpus.push(wrong("TagQueue", tags(json!({"x".repeat(129): ""})), INVALID));
        corpus.push(wrong("TagQueue", tags(json!({"a": "x".repeat(257)})), INVALID));
        corpus.push(wrong("TagQueue", tags(json!({"aws:a": ""})), INVALID));
        corpus
    })
    .await;
}
