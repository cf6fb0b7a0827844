//! Dead letters over REST: where they go, what is told of them, and tasks that move them.

mod support;

use serde_json::{Value, json};
use support::{System, bodies, eventually};

/// A queue `orders` whose messages die when they are received for the first time, and its dead-letter queue
/// `dead` with so many of them.
async fn with_dead_letters(count: usize) -> System {
    let system = System::start().await;
    system.create("dead", Value::Null).await;
    let settings = json!({ "max_receive_count": 1, "dead_letter_queue": "dead" });
    system.create("orders", settings).await;
    if count == 0 {
        return system;
    }
    let messages: Vec<Value> = (0..count)
        .map(|n| json!({ "body": format!("m{n}") }))
        .collect();
    let batch = json!({ "messages": messages });
    system.send("orders", batch).await.expect(201);
    let all = json!({ "max": count, "visibility_timeout_s": 0 });
    let received = system.receive("orders", all).await.expect(200);
    assert_eq!(bodies(&received).len(), count);
    eventually("the dead letters are there", async || {
        ready(&system, "dead").await == count as u64
    })
    .await;
    system
}

/// Messages that can be received.
async fn ready(system: &System, queue: &str) -> u64 {
    let path = format!("/v1/queues/{queue}");
    let shown = system.ask("GET", &path, Value::Null).await.expect(200);
    shown["counts"]["ready"].as_u64().unwrap()
}

const DEAD: &str = "/v1/queues/dead/redrive";

async fn tasks(system: &System) -> Vec<Value> {
    let listed = system.ask("GET", DEAD, Value::Null).await.expect(200);
    listed["redrives"].as_array().unwrap().clone()
}

async fn over(system: &System) -> Value {
    let mut newest = Value::Null;
    eventually("the task is over", async || {
        newest = tasks(system).await.remove(0);
        newest["status"] != "running" && newest["status"] != "cancelling"
    })
    .await;
    newest
}

#[tokio::test]
async fn dead_letters_are_set_shown_and_taken_back() {
    let system = with_dead_letters(0).await;
    let path = "/v1/queues/orders";
    let shown = system.ask("GET", path, Value::Null).await.expect(200);
    assert_eq!(shown["settings"]["max_receive_count"], 1);
    assert_eq!(shown["settings"]["dead_letter_queue"], "dead");
    assert_eq!(shown["changed_at"], shown["created_at"]);

    let none = json!({ "max_receive_count": null, "dead_letter_queue": null });
    let changed = system.ask("PATCH", path, none).await.expect(200);
    let settings = changed["settings"].as_object().unwrap();
    assert!(!settings.contains_key("max_receive_count"), "{changed}");
    assert!(!settings.contains_key("dead_letter_queue"), "{changed}");
    assert!(changed["changed_at"].as_str() > changed["created_at"].as_str());

    let only = json!({ "redrive_allow": { "queues": ["bills"] } });
    let changed = system.ask("PATCH", "/v1/queues/dead", only).await;
    let changed = changed.expect(200);
    assert_eq!(
        changed["settings"]["redrive_allow"]["queues"],
        json!(["bills"])
    );
    let again = json!({ "max_receive_count": 3, "dead_letter_queue": "dead" });
    let refused = system.ask("PATCH", path, again).await;
    assert_eq!(
        refused.problem(),
        ("invalid_request", "no", Some("dead_letter_queue"))
    );
    let half = system
        .ask("PATCH", path, json!({ "max_receive_count": 3 }))
        .await;
    assert_eq!(
        half.problem(),
        ("invalid_request", "no", Some("dead_letter_queue"))
    );
}

#[tokio::test]
async fn a_dead_letter_says_where_it_comes_from() {
    let system = with_dead_letters(0).await;
    let sent = system.send("orders", json!({ "body": "poison" })).await;
    let sent = sent.expect(201);
    let at_once = json!({ "visibility_timeout_s": 0 });
    let received = system.receive("orders", at_once.clone()).await.expect(200);
    assert!(received["messages"][0].get("dead_from").is_none());
    let wait = json!({ "wait_s": 5, "visibility_timeout_s": 0 });
    let arrived = system.receive("dead", wait).await.expect(200);
    assert_eq!(bodies(&arrived), ["poison"]);
    let message = &arrived["messages"][0];
    assert_eq!(
        message["dead_from"],
        json!({ "queue": "orders", "id": sent["messages"][0]["id"], "receive_count": 1 })
    );
    assert_eq!(message["receive_count"], 1);

    // Without the queue there is no name any more.
    let gone = system.ask("DELETE", "/v1/queues/orders", Value::Null).await;
    gone.expect(204);
    let again = system.receive("dead", at_once).await.expect(200);
    let source = &again["messages"][0]["dead_from"];
    assert!(source.get("queue").is_none(), "{source}");
    assert_eq!(source["id"], sent["messages"][0]["id"]);
}

