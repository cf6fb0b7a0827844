//! Whatever comes in, the answer is a problem document that says what is wrong, and nothing is stored.

use serde_json::json;
use shoal_types::Revision;

use crate::support::{Client, Small, problem};

/// Sends `METHOD path [body]`; the answer must be `status code [field]`.
async fn expect(client: &Client, request: &str, expected: &str) {
    let mut parts = request.splitn(3, ' ');
    let method = parts.next().unwrap().parse().unwrap();
    let (path, body) = (
        parts.next().unwrap(),
        parts.next().unwrap_or_default().to_owned(),
    );
    let problem = problem(client.send(method, path, body).await).await;
    let field = problem.field.as_deref().unwrap_or_default();
    let answer = format!("{} {} {field}", problem.status, problem.code);
    let request = &request[..request.len().min(120)];
    assert_eq!(answer.trim_end(), expected, "{request}: {problem}");
    assert!(!problem.retryable, "{request}");
}

#[tokio::test]
async fn bad_requests_are_told_what_is_wrong_with_them() {
    let small = Small::start().await;
    small.client().create("there").await;
    let before = small.client().feed(Revision(0), 0).await;
    for (request, expected) in [
        // Paths and methods.
        ("GET /", "404 not_found"),
        ("GET /v1/queues/a/b", "404 not_found"),
        ("POST /v1/queues/there {}", "405 method_not_allowed"),
        ("DELETE /v1/queues", "405 method_not_allowed"),
        ("GET /v1/hosts/heartbeat", "405 method_not_allowed"),
        // Names.
        ("PUT /v1/queues/a%20b {}", "400 invalid_request queue"),
        ("PUT /v1/queues/%ff {}", "400 invalid_request queue"),
        ("PUT /v1/queues/.fifo {}", "400 invalid_request queue"),
        ("GET /v1/queues/nobody", "404 queue_not_found"),
        ("DELETE /v1/queues/nobody", "404 queue_not_found"),
        ("PATCH /v1/queues/nobody {}", "404 queue_not_found"),
        // Bodies.
        ("PUT /v1/queues/q", "400 invalid_request"),
        ("PUT /v1/queues/q {", "400 invalid_request"),
        ("PUT /v1/queues/q []", "400 invalid_request"),
        ("PUT /v1/queues/q {} {}", "400 invalid_request"),
        (
            r#"PUT /v1/queues/q {"dealy_s":1}"#,
            "400 invalid_request dealy_s",
        ),
        (
            r#"PUT /v1/queues/q {"delay_s":-1}"#,
            "400 invalid_request delay_s",
        ),
        (
            r#"PUT /v1/queues/q {"delay_s":901}"#,
            "400 invalid_request delay_s",
        ),
        (
            r#"PUT /v1/queues/q {"delay_s":"1"}"#,
            "400 invalid_request delay_s",
        ),
        (
            r#"PUT /v1/queues/q {"delay_s":1.5}"#,
            "400 invalid_request delay_s",
        ),
        (
            r#"PUT /v1/queues/q {"tags":{"":""}}"#,
            "400 invalid_request tags",
        ),
        (
            r#"PUT /v1/queues/q {"fifo":true}"#,
            "400 invalid_request fifo",
        ),
        ("PUT /v1/queues/q.fifo {}", "400 invalid_request fifo"),
        (
            r#"PATCH /v1/queues/there {"retention_s":59}"#,
            "400 invalid_request retention_s",
        ),
        (r#"PUT /v1/queues/there {"delay_s":1}"#, "409 queue_exists"),
        // Queries.
        ("GET /v1/queues?limit=0", "400 invalid_request limit"),
        ("GET /v1/queues?limit=1001", "400 invalid_request limit"),
        ("GET /v1/queues?cursor=%20", "400 invalid_request cursor"),
        ("GET /v1/queues?prefx=a", "400 invalid_request prefx"),
        ("GET /v1/feed?since=-1", "400 invalid_request since"),
        ("GET /v1/feed?since=x", "400 invalid_request since"),
        ("GET /v1/feed?wait_s=31", "400 invalid_request wait_s"),
        ("POST /v1/hosts/heartbeat {}", "400 invalid_request host"),
    ] {
        expect(small.client(), request, expected).await;
    }
    let long_name = format!("PUT /v1/queues/{} {{}}", "x".repeat(81));
    expect(small.client(), &long_name, "400 invalid_request queue").await;
    let large = format!(
        r#"PUT /v1/queues/q {{"tags":{{"a":"{}"}}}}"#,
        "x".repeat(300_000)
    );
    expect(small.client(), &large, "413 too_large body").await;

    let after = small.client().feed(Revision(0), 0).await;
    assert_eq!(
        (after.queues, after.deleted),
        (before.queues, before.deleted),
        "nothing is stored"
    );
}

#[tokio::test]
async fn bad_heartbeats_name_their_field_and_register_nobody() {
    let small = Small::start().await;
    for (field, value) in [
        ("host", json!(0)),
        ("host", json!("h1")),
        ("incarnation", json!(0)),
        ("address", json!("nowhere")),
        ("address", json!(":9400")),
        ("address", json!("a:70000")),
        ("address", json!("a:0")),
        ("address", json!(format!("{}:1", "a".repeat(300)))),
        ("zone", json!("")),
        ("zone", json!("z".repeat(65))),
        ("state", json!("asleep")),
        ("disk_used_percent", json!(101)),
    ] {
        let mut status = serde_json::to_value(small.hosts[0].status()).unwrap();
        status["host"] = json!(1_000);
        status[field] = value;
        let request = format!("POST /v1/hosts/heartbeat {status}");
        expect(
            small.client(),
            &request,
            &format!("400 invalid_request {field}"),
        )
        .await;
    }
    assert_eq!(small.client().hosts().await.len(), 3);
}
