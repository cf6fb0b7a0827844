//! Holds planner and manager against each other: what the one plans the other can begin. If it could not,
//! the same would be planned again in every round.

use proptest::prelude::*;
use shoal_planner::facts::{
    Cluster, ClusterStage, Host, HostStage, LeftAlone, Load, Window, Windows,
};
use shoal_planner::limits::{MERGE_COOL_DOWN, WINDOW, WINDOWS_KEPT};
use shoal_planner::{Action, Rules, plan};
use shoal_types::{
    ClusterId, Epoch, GroupRange, HostId, PartitionId, Partitioning, QueueId, QueueName,
    QueueSettings, Ts,
};

use super::begin::wanted;
use super::queues::{Known, QueueNews};
use crate::limits::CLEARS_MAX;
use crate::records::{
    GivenUp, MoveKind, MoveRecord, MoveStage, PartitionRecord, PartitionStage, QueueRecord,
    QueueStage,
};

const CLUSTERS: u64 = 6;
const NOW: Ts = Ts(10 * MERGE_COOL_DOWN);

/// What a queue is like, and what is happening to it.
#[derive(Clone, Debug)]
struct Kind {
    fifo: bool,
    auto: bool,
    /// The cluster of each partition.
    on: Vec<u64>,
    stage: QueueStage,
    happens: Happens,
    /// What it asks of a cluster, in percent of what one is to bear.
    percent: u64,
}

#[derive(Clone, Copy, Debug)]
enum Happens {
    Nothing,
    /// Its first partition is being moved; nothing is sealed yet.
    Moving,
    /// It was moved, and what was before is not empty.
    Draining,
    /// Forwarding that came to nothing, so often, so many microseconds ago; so many heirs were not deleted yet.
    GivenUp {
        times: u32,
        ago: u64,
        left: usize,
    },
}

fn any_kind() -> impl Strategy<Value = Kind> {
    let on = prop::collection::btree_set(1..=CLUSTERS, 1..=4);
    let stage = prop_oneof![4 => Just(QueueStage::Active), 1 => Just(QueueStage::Configuring)];
    let happens = prop_oneof![
        3 => Just(Happens::Nothing),
        1 => Just(Happens::Moving),
        1 => Just(Happens::Draining),
        1 => (1..9_u32, 0..5_000_000_000_u64, 0..2 * CLEARS_MAX)
            .prop_map(|(times, ago, left)| Happens::GivenUp { times, ago, left })
    ];
    let percent = prop_oneof![0..3_u64, 20..150_u64];
    let on = on.prop_map(Vec::from_iter).prop_shuffle();
    (any::<bool>(), any::<bool>(), on, stage, happens, percent).prop_map(
        |(fifo, auto, on, stage, happens, percent)| Kind {
            fifo,
            auto,
            on,
            stage,
            happens,
            percent,
        },
    )
}

/// The records of a queue and of its move, if it has one.
fn records(number: u64, kind: &Kind) -> (QueueRecord, Option<MoveRecord>) {
    let name = format!("q{number}{}", if kind.fifo { ".fifo" } else { "" });
    let name: QueueName = name.parse().unwrap();
    let partition = |at: u64, cluster: u64, stage, groups| PartitionRecord {
        partition: PartitionId(number * 100 + at),
        epoch: Epoch(u32::try_from(at).unwrap()),
        cluster: ClusterId(cluster),
        stage,
        groups,
        since: Ts(0),
    };
    let parts = GroupRange::ALL.split(kind.on.len());
    let active = (1..).zip(&kind.on).zip(parts);
    let mut partitions: Vec<PartitionRecord> = active
        .map(|((at, cluster), groups)| partition(at, *cluster, PartitionStage::Active, groups))
        .collect();
    let mut moving = None;
    let elsewhere = (1..=CLUSTERS)
        .find(|cluster| !kind.on.contains(cluster))
        .unwrap();
    match kind.happens {
        Happens::Nothing => {}
        Happens::Moving => {
            let from = partitions[0];
            let to = partition(50, elsewhere, PartitionStage::Held, from.groups);
            partitions.push(to);
            moving = Some(MoveRecord {
                id: to.partition,
                name: name.clone(),
                queue: QueueId(number),
                kind: MoveKind::Move,
                stage: MoveStage::Creating,
                seals: vec![from],
                opens: vec![to],
                clears: Vec::new(),
                forwards: Vec::new(),
                heirs: Vec::new(),
                given_up: Vec::new(),
                carries: 0,
                text: String::new(),
                begun_at: NOW,
                sealed_at: None,
            });
        }
        Happens::Draining | Happens::GivenUp { .. } => {
            let before = partition(0, elsewhere, PartitionStage::Draining, GroupRange::ALL);
            let mut record = MoveRecord {
                id: partitions[0].partition,
                name: name.clone(),
                queue: QueueId(number),
                kind: MoveKind::Split,
                stage: MoveStage::Draining,
                seals: vec![before],
                opens: partitions.clone(),
                clears: Vec::new(),
                forwards: Vec::new(),
                heirs: Vec::new(),
                given_up: Vec::new(),
                carries: 0,
                text: String::new(),
                begun_at: Ts(0),
                sealed_at: Some(Ts(0)),
            };
            if let Happens::GivenUp { times, ago, left } = kind.happens {
                record.given_up.push(GivenUp {
                    from: before.partition,
                    at: ClusterId(elsewhere % CLUSTERS + 1),
                    times,
                    last: Ts(NOW.0 - ago),
                });
                record.clears = vec![before; left];
            }
            moving = Some(record);
            partitions.insert(0, before);
        }
    }
    let settings = QueueSettings {
        fifo: kind.fifo,
        partitions: match kind.auto {
            true => Partitioning::Auto,
            false => Partitioning::One,
        },
        ..QueueSettings::default()
    };
    let last_epoch = partitions.iter().map(|one| one.epoch).max().unwrap();
    let record = QueueRecord {
        name,
        queue: QueueId(number),
        stage: kind.stage,
        settings,
        partitions,
        last_epoch,
        resized_at: Ts(0),
        created_at: Ts(0),
        changed_at: Ts(0),
    };
    (record, moving)
}

