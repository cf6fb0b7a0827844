//! What the REST API does when all is well, through real sockets and the real queue.

mod support;

use std::time::Duration;

use reqwest::header::ALLOW;
use serde_json::{Value, json};
use shoal_api::routes::ROUTES;
use support::{Answer, System, eventually, receipts};

#[tokio::test]
async fn a_message_is_sent_received_and_acknowledged() {
    let system = System::start().await;
    system.create("orders", Value::Null).await;
    let message = json!({ "body": "hello", "attributes": { "trace": "t1" } });
    let sent = system.send("orders", message).await.expect(201);
    assert_eq!(sent["messages"][0]["sequence"], "1");

    let received = system
        .receive("orders", json!({ "max": 10 }))
        .await
        .expect(200);
    let message = &received["messages"][0];
    assert_eq!(message["id"], sent["messages"][0]["id"]);
    assert_eq!(message["body"], "hello");
    assert_eq!(message["attributes"]["trace"], "t1");
    assert_eq!(message["receive_count"], 1);
    assert_eq!(message["group"], Value::Null);
    assert_eq!(message["checksum"], shoal_api::checksum(b"hello"));
    assert!(message["sent_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(
        system.receive("orders", Value::Null).await.expect(200)["messages"],
        json!([])
    );

    let done = system.ack("orders", &receipts(&received)).await.expect(200);
    assert_eq!(done["receipts"][0]["ok"], true);
    // Again: the message is deleted, which is what was wanted.
    system.ack("orders", &receipts(&received)).await.expect(200);
    let shown = system
        .ask("GET", "/v1/queues/orders", Value::Null)
        .await
        .expect(200);
    assert_eq!(shown["counts"]["ready"], 0);
    assert_eq!(shown["counts"]["in_flight"], 0);
}

#[tokio::test]
async fn a_batch_is_numbered_in_its_order_and_comes_back_whole() {
    let system = System::start().await;
    system.create("orders", Value::Null).await;
    let messages: Vec<Value> = (0..1_000)
        .map(|n| json!({ "body": n.to_string() }))
        .collect();
    let sent = system
        .send("orders", json!({ "messages": messages }))
        .await
        .expect(201);
    assert_eq!(sent["messages"].as_array().unwrap().len(), 1_000);
    let received = system
        .receive("orders", json!({ "max": 1_000 }))
        .await
        .expect(200);
    for (n, message) in received["messages"].as_array().unwrap().iter().enumerate() {
        assert_eq!(message["body"], n.to_string());
        assert_eq!(message["sequence"], (n + 1).to_string());
    }
    assert_eq!(
        system.ack("orders", &receipts(&received)).await.expect(200)["receipts"]
            .as_array()
            .unwrap()
            .len(),
        1_000
    );
}

#[tokio::test]
async fn raw_bodies_keep_their_bytes_and_their_headers() {
    let system = System::start().await;
    system.create("raw.fifo", Value::Null).await;
    let path = "/v1/queues/raw.fifo/messages";
    let send = |content_type: &'static str, body: Vec<u8>| {
        let request = system
            .request("POST", path)
            .header("content-type", content_type);
        request
            .header("shoal-group", "g")
            .header("shoal-dedup-id", "d")
            .body(body)
            .send()
    };
    let first = Answer::read(send("text/plain", b"caf\xc3\xa9".to_vec()).await.unwrap()).await;
    let first = first.expect(201);
    // The same deduplication id: the same message, whatever the bytes.
    let again = send("application/octet-stream", b"\x00\xff".to_vec())
        .await
        .unwrap();
    assert_eq!(Answer::read(again).await.expect(201), first);
    let received = system.receive("raw.fifo", Value::Null).await.expect(200);
    assert_eq!(received["messages"][0]["body"], "café");
    assert_eq!(received["messages"][0]["group"], "g");

    system.create("raw", Value::Null).await;
    for (content_type, body, field, value) in [
        (
            "application/octet-stream",
            b"text".to_vec(),
            "body_base64",
            "dGV4dA==",
        ),
        ("image/png", b"\x89PNG".to_vec(), "body_base64", "iVBORw=="),
        (
            "application/x-www-form-urlencoded",
            b"{}".to_vec(),
            "body",
            "{}",
        ),
    ] {
        let request = system.request("POST", "/v1/queues/raw/messages");
        let request = request.header("content-type", content_type).body(body);
        Answer::read(request.send().await.unwrap())
            .await
            .expect(201);
        let received = system
            .receive("raw", json!({ "auto_ack": true }))
            .await
            .expect(200);
        assert_eq!(received["messages"][0][field], value, "{content_type}");
        assert_eq!(received["messages"][0]["receipt"], Value::Null);
    }
    let largest = system
        .request("POST", "/v1/queues/raw/messages")
        .body(vec![7; 1 << 20]);
    Answer::read(largest.send().await.unwrap())
        .await
        .expect(201);
}

