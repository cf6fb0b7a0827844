use serde_json::{Value, json};
use shoal_frontend::FrontendConfig;

use super::client::{BOTH, Client, Protocol, Reply, system};
use super::support::{Answer, System};

#[tokio::test]
async fn rest_stays_where_it_was() {
    let system = system().await;
    for path in [
        "/v1",
        "/v1/nothing",
        "/docs",
        "/ui/",
        "/nothing",
        "/12/queue",
    ] {
        let answer = system.ask("GET", path, Value::Null).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.problem().0, "not_found", "{path}");
    }
    let answer = system.ask("GET", "/openapi.json", Value::Null).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn what_is_no_operation_is_told_in_the_clients_own_protocol() {
    let system = system().await;
    for target in ["AmazonSQS.Nope", "Foo.SendMessage", ""] {
        let request = system.request("POST", "/").header("x-amz-target", target);
        let reply = Reply::read("Nope", request.body("{}").send().await.unwrap()).await;
        assert_eq!(
            (reply.status, reply.code()),
            (400, "UnknownOperationException")
        );
    }
    let form = "application/x-www-form-urlencoded";
    for (body, code) in [
        ("Action=Nope", "InvalidAction"),
        ("Version=2012-11-05", "MissingParameter"),
        ("Action=ListQueues&Version=2001-01-01", "NoSuchVersion"),
    ] {
        let request = system
            .request("POST", "/")
            .header("content-type", form)
            .body(body);
        let reply = Reply::read("Nope", request.send().await.unwrap()).await;
        assert_eq!((reply.status, reply.code()), (400, code), "{body}");
    }
    // An address that is opened in a browser.
    let answer = system.request("GET", "/").send().await.unwrap();
    assert_eq!(answer.status(), 404);
    assert_eq!(
        answer.text().await.unwrap(),
        "<UnknownOperationException/>\n"
    );
    let request = system
        .request("PUT", "/000000000000/orders")
        .send()
        .await
        .unwrap();
    let reply = Reply::read("Nope", request).await;
    assert_eq!(reply.code(), "InvalidAction");
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_read() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        for bytes in [(7 << 20) + 1, (8 << 20) + 1] {
            let request = client.post("/").body(vec![b'x'; bytes]);
            let request = match protocol {
                Protocol::Json => request.header("x-amz-target", "AmazonSQS.SendMessage"),
                Protocol::Query => {
                    request.header("content-type", "application/x-www-form-urlencoded")
                }
            };
            // It may be answered before all was written.
            let Ok(answer) = request.send().await else {
                continue;
            };
            let reply = Reply::read("SendMessage", answer).await;
            assert_eq!((reply.status, reply.code()), (413, "RequestEntityTooLarge"));
        }
    }
}

#[tokio::test]
async fn without_credentials_in_its_settings_a_frontend_takes_nothing() {
    let system = System::start_with(FrontendConfig::default()).await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let refused = client.ask("ListQueues", json!({})).await;
        assert_eq!((refused.status, refused.code()), (403, "AccessDenied"));
        let told = refused.body["message"].as_str().unwrap();
        assert!(told.contains("credentials"), "{told}");
    }
    let rest: Answer = system.ask("GET", "/v1/queues", Value::Null).await;
    assert_eq!(rest.status, 200);
}

#[tokio::test]
async fn what_cannot_be_just_now_is_503_which_every_sdk_tries_again() {
    let system = system().await;
    let json = Client::new(&system, Protocol::Json);
    let url = json.create("orders", json!({})).await;
    system.manager.kill();
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let asked = json!({"QueueName": "another"});
        let refused = client.ask("CreateQueue", asked).await;
        assert_eq!(
            (refused.status, refused.code()),
            (503, "ServiceUnavailable")
        );
        // What is known goes on.
        client.send(&url, "x").await;
    }
}
