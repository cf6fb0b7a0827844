//! What is refused of signatures, and with which error. That right ones are right is the public suite's
//! matter, in the crate's own tests; here they are signed by the plainest code that the rules allow.

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use shoal_sqs::signature::{self, Caller, Key, Keys};
use shoal_sqs::{ErrorKind, SqsError};
use shoal_types::Scope;

use crate::support::Sent;

const ACCESS_KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const ACCOUNT: &str = "123456789012";
/// 2015-08-30T12:36:00Z.
const NOW_S: u64 = 1_440_938_160;
const NOW: &str = "20150830T123600Z";
const CREDENTIAL: &str = "AKIDEXAMPLE/20150830/eu-west-1/sqs/aws4_request";

struct OneKey;

impl Keys for OneKey {
    fn key(&self, access_key: &str) -> Option<Key> {
        let key = || Key::new(SECRET.to_owned(), ACCOUNT.to_owned());
        (access_key == ACCESS_KEY).then(key)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sign(canonical: &str, time: &str, credential: &str) -> String {
    let (_, scope) = credential.split_once('/').unwrap_or_default();
    let hash = hex(&Sha256::digest(canonical));
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hash}");
    let keyed = |key: &[u8], text: &str| {
        let mac = Hmac::<Sha256>::new_from_slice(key)
            .unwrap()
            .chain_update(text);
        mac.finalize().into_bytes().to_vec()
    };
    let key = scope
        .split('/')
        .fold(format!("AWS4{SECRET}").into_bytes(), |key, part| {
            keyed(&key, part)
        });
    hex(&keyed(&key, &text))
}

/// How a request is signed, right unless something is changed.
struct Signing {
    algorithm: &'static str,
    credential: String,
    time: String,
    signed: Vec<&'static str>,
    signature: Option<String>,
}

impl Default for Signing {
    fn default() -> Self {
        Self {
            algorithm: "AWS4-HMAC-SHA256",
            credential: CREDENTIAL.to_owned(),
            time: NOW.to_owned(),
            signed: vec!["content-type", "host", "x-amz-date", "x-amz-target"],
            signature: None,
        }
    }
}

impl Signing {
    fn sent(&self) -> Sent {
        let sent = Sent::json("ListQueues", "{}");
        self.sign(
            sent.with_header("host", "localhost:9324")
                .with_header("x-amz-date", &self.time),
        )
    }