/// A cluster of one host, which has been doing the same for as long as is looked back.
fn cluster(known: &mut Known, id: u64, stage: ClusterStage, loads: Vec<Load>) {
    let operations = loads.iter().map(|load| load.operations).sum();
    let mut windows = Windows::default();
    for before in (1..=WINDOWS_KEPT as u64).rev() {
        windows.push(Window {
            began: Ts(NOW.0 - before * WINDOW),
            operations,
            bytes: operations,
            ..Window::default()
        });
    }
    let host = Host {
        zone: String::new(),
        pool: String::new(),
        capacity: 1,
        heard: NOW,
        known_since: Ts(0),
        stage: HostStage::Member(ClusterId(id)),
    };
    known.facts.hosts.insert(HostId(id), host);
    let cluster = Cluster {
        stage,
        members: vec![HostId(id)],
        changing: false,
        forwards_at_once: false,
        settled: Ts(0),
        relieved: None,
        windows,
        loads,
    };
    known.facts.clusters.insert(ClusterId(id), cluster);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn whatever_the_planner_wants_of_a_queue_the_manager_can_begin(
        kinds in prop::collection::vec(any_kind(), 1..30),
        drained in prop::option::of(1..=CLUSTERS),
        left_alone in prop::collection::vec(1..30_u64, 0..4),
    ) {
        let (mut known, news, rules) = (Known::since(NOW), QueueNews::default(), Rules::default());
        let queues: Vec<_> = (1..).zip(&kinds).map(|(number, kind)| records(number, kind)).collect();
        let mut loads: Vec<Load> = Vec::new();
        for ((record, moving), kind) in queues.iter().zip(&kinds) {
            news.changed(record);
            moving.iter().for_each(|moving| news.move_changed(moving));
            let each = kind.percent * rules.targets.operations / 100 / kind.on.len() as u64;
            let active = record.partitions.iter().filter(|one| one.stage == PartitionStage::Active);
            loads.extend(active.map(|one| Load {
                queue: record.queue,
                partition: one.partition,
                operations: each,
                bytes: each,
            }));
        }
        news.tell(&mut known, NOW);
        for queue in left_alone {
            let left = LeftAlone { until: NOW.after(1), why: String::new() };
            known.facts.left_alone.insert(QueueId(queue), left);
        }
        for id in 1..=CLUSTERS {
            let here = |load: &&Load| known.facts.queues.of(ClusterId(id), load.partition).is_some();
            let here = loads.iter().filter(here).copied().collect();
            let stage = match drained {
                Some(drained) if drained == id => ClusterStage::Draining,
                _ => ClusterStage::Serving,
            };
            cluster(&mut known, id, stage, here);
        }
        let plan = plan(&known.facts, &rules, NOW);
        for decided in &plan.actions {
            if let Action::Forward { queue, partition, from, to } = decided.action {
                let (record, moving) = &queues[queue.0 as usize - 1];
                prop_assert_eq!(record.stage, QueueStage::Active, "{}", decided);
                let moving = moving.as_ref().expect("only what is sealed is forwarded");
                let source = moving.may_forward(partition).map(|source| source.cluster);
                prop_assert_eq!(source, Ok(from), "{}", decided);
                prop_assert!(to != from && drained != Some(to.0), "{}", decided);
                let again = moving.given_up(partition).map(|given_up| given_up.again());
                prop_assert!(again.is_none_or(|again| again <= NOW), "{}", decided);
            }
            let Some(wanted) = wanted(&decided.action, "") else {
                continue;
            };
            let (record, moving) = &queues[wanted.queue.0 as usize - 1];
            let from = record.partition(wanted.partition).map(|from| from.cluster.0);
            let is_emptied = from.is_some() && from == drained;
            prop_assert_eq!(wanted.places(record, is_emptied).err(), None, "{}", decided);
            prop_assert!(!known.facts.left_alone.contains_key(&wanted.queue), "{}", decided);
            let mut followed = moving.iter().flat_map(|moving| &moving.seals);
            let twice = followed.find(|one| wanted.seals().any(|sealed| sealed == one.partition));
            prop_assert_eq!(twice, None, "{}", decided);
            for cluster in &wanted.to {
                prop_assert!(drained != Some(cluster.0), "{}", decided);
            }
        }
    }
}
