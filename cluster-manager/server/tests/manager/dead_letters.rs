//! Queues that have a dead-letter queue are told where it is: before anybody uses them, and whenever it is
//! elsewhere; whoever finds the record of what was decided goes on, after whatever step the manager was killed.

use reqwest::{Method, Response, StatusCode};
use shoal_types::{
    Command, DeadLetters, PartitionRoute, PartitionState, QueueRoute, QueueSettings, RedriveAllow,
    Revision, Target, TargetPart,
};

use crate::support::{Client, Executed, Fails, Small, Two, World, eventually, first_with, problem};

fn kind(command: &Command) -> &'static str {
    match command {
        Command::SetDeadLetters { .. } => "tell",
        Command::Seal { .. } => "seal",
        Command::DeletePartition { .. } => "delete",
        _ => "other",
    }
}

/// After three receives to this queue.
fn dying(to: &str) -> QueueSettings {
    QueueSettings {
        dead_letter_queue: Some(to.parse().unwrap()),
        max_receive_count: Some(3),
        ..QueueSettings::default()
    }
}

async fn change(client: &Client, name: &str, settings: &QueueSettings) -> Response {
    let path = format!("/v1/queues/{name}");
    client.send_json(Method::PATCH, &path, settings).await
}

async fn created(client: &Client, name: &str, settings: &QueueSettings) -> QueueRoute {
    let answer = client.put(name, settings).await;
    assert_eq!(
        answer.status(),
        StatusCode::CREATED,
        "{:?}",
        answer.text().await
    );
    answer.json().await.unwrap()
}

/// What partitions of a source are told.
async fn told(client: &Client, source: &QueueRoute, dead: &QueueRoute) -> DeadLetters {
    let mut parts = Vec::new();
    for part in dead
        .partitions
        .iter()
        .filter(|one| one.state == PartitionState::Active)
    {
        parts.push(TargetPart {
            partition: part.partition,
            cluster: part.cluster,
            members: members(client, part).await,
            groups: part.groups,
        });
    }
    DeadLetters {
        queue: source.queue,
        max_receives: 3,
        to: Target {
            queue: dead.queue,
            parts,
        },
    }
}

async fn members(client: &Client, of: &PartitionRoute) -> Vec<shoal_types::ClusterMember> {
    let feed = client.feed(Revision(0), 0).await;
    let cluster = feed
        .clusters
        .into_iter()
        .find(|one| one.cluster == of.cluster);
    cluster.unwrap().members
}

async fn until_told(world: &World, of: &PartitionRoute, what: Option<&DeadLetters>) {
    eventually("it is told where dead letters go", async || {
        (world.dead_letters(of.partition).as_ref() == what).then_some(())
    })
    .await;
}

/// The places of these instructions among all.
fn places(executed: &[Executed], is_it: impl Fn(&Command) -> bool) -> Vec<usize> {
    let places = executed.iter().enumerate();
    let places = places.filter(|(_, one)| is_it(&one.command));
    places.map(|(place, _)| place).collect()
}

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
