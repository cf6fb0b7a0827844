//! What a queue's settings say of its dead letters, its partitions know.

use super::*;

#[tokio::test]
async fn a_queue_is_as_wanted_once_it_knows_where_its_dead_letters_go() {
    let small = Small::start().await;
    let client = small.client();
    let dead = client.create("dead").await;
    let orders = created(client, "orders", &dying("dead")).await;
    let partition = orders.partitions[0];
    let expected = told(client, &orders, &dead).await;
    assert_eq!(expected.to.parts[0].members.len(), 3);
    assert_eq!(
        small.world.dead_letters(partition.partition),
        Some(expected.clone())
    );

    let less = QueueSettings {
        max_receive_count: Some(2),
        ..dying("dead")
    };
    let changed = change(client, "orders", &less).await;
    assert_eq!(changed.status(), StatusCode::OK);
    let changed: QueueRoute = changed.json().await.unwrap();
    assert_eq!(changed.created_at, orders.created_at);
    assert!(
        changed.changed_at > orders.changed_at,
        "users see when it was"
    );
    let fewer = DeadLetters {
        max_receives: 2,
        ..expected
    };
    assert_eq!(small.world.dead_letters(partition.partition), Some(fewer));

    let none = change(client, "orders", &QueueSettings::default()).await;
    assert_eq!(none.status(), StatusCode::OK);
    assert_eq!(small.world.dead_letters(partition.partition), None);
    let dead_knows_nothing = small.world.dead_letters(dead.partitions[0].partition);
    assert_eq!(dead_knows_nothing, None);
}

#[tokio::test]
async fn a_dead_letter_queue_must_be_there_and_allow_it() {
    let small = Small::start().await;
    let client = small.client();
    let refused = async |name: &str, settings: &QueueSettings, words: &str| {
        for answer in [
            client.put(name, settings).await,
            change(client, "plain", settings).await,
        ] {
            let problem = problem(answer).await;
            assert_eq!(problem.code.as_str(), "invalid_request");
            let detail = problem.detail.to_string();
            assert!(detail.contains("dead_letter_queue"), "{detail}");
            assert!(detail.contains(words), "{detail}");
        }
    };
    client.create("plain").await;
    refused("a", &dying("dead"), "there is no queue dead").await;
    let picky = QueueSettings {
        redrive_allow: RedriveAllow::Queues(["orders".parse().unwrap()].into()),
        ..QueueSettings::default()
    };
    created(client, "picky", &picky).await;
    refused("a", &dying("picky"), "does not take dead letters of").await;
    let closed = QueueSettings {
        redrive_allow: RedriveAllow::None,
        ..QueueSettings::default()
    };
    created(client, "closed", &closed).await;
    refused("a", &dying("closed"), "does not take dead letters of").await;
    client.create("dead.fifo").await;
    refused("a", &dying("dead.fifo"), "").await;
    refused("plain", &dying("plain"), "").await;
    created(client, "orders", &dying("picky")).await;

    // Neither is a reason to refuse other changes.
    client.delete("picky").await;
    let slower = QueueSettings {
        delay_s: 1,
        ..dying("picky")
    };
    assert_eq!(
        change(client, "orders", &slower).await.status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn nothing_dies_while_there_is_no_dead_letter_queue_and_a_new_one_of_the_name_takes_its_place()
 {
    let small = Small::start().await;
    let client = small.client();
    client.create("dead").await;
    let orders = created(client, "orders", &dying("dead")).await;
    let partition = orders.partitions[0];
    client.delete("dead").await;
    until_told(&small.world, &partition, None).await;
    let dead = client.create("dead").await;
    let anew = told(client, &orders, &dead).await;
    until_told(&small.world, &partition, Some(&anew)).await;
}