    fn sign(&self, sent: Sent) -> Sent {
        let value = |name: &&str| {
            sent.headers
                .get(*name)
                .map_or("", |value| value.to_str().unwrap())
        };
        let headers: String = self
            .signed
            .iter()
            .map(|name| format!("{name}:{}\n", value(name)))
            .collect();
        let names = self.signed.join(";");
        let payload = hex(&Sha256::digest(&sent.body));
        let canonical = format!("POST\n/\n\n{headers}\n{names}\n{payload}");
        let signature = sign(&canonical, &self.time, &self.credential);
        let signature = self.signature.as_ref().unwrap_or(&signature);
        let header = format!(
            "{} Credential={}, SignedHeaders={names}, Signature={signature}",
            self.algorithm, self.credential
        );
        sent.with_header("authorization", &header)
    }
}

fn verify_at(sent: &Sent, now_s: u64) -> Result<Caller, SqsError> {
    signature::verify(&sent.incoming(), &OneKey, now_s)
}

fn refused(sent: &Sent) -> ErrorKind {
    verify_at(sent, NOW_S).unwrap_err().kind
}

#[test]
fn a_signed_request_is_of_the_keys_account_and_the_scopes_region() {
    let caller = verify_at(&Signing::default().sent(), NOW_S).unwrap();
    assert_eq!(caller.access_key, ACCESS_KEY);
    assert_eq!(caller.scope, Scope::new(ACCOUNT, "eu-west-1").unwrap());
}

#[test]
fn a_request_without_a_signature_says_so() {
    let sent = Sent::json("ListQueues", "{}").with_header("host", "h");
    assert_eq!(refused(&sent), ErrorKind::MissingAuthenticationToken);
    assert_eq!(ErrorKind::MissingAuthenticationToken.http_status(), 403);
}

#[test]
fn an_unknown_key_is_not_told_from_an_expired_or_wrong_one_by_anything_but_its_name() {
    let credential = CREDENTIAL.replace("AKIDEXAMPLE", "AKIDOTHER");
    let signing = Signing {
        credential,
        ..Signing::default()
    };
    assert_eq!(refused(&signing.sent()), ErrorKind::InvalidClientTokenId);
    let late = verify_at(&signing.sent(), NOW_S + 10_000).unwrap_err();
    assert_eq!(late.kind, ErrorKind::InvalidClientTokenId);
}

#[test]
fn a_signature_that_is_off_by_one_digit_or_malformed_is_refused() {
    let right = Signing::default().sent();
    let header = right.headers["authorization"].to_str().unwrap().to_owned();
    let (_, signature) = header.rsplit_once('=').unwrap();
    for (i, digit) in signature.char_indices() {
        let mut other = signature.to_owned();
        other.replace_range(i..=i, if digit == '0' { "1" } else { "0" });
        let sent = Signing {
            signature: Some(other),
            ..Signing::default()
        }
        .sent();
        assert_eq!(
            refused(&sent),
            ErrorKind::SignatureDoesNotMatch,
            "digit {i}"
        );
    }
    for other in [
        signature.to_uppercase(),
        signature[1..].to_owned(),
        format!("{signature}0"),
        "x".repeat(64),
        "é".repeat(32),
    ] {
        let header = header.replace(signature, &other);
        let mut sent = right.clone();
        let value = http::HeaderValue::from_bytes(header.as_bytes()).unwrap();
        sent.headers.insert("authorization", value);
        let kind = refused(&sent);
        assert!(
            [
                ErrorKind::SignatureDoesNotMatch,
                ErrorKind::IncompleteSignature
            ]
            .contains(&kind),
            "{other}: {kind:?}"
        );
    }
}

#[test]
fn other_algorithms_and_schemes_are_no_signatures() {
    for algorithm in [
        "AWS4-HMAC-SHA1",
        "AWS4-ECDSA-P256-SHA256",
        "none",
        "Bearer",
        "",
    ] {
        let sent = Signing {
            algorithm,
            ..Signing::default()
        }
        .sent();
        assert_eq!(
            refused(&sent),
            ErrorKind::IncompleteSignature,
            "{algorithm}"
        );
    }
    for header in [
        "Bearer eyJhbGciOiJub25lIn0.e30.",
        "Bearer",
        "",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 ",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request",
        "AWS4-HMAC-SHA256 Credential=,SignedHeaders=,Signature=",
        "AWS4-HMAC-SHA256 Credential=a,Credential=b",
        "AWS4-HMAC-SHA256 Else=a",
    ] {
        let sent = Signing::default()
            .sent()
            .with_header("authorization", header);
        assert_eq!(refused(&sent), ErrorKind::IncompleteSignature, "{header}");
    }
    let long = format!("AWS4-HMAC-SHA256 Credential={}", "x".repeat(8 << 10));
    let sent = Signing::default()
        .sent()
        .with_header("authorization", &long);
    assert_eq!(refused(&sent), ErrorKind::IncompleteSignature);
}

#[test]
fn a_scope_of_another_day_service_or_end_is_refused() {
    for (credential, kind) in [
        (
            "AKIDEXAMPLE/20150829/eu-west-1/sqs/aws4_request",
            ErrorKind::SignatureDoesNotMatch,
        ),
        (
            "AKIDEXAMPLE/20150830/EU!/sqs/aws4_request",
            ErrorKind::SignatureDoesNotMatch,
        ),
        (
            "AKIDEXAMPLE/20150830/eu-west-1/s3/aws4_request",
            ErrorKind::SignatureDoesNotMatch,
        ),
        (
            "AKIDEXAMPLE/20150830/eu-west-1/sqs/aws4",
            ErrorKind::SignatureDoesNotMatch,
        ),
        (
            "AKIDEXAMPLE/20150830/eu-west-1/sqs",
            ErrorKind::IncompleteSignature,
        ),
        (
            "AKIDEXAMPLE/20150830/eu-west-1/sqs/aws4_request/x",
            ErrorKind::IncompleteSignature,
        ),
        ("AKIDEXAMPLE", ErrorKind::IncompleteSignature),
    ] {
        let credential = credential.to_owned();
        let sent = Signing {
            credential: credential.clone(),
            ..Signing::default()
        }
        .sent();
        assert_eq!(refused(&sent), kind, "{credential}");
    }
}

#[test]
fn a_signature_is_good_for_a_quarter_of_an_hour_before_and_after() {
    let sent = Signing::default().sent();
    for now_s in [NOW_S - 900, NOW_S, NOW_S + 900] {
        verify_at(&sent, now_s).unwrap();
    }
    let early = verify_at(&sent, NOW_S - 901).unwrap_err();
    assert_eq!(early.kind, ErrorKind::SignatureDoesNotMatch);
    assert!(
        early
            .message
            .starts_with("Signature not yet current: 20150830T123600Z"),
        "{early}"
    );
    let late = verify_at(&sent, NOW_S + 901).unwrap_err();
    assert_eq!(late.kind, ErrorKind::SignatureDoesNotMatch);
    assert!(
        late.message
            .starts_with("Signature expired: 20150830T125100Z"),
        "{late}"
    );
}

#[test]
fn the_time_is_there_once_and_well_formed() {
    for time in [
        "",
        "20150830",
        "Sun, 30 Aug 2015 12:36:00 GMT",
        "20150830T123600",
        "20150230T123600Z",
    ] {
        let sent = Signing {
            time: time.to_owned(),
            ..Signing::default()
        }
        .sent();
        assert_eq!(refused(&sent), ErrorKind::IncompleteSignature, "{time}");
    }
    let mut sent = Signing::default().sent();
    sent.headers.append(
        "x-amz-date",
        http::HeaderValue::from_static("20150830T123700Z"),
    );
    assert_eq!(refused(&sent), ErrorKind::IncompleteSignature);
    sent.headers.remove("x-amz-date");
    assert_eq!(refused(&sent), ErrorKind::IncompleteSignature);
}

#[test]
fn host_and_all_headers_of_aws_are_signed() {
    for (signed, kind) in [
        (
            vec!["content-type", "x-amz-date", "x-amz-target"],
            ErrorKind::SignatureDoesNotMatch,
        ),
        (
            vec!["content-type", "host", "x-amz-date"],
            ErrorKind::SignatureDoesNotMatch,
        ),
        (
            vec!["content-type", "host", "x-amz-target"],
            ErrorKind::SignatureDoesNotMatch,
        ),
        (
            vec!["host", "nowhere", "x-amz-date", "x-amz-target"],
            ErrorKind::SignatureDoesNotMatch,
        ),
        (
            vec!["host", "x-amz-target", "x-amz-date"],
            ErrorKind::IncompleteSignature,
        ),
        (
            vec!["host", "host", "x-amz-date", "x-amz-target"],
            ErrorKind::IncompleteSignature,
        ),
        (
            vec!["Host", "x-amz-date", "x-amz-target"],
            ErrorKind::IncompleteSignature,
        ),
        (
            vec!["", "host", "x-amz-date", "x-amz-target"],
            ErrorKind::IncompleteSignature,
        ),
    ] {
        let sent = Signing {
            signed: signed.clone(),
            ..Signing::default()
        }
        .sent();
        assert_eq!(refused(&sent), kind, "{signed:?}");
    }
    // One that was added on the way.
    let sent = Signing::default().sent().with_header("x-amz-extra", "1");
    assert_eq!(refused(&sent), ErrorKind::SignatureDoesNotMatch);
    let sent = Signing::default().sent().with_header("user-agent", "any");
    verify_at(&sent, NOW_S).unwrap();
}

#[test]
fn the_body_is_the_signed_one() {
    let mut sent = Signing::default().sent();
    sent.body = r#"{"QueueNamePrefix":"a"}"#.into();
    assert_eq!(refused(&sent), ErrorKind::SignatureDoesNotMatch);

    let signed = vec!["host", "x-amz-content-sha256", "x-amz-date", "x-amz-target"];
    let with_hash = |hash: &str| {
        let sent = Sent::json("ListQueues", "{}").with_header("host", "h");
        let sent = sent
            .with_header("x-amz-date", NOW)
            .with_header("x-amz-content-sha256", hash);
        Signing {
            signed: signed.clone(),
            ..Signing::default()
        }
        .sign(sent)
    };
    verify_at(&with_hash(&hex(&Sha256::digest("{}"))), NOW_S).unwrap();
    for hash in [
        &hex(&Sha256::digest("")),
        "UNSIGNED-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "",
    ] {
        assert_eq!(
            refused(&with_hash(hash)),
            ErrorKind::SignatureDoesNotMatch,
            "{hash}"
        );
    }
}

/// Seen with session tokens of another service: a key that is good without one is not with one.
#[test]
fn a_session_token_that_is_not_of_the_key_is_refused() {
    let sent = Sent::json("ListQueues", "{}")
        .with_header("host", "h")
        .with_header("x-amz-date", NOW);
    let signed = vec!["host", "x-amz-date", "x-amz-security-token", "x-amz-target"];
    let signing = Signing {
        signed,
        ..Signing::default()
    };
    let sent = signing.sign(sent.with_header("x-amz-security-token", "token"));
    assert_eq!(refused(&sent), ErrorKind::InvalidClientTokenId);

    struct SessionKey;
    impl Keys for SessionKey {
        fn key(&self, _: &str) -> Option<Key> {
            Some(Key::new(SECRET.to_owned(), ACCOUNT.to_owned()).with_token("token".to_owned()))
        }
    }
    signature::verify(&sent.incoming(), &SessionKey, NOW_S).unwrap();
    let without = Signing::default().sent();
    let refused = signature::verify(&without.incoming(), &SessionKey, NOW_S).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::InvalidClientTokenId);
}

