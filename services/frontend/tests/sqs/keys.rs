//! A frontend that knows keys takes what is signed with them and nothing else.

use std::fmt::Write as _;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shoal_frontend::{Credentials, Frontend, FrontendConfig};
use shoal_runtime::shutdown::Shutdown;

use super::client::Reply;
use super::support::System;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const FILE: &str = r#"
[[key]]
access_key = "AKIDADMIN"
secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
account = "111111111111"

[[key]]
access_key = "AKIDWORKER"
secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
account = "111111111111"
operations = ["ReceiveMessage", "DeleteMessage", "GetQueueUrl", "ListQueues"]
queues = ["orders"]
"#;

/// A file of a test's own, gone with it.
struct KeyFile(PathBuf);

impl KeyFile {
    fn new(name: &str, text: &str, mode: u32) -> Self {
        let folder = std::env::temp_dir();
        let path = folder.join(format!("shoal-keys-{name}-{}.toml", std::process::id()));
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        Self(path)
    }

    fn config(&self) -> FrontendConfig {
        FrontendConfig {
            credentials: Credentials::File(self.0.clone()),
            ..FrontendConfig::default()
        }
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        _ = std::fs::remove_file(&self.0);
    }
}

/// Who signs, and when.
struct Signer<'a> {
    access_key: &'a str,
    secret: &'a str,
    region: &'a str,
    seconds_off: i64,
}

impl Default for Signer<'_> {
    fn default() -> Self {
        Self {
            access_key: "AKIDADMIN",
            secret: SECRET,
            region: "eu-west-1",
            seconds_off: 0,
        }
    }
}

impl Signer<'_> {
    async fn ask(&self, system: &System, operation: &str, parameters: &Value) -> Reply {
        let body = parameters.to_string();
        self.send(system, operation, &body, &body).await
    }

    /// Signs one body and sends another.
    async fn send(&self, system: &System, operation: &str, signed: &str, sent: &str) -> Reply {
        let host = system.frontend.address.to_string();
        let target = format!("AmazonSQS.{operation}");
        let time = self.time();
        let names = "host;x-amz-date;x-amz-target";
        let canonical = format!(
            "POST\n/\n\nhost:{host}\nx-amz-date:{time}\nx-amz-target:{target}\n\n{names}\n{}",
            hex(&Sha256::digest(signed))
        );
        let scope = format!("{}/{}/sqs/aws4_request", &time[..8], self.region);
        let digest = hex(&Sha256::digest(canonical));
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}");
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for part in scope.split('/') {
            key = keyed(&key, part);
        }
        let signature = hex(&keyed(&key, &text));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.access_key
        );
        let request = system
            .request("POST", "/")
            .header("x-amz-target", target)
            .header("x-amz-date", time)
            .header("content-type", "application/x-amz-json-1.0")
            .header("authorization", authorization)
            .body(sent.to_owned());
        Reply::read(operation, request.send().await.unwrap()).await
    }

    fn time(&self) -> String {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        let seconds = since.as_secs().saturating_add_signed(self.seconds_off);
        let (days, of_day) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = date(days);
        let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
        format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
    }
}