#[tokio::test]
async fn a_waiting_receive_gets_the_message_as_it_comes() {
    let system = System::start().await;
    system.create("orders", Value::Null).await;
    let waiting = system.receive("orders", json!({ "wait_s": 20 }));
    let send = async {
        eventually("somebody waits", async || system.cluster.waiting() == 1).await;
        system
            .send("orders", json!({ "body": "now" }))
            .await
            .expect(201);
    };
    let (received, ()) = tokio::join!(waiting, send);
    assert_eq!(received.expect(200)["messages"][0]["body"], "now");
}

#[tokio::test]
async fn a_wait_ends_empty_when_nothing_comes() {
    let system = System::start().await;
    system
        .create("orders", json!({ "receive_wait_s": 1 }))
        .await;
    let started = tokio::time::Instant::now();
    let received = system.receive("orders", Value::Null).await.expect(200);
    assert_eq!(received["messages"], json!([]));
    assert!(
        started.elapsed() >= Duration::from_millis(900),
        "{:?}",
        started.elapsed()
    );
    // The client's deadline bounds the wait.
    let request = system.request("POST", "/v1/queues/orders/messages/receive");
    let request = request
        .header("x-deadline-ms", "400")
        .json(&json!({ "wait_s": 20 }));
    Answer::read(request.send().await.unwrap())
        .await
        .expect(200);
}

#[tokio::test]
async fn a_client_that_goes_away_takes_no_message_along() {
    let system = System::start().await;
    system.create("orders", Value::Null).await;
    let request = system.request("POST", "/v1/queues/orders/messages/receive");
    let waiting = tokio::spawn(request.json(&json!({ "wait_s": 20 })).send());
    eventually("somebody waits", async || system.cluster.waiting() == 1).await;
    waiting.abort();
    eventually("nobody waits", async || system.cluster.waiting() == 0).await;
    system
        .send("orders", json!({ "body": "x" }))
        .await
        .expect(201);
    let received = system.receive("orders", Value::Null).await.expect(200);
    assert_eq!(received["messages"][0]["receive_count"], 1);
}

#[tokio::test]
async fn leases_are_extended_and_messages_given_back() {
    let system = System::start().await;
    system.create("orders", Value::Null).await;
    system
        .send("orders", json!({ "body": "x" }))
        .await
        .expect(201);
    let first = receipts(&system.receive("orders", Value::Null).await.expect(200));
    let change = |what: &str, body: Value| {
        let path = format!("/v1/queues/orders/messages/{what}");
        let system = &system;
        async move { system.ask("POST", &path, body).await }
    };
    let extended = json!({ "receipts": first, "visibility_timeout_s": 60 });
    change("extend", extended.clone()).await.expect(200);
    change("release", json!({ "receipts": first }))
        .await
        .expect(200);
    let second = system.receive("orders", Value::Null).await.expect(200);
    assert_eq!(second["messages"][0]["receive_count"], 2);
    // The first lease is history.
    let refused = change("extend", extended).await.expect(207);
    assert_eq!(refused["receipts"][0]["ok"], false);
    assert_eq!(refused["receipts"][0]["reason"], "superseded");
    change(
        "release",
        json!({ "receipts": receipts(&second), "delay_s": 900 }),
    )
    .await
    .expect(200);
    let shown = system
        .ask("GET", "/v1/queues/orders", Value::Null)
        .await
        .expect(200);
    assert_eq!(shown["counts"]["ready"], 0);
}

