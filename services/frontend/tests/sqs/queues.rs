use serde_json::{Value, json};

use super::client::{BOTH, Client, Protocol, open, system};
use super::support::System;
use shoal_frontend::FrontendConfig;

#[tokio::test]
async fn a_queue_is_created_found_listed_and_deleted() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let url = client.create("orders", json!({"DelaySeconds": "5"})).await;
        assert_eq!(url, system.url("/000000000000/orders"));
        let found = client
            .done("GetQueueUrl", json!({"QueueName": "orders"}))
            .await;
        assert_eq!(found["QueueUrl"], *url);
        let listed = client.done("ListQueues", json!({})).await;
        assert_eq!(listed, json!({"QueueUrls": [url]}));
        client.done("DeleteQueue", json!({"QueueUrl": url})).await;
        let gone = json!({"QueueName": "orders"});
        client
            .refused(
                "GetQueueUrl",
                gone,
                "AWS.SimpleQueueService.NonExistentQueue",
            )
            .await;
        assert_eq!(client.done("ListQueues", json!({})).await, json!({}));
    }
}

#[tokio::test]
async fn a_name_can_be_used_again_at_once_and_the_new_queue_is_empty() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let url = client.create("orders", json!({})).await;
        client.send(&url, "of the old one").await;
        client.done("DeleteQueue", json!({"QueueUrl": url})).await;
        assert_eq!(client.create("orders", json!({})).await, url);
        assert!(client.receive(&url).await.is_empty());
        client.done("DeleteQueue", json!({"QueueUrl": url})).await;
    }
}

#[tokio::test]
async fn creating_again_is_fine_as_long_as_what_is_asked_for_is_there() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let name = format!("orders-{protocol:?}");
        let some = json!({"DelaySeconds": "5", "VisibilityTimeout": "60"});
        let url = client.create(&name, some.clone()).await;
        assert_eq!(client.create(&name, some).await, url);
        // What is not spoken of may be anything.
        assert_eq!(client.create(&name, json!({})).await, url);
        assert_eq!(
            client.create(&name, json!({"DelaySeconds": "5"})).await,
            url
        );
        let other = json!({"QueueName": name, "Attributes": {"VisibilityTimeout": "61"}});
        let told = client
            .refused("CreateQueue", other, "QueueAlreadyExists")
            .await;
        assert!(told.ends_with("for attribute VisibilityTimeout"), "{told}");
        // Tags are not compared.
        let tagged = json!({"QueueName": name, "tags": {"team": "fish"}});
        assert_eq!(client.done("CreateQueue", tagged).await["QueueUrl"], *url);
    }
}

#[tokio::test]
async fn a_new_queue_has_the_tags_it_was_created_with() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let tags = json!({"team": "fish", "cost": "1 & 2"});
        let asked = json!({"QueueName": format!("tagged-{protocol:?}"), "tags": tags});
        let url = client.done("CreateQueue", asked).await["QueueUrl"].clone();
        let listed = client.done("ListQueueTags", json!({"QueueUrl": url})).await;
        assert_eq!(listed["Tags"], tags);
    }
}

#[tokio::test]
async fn lists_come_in_pages_and_by_prefix() {
    let system = system().await;
    let json = Client::new(&system, Protocol::Json);
    for name in ["a-1", "a-2", "a-3", "b-1"] {
        json.create(name, json!({})).await;
    }
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let mut seen = Vec::new();
        let mut token = Value::Null;
        loop {
            let asked = json!({"QueueNamePrefix": "a-", "MaxResults": 2, "NextToken": token});
            let page = client.done("ListQueues", asked).await;
            let urls = page["QueueUrls"].as_array().unwrap();
            assert!(urls.len() <= 2);
            seen.extend(urls.iter().map(|url| url.as_str().unwrap().to_owned()));
            token = page["NextToken"].clone();
            if token.is_null() {
                break;
            }
        }
        let all = ["a-1", "a-2", "a-3"].map(|name| system.url(&format!("/000000000000/{name}")));
        assert_eq!(seen, all);
        // Without a number of results there is no token.
        let all = client.done("ListQueues", json!({})).await;
        assert_eq!(all["QueueUrls"].as_array().unwrap().len(), 4);
        assert!(all["NextToken"].is_null());
        let forged = json!({"NextToken": "YS0x", "MaxResults": 1});
        client
            .refused("ListQueues", forged, "InvalidParameterValue")
            .await;
    }
}