/// A request signed in its query string, with some of its parameters changed after or before signing.
fn presigned(expires: &str, before: &str) -> Sent {
    let credential = CREDENTIAL.replace('/', "%2F");
    let rest = format!("X-Amz-Date={NOW}&X-Amz-Expires={expires}&X-Amz-SignedHeaders=host");
    let query =
        format!("{before}X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&{rest}");
    let mut pairs: Vec<&str> = query.split('&').collect();
    pairs.sort_unstable();
    let payload = hex(&Sha256::digest(""));
    let canonical = format!("GET\n/\n{}\nhost:h\n\nhost\n{payload}", pairs.join("&"));
    let signature = sign(&canonical, NOW, CREDENTIAL);
    Sent::get("/", &format!("{query}&X-Amz-Signature={signature}")).with_header("host", "h")
}

#[test]
fn an_address_is_good_for_as_long_as_it_says() {
    let sent = presigned("60", "Action=ListQueues&");
    verify_at(&sent, NOW_S + 60).unwrap();
    assert_eq!(sent.read().unwrap().name().as_str(), "ListQueues");
    let late = verify_at(&sent, NOW_S + 61).unwrap_err();
    assert_eq!(late.kind, ErrorKind::SignatureDoesNotMatch);
    verify_at(&presigned("604800", ""), NOW_S + 604_800).unwrap();
    for expires in ["0", "-1", "604801", "abc", "", "1.5"] {
        let kind = refused(&presigned(expires, ""));
        assert_eq!(kind, ErrorKind::IncompleteSignature, "{expires}");
    }
}