#[tokio::test]
async fn an_idempotency_key_makes_one_request_of_its_repetitions() {
    let system = System::start().await;
    system.create("orders", Value::Null).await;
    let send = |body: Value| {
        let request = system.request("POST", "/v1/queues/orders/messages");
        let request = request.header("Idempotency-Key", "k1").json(&body);
        async { Answer::read(request.send().await.unwrap()).await }
    };
    let batch = json!({ "messages": [{ "body": "a" }, { "body": "b" }] });
    let first = send(batch.clone()).await.expect(201);
    assert_eq!(send(batch).await.expect(201), first);
    let other = send(json!({ "messages": [{ "body": "a" }, { "body": "c" }] })).await;
    assert_eq!(other.status, 422);
    assert_eq!(
        other.problem(),
        ("idempotency_conflict", "no", Some("idempotency-key"))
    );

    let receive = || {
        let request = system.request("POST", "/v1/queues/orders/messages/receive");
        let request = request
            .header("Idempotency-Key", "k1")
            .json(&json!({ "max": 10 }));
        async {
            Answer::read(request.send().await.unwrap())
                .await
                .expect(200)
        }
    };
    let received = receive().await;
    assert_eq!(received["messages"].as_array().unwrap().len(), 2);
    assert_eq!(receive().await["messages"], received["messages"]);
}

#[tokio::test]
async fn a_full_queue_refuses_and_says_which_messages_of_a_batch() {
    let system = System::start().await;
    system.create("small", json!({ "max_messages": 2 })).await;
    let batch = json!({ "messages": [{ "body": "1" }, { "body": "2" }, { "body": "3" }] });
    let sent = system.send("small", batch).await.expect(207);
    assert_eq!(sent["messages"][1]["sequence"], "2");
    assert_eq!(sent["messages"][2]["error"]["code"], "queue_full");
    assert_eq!(sent["messages"][2]["error"]["retryable"], true);
    let refused = system.send("small", json!({ "body": "4" })).await;
    assert_eq!(
        (refused.status, refused.problem()),
        (429, ("queue_full", "no", None))
    );
}

#[tokio::test]
async fn queues_are_created_shown_listed_changed_and_deleted() {
    let system = System::start().await;
    let path = "/v1/queues/orders";
    let settings = json!({ "delay_s": 5, "tags": { "team": "a" } });
    let new = system.ask("PUT", path, settings.clone()).await.expect(201);
    assert_eq!(new["settings"]["delay_s"], 5);
    assert_eq!(system.ask("PUT", path, settings).await.expect(200), new);
    let other = system.ask("PUT", path, json!({ "delay_s": 6 })).await;
    assert_eq!((other.status, other.problem().0), (409, "queue_exists"));

    let changed = system
        .ask("PATCH", path, json!({ "delay_s": 0 }))
        .await
        .expect(200);
    assert_eq!(changed["settings"]["delay_s"], 0);
    assert_eq!(changed["settings"]["tags"]["team"], "a");
    system
        .send("orders", json!({ "body": "x" }))
        .await
        .expect(201);
    let shown = system.ask("GET", path, Value::Null).await.expect(200);
    assert_eq!(shown["settings"], changed["settings"]);
    assert_eq!(shown["counts"]["ready"], 1);
    assert_eq!(shown["counts"]["oldest_age_s"], 0);
    assert_eq!(shown["partitions"][0]["cluster"], "cc1");

    for name in ["a1", "a2", "a3", "b"] {
        system.create(name, Value::Null).await;
    }
    let page = |query: String| {
        let system = &system;
        async move {
            let page = system
                .ask("GET", &format!("/v1/queues?{query}"), Value::Null)
                .await
                .expect(200);
            let names = page["queues"]
                .as_array()
                .unwrap()
                .iter()
                .map(|q| q["name"].as_str().unwrap().to_owned());
            (
                names.collect::<Vec<_>>(),
                page["next_cursor"].as_str().map(str::to_owned),
            )
        }
    };
    let (names, cursor) = page("prefix=a&limit=2".to_owned()).await;
    assert_eq!(names, ["a1", "a2"]);
    let (names, cursor) = page(format!("prefix=a&limit=2&cursor={}", cursor.unwrap())).await;
    assert_eq!((names, cursor), (vec!["a3".to_owned()], None));
    assert_eq!(page(String::new()).await.0.len(), 5);

    assert_eq!(
        system.ask("DELETE", path, Value::Null).await.expect(204),
        Value::Null
    );
    let gone = system.send("orders", json!({ "body": "x" })).await;
    assert_eq!((gone.status, gone.problem().0), (404, "queue_not_found"));
    assert_eq!(
        system.ask("DELETE", path, Value::Null).await.problem().0,
        "queue_not_found"
    );
}

