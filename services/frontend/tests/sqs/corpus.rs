//! The corpus of bad inputs of `shared/sqs`, sent to a frontend that runs. What each is answered with is known
//! there; here nothing may break, and whoever comes next is served.

use serde::Deserialize;
use serde_json::json;

use super::client::{Client, Protocol, bodies, system};

#[derive(Deserialize)]
struct Corpus {
    case: Vec<Case>,
}

/// One bad input; see the reader of the same files in `shared/sqs`.
#[derive(Deserialize)]
struct Case {
    what: String,
    operation: String,
    json: Option<String>,
    json_hex: Option<String>,
    form: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    expected: String,
    expected_of_form: Option<String>,
}

/// A case in one protocol.
struct Request<'a> {
    case: &'a Case,
    protocol: Protocol,
    body: Vec<u8>,
    expected: &'a str,
}

/// What kinds of errors are called on the wire where that is not their own name.
const CALLED: &[(&str, &str)] = &[
    ("MissingParameter", "MissingRequiredParameter"),
    ("QueueDoesNotExist", "NonExistentQueue"),
    ("RequestTooLarge", "RequestEntityTooLarge"),
    ("Serialization", "MalformedInput"),
];

#[tokio::test]
async fn the_whole_corpus_leaves_the_frontend_serving() {
    let system = system().await;
    let client = Client::new(&system, Protocol::Json);
    let url = client.create("q", json!({})).await;
    let mut asked = 0;
    let mut otherwise = Vec::new();
    for text in [
        include_str!("../../../../shared/sqs/tests/bad_inputs/transport.toml"),
        include_str!("../../../../shared/sqs/tests/bad_inputs/queues.toml"),
        include_str!("../../../../shared/sqs/tests/bad_inputs/messages.toml"),
    ] {
        let corpus: Corpus = toml::from_str(text).unwrap();
        for case in &corpus.case {
            for request in requests(case, &url) {
                asked += 1;
                let (status, answer) = ask(&client, &request).await;
                if !is_right(request.expected, status, &answer) {
                    let (what, protocol, due) = (&case.what, request.protocol, request.expected);
                    otherwise.push(format!(
                        "{what} ({protocol:?}): {status} {answer:.300}, not {due}"
                    ));
                }
            }
        }
    }
    assert!(otherwise.is_empty(), "{}", otherwise.join("\n"));
    assert!(asked > 600, "{asked} requests");

    let url = client.create("afterwards", json!({})).await;
    client.send(&url, "served").await;
    assert_eq!(bodies(&client.receive(&url).await), ["served"]);
}

/// Whether this is an error of the kind that is due. What can be read may be taken, or refused for what the
/// queue is.
fn is_right(expected: &str, status: u16, answer: &str) -> bool {
    let refused = (400..500).contains(&status) && answer.len() < 4_096;
    if expected == "taken" {
        return refused || status == 200;
    }
    let mut names = CALLED.iter().filter(|(kind, _)| *kind == expected);
    let named = answer.contains(expected) || names.any(|(_, called)| answer.contains(called));
    refused && named
}

fn requests<'a>(case: &'a Case, url: &str) -> Vec<Request<'a>> {
    let request = |protocol, body| Request {
        case,
        protocol,
        body,
        expected: match (protocol, &case.expected_of_form) {
            (Protocol::Query, Some(of_form)) => of_form,
            _ => &case.expected,
        },
    };
    let json = case.json.as_ref().map(|body| filled(body, url).into());
    let json = json.or_else(|| case.json_hex.as_ref().map(|hex| from_hex(hex)));
    let form = case.form.as_ref().map(|form| {
        let operation = &case.operation;
        let form = filled(form, url);
        format!("Action={operation}&Version=2012-11-05&{form}").into()
    });
    let json = json.map(|body| request(Protocol::Json, body));
    let form = form.map(|body| request(Protocol::Query, body));
    json.into_iter().chain(form).collect()
}

async fn ask(client: &Client<'_>, request: &Request<'_>) -> (u16, String) {
    let target = format!("AmazonSQS.{}", request.case.operation);
    let usual = match request.protocol {
        Protocol::Json => vec![
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-target", &target),
        ],
        Protocol::Query => vec![("content-type", "application/x-www-form-urlencoded")],
    };
    let other = &request.case.headers;
    let is_other = |name: &str| other.iter().any(|(of, _)| of.eq_ignore_ascii_case(name));
    let usual = usual.into_iter().filter(|(name, _)| !is_other(name));
    let others = other.iter().filter(|(_, value)| !value.is_empty());
    let others = others.map(|(name, value)| (name.as_str(), value.as_str()));
    let mut sent = client.post("/").body(request.body.clone());
    for (name, value) in usual.chain(others) {
        sent = sent.header(name, value);
    }
    let answer = sent.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Fills in what stands for something longer.
fn filled(text: &str, url: &str) -> String {
    let mut parts = text.split("{{");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (what, after) = part.split_once("}}").unwrap();
        match what.rsplit_once('*') {
            Some((repeated, times)) => filled += &repeated.repeat(times.parse().unwrap()),
            None => filled += url,
        }
        filled += after;
    }
    filled
}

fn from_hex(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
    let byte = |pair: &[u32]| u8::try_from(pair[0] << 4 | pair[1]).unwrap();
    digits.chunks(2).map(byte).collect()
}