#[test]
fn the_order_and_writing_of_parameters_do_not_matter_and_their_values_do() {
    let sent = presigned("60", "Action=ListQueues&QueueNamePrefix=a%20b&");
    verify_at(&sent, NOW_S).unwrap();
    let changed = |from: &str, to: &str| {
        let mut sent = sent.clone();
        assert!(sent.query.contains(from));
        sent.query = sent.query.replace(from, to);
        verify_at(&sent, NOW_S).map_err(|e| e.kind)
    };
    changed("a%20b", "a+b").unwrap();
    changed("a%20b", "%61%20b").unwrap();
    changed(
        "Action=ListQueues&QueueNamePrefix=a%20b",
        "QueueNamePrefix=a%20b&Action=ListQueues",
    )
    .unwrap();
    assert_eq!(
        changed("a%20b", "a%20c"),
        Err(ErrorKind::SignatureDoesNotMatch)
    );
    assert_eq!(
        changed("Action=", "&Action="),
        Ok(verify_at(&sent, NOW_S).unwrap())
    );
    assert_eq!(
        changed("Action=", "x=&Action="),
        Err(ErrorKind::SignatureDoesNotMatch)
    );
    assert_eq!(changed("a%20b", "a%2"), Err(ErrorKind::IncompleteSignature));
    assert_eq!(
        changed("X-Amz-Expires=60", "X-Amz-Expires=61"),
        Err(ErrorKind::SignatureDoesNotMatch)
    );
    assert_eq!(
        changed("X-Amz-Expires=60", "X-Amz-Expires=60&X-Amz-Expires=60"),
        Err(ErrorKind::IncompleteSignature)
    );
    assert_eq!(
        changed("HMAC-SHA256", "HMAC-SHA1"),
        Err(ErrorKind::IncompleteSignature)
    );
}

#[test]
fn header_and_query_string_together_are_refused() {
    let header = Signing::default().sent().headers["authorization"].clone();
    let mut sent = presigned("60", "");
    sent.headers.insert("authorization", header);
    assert_eq!(refused(&sent), ErrorKind::IncompleteSignature);
}

#[test]
fn without_keys_account_and_region_are_what_the_request_says() {
    let scope = |credential: &str| {
        let credential = credential.to_owned();
        signature::unverified_scope(
            &Signing {
                credential,
                ..Signing::default()
            }
            .sent()
            .incoming(),
        )
    };
    let of = |account: &str, region: &str| Scope::new(account, region).unwrap();
    assert_eq!(
        scope("123456789012/20150830/eu-west-1/sqs/aws4_request"),
        of("123456789012", "eu-west-1")
    );
    assert_eq!(
        scope("test/20150830/eu-west-1/sqs/aws4_request"),
        of("000000000000", "eu-west-1")
    );
    assert_eq!(
        scope("123456789012/20150830/Not a region/sqs"),
        of("123456789012", "us-east-1")
    );
    assert_eq!(scope("123456789012"), of("123456789012", "us-east-1"));
    assert_eq!(scope(""), Scope::default());
    let unsigned = Sent::json("ListQueues", "{}");
    assert_eq!(
        signature::unverified_scope(&unsigned.incoming()),
        Scope::default()
    );
    assert_eq!(
        signature::unverified_scope(&presigned("60", "").incoming()),
        of("000000000000", "eu-west-1")
    );
}