#[tokio::test]
async fn peeking_leases_nothing_and_purging_leaves_nothing() {
    let system = System::start().await;
    system.create("orders", Value::Null).await;
    let batch = json!({ "messages": [{ "body": "1" }, { "body": "2" }, { "body": "3" }] });
    system.send("orders", batch).await.expect(201);
    let peek = "/v1/queues/orders/messages/peek";
    let peeked = system
        .ask("GET", &format!("{peek}?limit=2"), Value::Null)
        .await
        .expect(200);
    assert_eq!(peeked["messages"].as_array().unwrap().len(), 2);
    assert_eq!(peeked["messages"][0]["body"], "1");
    assert_eq!(peeked["messages"][0]["receive_count"], 0);
    assert_eq!(
        system.ask("GET", peek, Value::Null).await.expect(200)["messages"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    system
        .ask("POST", "/v1/queues/orders/purge", Value::Null)
        .await
        .expect(204);
    assert_eq!(
        system.ask("GET", peek, Value::Null).await.expect(200)["messages"],
        json!([])
    );
}

#[tokio::test]
async fn clusters_and_hosts_are_shown() {
    let system = System::start().await;
    let clusters = system
        .ask("GET", "/v1/clusters", Value::Null)
        .await
        .expect(200);
    assert_eq!(clusters[0]["members"], json!(["h1", "h2", "h3"]));
    let hosts = system
        .ask("GET", "/v1/hosts", Value::Null)
        .await
        .expect(200);
    assert_eq!(hosts[1]["host"], "h2");
}

#[tokio::test]
async fn moves_and_events_are_shown_and_events_page_by_page() {
    let system = System::start().await;
    let ask = async |path: &str| system.ask("GET", path, Value::Null).await.expect(200);
    let moves = ask("/v1/moves").await;
    assert_eq!(moves[0]["queue"], "orders");
    assert_eq!(moves[0]["to"], json!(["c2"]));
    let numbers = |page: &Value| -> Vec<u64> {
        let events = page["events"].as_array().unwrap().iter();
        events
            .map(|event| event["number"].as_u64().unwrap())
            .collect()
    };
    let newest = ask("/v1/events?limit=2").await;
    assert_eq!((numbers(&newest), &newest["next"]), (vec![4, 5], &json!(5)));
    let mut after = 0;
    for expected in [vec![1, 2], vec![3, 4], vec![5], vec![]] {
        let page = ask(&format!("/v1/events?after={after}&limit=2")).await;
        assert_eq!(numbers(&page), expected);
        after = page["next"].as_u64().unwrap();
    }
    assert_eq!(after, 5, "what comes next comes after it");
}

#[tokio::test]
async fn partitions_are_a_setting_of_a_queue() {
    let system = System::start().await;
    let path = "/v1/queues/orders";
    let body = json!({ "partitions": "auto" });
    let created = system.ask("PUT", path, body).await.expect(201);
    assert_eq!(created["settings"]["partitions"], "auto");
    for (change, after) in [
        (json!({ "delay_s": 1 }), json!("auto")),
        (json!({ "partitions": 1 }), json!(1)),
        (json!({ "partitions": "auto" }), json!("auto")),
        (json!({ "partitions": null }), json!(1)),
    ] {
        let changed = system.ask("PATCH", path, change).await.expect(200);
        assert_eq!(changed["settings"]["partitions"], after);
        let shown = system.ask("GET", path, Value::Null).await.expect(200);
        assert_eq!(shown["settings"]["partitions"], after);
        assert_eq!(shown["partitions"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn the_router_has_the_routes_of_the_api_and_their_methods_only() {
    let system = System::start().await;
    for route in ROUTES {
        let path = route.path.replace("{queue}", "nowhere");
        let answer = system.request(route.method, &path).send().await.unwrap();
        assert_ne!(answer.status(), 405, "{route:?}");
        let refused = Answer::read(system.request("OPTIONS", &path).send().await.unwrap()).await;
        assert_eq!(
            (refused.status, refused.problem().0),
            (405, "method_not_allowed")
        );
        let allowed = refused.headers[ALLOW].to_str().unwrap();
        let mut allowed: Vec<&str> = allowed.split(',').map(str::trim).collect();
        // Whatever answers GET also answers HEAD.
        allowed.retain(|method| *method != "HEAD");
        allowed.sort_unstable();
        let mut described: Vec<&str> = ROUTES
            .iter()
            .filter(|r| r.path == route.path)
            .map(|r| r.method)
            .collect();
        described.sort_unstable();
        assert_eq!(allowed, described, "{}", route.path);
    }
    let served = system
        .ask("GET", "/openapi.json", Value::Null)
        .await
        .expect(200);
    assert_eq!(served, shoal_api::openapi::document());
}