#[tokio::test]
async fn queues_of_other_accounts_and_regions_are_other_queues() {
    let system = system().await;
    for protocol in BOTH {
        let one = Client::new(&system, protocol).of("111111111111");
        let two = one.of("222222222222");
        let elsewhere = one.in_region("eu-west-1");
        let name = format!("orders-{protocol:?}");
        let mut urls = Vec::new();
        for (client, body) in [(one, "one"), (two, "two"), (elsewhere, "elsewhere")] {
            let url = client.create(&name, json!({})).await;
            client.send(&url, body).await;
            urls.push(url);
        }
        assert_eq!(urls[0], system.url(&format!("/111111111111/{name}")));
        assert_eq!(urls[1], system.url(&format!("/222222222222/{name}")));
        // The region does not stand in the URL; it is the caller's.
        assert_eq!(urls[2], urls[0]);
        for (client, body) in [(one, "one"), (two, "two"), (elsewhere, "elsewhere")] {
            let listed = client
                .done("ListQueues", json!({"QueueNamePrefix": name}))
                .await;
            assert_eq!(listed["QueueUrls"].as_array().unwrap().len(), 1);
            let url = if client.access_key == two.access_key {
                &urls[1]
            } else {
                &urls[0]
            };
            let received = client.receive(url).await;
            assert_eq!(received.len(), 1);
            assert_eq!(received[0]["Body"], body);
        }
        let asked = json!({"QueueUrl": urls[0], "AttributeNames": ["QueueArn"]});
        let arn = elsewhere.done("GetQueueAttributes", asked).await;
        let arn = arn["Attributes"]["QueueArn"].as_str().unwrap();
        assert_eq!(arn, format!("arn:aws:sqs:eu-west-1:111111111111:{name}"));
    }
}

#[tokio::test]
async fn who_has_no_account_of_twelve_digits_has_the_default_one() {
    let system = system().await;
    let default = Client::new(&system, Protocol::Json);
    let url = default.create("orders", json!({})).await;
    for key in ["AKIDEXAMPLE", "x", "000000000000", "12345"] {
        let listed = default.of(key).done("ListQueues", json!({})).await;
        assert_eq!(listed["QueueUrls"], json!([url]), "{key}");
    }
    // What SQS calls the default scope is what REST shows.
    let shown = system.ask("GET", "/v1/queues/orders", Value::Null).await;
    assert_eq!(shown.expect(200)["name"], "orders");
}

#[tokio::test]
async fn urls_are_under_the_address_by_which_the_client_came_or_the_configured_one() {
    let system = system().await;
    let client = Client::new(&system, Protocol::Json);
    client.create("orders", json!({})).await;
    let asked = |system: &System| {
        system
            .request("POST", "/")
            .header("host", "shoal.example:1234")
            .header("x-amz-target", "AmazonSQS.GetQueueUrl")
            .body(r#"{"QueueName": "orders"}"#)
    };
    let answer = asked(&system).send().await.unwrap();
    let found: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(
        found["QueueUrl"],
        "http://shoal.example:1234/000000000000/orders"
    );

    let public = FrontendConfig {
        public_url: "https://mq.example".to_owned(),
        ..open()
    };
    let system = System::start_with(public).await;
    let client = Client::new(&system, Protocol::Query);
    let url = client.create("orders", json!({})).await;
    assert_eq!(url, "https://mq.example/000000000000/orders");
    // Only account and name count in a URL.
    client.send(&url, "hello").await;
    assert_eq!(
        client
            .receive("http://localhost/000000000000/orders")
            .await
            .len(),
        1
    );
}

#[tokio::test]
async fn a_queues_own_address_takes_requests_in_both_protocols() {
    let system = system().await;
    let client = Client::new(&system, Protocol::Query);
    client.create("orders", json!({})).await;
    let path = "/000000000000/orders";

    let form = "Action=SendMessage&Version=2012-11-05&MessageBody=by+form";
    let kind = "application/x-www-form-urlencoded";
    let posted = client.post(path).header("content-type", kind).body(form);
    assert_eq!(posted.send().await.unwrap().status(), 200);

    let query = "?Action=SendMessage&MessageBody=by%20query";
    let got = system
        .request("GET", &format!("{path}{query}"))
        .send()
        .await
        .unwrap();
    assert_eq!(got.status(), 200);

    let json = client
        .post(path)
        .header("x-amz-target", "AmazonSQS.SendMessage")
        .header("content-type", "application/x-amz-json-1.0")
        .body(json!({"QueueUrl": system.url(path), "MessageBody": "in JSON"}).to_string());
    assert_eq!(json.send().await.unwrap().status(), 200);

    let received = client.receive(&system.url(path)).await;
    assert_eq!(
        super::client::bodies(&received),
        ["by form", "by query", "in JSON"]
    );
}