/// Year, month and day of a day since 1970.
fn date(mut day: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let days = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while day >= days[month] {
        day -= days[month];
        month += 1;
    }
    (year, month as u64 + 1, day + 1)
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

#[tokio::test]
async fn what_is_signed_with_a_known_key_is_that_accounts() {
    let file = KeyFile::new("known", FILE, 0o600);
    let system = System::start_with(file.config()).await;
    let admin = Signer::default();
    let created = admin
        .ask(&system, "CreateQueue", &json!({"QueueName": "orders"}))
        .await;
    assert_eq!(created.status, 200, "{created:?}");
    let url = created.body["QueueUrl"].as_str().unwrap();
    assert!(url.ends_with("/111111111111/orders"), "{url}");
    let asked = json!({"QueueUrl": url, "AttributeNames": ["QueueArn"]});
    let arn = admin.ask(&system, "GetQueueAttributes", &asked).await;
    let arn = &arn.body["Attributes"]["QueueArn"];
    assert_eq!(arn, "arn:aws:sqs:eu-west-1:111111111111:orders");
}

#[tokio::test]
async fn what_is_not_signed_or_signed_by_somebody_else_is_refused() {
    let file = KeyFile::new("refused", FILE, 0o600);
    let system = System::start_with(file.config()).await;
    let list = json!({});
    let unsigned = system
        .request("POST", "/")
        .header("x-amz-target", "AmazonSQS.ListQueues");
    let unsigned = Reply::read("ListQueues", unsigned.body("{}").send().await.unwrap()).await;
    assert_eq!(
        (unsigned.status, unsigned.code()),
        (403, "MissingAuthenticationToken")
    );

    let of = |access_key, secret, seconds_off| Signer {
        access_key,
        secret,
        seconds_off,
        ..Signer::default()
    };
    for (signer, code) in [
        (of("AKIDADMIN", SECRET, 0), None),
        (
            of("AKIDADMIN", "another secret of theirs", 0),
            Some("SignatureDoesNotMatch"),
        ),
        (of("AKIDNOBODY", SECRET, 0), Some("InvalidClientTokenId")),
        (
            of("AKIDADMIN", SECRET, 16 * 60),
            Some("SignatureDoesNotMatch"),
        ),
        (
            of("AKIDADMIN", SECRET, -16 * 60),
            Some("SignatureDoesNotMatch"),
        ),
    ] {
        let reply = signer.ask(&system, "ListQueues", &list).await;
        match code {
            None => assert_eq!(reply.status, 200, "{reply:?}"),
            Some(code) => assert_eq!((reply.status, reply.code()), (403, code)),
        }
    }
    let other = r#"{"QueueName": "theirs"}"#;
    let (admin, ours) = (Signer::default(), r#"{"QueueName": "ours"}"#);
    let changed = admin.send(&system, "CreateQueue", ours, other).await;
    assert_eq!(changed.code(), "SignatureDoesNotMatch");
}

#[tokio::test]
async fn a_key_is_for_its_operations_and_queues() {
    let file = KeyFile::new("rights", FILE, 0o600);
    let system = System::start_with(file.config()).await;
    let admin = Signer::default();
    for name in ["orders", "bills"] {
        admin
            .ask(&system, "CreateQueue", &json!({"QueueName": name}))
            .await;
    }
    let worker = Signer {
        access_key: "AKIDWORKER",
        ..Signer::default()
    };
    let found = worker
        .ask(&system, "GetQueueUrl", &json!({"QueueName": "orders"}))
        .await;
    let url = found.body["QueueUrl"].clone();
    let received = worker
        .ask(&system, "ReceiveMessage", &json!({"QueueUrl": url}))
        .await;
    assert_eq!(received.status, 200);
    let listed = worker.ask(&system, "ListQueues", &json!({})).await;
    assert_eq!(listed.body["QueueUrls"], json!([url]));
    for (operation, parameters) in [
        ("SendMessage", json!({"QueueUrl": url, "MessageBody": "x"})),
        ("PurgeQueue", json!({"QueueUrl": url})),
        ("DeleteQueue", json!({"QueueUrl": url})),
        ("GetQueueUrl", json!({"QueueName": "bills"})),
        ("GetQueueUrl", json!({"QueueName": "nothing"})),
    ] {
        let refused = worker.ask(&system, operation, &parameters).await;
        assert_eq!(
            (refused.status, refused.code()),
            (403, "AccessDenied"),
            "{operation}"
        );
    }
}

#[tokio::test]
async fn a_key_file_that_cannot_be_used_is_refused_at_the_start() {
    shoal_runtime::crypto::install();
    let open = KeyFile::new("open", FILE, 0o644);
    let broken = KeyFile::new(
        "broken",
        "[[key]]\naccess_key = \"a\"\nsecret = \"short\"",
        0o600,
    );
    let missing = Path::new("/nowhere/keys.toml").to_owned();
    for (path, why) in [
        (open.0.clone(), "everybody on this machine can read"),
        (broken.0.clone(), "key[0].secret"),
        (missing, "cannot read"),
    ] {
        let any_port = ([127, 0, 0, 1], 0).into();
        let config = FrontendConfig {
            listen: any_port,
            admin: any_port,
            credentials: Credentials::File(path),
            ..FrontendConfig::default()
        };
        let started = Frontend::start(config, Shutdown::new());
        let started = tokio::time::timeout(Duration::from_secs(10), started).await;
        let Err(refused) = started.unwrap() else {
            panic!("it started, {why}");
        };
        assert!(format!("{refused:#}").contains(why), "{refused:#}");
    }
}
