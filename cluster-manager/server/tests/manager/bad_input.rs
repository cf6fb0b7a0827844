//! Whatever comes in, the answer is a problem document that says what is wrong, and nothing is stored.

use reqwest::Method;
use serde_json::{Value, json};
use shoal_api::manager::HEARTBEAT_PATH;
use shoal_api::rebuild::{REBUILD_PATH, RebuildInfo};
use shoal_types::Revision;
use shoal_types::limits::{CLUSTER_ID_MAX, REVISION_MAX};

use crate::support::{Client, Running, Small, World, eventually, problem};

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
        (
            "GET /v1/feed?since=1125899906842625",
            "400 invalid_request since",
        ),
        (
            "GET /v1/feed?since=18446744073709551615",
            "400 invalid_request since",
        ),
        // Ids.
        (
            r#"POST /v1/clusters/c0/drain {"drain":true}"#,
            "400 invalid_request cluster",
        ),
        (
            r#"POST /v1/clusters/cffffffffffffffff/drain {"drain":true}"#,
            "400 invalid_request cluster",
        ),
        (
            r#"POST /v1/clusters/c100001/changes {}"#,
            "400 invalid_request cluster",
        ),
        (
            r#"POST /v1/moves {"queue":"there","to":"c0"}"#,
            "400 invalid_request to",
        ),
        (
            r#"POST /v1/moves {"queue":"there","to":"cffffffffffffffff"}"#,
            "400 invalid_request to",
        ),
        (
            r#"POST /v1/moves {"queue":"there","to":"c1","partition":"pffffffffffffffff"}"#,
            "400 invalid_request partition",
        ),
        (
            r#"POST /v1/rebuild {"without":["cffffffffffffffff"]}"#,
            "400 invalid_request without",
        ),
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
        ("pool", json!("p".repeat(65))),
        ("pool", json!(1)),
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

/// Numbers at the ends of what 64 bits hold, and of what smaller ones do.
const ENDS: [u64; 9] = [
    0,
    1,
    u8::MAX as u64,
    u32::MAX as u64 - 1,
    u32::MAX as u64,
    i64::MAX as u64,
    1 << 63,
    u64::MAX - 1,
    u64::MAX,
];

/// The paths of all numbers in a document, as problems name them with `/` for `.`.
fn numbers(of: &Value, at: &str, found: &mut Vec<String>) {
    match of {
        Value::Number(_) => found.push(at.to_owned()),
        Value::Object(fields) => fields
            .iter()
            .for_each(|(name, value)| numbers(value, &format!("{at}/{name}"), found)),
        Value::Array(values) => values
            .iter()
            .enumerate()
            .for_each(|(n, value)| numbers(value, &format!("{at}/{n}"), found)),
        _ => {}
    }
}

/// A revision of 64 ones ended the manager, when it counted on from there; so did the id of a cluster.
#[tokio::test]
async fn whatever_number_stands_in_a_heartbeat_it_is_taken_or_its_field_is_named() {
    let data = tempfile::tempdir().unwrap();
    let manager = Running::with(data.path(), |config| config.round_ms = 100).await;
    let (client, world) = (&manager.client, World::default());
    let hosts = world.hosts(client, &["a", "b", "c"]).await;
    client.until_serving(1).await;
    client.create("before").await;

    let member = serde_json::to_value(hosts[0].status()).unwrap();
    let mut stranger = member.clone();
    (stranger["host"], stranger["cluster"]) = (json!(1_000), json!(77));
    stranger["load"]["partitions"] = json!([{ "partition": 1, "operations": 1, "bytes": 1 }]);
    let mut paths = Vec::new();
    numbers(&stranger, "", &mut paths);
    assert!(paths.len() > 20, "{paths:?}");
    // After a later start of the host's the present one is refused.
    paths.sort_by_key(|path| path == "/incarnation");
    // As a member it is who it is, and a known revision shows that a store is old: of that below.
    let fixed = ["/host", "/incarnation", "/cluster", "/revision"];
    let mut taken = 0;
    for path in &paths {
        for of in [&stranger, &member] {
            if fixed.contains(&path.as_str()) && (of == &member || path == "/revision") {
                continue;
            }
            for value in ENDS {
                let mut status = of.clone();
                let Some(number) = status.pointer_mut(path) else {
                    continue;
                };
                *number = json!(value);
                taken += u64::from(beats(client, &status, path).await);
            }
        }
    }
    assert!(taken > 200, "most of them are fine: {taken}");
    // Planned with all of it, several times.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    client.create("after").await;

    stranger["host"] = json!(2_000);
    for value in [0, REVISION_MAX + 1, u64::MAX - 1, u64::MAX] {
        stranger["revision"] = json!(value);
        let is_taken = beats(client, &stranger, "/revision").await;
        assert_eq!(is_taken, value == 0, "{value}");
    }
    client.create("last").await;
    stranger["cluster"] = json!(CLUSTER_ID_MAX);
    stranger["revision"] = json!(REVISION_MAX);
    assert!(beats(client, &stranger, "/revision").await);
    let info: RebuildInfo = client.get(REBUILD_PATH).await;
    assert!(info.lacking.is_some(), "{info:?}");
    client
        .send_json(Method::POST, REBUILD_PATH, &json!({}))
        .await;
    let ended = eventually("the rebuilding has ended", async || {
        let info: RebuildInfo = client.get(REBUILD_PATH).await;
        (!info.running).then_some(info)
    })
    .await;
    assert!(ended.failed.is_some(), "{ended:?}");
}

/// True if it was taken; otherwise the answer must name the field.
async fn beats(client: &Client, status: &Value, path: &str) -> bool {
    let answer = client.send_json(Method::POST, HEARTBEAT_PATH, status).await;
    if answer.status().is_success() {
        return true;
    }
    let problem = problem(answer).await;
    let field = problem.field.clone().unwrap_or_default();
    let named = path[1..].replace('/', ".");
    let fenced = problem.code.as_str() == "fenced" && field == "incarnation";
    assert!(
        fenced || problem.status == 400 && field.replace(['[', ']'], ".").starts_with(&named),
        "{path}: {problem}"
    );
    false
}

#[tokio::test]
async fn whatever_number_stands_in_a_query_the_manager_answers_and_goes_on() {
    let small = Small::start().await;
    small.client().create("there").await;
    for value in ENDS {
        // Whoever knows of a revision that may be, and that the store has not, shows that it is an old one.
        let since = if value > REVISION_MAX { value } else { 0 };
        for path in [
            format!("/v1/feed?since={since}"),
            format!("/v1/feed?wait_s={}", value.max(31)),
            format!("/v1/events?after={value}"),
            format!("/v1/events?limit={value}"),
            format!("/v1/queues?limit={value}"),
        ] {
            let answer = small.client().send(Method::GET, &path, "").await;
            let status = answer.status().as_u16();
            assert!(status == 200 || status == 400, "{path}: {status}");
        }
        let hosts = json!({ "hosts": [format!("h{value:x}")], "confirm": true });
        let form = small
            .client()
            .send_json(Method::POST, "/v1/clusters", &hosts);
        let status = form.await.status().as_u16();
        assert!((400..500).contains(&status), "{hosts}: {status}");
    }
    small.client().create("after").await;
}
