//! The manager was killed while it told, or lost its store.

use crate::rebuilding::{on_an_empty_store, rebuild};

use super::*;

/// Goal: sources are told wherever the manager was killed, and under one fence as long as nothing changes. Method:
/// telling is answered with an error, before or after it was carried out; the manager is killed while it tries
/// again, and the next one finds only what is stored.
#[tokio::test]
async fn a_source_is_told_after_whatever_step_the_manager_was_killed() {
    for executed in [false, true] {
        let two = Two::start().await;
        let name = two.route.name.to_string();
        let orders = first_with(two.client(), "c2", ("orders", ""), &dying(&name)).await;
        let partition = orders.partitions[0];
        let before = two.world.executed().len();
        two.world.fails(Some(Fails {
            what: "tell",
            kind,
            executed,
        }));
        let changing = change(
            two.client(),
            orders.name.as_str(),
            &QueueSettings::default(),
        )
        .await;
        let unfinished = problem(changing).await;
        assert_eq!(
            unfinished.code.as_str(),
            "unavailable",
            "{}",
            unfinished.detail
        );
        let back = change(two.client(), orders.name.as_str(), &dying(&name)).await;
        let still = problem(back).await;
        assert_eq!(still.code.as_str(), "unavailable", "one after the other");
        let two = two.restarted().await;
        two.world.fails(None);
        until_told(&two.world, &partition, None).await;
        eventually("it is settled", async || {
            let again = change(
                two.client(),
                orders.name.as_str(),
                &QueueSettings::default(),
            )
            .await;
            (again.status() == StatusCode::OK).then_some(())
        })
        .await;
        let all = two.world.executed().split_off(before);
        let fences = all.iter().filter(|one| kind(&one.command) == "tell");
        let mut fences: Vec<_> = fences.map(|one| one.command.revision()).collect();
        fences.dedup();
        assert_eq!(
            fences.len(),
            1,
            "the same instruction, executed: {executed}"
        );
    }
}

#[tokio::test]
async fn a_dead_letter_queue_moves_on_after_the_manager_was_killed_while_it_told_its_sources() {
    for executed in [false, true] {
        let two = Two::start().await;
        let name = two.route.name.to_string();
        let orders = first_with(two.client(), "c2", ("orders", ""), &dying(&name)).await;
        two.world.fails(Some(Fails {
            what: "tell",
            kind,
            executed,
        }));
        two.drain().await;
        let waits = eventually("the deletion waits", async || {
            let progress = two.moves().await.pop()?.progress;
            progress.contains("is to be told first").then_some(progress)
        })
        .await;
        assert!(waits.contains(orders.name.as_str()), "{waits}");
        assert!(
            two.world.partition(two.old()).is_some(),
            "it is still there"
        );
        let two = two.restarted().await;
        two.world.fails(None);
        two.until_over().await;
        let dead = two.client().queue(&name).await.unwrap();
        let expected = told(two.client(), &orders, &dead).await;
        assert_eq!(
            two.world.dead_letters(orders.partitions[0].partition),
            Some(expected)
        );
    }
}

#[tokio::test]
async fn who_was_told_is_not_told_again_by_the_next_manager() {
    let two = Two::start().await;
    let name = two.route.name.to_string();
    let orders = first_with(two.client(), "c2", ("orders", ""), &dying(&name)).await;
    let tells = |two: &Two| places(&two.world.executed(), |command| kind(command) == "tell").len();
    let before = tells(&two);
    let two = two.restarted().await;
    two.client().until_serving(2).await;
    // Whatever is due at the start is looked at before this one.
    let later = created(two.client(), "zz-later", &dying(&name)).await;
    let expected = told(two.client(), &later, &two.route).await;
    until_told(&two.world, &later.partitions[0], Some(&expected)).await;
    let less = QueueSettings {
        max_receive_count: Some(9),
        ..dying(&name)
    };
    assert_eq!(
        change(two.client(), "zz-later", &less).await.status(),
        StatusCode::OK
    );
    assert_eq!(tells(&two), before + 2, "{}", orders.name);
}

/// A lost store is rebuilt from what is noted at the clusters, which is not what was told of dead letters.
#[tokio::test]
async fn sources_are_told_anew_once_a_lost_store_is_rebuilt() {
    let small = Small::start().await;
    let client = small.client();
    let dead = client.create("dead").await;
    let orders = created(client, "orders", &dying("dead")).await;
    let expected = told(client, &orders, &dead).await;
    let Small {
        manager,
        world,
        hosts,
        data,
    } = small;
    manager.stop().await;
    drop(data);
    let tells = || places(&world.executed(), |command| kind(command) == "tell");
    let before = tells().len();
    let (manager, _data) = on_an_empty_store(&hosts).await;
    rebuild(&manager.client).await;
    eventually("it is told again", async || {
        (tells().len() > before).then_some(())
    })
    .await;
    let executed = world.executed();
    let fences = tells()
        .into_iter()
        .map(|place| executed[place].command.revision());
    assert!(
        fences.is_sorted_by(|one, next| one < next),
        "each later than all before"
    );
    assert_eq!(
        world.dead_letters(orders.partitions[0].partition),
        Some(expected)
    );
}
