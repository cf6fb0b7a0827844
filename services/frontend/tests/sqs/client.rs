//! A client of SQS that speaks either protocol. Requests and answers are JSON to the tests; for the query
//! protocol they are turned into forms, and back from XML, by the names of SQS's own documents.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use shoal_frontend::{Credentials, FrontendConfig};

use crate::support::System;

pub(crate) const BOTH: [Protocol; 2] = [Protocol::Json, Protocol::Query];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Json,
    Query,
}

/// A system that takes anybody's requests, as `dev` does.
pub(crate) async fn system() -> System {
    System::start_with(open()).await
}

pub(crate) fn open() -> FrontendConfig {
    FrontendConfig {
        credentials: Credentials::Any,
        ..FrontendConfig::default()
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Client<'a> {
    pub(crate) system: &'a System,
    pub(crate) protocol: Protocol,
    pub(crate) access_key: &'a str,
    pub(crate) region: &'a str,
}

/// What came back, as JSON whatever it was.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl<'a> Client<'a> {
    pub(crate) fn new(system: &'a System, protocol: Protocol) -> Self {
        Self {
            system,
            protocol,
            access_key: "test",
            region: "us-east-1",
        }
    }

    pub(crate) fn of(self, access_key: &'a str) -> Self {
        Self { access_key, ..self }
    }

    pub(crate) fn in_region(self, region: &'a str) -> Self {
        Self { region, ..self }
    }

    /// Asks at `/`.
    pub(crate) async fn ask(&self, operation: &str, parameters: Value) -> Reply {
        let request = match self.protocol {
            Protocol::Json => self
                .post("/")
                .header("content-type", "application/x-amz-json-1.0")
                .header("x-amz-target", format!("AmazonSQS.{operation}"))
                .body(parameters.to_string()),
            Protocol::Query => {
                let form = form(operation, &parameters);
                let kind = "application/x-www-form-urlencoded; charset=utf-8";
                self.post("/").header("content-type", kind).body(form)
            }
        };
        Reply::read(operation, request.send().await.unwrap()).await
    }

    /// Asks, and has to be answered well.
    #[track_caller]
    pub(crate) fn done(
        &self,
        operation: &'a str,
        parameters: Value,
    ) -> impl Future<Output = Value> {
        let at = std::panic::Location::caller();
        let client = *self;
        async move {
            let reply = client.ask(operation, parameters).await;
            assert_eq!(reply.status, 200, "{operation} at {at}: {reply:?}");
            reply.body
        }
    }

    /// Asks, and has to be refused with this code of the query protocol.
    #[track_caller]
    pub(crate) fn refused(
        &self,
        operation: &'a str,
        parameters: Value,
        code: &'a str,
    ) -> impl Future<Output = String> {
        let at = std::panic::Location::caller();
        let client = *self;
        async move {
            let reply = client.ask(operation, parameters).await;
            assert_eq!(reply.code(), code, "{operation} at {at}: {reply:?}");
            reply.body["message"].as_str().unwrap().to_owned()
        }
    }

    /// Creates a queue: its URL.
    pub(crate) async fn create(&self, name: &str, attributes: Value) -> String {
        let parameters = json!({"QueueName": name, "Attributes": attributes});
        let created = self.ask("CreateQueue", parameters).await;
        assert_eq!(created.status, 200, "{created:?}");
        created.body["QueueUrl"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn send(&self, url: &str, body: &str) -> Value {
        let parameters = json!({"QueueUrl": url, "MessageBody": body});
        self.done("SendMessage", parameters).await
    }

    /// Receives up to ten messages with all that is known of them.
    pub(crate) async fn receive(&self, url: &str) -> Vec<Value> {
        let parameters = json!({
            "QueueUrl": url,
            "MaxNumberOfMessages": 10,
            "AttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
        });
        let received = self.done("ReceiveMessage", parameters).await;
        received["Messages"].as_array().cloned().unwrap_or_default()
    }

    pub(crate) fn post(&self, path: &str) -> reqwest::RequestBuilder {
        let (key, region) = (self.access_key, self.region);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={key}/20261122/{region}/sqs/aws4_request, \
             SignedHeaders=host, Signature=00"
        );
        let request = self.system.request("POST", path);
        request.header("authorization", authorization)
    }
}

/// The bodies of messages.
pub(crate) fn bodies(messages: &[Value]) -> Vec<&str> {
    messages
        .iter()
        .map(|message| message["Body"].as_str().unwrap())
        .collect()
}

/// The receipt handle of a message.
pub(crate) fn handle(message: &Value) -> &str {
    message["ReceiptHandle"].as_str().unwrap()
}

impl Reply {
    pub(crate) async fn read(operation: &str, response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let kind = headers["content-type"].to_str().unwrap().to_owned();
        let body = match kind.as_str() {
            "application/x-amz-json-1.0" if text.is_empty() => json!({}),
            "application/x-amz-json-1.0" => serde_json::from_str(&text).unwrap(),
            "text/xml" => from_xml(operation, &text),
            other => panic!("{other}: {text}"),
        };
        assert!(headers.contains_key("x-amzn-requestid"), "{headers:?}");
        Self {
            status,
            headers,
            body,
        }
    }

    /// The error's code, as the query protocol has it; checked to be well-formed in its own.
    #[track_caller]
    pub(crate) fn code(&self) -> &str {
        assert!(self.status >= 400, "{self:?}");
        assert!(self.body["message"].is_string(), "{self:?}");
        match self.headers.get("x-amzn-query-error") {
            Some(header) => {
                let kind = self.body["__type"].as_str().unwrap();
                assert!(kind.starts_with("com.amazon"), "{self:?}");
                let (code, fault) = header.to_str().unwrap().split_once(';').unwrap();
                assert!(["Sender", "Receiver"].contains(&fault));
                code
            }
            None => self.body["code"].as_str().expect("an error in XML"),
        }
    }
}

/// Members that are lists or maps, under the names that their parts have in forms and XML.
const PARTS: [(&str, &str); 17] = [
    ("AttributeNames", "AttributeName"),
    ("MessageSystemAttributeNames", "MessageSystemAttributeName"),
    ("MessageAttributeNames", "MessageAttributeName"),
    ("AWSAccountIds", "AWSAccountId"),
    ("Actions", "ActionName"),
    ("TagKeys", "TagKey"),
    ("Attributes", "Attribute"),
    ("MessageAttributes", "MessageAttribute"),
    ("MessageSystemAttributes", "MessageSystemAttribute"),
    ("Tags", "Tag"),
    ("tags", "Tag"),
    ("Entries", ""),
    ("Messages", "Message"),
    ("QueueUrls", "QueueUrl"),
    ("queueUrls", "QueueUrl"),
    ("Failed", "BatchResultErrorEntry"),
    ("Results", "ListMessageMoveTasksResultEntry"),
];

fn part_of(member: &str) -> Option<&'static str> {
    let mut parts = PARTS.iter();
    parts
        .find(|(name, _)| *name == member)
        .map(|(_, part)| *part)
}

