//! What is answered, letter for letter: every operation's answer in both protocols, as
//! `tests/golden/answers.toml` has it, and what of an answer depends on what is in it.

use std::collections::BTreeMap;

use serde::Deserialize;
use shoal_sqs::{
    Answer, BatchAnswer, ErrorKind, MessageToSend, MoveTask, MoveTaskStatus, OperationName,
    Protocol, QueueAttribute, QueuePage, ReceivedMessage, SqsError, SystemAttribute, md5_of_body,
    write_answer,
};
use shoal_types::{Attribute, Body, MessagePayload, Sequence};

#[derive(Deserialize)]
struct Written {
    answer: Vec<Golden>,
}

#[derive(Deserialize)]
struct Golden {
    /// An operation, or more words if it has several answers.
    name: String,
    json: String,
    /// What stands between the operation's brackets.
    xml: String,
}

fn attribute(kind: &str, value: &'static [u8]) -> Attribute {
    Attribute {
        kind: kind.to_owned(),
        value: value.into(),
    }
}

fn message() -> MessageToSend {
    let attributes = [
        ("a".to_owned(), attribute("String.x", "<é>".as_bytes())),
        ("b".to_owned(), attribute("Binary", b"\0\xff")),
    ];
    MessageToSend {
        payload: MessagePayload {
            attributes: attributes.into(),
            body: Body::Text("\"<&>'\r\n\t".into()),
        },
        trace_header: Some("Root=1".to_owned()),
        delay_s: None,
        group_id: None,
        deduplication_id: None,
    }
}

fn plain() -> MessageToSend {
    MessageToSend {
        payload: MessagePayload {
            attributes: BTreeMap::new(),
            body: Body::Text("x".into()),
        },
        trace_header: None,
        ..message()
    }
}

fn task(status: MoveTaskStatus) -> MoveTask {
    MoveTask {
        task_handle: "handle".to_owned(),
        status,
        source_arn: "arn:s".to_owned(),
        destination_arn: None,
        max_per_second: None,
        moved: 3,
        to_move: None,
        failure_reason: None,
        started_ms: 1_700_000_000_123,
    }
}

fn answers() -> Vec<(&'static str, Answer)> {
    let id = || "m-1".to_owned();
    let url = || "http://h/000000000000/q".to_owned();
    let page = |next_token: Option<&str>| QueuePage {
        urls: vec![url()],
        next_token: next_token.map(str::to_owned),
    };
    let refused = || SqsError::new(ErrorKind::ReceiptHandleIsInvalid, "no <handle>");
    let failed = || SqsError::new(ErrorKind::ServiceUnavailable, "busy");
    let received = |message: MessageToSend, system| {
        ReceivedMessage::new(id(), "handle".to_owned(), message.payload, system)
    };
    let system = vec![
        (SystemAttribute::SenderId, "s".to_owned()),
        (SystemAttribute::SentTimestamp, "5".to_owned()),
    ];
    let full = MoveTask {
        destination_arn: Some("arn:d".to_owned()),
        max_per_second: Some(500),
        to_move: Some(9),
        failure_reason: Some("why".to_owned()),
        ..task(MoveTaskStatus::Failed)
    };
    let tags = [
        ("k".to_owned(), "<v>".to_owned()),
        ("l".to_owned(), String::new()),
    ];
    vec![
        ("AddPermission", Answer::Done(OperationName::AddPermission)),
        (
            "CancelMessageMoveTask",
            Answer::CancelMessageMoveTask { moved: 3 },
        ),
        (
            "ChangeMessageVisibility",
            Answer::Done(OperationName::ChangeMessageVisibility),
        ),
        (
            "ChangeMessageVisibilityBatch",
            Answer::ChangeMessageVisibilityBatch(BatchAnswer(vec![
                ("1".to_owned(), Ok(())),
                ("2".to_owned(), Err(refused())),
                ("3".to_owned(), Err(failed())),
            ])),
        ),
        ("CreateQueue", Answer::CreateQueue { url: url() }),
        ("DeleteMessage", Answer::Done(OperationName::DeleteMessage)),
        (
            "DeleteMessageBatch",
            Answer::DeleteMessageBatch(BatchAnswer(vec![
                ("1".to_owned(), Ok(())),
                ("2".to_owned(), Ok(())),
            ])),
        ),
        ("DeleteQueue", Answer::Done(OperationName::DeleteQueue)),
        (
            "GetQueueAttributes",
            Answer::GetQueueAttributes(vec![
                (QueueAttribute::DelaySeconds, "0".to_owned()),
                (
                    QueueAttribute::RedrivePolicy,
                    r#"{"maxReceiveCount":3}"#.to_owned(),
                ),
            ]),
        ),
        (
            "GetQueueAttributes of none",
            Answer::GetQueueAttributes(Vec::new()),
        ),
        ("GetQueueUrl", Answer::GetQueueUrl { url: url() }),
        (
            "ListDeadLetterSourceQueues",
            Answer::ListDeadLetterSourceQueues(page(Some("n"))),
        ),
        (
            "ListDeadLetterSourceQueues of none",
            Answer::ListDeadLetterSourceQueues(QueuePage::default()),
        ),
        (
            "ListMessageMoveTasks",
            Answer::ListMessageMoveTasks(vec![task(MoveTaskStatus::Running), full]),
        ),
        ("ListQueueTags", Answer::ListQueueTags(tags.into())),
        ("ListQueues", Answer::ListQueues(page(None))),
        (
            "ListQueues of none",
            Answer::ListQueues(QueuePage::default()),
        ),
        ("PurgeQueue", Answer::Done(OperationName::PurgeQueue)),
        (
            "ReceiveMessage",
            Answer::ReceiveMessage(vec![
                received(message(), system),
                received(plain(), Vec::new()),
            ]),
        ),
        ("ReceiveMessage of none", Answer::ReceiveMessage(Vec::new())),
        (
            "RemovePermission",
            Answer::Done(OperationName::RemovePermission),
        ),
        (
            "SendMessage",
            Answer::SendMessage(message().sent(id(), Some(Sequence(7)))),
        ),
        (
            "SendMessageBatch",
            Answer::SendMessageBatch(BatchAnswer(vec![
                ("1".to_owned(), Err(refused())),
                ("2".to_owned(), Ok(plain().sent(id(), None))),
            ])),
        ),
        (
            "SetQueueAttributes",
            Answer::Done(OperationName::SetQueueAttributes),
        ),
        (
            "StartMessageMoveTask",
            Answer::StartMessageMoveTask {
                task_handle: "handle".to_owned(),
            },
        ),
        ("TagQueue", Answer::Done(OperationName::TagQueue)),
        ("UntagQueue", Answer::Done(OperationName::UntagQueue)),
    ]
}

