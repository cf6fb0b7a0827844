//! Queues that have a dead-letter queue are told where it is: before anybody uses them, and whenever it is
//! elsewhere; whoever finds the record of what was decided goes on, after whatever step the manager was killed.

mod killed;
mod moving;
mod told;

use reqwest::{Method, Response, StatusCode};
use shoal_types::{
    Command, DeadLetters, PartitionRoute, PartitionState, QueueRoute, QueueSettings, RedriveAllow,
    Revision, Target, TargetPart,
};

use crate::support::{Client, Executed, Fails, Small, Two, World, eventually, first_with, problem};

fn kind(command: &Command) -> &'static str {
    match command {
        Command::SetDeadLetters { .. } => "tell",
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
