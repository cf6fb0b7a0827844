//! Queues that are moved: each step is told to the clusters and written down, and whoever finds the record
//! goes on from there, after whatever step the manager was killed.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use shoal_api::manager::ClusterState;
use shoal_api::plan::{EventPage, PlanInfo};
use shoal_types::{Command, PartitionRoute, PartitionState, QueueSettings, Revision};

use crate::support::{Fails, Two, eventually, problem};

/// What kind of instruction it is, in the order in which a move gives them.
fn kind(command: &Command) -> &'static str {
    match command {
        Command::CreateSuccessor { .. } => "create",
        Command::Seal { .. } => "seal",
        Command::Succeed { .. } => "succeed",
        Command::DeletePartition { .. } => "delete",
        Command::CreateHeir { .. } => "heir",
        Command::Forward { .. } => "forward",
        _ => "other",
    }
}

#[tokio::test]
async fn a_drained_cluster_gives_its_queue_away_in_the_order_that_loses_nothing() {
    let two = Two::start().await;
    two.world.holds(two.old(), 3);
    two.drain().await;
    let [old, new] = two.until(2, PartitionState::Active).await[..] else {
        panic!("two partitions");
    };
    assert_eq!(
        (old.partition, old.state),
        (two.old(), PartitionState::Draining)
    );
    assert!(new.epoch > old.epoch, "the oldest epoch is first");
    assert_eq!(new.cluster.to_string(), "c2");
    let feed = two.client().feed(Revision(0), 0).await;
    assert_eq!(feed.clusters.len(), 2, "what drains is still consumed");
    let [under_way] = &two.moves().await[..] else {
        panic!("one move");
    };
    assert_eq!(
        (under_way.kind.as_str(), under_way.stage.as_str()),
        ("move", "draining")
    );
    eventually("it says what it waits for", async || {
        let progress = two.moves().await.pop()?.progress;
        progress.contains("holds 3 messages").then_some(())
    })
    .await;
    assert_eq!(
        two.client().clusters().await[0].state,
        ClusterState::Draining
    );

    two.world.holds(two.old(), 0);
    let left = two.until(1, PartitionState::Active).await;
    assert_eq!(left[0].partition, new.partition);
    two.until_over().await;
    assert_eq!(two.world.partition(old.partition), None, "it is deleted");
    let executed = two.world.executed();
    let mut order: Vec<_> = executed.iter().map(|one| kind(&one.command)).collect();
    order.retain(|kind| *kind != "other");
    let begun = order.iter().position(|kind| *kind == "create").unwrap();
    let mut order = order.split_off(begun);
    order.dedup();
    assert_eq!(order, ["create", "seal", "succeed", "delete"]);
    eventually("the cluster is retired", async || {
        let state = two.client().clusters().await[0].state;
        (state == ClusterState::Retired).then_some(())
    })
    .await;
    two.told("c1 is being drained").await;
    two.told("the successors take sends").await;
    two.told("over, what was followed is empty and gone").await;
}

/// Goal: a move completes wherever the manager was killed. Method: one instruction after the other is
/// answered with an error, once before and once after it was executed; the manager is killed while it
/// tries again, and the next one finds only what is stored.
#[tokio::test]
async fn a_move_completes_after_whatever_step_the_manager_was_killed() {
    for step in ["create", "seal", "succeed", "delete"] {
        for executed in [false, true] {
            let two = Two::start().await;
            two.world.fails(Some(Fails {
                what: step,
                kind,
                executed,
            }));
            two.drain().await;
            let reached = || {
                let all = two.world.executed();
                let mut during = all.iter().skip_while(|one| kind(&one.command) != "create");
                during.any(|one| kind(&one.command) == step)
            };
            eventually("the step is reached", async || reached().then_some(())).await;
            let two = two.restarted().await;
            two.world.fails(None);
            two.until_over().await;
            let left = two.until(1, PartitionState::Active).await;
            assert_eq!(
                left[0].cluster.to_string(),
                "c2",
                "{step}, executed: {executed}"
            );
            assert_eq!(two.world.partition(two.old()), None);
            assert_eq!(two.world.partitions(), 1, "nothing is left over");
            let all = two.world.executed().into_iter();
            let created = all.filter_map(|one| match one.command {
                Command::CreateSuccessor { partition, .. } => Some(partition),
                _ => None,
            });
            let created: std::collections::BTreeSet<_> = created.collect();
            assert_eq!(created.len(), 1, "the same move went on");
        }
    }
}