#[test]
fn every_answer_is_written_as_it_stands_in_the_golden_file() {
    let written: Written = toml::from_str(include_str!("../golden/answers.toml")).unwrap();
    let answers = answers();
    let names: Vec<_> = written
        .answer
        .iter()
        .map(|golden| golden.name.as_str())
        .collect();
    assert_eq!(
        names,
        answers.iter().map(|(name, _)| *name).collect::<Vec<_>>()
    );
    let mut operations: Vec<_> = answers
        .iter()
        .map(|(_, answer)| answer.operation())
        .collect();
    operations.dedup();
    assert_eq!(operations, OperationName::ALL);
    for (golden, (name, answer)) in written.answer.iter().zip(&answers) {
        let json = write_answer(Protocol::Json, answer, "r-1");
        assert_eq!(json.status(), 200);
        assert_eq!(json.headers()["content-type"], "application/x-amz-json-1.0");
        assert_eq!(json.headers()["x-amzn-requestid"], "r-1");
        assert_eq!(str::from_utf8(json.body()).unwrap(), golden.json, "{name}");
        serde_json::from_slice::<serde_json::Value>(json.body()).unwrap();

        let xml = write_answer(Protocol::Query, answer, "r-1");
        assert_eq!(xml.status(), 200);
        assert_eq!(xml.headers()["content-type"], "text/xml");
        let operation = answer.operation().as_str();
        let expected = format!(
            "<?xml version=\"1.0\"?><{operation}Response \
             xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\">{}<ResponseMetadata>\
             <RequestId>r-1</RequestId></ResponseMetadata></{operation}Response>",
            golden.xml
        );
        assert_eq!(str::from_utf8(xml.body()).unwrap(), expected, "{name}");
    }
}

/// A body that came by the REST API may be bytes, or text that XML cannot carry.
#[test]
fn a_body_that_no_client_of_sqs_could_send_is_given_as_base64() {
    for (body, given) in [
        (Body::Text("text".into()), "text"),
        (Body::Binary("text".into()), "dGV4dA=="),
        (Body::Text("\0".into()), "AA=="),
        (Body::Binary(vec![0, 255].into()), "AP8="),
    ] {
        let payload = MessagePayload {
            attributes: BTreeMap::new(),
            body,
        };
        let message = ReceivedMessage::new("m".to_owned(), "h".to_owned(), payload, Vec::new());
        let answer = write_answer(Protocol::Json, &Answer::ReceiveMessage(vec![message]), "r");
        let answer: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(answer["Messages"][0]["Body"], given);
        assert_eq!(
            answer["Messages"][0]["MD5OfBody"],
            md5_of_body(given.as_bytes())
        );
    }
}

#[test]
fn what_xml_cannot_carry_is_replaced_and_not_written() {
    let tags = [("k\u{1}".to_owned(), "\u{FFFF}v".to_owned())];
    let answer = write_answer(
        Protocol::Query,
        &Answer::ListQueueTags(tags.into()),
        "r\u{2}",
    );
    let text = str::from_utf8(answer.body()).unwrap();
    assert!(
        text.contains("<Key>k\u{FFFD}</Key><Value>\u{FFFD}v</Value>"),
        "{text}"
    );
    assert!(!answer.headers().contains_key("x-amzn-requestid"));
}
