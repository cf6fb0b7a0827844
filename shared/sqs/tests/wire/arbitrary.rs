//! Whatever comes, there is an answer: no bytes make the crate panic, and none make it build something much
//! larger than they are.

use http::Method;
use proptest::collection::vec;
use proptest::prelude::*;
use shoal_sqs::signature::{self, Key, Keys};
use shoal_sqs::{ErrorKind, OperationName, write_error};

use crate::support::Sent;

struct NoKeys;

impl Keys for NoKeys {
    fn key(&self, _: &str) -> Option<Key> {
        None
    }
}

/// Everything that is done with a request before anything is known of it.
fn look_at(sent: &Sent) {
    let incoming = sent.incoming();
    let scope = signature::unverified_scope(&incoming);
    assert_eq!(scope.account().len(), 12);
    signature::verify(&incoming, &NoKeys, 1_440_938_160).unwrap_err();
    if let Err(error) = sent.read() {
        let answer = write_error(sent.protocol(), &error, "r");
        assert!(answer.status().is_client_error());
    }
}

fn any_operation() -> impl Strategy<Value = &'static str> {
    let names: Vec<_> = OperationName::ALL
        .iter()
        .map(|name| name.as_str())
        .collect();
    prop::sample::select(names)
}

/// Names that mean something, so that what is random comes further than the first look.
fn name_of_a_parameter() -> impl Strategy<Value = String> {
    let parts = [
        "QueueUrl",
        "QueueName",
        "Attribute",
        "Attributes",
        "Name",
        "Value",
        "1",
        "2",
        "DataType",
        "StringValue",
        "BinaryValue",
        "MessageAttribute",
        "MessageAttributes",
        "MessageBody",
        "Entries",
        "SendMessageBatchRequestEntry",
        "Id",
        "ReceiptHandle",
        "Tag",
        "Tags",
        "Key",
        "DelaySeconds",
        "VisibilityTimeout",
        "MaxResults",
        "SourceArn",
        "Version",
        "",
        "4294967296",
    ];
    vec(prop::sample::select(parts.to_vec()), 1..4).prop_map(|parts| parts.join("."))
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let url = Just("http://h/000000000000/q".to_owned());
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        prop_oneof![url, ".*", "[0-9]{1,4}"].prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let object = vec((name_of_a_parameter(), inner.clone()), 0..6);
        prop_oneof![
            vec(inner, 0..6).prop_map(Into::into),
            object.prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_as_a_json_body_are_answered(
        operation in any_operation(),
        body in vec(any::<u8>(), 0..400),
    ) {
        look_at(&Sent::json(operation, body));
    }

    #[test]
    fn any_json_as_a_body_is_answered(operation in any_operation(), body in json_value()) {
        look_at(&Sent::json(operation, body.to_string()));
        let with_queue = serde_json::json!({
            "QueueUrl": "http://h/000000000000/q",
            "MessageBody": "x",
            "MessageAttributes": body,
            "Attributes": body,
            "Entries": body,
            "tags": body,
            "Tags": body,
            "AttributeNames": body,
        });
        look_at(&Sent::json(operation, with_queue.to_string()));
    }

    #[test]
    fn any_bytes_as_a_form_are_answered(body in vec(any::<u8>(), 0..400)) {
        let mut sent = Sent::form("ListQueues", "");
        sent.body = body.into();
        look_at(&sent);
    }

    #[test]
    fn any_parameters_are_answered(
        operation in any_operation(),
        parameters in vec((name_of_a_parameter(), "[ -~]{0,20}"), 0..20),
        path in "(/[0-9]{12})?/[ -~]{0,10}",
    ) {
        let parameters: Vec<_> = parameters.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let parameters = parameters.join("&");
        look_at(&Sent::form(operation, &parameters));
        look_at(&Sent::get(&path, &format!("Action={operation}&{parameters}")));
    }

    #[test]
    fn any_signature_is_answered(
        header in "(AWS4-HMAC-SHA256 )?[ -~]{0,200}",
        credential in "[ -~]{0,60}",
        date in "[0-9TZ]{0,17}",
        query in "[ -~]{0,200}",
    ) {
        look_at(&Sent::json("ListQueues", "{}").with_header("authorization", &header));
        let header = format!(
            "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature={}",
            "0".repeat(64)
        );
        let sent = Sent::json("ListQueues", "{}").with_header("authorization", &header);
        look_at(&sent.with_header("x-amz-date", &date));
        look_at(&Sent::get("/", &format!("X-Amz-Credential={credential}&X-Amz-Date={date}&{query}")));
    }
}

#[test]
fn a_body_beyond_all_bounds_is_not_looked_into() {
    let sent = Sent::json("SendMessage", vec![b'x'; (7 << 20) + 1]);
    let error = sent.read().unwrap_err();
    assert_eq!(
        (error.kind, error.kind.http_status()),
        (ErrorKind::RequestTooLarge, 413)
    );
    let sent = Sent::get("/", &"x".repeat((64 << 10) + 1));
    assert_eq!(sent.read().unwrap_err().kind, ErrorKind::RequestTooLarge);
}

#[test]
fn ten_thousand_parameters_are_too_many() {
    let parameters: Vec<_> = (0..10_000).map(|i| format!("x{i}={i}")).collect();
    let error = Sent::form("ListQueues", &parameters.join("&"))
        .read()
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidParameterValue);
    assert!(error.message.contains("more than 2000 parameters"));
}

/// Seen on the way here: what a browser asks, and what scanners ask.
#[test]
fn what_names_no_action_is_answered_as_aws_answers_it() {
    for (method, path) in [(Method::GET, "/"), (Method::GET, "/000000000000/orders")] {
        let mut sent = Sent::get(path, "");
        sent.method = method;
        let error = sent.read().unwrap_err();
        let answer = write_error(sent.protocol(), &error, "r");
        assert_eq!(answer.status(), 404);
        assert_eq!(&answer.body()[..], b"<UnknownOperationException/>\n");
    }
    let mut sent = Sent::form("ListQueues", "");
    sent.body = "Version=2012-11-05".into();
    assert_eq!(
        sent.read().unwrap_err().message,
        "The request must contain the parameter Action."
    );
    let sent = Sent::get("/", "Action=ListQueues&Version=2030-01-01");
    assert_eq!(sent.read().unwrap_err().kind, ErrorKind::NoSuchVersion);
}

#[test]
fn what_concerns_no_queue_is_not_asked_at_a_queues_address() {
    for operation in ["ListQueues", "CreateQueue", "FooBar"] {
        let sent = Sent::get(
            "/000000000000/orders",
            &format!("Action={operation}&QueueName=a"),
        );
        let error = sent.read().unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidAction);
        assert_eq!(
            error.message,
            format!("The action {operation} is not valid for this endpoint.")
        );
    }
}