/// The parameters as a form.
pub(crate) fn form(operation: &str, parameters: &Value) -> String {
    let mut form = format!("Action={operation}&Version=2012-11-05");
    add(&mut form, operation, "", parameters);
    form
}

fn add(form: &mut String, operation: &str, prefix: &str, value: &Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                add_member(form, operation, &joined(prefix, name), name, value);
            }
        }
        Value::String(text) => add_text(form, prefix, text),
        Value::Null => {}
        other => add_text(form, prefix, &other.to_string()),
    }
}

fn add_member(form: &mut String, operation: &str, path: &str, name: &str, value: &Value) {
    let Some(part) = part_of(name) else {
        return add(form, operation, path, value);
    };
    let part = match name {
        "Entries" => format!("{operation}RequestEntry"),
        _ => part.to_owned(),
    };
    let path = path.strip_suffix(name).unwrap().to_owned() + &part;
    match value {
        Value::Array(values) => {
            for (i, value) in values.iter().enumerate() {
                add(form, operation, &format!("{path}.{}", i + 1), value);
            }
        }
        Value::Object(pairs) => {
            let key = if part == "Tag" { "Key" } else { "Name" };
            for (i, (name, value)) in pairs.iter().enumerate() {
                add_text(form, &format!("{path}.{}.{key}", i + 1), name);
                add(form, operation, &format!("{path}.{}.Value", i + 1), value);
            }
        }
        other => add(form, operation, &path, other),
    }
}

fn joined(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        name.to_owned()
    } else {
        format!("{prefix}.{name}")
    }
}