#[tokio::test]
async fn a_move_whose_target_refuses_is_undone_before_anything_is_sealed() {
    let two = Two::start().await;
    two.world.refuse_successors(true);
    two.drain().await;
    let told = two.told("undone").await;
    assert!(told.contains("Nothing was sealed"), "{told}");
    two.until_over().await;
    let left = two.until(1, PartitionState::Active).await;
    assert_eq!(left[0].partition, two.old(), "as it was");
    let executed = two.world.executed();
    assert!(executed.iter().all(|one| kind(&one.command) != "seal"));
    assert!(
        executed.iter().any(|one| kind(&one.command) == "delete"),
        "the successor is deleted, in case that it was created after all"
    );
    // It is not planned again and again, and nobody is left in the dark about it.
    let why = two.explained("its last move was undone").await;
    let name = &two.route.name;
    assert!(why.contains("told to refuse"), "{why}");
    assert!(why.ends_with(&format!("is {name})")), "{why}");
    let plan: PlanInfo = two.client().get("/v1/plan").await;
    assert_eq!(plan.actions, []);
    let same_settings = two
        .client()
        .put(two.route.name.as_str(), &QueueSettings::default())
        .await;
    assert_eq!(same_settings.status(), StatusCode::OK, "it is still there");
}

#[tokio::test]
async fn a_queue_deleted_while_it_moves_leaves_nothing_behind() {
    for step in ["create", "seal", "succeed"] {
        let two = Two::start().await;
        two.world.fails(Some(Fails {
            what: step,
            kind,
            executed: true,
        }));
        two.drain().await;
        two.until(2, PartitionState::Held).await;
        let deleted = two.client().delete(two.route.name.as_str()).await;
        assert_eq!(deleted.status(), StatusCode::NO_CONTENT, "{step}");
        two.world.fails(None);
        two.until_over().await;
        assert_eq!(two.world.partitions(), 0, "{step}");
        let feed = two.client().feed(Revision(0), 0).await;
        assert!(feed.deleted.contains(&two.route.name));
        eventually("the cluster is retired", async || {
            let state = two.client().clusters().await[0].state;
            (state == ClusterState::Retired).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn settings_wait_for_a_successor_to_open_and_then_reach_all_partitions() {
    let two = Two::start().await;
    two.world.holds(two.old(), 1);
    two.world.fails(Some(Fails {
        what: "succeed",
        kind,
        executed: false,
    }));
    two.drain().await;
    let during = eventually("it is sealed", async || {
        let partitions = two.partitions().await;
        (partitions[0].state == PartitionState::Draining).then_some(partitions)
    })
    .await;
    assert_eq!(during[1].state, PartitionState::Held);
    let path = format!("/v1/queues/{}", two.route.name);
    let settings = QueueSettings {
        visibility_timeout_s: 77,
        ..QueueSettings::default()
    };
    let busy = two.client().send_json(Method::PATCH, &path, &settings);
    let busy = problem(busy.await).await;
    assert_eq!(busy.code.as_str(), "busy", "{}", busy.detail);
    two.world.fails(None);
    let both = two.until(2, PartitionState::Active).await;
    let changed = two.client().send_json(Method::PATCH, &path, &settings);
    assert_eq!(changed.await.status(), StatusCode::OK);
    for partition in &both {
        let has = two.world.partition(partition.partition).unwrap().settings;
        assert_eq!(has, settings.partition(partition.epoch));
    }
    // The partition's fence is that of the change by now; the move's own are above it when it ends.
    two.world.holds(two.old(), 0);
    two.until_over().await;
    assert_eq!(two.world.partitions(), 1);
}

#[tokio::test]
async fn a_drained_cluster_is_retired_although_nobody_consumes_if_that_is_wanted() {
    let two = Two::start().await;
    two.world.holds(two.old(), 3);
    two.drain().await;
    two.until(2, PartitionState::Active).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let state = two.client().clusters().await[0].state;
    assert_eq!(state, ClusterState::Draining, "patience has not ended");

    two.drain_and_forward().await;
    eventually("the cluster is retired", async || {
        let state = two.client().clusters().await[0].state;
        (state == ClusterState::Retired).then_some(())
    })
    .await;
    let [heir, new] = two.partitions().await[..] else {
        panic!("two partitions");
    };
    assert_eq!(two.world.partition(two.old()), None, "it is deleted");
    assert_eq!(heir.state, PartitionState::Draining);
    assert_eq!(heir.epoch, two.route.partitions[0].epoch, "numbers stay");
    let places = [heir.cluster, new.cluster].map(|cluster| cluster.to_string());
    assert_eq!(places, ["c2", "c2"]);
    two.told("3 messages of 30 bytes went on").await;

    // What was forwarded stays where it is until somebody consumes it.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let stays = two.partitions().await;
    assert_eq!(stays, [heir, new]);
    two.world.holds(heir.partition, 0);
    two.until_over().await;
    assert_eq!(two.partitions().await, [new]);
    assert_eq!(two.world.partitions(), 1);
}

#[tokio::test]
async fn forwarding_completes_after_whatever_step_the_manager_was_killed() {
    for step in ["heir", "forward"] {
        for executed in [false, true] {
            let two = Two::start().await;
            two.world.holds(two.old(), 3);
            two.world.fails(Some(Fails {
                what: step,
                kind,
                executed,
            }));
            two.drain_and_forward().await;
            eventually("the step is reached", async || {
                let all = two.world.executed();
                let mut kinds = all.iter().map(|one| kind(&one.command));
                kinds.any(|kind| kind == step).then_some(())
            })
            .await;
            let two = two.restarted().await;
            two.world.fails(None);
            let [heir, _] = eventually("it is forwarded", async || {
                let partitions = two.partitions().await;
                let is_gone = two.world.partition(two.old()).is_none();
                <[PartitionRoute; 2]>::try_from(partitions)
                    .ok()
                    .filter(|_| is_gone)
            })
            .await;
            let all = two.world.executed().into_iter();
            let created = all.filter_map(|one| match one.command {
                Command::CreateHeir { partition, .. } => Some(partition),
                _ => None,
            });
            let created: std::collections::BTreeSet<_> = created.collect();
            assert_eq!(created.len(), 1, "{step}, executed: {executed}");
            assert!(created.contains(&heir.partition));
            two.world.holds(heir.partition, 0);
            two.until_over().await;
            assert_eq!(two.world.partitions(), 1, "nothing is left over");
        }
    }
}

/// The cluster that the messages were to leave was down when the heir was to be created, and as long as it was
/// the queue's settings could not be changed.
#[tokio::test]
async fn an_heir_is_given_up_when_the_cluster_of_its_source_stays_down() {
    let two = Two::start().await;
    two.world.holds(two.old(), 3);
    two.drain().await;
    two.until(2, PartitionState::Active).await;
    two.world.refuse_successions(true);
    two.drain_and_forward().await;
    let until = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let page: EventPage = two.client().get("/v1/events?after=0&limit=1000").await;
        let mut texts = page.events.iter().map(|event| event.text.as_str());
        if texts.any(|text| text.contains("nothing went on")) {
            break;
        }
        let now = tokio::time::Instant::now();
        assert!(now < until, "it goes on for ever: {:?}", two.moves().await);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // The cluster is still down for whoever asks, and what is wanted of the queue is not held up by that.
    let settings = QueueSettings {
        visibility_timeout_s: 7,
        ..QueueSettings::default()
    };
    let path = format!("/v1/queues/{}", two.route.name);
    let changed = two.client().send_json(Method::PATCH, &path, &settings);
    assert_eq!(changed.await.status(), StatusCode::OK);
    let kept = two.world.partition(two.old());
    assert!(kept.is_some(), "what had not gone on stays");
}

#[tokio::test]
async fn settings_reach_the_heir_and_forwarding_goes_on_behind_them() {
    let two = Two::start().await;
    two.world.holds(two.old(), 3);
    two.world.fails(Some(Fails {
        what: "forward",
        kind,
        executed: false,
    }));
    two.drain_and_forward().await;
    let three = two.until(3, PartitionState::Active).await;
    eventually("the heir is there", async || {
        let state = two.partitions().await[1].state;
        (state == PartitionState::Draining).then_some(())
    })
    .await;
    let path = format!("/v1/queues/{}", two.route.name);
    let settings = QueueSettings {
        visibility_timeout_s: 77,
        ..QueueSettings::default()
    };
    let changed = two.client().send_json(Method::PATCH, &path, &settings);
    assert_eq!(changed.await.status(), StatusCode::OK);
    for partition in &three {
        let has = two.world.partition(partition.partition).unwrap().settings;
        assert_eq!(has, settings.partition(partition.epoch));
    }
    // The source's fence is that of the change by now.
    two.world.fails(None);
    let left = two.until(2, PartitionState::Active).await;
    assert_eq!(left[0].partition, three[1].partition);
}

/// Of a FIFO queue that nobody consumed nothing went off a second cluster that was drained: its last move was
/// not over, and what was left of it could go nowhere but where the queue was sent to, which was drained too.
#[tokio::test]
async fn a_fifo_queue_that_nobody_consumes_leaves_a_second_drained_cluster() {
    let three = Two::with(3, ".fifo").await;
    three.world.holds(three.old(), 3);
    three.drain_and_forward().await;
    let cluster = |index: usize, state| {
        let client = three.client();
        eventually("the cluster's state", async move || {
            (client.clusters().await[index].state == state).then_some(())
        })
    };
    cluster(0, ClusterState::Retired).await;
    let [_, second] = three.until(2, PartitionState::Active).await[..] else {
        panic!("an heir, and where it is sent to");
    };
    three.world.holds(second.partition, 2);
    let drained = second.cluster.to_string();
    three.drain_and_forward_off(&drained).await;
    let last = ["c2", "c3"]
        .into_iter()
        .find(|one| *one != drained)
        .unwrap();
    let all = eventually("sends go elsewhere", async || {
        let all = three.partitions().await;
        let at = |n: usize| all[n].cluster.to_string();
        let is_so = all.len() == 3 && at(0) == last && at(1) == drained && at(2) == last;
        let states = all.iter().map(|one| one.state);
        use PartitionState::{Active, Draining};
        (is_so && states.eq([Draining, Draining, Active])).then_some(all)
    });
    let all = all.await;
    assert_eq!(all[1].partition, second.partition);
    // What it holds back for the oldest cannot go on before that is consumed, and the plan says so.
    let why = three.explained("it keeps its order").await;
    assert!(why.starts_with(&drained), "{why}");
    assert!(why.contains(&format!("is on {last}")), "{why}");
    assert!(why.contains(&format!("is {})", three.route.name)), "{why}");

    three.world.holds(all[0].partition, 0);
    let index = usize::from(drained == "c3") + 1;
    cluster(index, ClusterState::Retired).await;
    let left = three.partitions().await;
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.iter().all(|one| one.cluster.to_string() == last));
}

/// An heir that its cluster refused was planned anew in each round, told twice in the log of events each time,
/// and each time the move's record grew.
#[tokio::test]
async fn an_heir_that_is_refused_is_not_made_again_and_again() {
    let two = Two::start().await;
    two.world.holds(two.old(), 3);
    two.world.refuse_heirs(true);
    two.drain_and_forward().await;
    two.told("undone: forward").await;
    let why = two.explained("forwarding it to c2 came to nothing").await;
    assert!(why.contains("is tried again in"), "{why}");
    // Some ten rounds.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let executed = two.world.executed().into_iter();
    let heirs = executed.filter_map(|one| match one.command {
        Command::CreateHeir { partition, .. } => Some(partition),
        _ => None,
    });
    let heirs: std::collections::BTreeSet<_> = heirs.collect();
    assert_eq!(heirs.len(), 1);
    assert_eq!(two.partitions().await.len(), 2, "and none is left over");
}

/// Hosts of the successor's cluster that had all got other addresses were never found by those of the sealed
/// partition: nobody told that what it left was gone, and it stayed for ever.
#[tokio::test]
async fn a_sealed_partition_is_told_each_time_where_those_are_that_follow_it() {
    let mut two = Two::start().await;
    two.world.holds(two.old(), 3);
    two.drain().await;
    let new = two.until(2, PartitionState::Active).await[1];
    let mut before = two.addresses(&new).await;
    assert_eq!(two.world.successor_at(two.old()), before);
    for _ in 0..2 {
        two.restart_hosts().await;
        let now = two.addresses(&new).await;
        assert_ne!(now, before);
        eventually("the seal names the new addresses", async || {
            (two.world.successor_at(two.old()) == now).then_some(())
        })
        .await;
        before = now;
    }
    two.world.holds(two.old(), 0);
    two.until_over().await;
}
