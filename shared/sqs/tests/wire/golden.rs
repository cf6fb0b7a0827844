//! Facts that AWS publishes or that were seen in its answers, as files: error texts, MD5 sums, the
//! attributes of a queue that nobody set any of.

use std::collections::BTreeMap;

use serde::Deserialize;
use shoal_sqs::{
    Operation, Protocol, QueueAttribute, QueueFacts, SqsError, md5_of_attributes, md5_of_body,
    write_error,
};
use shoal_types::{Attribute, QueueSettings};

use crate::support::Sent;

#[derive(Deserialize)]
struct Texts {
    error: Vec<Text>,
}

/// One request in both protocols, and what is answered.
#[derive(Deserialize)]
struct Text {
    operation: String,
    json: String,
    query: String,
    status: u16,
    #[serde(rename = "type")]
    json_type: String,
    code: String,
    message: String,
    /// If it is another one in XML.
    query_message: Option<String>,
}

#[test]
fn errors_are_answered_in_the_words_of_aws() {
    let texts: Texts = toml::from_str(include_str!("../golden/errors.toml")).unwrap();
    for text in texts.error {
        let sent = Sent::json(&text.operation, text.json.clone());
        let error = refused(&sent, &text.message);
        let answer = write_error(Protocol::Json, &error, "request-1");
        assert_eq!(answer.status(), text.status, "{}", text.message);
        let header = answer.headers()["x-amzn-query-error"].to_str().unwrap();
        assert_eq!(header, format!("{};Sender", text.code));
        let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(body["__type"], text.json_type.as_str(), "{}", text.message);
        assert_eq!(body["message"], text.message.as_str());

        let sent = Sent::form(&text.operation, &text.query);
        let error = refused(&sent, &text.message);
        let answer = write_error(Protocol::Query, &error, "request-1");
        assert_eq!(answer.status(), text.status, "{}", text.message);
        assert!(!answer.headers().contains_key("x-amzn-query-error"));
        let message = text.query_message.unwrap_or(text.message);
        let message = message
            .replace('&', "&amp;")
            .replace('"', "&quot;")
            .replace('\'', "&apos;");
        let message = message.replace('<', "&lt;").replace('>', "&gt;");
        let expected = format!(
            "<?xml version=\"1.0\"?><ErrorResponse xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\">\
             <Error><Type>Sender</Type><Code>{}</Code><Message>{message}</Message><Detail/></Error>\
             <RequestId>request-1</RequestId></ErrorResponse>",
            text.code
        );
        assert_eq!(str::from_utf8(answer.body()).unwrap(), expected);
    }
}

fn refused(sent: &Sent, message: &str) -> SqsError {
    match sent.read() {
        Err(error) => {
            assert_eq!(error.message, message);
            error
        }
        Ok(operation) => panic!("{message}: taken as {operation:?}"),
    }
}

#[derive(Deserialize)]
struct Sums {
    body: Vec<BodySum>,
    attributes: Vec<AttributesSum>,
}

#[derive(Deserialize)]
struct BodySum {
    text: String,
    md5: String,
}

#[derive(Deserialize)]
struct AttributesSum {
    md5: String,
    values: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Value {
    kind: String,
    value: String,
}

#[test]
fn sums_are_those_that_aws_gives() {
    let sums: Sums = toml::from_str(include_str!("../golden/md5.toml")).unwrap();
    for sum in sums.body {
        assert_eq!(md5_of_body(sum.text.as_bytes()), sum.md5, "{}", sum.text);
    }
    for sum in sums.attributes {
        let read = |(name, value): (String, Value)| {
            let Value { kind, value } = value;
            let attribute = Attribute {
                kind,
                value: value.into(),
            };
            (name, attribute)
        };
        let values: BTreeMap<_, _> = sum.values.into_iter().map(read).collect();
        assert_eq!(md5_of_attributes(&values), Some(sum.md5));
    }
    assert_eq!(md5_of_attributes(&BTreeMap::new()), None);
}

#[derive(Deserialize)]
struct FreshQueues {
    standard: BTreeMap<String, String>,
    fifo: BTreeMap<String, String>,
}

#[test]
fn a_fresh_queue_has_the_attributes_that_aws_gives_it() {
    let fresh: FreshQueues = toml::from_str(include_str!("../golden/fresh_queue.toml")).unwrap();
    for (name, attributes, expected) in [
        ("orders", "{}", fresh.standard),
        ("orders.fifo", r#"{"FifoQueue":"true"}"#, fresh.fifo),
    ] {
        let body = format!(r#"{{"QueueName":"{name}","Attributes":{attributes}}}"#);
        let Ok(Operation::CreateQueue(create)) = Sent::json("CreateQueue", body).read() else {
            panic!("{name} is not taken");
        };
        let mut settings = QueueSettings {
            fifo: create.attributes.fifo,
            ..QueueSettings::default()
        };
        create.attributes.apply(&mut settings);
        let facts = QueueFacts {
            name: &create.name,
            settings: &settings,
            created_s: 1_700_000_000,
            modified_s: 1_700_000_000,
            visible: 0,
            in_flight: 0,
            delayed: 0,
        };
        let shown = QueueAttribute::ALL
            .iter()
            .filter_map(|a| Some((a.as_str().to_owned(), facts.value(*a)?)));
        assert_eq!(shown.collect::<BTreeMap<_, _>>(), expected, "{name}");
    }
}