fn add_text(form: &mut String, name: &str, text: &str) {
    write!(form, "&{name}=").unwrap();
    for byte in text.bytes() {
        match byte {
            byte if byte.is_ascii_alphanumeric() => form.push(char::from(byte)),
            byte => write!(form, "%{byte:02X}").unwrap(),
        }
    }
}

/// An element of XML.
#[derive(Debug, Default)]
struct Element {
    name: String,
    text: String,
    children: Vec<Self>,
}

/// An answer in XML as the same in JSON.
fn from_xml(operation: &str, text: &str) -> Value {
    let root = parse(text);
    if root.name == "ErrorResponse" {
        let error = root.child("Error").unwrap();
        let of = |name: &str| error.child(name).unwrap().text.clone();
        assert!(["Sender", "Receiver"].contains(&&*of("Type")));
        return json!({"code": of("Code"), "message": of("Message")});
    }
    assert_eq!(root.name, format!("{operation}Response"), "{text}");
    assert!(text.contains("xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\""));
    let metadata = root.child("ResponseMetadata").unwrap();
    assert!(!metadata.child("RequestId").unwrap().text.is_empty());
    match root.child(&format!("{operation}Result")) {
        Some(result) => members(operation, result),
        None => json!({}),
    }
}

fn members(operation: &str, element: &Element) -> Value {
    let mut object = Map::new();
    for child in &element.children {
        match list_of(operation, &child.name) {
            None => {
                object.insert(child.name.clone(), Value::String(child.text.clone()));
            }
            Some(list @ ("Attributes" | "Tags")) => {
                let key = if list == "Tags" { "Key" } else { "Name" };
                let (key, value) = (child.child(key).unwrap(), child.child("Value").unwrap());
                map(&mut object, list).insert(key.text.clone(), json!(value.text));
            }
            Some("MessageAttributes") => {
                let (name, value) = (child.child("Name").unwrap(), child.child("Value").unwrap());
                let value = members(operation, value);
                map(&mut object, "MessageAttributes").insert(name.text.clone(), value);
            }
            Some(list) => {
                let value = match list {
                    "QueueUrls" | "queueUrls" => json!(child.text),
                    _ => members(operation, child),
                };
                let list = object.entry(list).or_insert_with(|| json!([]));
                list.as_array_mut().unwrap().push(value);
            }
        }
    }
    Value::Object(object)
}

fn map<'o>(object: &'o mut Map<String, Value>, name: &str) -> &'o mut Map<String, Value> {
    let map = object.entry(name).or_insert_with(|| json!({}));
    map.as_object_mut().unwrap()
}

/// The list of which an element of this name is a part.
fn list_of(operation: &str, element: &str) -> Option<&'static str> {
    if element == format!("{operation}ResultEntry") && operation.ends_with("Batch") {
        return Some("Successful");
    }
    if element == "QueueUrl" {
        return match operation {
            "ListQueues" => Some("QueueUrls"),
            "ListDeadLetterSourceQueues" => Some("queueUrls"),
            _ => None,
        };
    }
    let mut parts = PARTS.iter();
    let (list, _) = parts.find(|(_, part)| *part == element)?;
    Some(list)
}

impl Element {
    fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }
}

/// Reads as much of XML as SQS writes.
fn parse(text: &str) -> Element {
    let mut open = vec![Element::default()];
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        open.last_mut().unwrap().text.push_str(&unescape(before));
        let (tag, after) = after.split_once('>').expect("a tag ends");
        rest = after;
        if tag.starts_with('?') {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            let closed = open.pop().unwrap();
            assert_eq!(closed.name, name, "{text}");
            open.last_mut().unwrap().children.push(closed);
            continue;
        }
        let empty = tag.ends_with('/');
        let name = tag
            .trim_end_matches('/')
            .split(' ')
            .next()
            .unwrap()
            .to_owned();
        let element = Element {
            name,
            ..Element::default()
        };
        if empty {
            open.last_mut().unwrap().children.push(element);
        } else {
            open.push(element);
        }
    }
    assert_eq!(open.len(), 1, "{text}");
    open.pop().unwrap().children.pop().expect("a root")
}

fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let (name, after) = after.split_once(';').expect("an entity ends");
        rest = after;
        plain.push(match name {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            number => {
                let hex = number.strip_prefix("#x").expect("a number");
                char::from_u32(u32::from_str_radix(hex, 16).unwrap()).unwrap()
            }
        });
    }
    plain + rest
}
