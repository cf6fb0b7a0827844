//! A queue's attributes from the request to its settings and back to what is shown.

use shoal_sqs::{Operation, QueueAttribute, QueueAttributes, QueueFacts};
use shoal_types::{QueueName, QueueSettings, RedriveAllow};

use crate::support::Sent;

/// The attributes of `SetQueueAttributes` for this queue.
fn set(queue: &str, attributes: &serde_json::Value) -> QueueAttributes {
    let body = serde_json::json!({
        "QueueUrl": format!("http://h/000000000000/{queue}"),
        "Attributes": attributes,
    });
    match Sent::json("SetQueueAttributes", body.to_string()).read() {
        Ok(Operation::SetQueueAttributes(request)) => request.attributes,
        other => panic!("{other:?}"),
    }
}

fn facts<'a>(name: &'a QueueName, settings: &'a QueueSettings) -> QueueFacts<'a> {
    QueueFacts {
        name,
        settings,
        created_s: 1,
        modified_s: 2,
        visible: 3,
        in_flight: 4,
        delayed: 5,
    }
}

#[test]
fn what_is_set_is_shown_as_it_was_set() {
    let redrive = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead.fifo","maxReceiveCount":3}"#;
    let allow = r#"{"redrivePermission":"byQueue","sourceQueueArns":["arn:aws:sqs:us-east-1:000000000000:a.fifo","arn:aws:sqs:us-east-1:000000000000:b.fifo"]}"#;
    let attributes = serde_json::json!({
        "ContentBasedDeduplication": "true",
        "DeduplicationScope": "messageGroup",
        "DelaySeconds": "1",
        "FifoThroughputLimit": "perMessageGroupId",
        "KmsDataKeyReusePeriodSeconds": "60",
        "KmsMasterKeyId": "alias/k",
        "MaximumMessageSize": "1024",
        "MessageRetentionPeriod": "60",
        "Policy": r#"{ "Version": "2012-10-17" }"#,
        "ReceiveMessageWaitTimeSeconds": "2",
        "RedriveAllowPolicy": allow,
        "RedrivePolicy": redrive,
        "VisibilityTimeout": "0",
    });
    let name: QueueName = "q.fifo".parse().unwrap();
    let mut settings = QueueSettings {
        fifo: true,
        ..QueueSettings::default()
    };
    set("q.fifo", &attributes).apply(&mut settings);
    settings.validate(&name).unwrap();
    let facts = facts(&name, &settings);
    for (attribute, value) in attributes.as_object().unwrap() {
        let shown = facts.value(QueueAttribute::of(attribute).unwrap());
        assert_eq!(shown.as_deref(), value.as_str(), "{attribute}");
    }
    let counts = [
        (QueueAttribute::ApproximateNumberOfMessages, "3"),
        (QueueAttribute::ApproximateNumberOfMessagesNotVisible, "4"),
        (QueueAttribute::ApproximateNumberOfMessagesDelayed, "5"),
        (QueueAttribute::CreatedTimestamp, "1"),
        (QueueAttribute::LastModifiedTimestamp, "2"),
    ];
    for (attribute, value) in counts {
        assert_eq!(facts.value(attribute).as_deref(), Some(value));
    }
}

#[test]
fn an_empty_text_takes_back_what_was_set() {
    let name: QueueName = "q".parse().unwrap();
    let mut settings = QueueSettings::default();
    let policies = serde_json::json!({
        "Policy": "{}",
        "KmsMasterKeyId": "k",
        "KmsDataKeyReusePeriodSeconds": "60",
        "RedrivePolicy": r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:d","maxReceiveCount":"1"}"#,
        "RedriveAllowPolicy": r#"{"redrivePermission":"denyAll"}"#,
    });
    set("q", &policies).apply(&mut settings);
    assert_eq!(settings.redrive_allow, RedriveAllow::None);
    assert_eq!(settings.max_receive_count, Some(1));
    assert_eq!(settings.dead_letter_queue, Some("d".parse().unwrap()));
    let nothing = serde_json::json!({
        "Policy": "",
        "KmsMasterKeyId": "",
        "KmsDataKeyReusePeriodSeconds": "300",
        "RedrivePolicy": "",
        "RedriveAllowPolicy": "",
    });
    set("q", &nothing).apply(&mut settings);
    let facts = facts(&name, &settings);
    for attribute in policies.as_object().unwrap().keys() {
        assert_eq!(
            facts.value(QueueAttribute::of(attribute).unwrap()),
            None,
            "{attribute}"
        );
    }
}

/// As SQS was seen to do it: a key of one's own turns its encryption off, and the other way round.
#[test]
fn of_two_ways_to_encrypt_the_last_one_set_is_on() {
    let name: QueueName = "q".parse().unwrap();
    let mut settings = QueueSettings::default();
    let mut shown = |attributes: serde_json::Value| {
        set("q", &attributes).apply(&mut settings);
        let facts = facts(&name, &settings);
        let key = facts.value(QueueAttribute::KmsMasterKeyId);
        (
            key,
            facts.value(QueueAttribute::SqsManagedSseEnabled).unwrap(),
        )
    };
    let key = serde_json::json!({"KmsMasterKeyId": "k"});
    assert_eq!(shown(key), (Some("k".to_owned()), "false".to_owned()));
    let managed = serde_json::json!({"SqsManagedSseEnabled": "true"});
    assert_eq!(shown(managed), (None, "true".to_owned()));
    let off = serde_json::json!({"SqsManagedSseEnabled": "false"});
    assert_eq!(shown(off), (None, "false".to_owned()));
}

#[test]
fn creating_a_queue_again_differs_by_the_first_attribute_that_was_given_and_is_another() {
    let name: QueueName = "q".parse().unwrap();
    let mut settings = QueueSettings::default();
    set("q", &serde_json::json!({"DelaySeconds": "5"})).apply(&mut settings);
    let facts = facts(&name, &settings);
    let difference = |attributes| facts.first_difference(&set("q", &attributes));
    assert_eq!(difference(serde_json::json!({"DelaySeconds": "5"})), None);
    assert_eq!(
        difference(serde_json::json!({"VisibilityTimeout": "30"})),
        None
    );
    let other = serde_json::json!({"VisibilityTimeout": "30", "DelaySeconds": "6"});
    assert_eq!(difference(other), Some(QueueAttribute::DelaySeconds));
    assert_eq!(facts.first_difference(&QueueAttributes::default()), None);
}

#[test]
fn only_what_is_asked_for_is_shown_and_all_is_everything_the_queue_has() {
    let name: QueueName = "q".parse().unwrap();
    let settings = QueueSettings::default();
    let shown = |names: &str| {
        let body = format!(r#"{{"QueueUrl":"http://h/000000000000/q","AttributeNames":{names}}}"#);
        let Ok(Operation::GetQueueAttributes(get)) = Sent::json("GetQueueAttributes", body).read()
        else {
            panic!("{names}");
        };
        let shown = facts(&name, &settings).select(&get.names);
        shown
            .into_iter()
            .map(|(attribute, _)| attribute.as_str())
            .collect::<Vec<_>>()
    };
    assert!(shown("[]").is_empty());
    assert_eq!(
        shown(r#"["QueueArn","Policy","DelaySeconds"]"#),
        ["DelaySeconds", "QueueArn"]
    );
    assert_eq!(shown(r#"["All","QueueArn"]"#).len(), 12);
}
