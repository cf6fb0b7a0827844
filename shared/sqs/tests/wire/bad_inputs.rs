//! The corpus of bad inputs, as far as a request alone decides them: `tests/bad_inputs/*.toml`. Each case is
//! sent in both protocols where it can be, and its answer is an error of the named kind that can be read.

use serde::Deserialize;
use shoal_sqs::write_error;

use crate::support::Sent;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Corpus {
    case: Vec<Case>,
}

/// One bad input. In texts `{{x*80}}` stands for 80 times `x`, and `{{q}}` for a queue's URL.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What is wrong.
    what: String,
    operation: String,
    /// The body of a JSON request.
    json: Option<String>,
    /// The same as hex digits, for what is no text.
    json_hex: Option<String>,
    /// The parameters of a form.
    form: Option<String>,
    /// Headers that are other than usual; an empty one is not there.
    #[serde(default)]
    headers: Vec<(String, String)>,
    /// The error's kind by its name in the code, or `taken`.
    expected: String,
    /// Another one in the query protocol, which has no types.
    expected_of_form: Option<String>,
    /// What the error's text has to say.
    says: Option<String>,
}

#[test]
fn every_bad_input_is_answered_with_its_error() {
    let mut checked = 0;
    let mut wrong = Vec::new();
    for (file, text) in [
        ("transport", include_str!("../bad_inputs/transport.toml")),
        ("queues", include_str!("../bad_inputs/queues.toml")),
        ("messages", include_str!("../bad_inputs/messages.toml")),
    ] {
        let corpus: Corpus = toml::from_str(text).unwrap_or_else(|e| panic!("{file}: {e}"));
        for case in corpus.case {
            let requests = requests(&case);
            checked += requests.len();
            let complaints = requests
                .iter()
                .filter_map(|(sent, expected)| complaint(&case, sent, expected));
            wrong.extend(complaints);
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {checked} requests:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(checked > 600, "{checked} requests");
}

/// The case's requests, and what is expected of each.
fn requests(case: &Case) -> Vec<(Sent, &str)> {
    let json = case.json.as_ref().map(|body| filled(body).into_bytes());
    let json = json.or_else(|| case.json_hex.as_ref().map(|hex| from_hex(hex)));
    let json = json.map(|body| (Sent::json(&case.operation, body), &case.expected));
    let of_form = case.expected_of_form.as_ref().unwrap_or(&case.expected);
    let form = case
        .form
        .as_ref()
        .map(|form| (Sent::form(&case.operation, &filled(form)), of_form));
    let requests: Vec<_> = json.into_iter().chain(form).collect();
    assert!(!requests.is_empty(), "{}: no request", case.what);
    let with_headers = |sent: Sent| {
        let add = |sent: Sent, (name, value): &(String, String)| {
            let mut sent = sent.with_header(name, value);
            if value.is_empty() {
                sent.headers.remove(name.as_str());
            }
            sent
        };
        case.headers.iter().fold(sent, add)
    };
    let all = requests.into_iter();
    all.map(|(sent, expected)| (with_headers(sent), expected.as_str()))
        .collect()
}

/// What is not as expected, if anything is.
fn complaint(case: &Case, sent: &Sent, expected: &str) -> Option<String> {
    let what = format!("{} ({:?})", case.what, sent.protocol());
    let error = match sent.read() {
        Ok(_) if expected == "taken" => return None,
        Ok(_) => return Some(format!("{what}: taken instead of {expected}")),
        Err(error) => error,
    };
    let words = case.says.as_deref().unwrap_or_default();
    if format!("{:?}", error.kind) != expected || !error.message.contains(words) {
        return Some(format!(
            "{what}: {error} instead of {expected} with {words:?}"
        ));
    }
    // An error is no echo of megabytes.
    assert!(error.message.len() < 2_000, "{what}");
    let answer = write_error(sent.protocol(), &error, "r");
    assert!(answer.status().is_client_error(), "{what}");
    assert!(!answer.body().is_empty(), "{what}");
    None
}

/// Fills in what stands for something longer.
fn filled(text: &str) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (what, after) = after.split_once("}}").unwrap();
        filled.push_str(before);
        match what.rsplit_once('*') {
            Some((repeated, times)) => filled.push_str(&repeated.repeat(times.parse().unwrap())),
            None => {
                assert_eq!(what, "q");
                filled.push_str("http://h/000000000000/q");
            }
        }
        rest = after;
    }
    filled + rest
}

fn from_hex(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap())
        .collect()
}
