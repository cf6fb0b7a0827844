//! The public test suite of Signature Version 4, as the package of `aws-sigv4` carries it. The package is a
//! dependency of no target, so that its sources are at hand and nothing of it is ever built.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::{env, fs, str};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::credential::Presented;
use super::*;

const ACCOUNT: &str = "123456789012";
const ACCESS_KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// Only for services that take a path as it is. SQS makes it the shortest one first.
const OF_OTHER_SERVICES: &str = "-unnormalized";

/// The suite's key, with the token that a request presents if it presents one.
struct SuiteKeys(Option<String>);

impl Keys for SuiteKeys {
    fn key(&self, access_key: &str) -> Option<Key> {
        let key = || Key::new(SECRET.to_owned(), ACCOUNT.to_owned());
        (access_key == ACCESS_KEY).then(|| match &self.0 {
            Some(token) => key().with_token(token.clone()),
            None => key(),
        })
    }
}

struct RawRequest {
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Bytes,
}

impl RawRequest {
    /// Reads a request as it would go over a connection.
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let (line, fields) = head.split_once('\n').unwrap_or((head, ""));
        let (method, target) = line.split_once(' ').unwrap();
        let target = target.strip_suffix(" HTTP/1.1").unwrap_or(target);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = HeaderMap::new();
        // A line that begins with a space goes on with the one before.
        for field in fields.replace("\n ", " ").lines() {
            let (name, value) = field.split_once(':').unwrap();
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_str(value.trim()).unwrap());
        }
        Self {
            method: method.parse().unwrap(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body: body.to_owned().into(),
        }
    }

    fn incoming(&self) -> Incoming<'_> {
        Incoming {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            body: &self.body,
        }
    }
}

/// The suite's folders, one for each case, by name.
static CASES: LazyLock<Vec<(String, PathBuf)>> = LazyLock::new(find_cases);

fn find_cases() -> Vec<(String, PathBuf)> {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo starts");
    let complaint = String::from_utf8_lossy(&metadata.stderr);
    assert!(
        metadata.status.success(),
        "cargo metadata, for the sources of aws-sigv4: {complaint}"
    );
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let mut packages = metadata["packages"].as_array().unwrap().iter();
    let package = packages
        .find(|package| package["name"] == "aws-sigv4")
        .unwrap();
    let manifest = Path::new(package["manifest_path"].as_str().unwrap());
    let suite = manifest.with_file_name("aws-signing-test-suite").join("v4");
    let mut cases: Vec<_> = fs::read_dir(suite)
        .unwrap()
        .map(|case| case.unwrap())
        .map(|case| (case.file_name().into_string().unwrap(), case.path()))
        .filter(|(name, _)| !name.ends_with(OF_OTHER_SERVICES))
        .collect();
    cases.sort();
    cases
}

/// Checks every case of the suite that has files for this carrier, and says how many there were.
fn check_all(carrier: &str, left_out: &[&str]) -> usize {
    let mut checked = 0;
    for (name, folder) in &*CASES {
        let file = |kind: &str| fs::read_to_string(folder.join(format!("{carrier}-{kind}.txt")));
        let (Ok(request), Ok(canonical)) = (file("signed-request"), file("canonical-request"))
        else {
            continue;
        };
        if left_out.contains(&name.as_str()) {
            continue;
        }
        let request = RawRequest::read(&request);
        let incoming = request.incoming();
        let presented = Presented::find(&incoming).unwrap().unwrap();
        let payload = check_payload(&incoming).unwrap();
        let computed = canonical::request(&incoming, &presented, &payload).unwrap();
        assert_eq!(str::from_utf8(&computed), Ok(&*canonical), "{name}");
        let text = file("string-to-sign").unwrap();
        let computed = canonical::string_to_sign(&presented, &computed);
        assert_eq!(computed, text.trim_end(), "{name}");
        let keys = SuiteKeys(presented.token.clone());
        let verified = verify_for(&presented.service, &incoming, &keys, presented.time_s);
        let caller = verified.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(
            caller.scope,
            Scope::new(ACCOUNT, &presented.region).unwrap()
        );
        changed_requests_are_refused(name, &request, &keys, &presented);
        checked += 1;
    }
    checked
}

/// The same request with another body, path or method is not what was signed.
fn changed_requests_are_refused(
    name: &str,
    request: &RawRequest,
    keys: &SuiteKeys,
    presented: &Presented,
) {
    let other = Bytes::from_static(b"other");
    let incoming = request.incoming();
    let changed = [
        Incoming {
            body: &other,
            ..incoming
        },
        Incoming {
            path: "/other",
            ..incoming
        },
        Incoming {
            method: &Method::PUT,
            ..incoming
        },
    ];
    for incoming in changed {
        let refused =
            verify_for(&presented.service, &incoming, keys, presented.time_s).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::SignatureDoesNotMatch, "{name}");
    }
}

#[test]
fn requests_signed_in_the_header_are_those_of_the_suite() {
    // Its two files are of different times.
    let left_out = ["double-encode-path"];
    assert_eq!(check_all("header", &left_out), 32);
}

#[test]
fn requests_signed_in_the_query_string_are_those_of_the_suite() {
    // Its token is added after signing, which SQS's clients do not do in a query string.
    let left_out = ["post-sts-header-after"];
    assert_eq!(check_all("query", &left_out), 30);
}
