//! A queue or its dead-letter queue is elsewhere by now.

use super::*;

/// A source on the first cluster, which is drained, with its dead-letter queue on the second.
#[tokio::test]
async fn what_follows_a_source_is_told_before_the_source_is_sealed() {
    let two = Two::start().await;
    let client = two.client();
    let dead = first_with(client, "c2", ("dead", ""), &QueueSettings::default()).await;
    let settings = dying(dead.name.as_str());
    let name = two.route.name.as_str();
    let changed = change(client, name, &settings).await;
    assert_eq!(changed.status(), StatusCode::OK);
    two.world.holds(two.old(), 3);
    two.drain().await;
    let [old, new] = two.until(2, PartitionState::Active).await[..] else {
        panic!("two partitions");
    };
    let expected = told(client, &two.route, &dead).await;
    for one in [old, new] {
        until_told(&two.world, &one, Some(&expected)).await;
    }
    // The hosts of the fake check that it was told before the seal; and so an heir.
    two.drain_and_forward().await;
    let left = eventually("what was left went on to an heir", async || {
        let partitions = two.partitions().await;
        let is_old = |one: &PartitionRoute| one.partition == old.partition;
        (partitions.len() == 2 && !partitions.iter().any(is_old)).then_some(partitions)
    })
    .await;
    let heir = left.into_iter().find(|one| one.partition != new.partition);
    until_told(&two.world, &heir.unwrap(), Some(&expected)).await;
}

/// The dead-letter queue moves.
#[tokio::test]
async fn sources_are_told_anew_before_a_partition_that_they_know_is_deleted() {
    let two = Two::start().await;
    let client = two.client();
    let name = two.route.name.as_str();
    let orders = first_with(client, "c2", ("orders", ""), &dying(name)).await;
    two.drain().await;
    let dead = eventually("it is on the other cluster alone", async || {
        let dead = client.queue(name).await.unwrap();
        let [only] = dead.partitions[..] else {
            return None;
        };
        (only.cluster.to_string() == "c2").then_some(dead)
    })
    .await;
    two.until_over().await;
    let expected = told(client, &orders, &dead).await;
    assert_eq!(
        two.world.dead_letters(orders.partitions[0].partition),
        Some(expected)
    );
    let executed = two.world.executed();
    let tells = places(&executed, |command| kind(command) == "tell");
    let deletes = |command: &Command| matches!(command, Command::DeletePartition { partition, .. } if *partition == two.old());
    let deleted = places(&executed, deletes)[0];
    assert!(tells.last().unwrap() < &deleted, "{tells:?}, {deleted}");
}

#[tokio::test]
async fn sources_are_told_where_the_hosts_of_their_dead_letter_queue_are_now() {
    let mut two = Two::start().await;
    let name = two.route.name.to_string();
    let orders = first_with(two.client(), "c2", ("orders", ""), &dying(&name)).await;
    let partition = orders.partitions[0];
    let before = two.world.dead_letters(partition.partition).unwrap();
    two.restart_hosts().await;
    let now = two.addresses(&two.route.partitions[0]).await;
    let known = eventually("it knows the new addresses", async || {
        let known = two.world.dead_letters(partition.partition).unwrap();
        let members = known.to.parts[0].members.iter();
        let addresses: Vec<String> = members.map(|member| member.address.clone()).collect();
        (addresses == now).then_some(known)
    })
    .await;
    assert_ne!(known, before);
}
