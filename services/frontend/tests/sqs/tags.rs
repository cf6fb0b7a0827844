use serde_json::{Map, json};

use super::client::{BOTH, Client, system};

#[tokio::test]
async fn tags_are_added_changed_and_removed() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let url = client
            .create(&format!("tags-{protocol:?}"), json!({}))
            .await;
        let listed = async || {
            let listed = client.done("ListQueueTags", json!({"QueueUrl": url})).await;
            listed["Tags"].clone()
        };
        assert!(listed().await.as_object().is_none_or(Map::is_empty));
        for tags in [json!({"a": "1", "b": "2"}), json!({"b": "3", "c": ""})] {
            client
                .done("TagQueue", json!({"QueueUrl": url, "Tags": tags}))
                .await;
        }
        assert_eq!(listed().await, json!({"a": "1", "b": "3", "c": ""}));
        let keys = json!({"QueueUrl": url, "TagKeys": ["a", "never there"]});
        client.done("UntagQueue", keys).await;
        assert_eq!(listed().await, json!({"b": "3", "c": ""}));
    }
}

#[tokio::test]
async fn a_queue_has_at_most_fifty_tags() {
    let system = system().await;
    for protocol in BOTH {
        let client = Client::new(&system, protocol);
        let url = client
            .create(&format!("many-{protocol:?}"), json!({}))
            .await;
        let tags = |from: usize, to: usize| -> Map<_, _> {
            (from..to).map(|n| (format!("t{n}"), json!("x"))).collect()
        };
        let fifty = json!({"QueueUrl": url, "Tags": tags(0, 50)});
        client.done("TagQueue", fifty).await;
        let one_more = json!({"QueueUrl": url, "Tags": tags(50, 51)});
        client
            .refused("TagQueue", one_more, "InvalidParameterValue")
            .await;
        let again = json!({"QueueUrl": url, "Tags": tags(0, 1)});
        client.done("TagQueue", again).await;
    }
}