#[tokio::test]
async fn a_task_moves_dead_letters_back() {
    let system = with_dead_letters(3).await;
    let started = system.ask("POST", DEAD, Value::Null).await.expect(202);
    assert_eq!(started["queue"], "dead");
    assert_eq!(started["to_move"], 3);
    let task = over(&system).await;
    assert_eq!(task["status"], "completed");
    assert_eq!(task["task"], started["task"]);
    assert!(task["task"].as_str().unwrap().parse::<u64>().is_ok());
    assert_eq!((&task["moved"], &task["failed"]), (&json!(3), &json!(0)));
    let at = task["started_at"].as_str().unwrap();
    assert!(at.starts_with("2026-09-21T"), "{at}");
    assert_eq!(ready(&system, "orders").await, 3);

    // With a rate, to another queue.
    system.create("elsewhere", Value::Null).await;
    system
        .send("dead", json!({ "body": "a" }))
        .await
        .expect(201);
    let to = json!({ "to": "elsewhere", "max_per_second": 500 });
    let started = system.ask("POST", DEAD, to).await.expect(202);
    assert_eq!(started["to"], "elsewhere");
    assert_eq!(started["max_per_second"], 500);
    assert_eq!(over(&system).await["status"], "completed");
    assert_eq!(ready(&system, "elsewhere").await, 1);
    let numbers: Vec<Value> = tasks(&system).await;
    assert_eq!(numbers.len(), 2);
    assert_eq!(numbers[1]["task"], task["task"], "newest first");
}

#[tokio::test]
async fn messages_that_never_died_stay_unless_it_is_said_where_to_move_them() {
    let system = with_dead_letters(0).await;
    system
        .send("dead", json!({ "body": "a" }))
        .await
        .expect(201);
    system.ask("POST", DEAD, Value::Null).await.expect(202);
    let task = over(&system).await;
    assert_eq!((&task["moved"], &task["failed"]), (&json!(0), &json!(1)));
    assert_eq!(ready(&system, "dead").await, 1);
}

#[tokio::test]
async fn a_task_is_one_at_a_time_and_can_be_ended() {
    let system = with_dead_letters(20).await;
    // Nobody's messages die into this one.
    let no_target = system
        .ask("POST", "/v1/queues/orders/redrive", json!({}))
        .await;
    assert_eq!(
        no_target.problem(),
        ("invalid_request", "no", Some("queue"))
    );
    let nowhere = json!({ "to": "nowhere" });
    let nowhere = system.ask("POST", DEAD, nowhere).await;
    assert_eq!(nowhere.problem(), ("invalid_request", "no", Some("to")));
    let nothing = system.ask("DELETE", DEAD, Value::Null).await;
    assert_eq!(nothing.status, 404, "{nothing:?}");
    assert_eq!(nothing.problem(), ("not_found", "no", Some("task")));

    let slowly = json!({ "max_per_second": 1 });
    system.ask("POST", DEAD, slowly.clone()).await.expect(202);
    let again = system.ask("POST", DEAD, slowly).await;
    assert_eq!((again.status, again.problem().0), (409, "busy"));
    assert_eq!(again.problem().1, "no");

    let cancelled = system.ask("DELETE", DEAD, Value::Null).await.expect(200);
    let status = cancelled["status"].as_str().unwrap();
    assert!(["cancelling", "cancelled"].contains(&status), "{status}");
    let task = over(&system).await;
    assert_eq!(task["status"], "cancelled");
    let moved = task["moved"].as_u64().unwrap();
    assert!(moved < 20);
    assert_eq!(ready(&system, "dead").await, 20 - moved);
}

#[tokio::test]
async fn without_the_manager_no_task_is_started_shown_or_ended() {
    let system = with_dead_letters(0).await;
    system.manager.kill();
    for method in ["POST", "GET", "DELETE"] {
        let refused = system.ask(method, DEAD, Value::Null).await;
        assert_eq!(refused.status, 503, "{method}: {refused:?}");
        assert_eq!(refused.problem().0, "manager_unavailable", "{method}");
    }
}
