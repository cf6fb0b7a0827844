//! What is planned from what clusters tell, without any cluster.

use std::collections::BTreeSet;

use shoal_types::{
    ClusterId, Description, Epoch, GroupRange, KeptPartition, PartitionId, QueueId, QueueName,
    QueueSettings, Revision, Standing, Ts,
};

use super::plan::{Change, Plan, Stored, plan};
use crate::records::{
    At, MoveKind, MoveStage, Noted, PartitionRecord, PartitionStage, QueueRecord, QueueStage,
};

const NOW: Ts = Ts(1_000);

fn name(text: &str) -> QueueName {
    text.parse().unwrap()
}

fn settings(text: &str) -> QueueSettings {
    QueueSettings {
        fifo: name(text).is_fifo(),
        ..QueueSettings::default()
    }
}

fn noted(text: &str, queue: u64, groups: GroupRange) -> Noted {
    Noted {
        name: name(text),
        queue: QueueId(queue),
        settings: settings(text),
        groups,
        created_at: Ts(7),
        changed_at: Some(Ts(8)),
    }
}

/// A partition with a note of the same revision.
fn kept(id: u64, revision: u64, standing: Standing, noted: &Noted) -> KeptPartition {
    KeptPartition {
        partition: PartitionId(id),
        settings: noted.settings.partition(Epoch(id as u32)),
        revision: Revision(revision),
        description: Some(Description {
            revision: Revision(revision),
            bytes: serde_json::to_vec(noted).unwrap().into(),
        }),
        standing,
    }
}

fn orders() -> Noted {
    noted("orders", 1, GroupRange::ALL)
}

fn closed(waits_for: &[u64]) -> Standing {
    let waits_for = waits_for.iter().copied().map(PartitionId).collect();
    Standing::Closed { waits_for }
}

fn sealed(successors: &[u64]) -> Standing {
    let successors = successors.iter().copied().map(PartitionId).collect();
    Standing::Sealed { successors }
}

/// All on one cluster, into an empty store.
fn of(partitions: Vec<KeptPartition>) -> Plan {
    let found = [(ClusterId(1), partitions)];
    plan(found, Stored::default(), &BTreeSet::new(), NOW)
}

/// One queue and nothing else.
#[track_caller]
fn only(plan: &Plan) -> &Change {
    assert_eq!(plan.changes.len(), 1);
    &plan.changes[0]
}

fn stages(change: &Change) -> Vec<(u64, PartitionStage)> {
    let partitions = change.after.partitions.iter();
    partitions.map(|one| (one.partition.0, one.stage)).collect()
}

fn ids(partitions: &[PartitionRecord]) -> Vec<u64> {
    partitions.iter().map(|one| one.partition.0).collect()
}

/// What the store would have of a queue that was found with this one partition.
fn stored(kept: KeptPartition, revision: u64) -> At<QueueRecord> {
    let record = only(&of(vec![kept])).after.clone();
    At {
        record,
        revision: Revision(revision),
    }
}

fn known(at: At<QueueRecord>) -> Stored {
    Stored {
        queues: [(at.record.name.clone(), at)].into(),
        moves: Vec::new(),
    }
}

#[test]
fn a_queue_is_as_it_was_noted() {
    let tagged = Noted {
        settings: QueueSettings {
            tags: [("a".to_owned(), "b".to_owned())].into(),
            ..settings("orders")
        },
        ..orders()
    };
    let plan = of(vec![kept(4, 9, Standing::Open, &tagged)]);
    let record = &only(&plan).after;
    assert_eq!(
        (record.queue, record.stage),
        (QueueId(1), QueueStage::Active)
    );
    assert_eq!(record.settings, tagged.settings);
    assert_eq!((record.created_at, record.last_epoch), (Ts(7), Epoch(4)));
    assert_eq!(record.changed_at, Ts(8));
    assert_eq!(stages(only(&plan)), [(4, PartitionStage::Active)]);
    assert_eq!(
        (plan.last_queue, plan.last_partition),
        (QueueId(1), PartitionId(4))
    );
    assert!(plan.findings.said.is_empty() && only(&plan).moves.is_empty());
}

#[test]
fn of_several_notes_the_newest_counts_and_the_others_are_brought_up_to_it() {
    let newer = Noted {
        settings: QueueSettings {
            delay_s: 5,
            ..settings("orders")
        },
        ..orders()
    };
    let plan = of(vec![
        kept(1, 4, Standing::Open, &orders()),
        kept(2, 9, Standing::Open, &newer),
    ]);
    let record = &only(&plan).after;
    assert_eq!(
        (record.settings.delay_s, record.stage),
        (5, QueueStage::Configuring)
    );
}

#[test]
fn what_nobody_can_name_is_left_alone_and_said() {
    let mut unnamed = kept(1, 4, Standing::Open, &orders());
    unnamed.description = None;
    let mut broken = kept(2, 4, Standing::Open, &orders());
    broken.description.as_mut().unwrap().bytes = b"{".as_slice().into();
    let plan = of(vec![unnamed.clone(), broken]);
    assert!(plan.changes.is_empty());
    assert_eq!(plan.findings.said.len(), 2);
    assert_eq!(plan.last_partition, PartitionId(2), "their ids are in use");
    // A store that knows it needs no note.
    let at = stored(kept(1, 4, Standing::Open, &orders()), 5);
    let mut store = known(at);
    let mine = store.queues.get_mut(&name("orders")).unwrap();
    mine.record.stage = QueueStage::Creating;
    let plan = super::plan::plan(
        [(ClusterId(1), vec![unnamed])],
        store,
        &BTreeSet::new(),
        NOW,
    );
    assert!(plan.findings.said.is_empty());
}

#[test]
fn the_higher_revision_counts_whichever_side_has_it() {
    for (in_store, changes) in [(9, 0), (10, 0), (8, 1)] {
        let found = kept(1, 9, Standing::Open, &orders());
        let store = known(stored(found.clone(), in_store));
        let plan = plan([(ClusterId(1), vec![found])], store, &BTreeSet::new(), NOW);
        assert_eq!(plan.changes.len(), changes, "the store is at {in_store}");
        assert_eq!(plan.kept, 1 - changes as u64);
    }
}

#[test]
fn of_two_lives_of_a_name_the_later_one_is_kept() {
    let later = noted("orders", 5, GroupRange::ALL);
    let plan = of(vec![
        kept(1, 4, Standing::Open, &orders()),
        kept(2, 6, Standing::Open, &later),
    ]);
    assert_eq!(only(&plan).after.queue, QueueId(5));
    assert_eq!(stages(only(&plan)), [(2, PartitionStage::Active)]);
    assert!(plan.findings.said[0].contains("created twice"));
}

/// A deletion goes to all partitions at once, and some clusters were faster.
#[test]
fn a_queue_of_which_groups_have_no_partition_was_being_deleted() {
    let halves = GroupRange::ALL.split(2);
    let half = |n: usize| noted("orders.fifo", 1, halves[n]);
    let both = vec![
        kept(1, 4, Standing::Open, &half(0)),
        kept(2, 4, Standing::Open, &half(1)),
    ];
    assert_eq!(only(&of(both)).after.stage, QueueStage::Active);
    for n in [0, 1] {
        let plan = of(vec![kept(1, 4, Standing::Open, &half(n))]);
        assert_eq!(only(&plan).after.stage, QueueStage::Deleting);
        // With a cluster that was left out the other half may be.
        let found = [(ClusterId(1), vec![kept(1, 4, Standing::Open, &half(n))])];
        let without = BTreeSet::from([ClusterId(2)]);
        let plan = super::plan::plan(found, Stored::default(), &without, NOW);
        assert_eq!(only(&plan).after.stage, QueueStage::Active);
        assert_eq!(plan.findings.said.len(), 1);
    }
}

#[test]
fn a_queue_that_no_cluster_has_was_deleted_unless_one_was_left_out() {
    let at = stored(kept(1, 4, Standing::Open, &orders()), 5);
    let nothing = || [(ClusterId(1), Vec::new())];
    let gone = plan(nothing(), known(at.clone()), &BTreeSet::new(), NOW).gone;
    assert_eq!(gone, std::slice::from_ref(&at));
    let without = BTreeSet::from([ClusterId(1)]);
    let left_out = plan([], known(at), &without, NOW);
    assert!(left_out.gone.is_empty() && left_out.kept == 1);
}

#[test]
fn successors_of_what_is_not_sealed_are_taken_back_and_it_is_fenced() {
    // A split of which one successor of two was created.
    let plan = of(vec![
        kept(1, 4, Standing::Open, &orders()),
        kept(2, 6, closed(&[1]), &orders()),
    ]);
    let change = only(&plan);
    assert_eq!(stages(change), [(1, PartitionStage::Active)]);
    let moving = &change.moves[0];
    assert_eq!(
        (moving.stage, moving.id),
        (MoveStage::Undoing, PartitionId(2))
    );
    assert_eq!((ids(&moving.clears), moving.opens.len()), (vec![2], 0));
    assert!(plan.fences.keys().eq([&PartitionId(1)]));
    assert_eq!(change.after.last_epoch, Epoch(2), "no epoch is given twice");
}

#[test]
fn what_is_sealed_goes_on_where_it_is() {
    let halves = GroupRange::ALL.split(2);
    let half = |n: usize| noted("orders.fifo", 1, halves[n]);
    let whole = noted("orders.fifo", 1, GroupRange::ALL);
    for (first, second, stage) in [
        (sealed(&[3]), Standing::Open, MoveStage::Sealing),
        (sealed(&[3]), sealed(&[3]), MoveStage::Opening),
    ] {
        let plan = of(vec![
            kept(1, 4, first, &half(0)),
            kept(2, 4, second, &half(1)),
            kept(3, 6, closed(&[1, 2]), &whole),
        ]);
        let change = only(&plan);
        let moving = &change.moves[0];
        assert_eq!((moving.stage, moving.kind), (stage, MoveKind::Merge));
        assert_eq!(
            (ids(&moving.seals), ids(&moving.opens)),
            (vec![1, 2], vec![3])
        );
        assert_eq!(change.after.partitions[2].stage, PartitionStage::Held);
        assert_eq!(change.after.stage, QueueStage::Active);
        assert!(plan.fences.is_empty());
    }
    let split = of(vec![
        kept(1, 4, sealed(&[2, 3]), &whole),
        kept(2, 6, Standing::Open, &half(0)),
        kept(3, 6, Standing::Open, &half(1)),
    ]);
    let moving = &only(&split).moves[0];
    assert_eq!(
        (moving.stage, moving.kind),
        (MoveStage::Draining, MoveKind::Split)
    );
    assert_eq!(
        (ids(&moving.seals), ids(&moving.opens)),
        (vec![1], vec![2, 3])
    );
}

#[test]
fn moves_that_follow_one_another_are_moves_of_their_own() {
    let plan = of(vec![
        kept(1, 4, sealed(&[2]), &orders()),
        kept(2, 6, sealed(&[3]), &orders()),
        kept(3, 8, closed(&[2]), &orders()),
    ]);
    let change = only(&plan);
    let moves: Vec<_> = change
        .moves
        .iter()
        .map(|one| (one.stage, ids(&one.seals), ids(&one.opens)))
        .collect();
    let draining = (MoveStage::Draining, vec![1], vec![2]);
    let opening = (MoveStage::Opening, vec![2], vec![3]);
    assert_eq!(moves, [draining, opening]);
    let expected = [
        (1, PartitionStage::Draining),
        (2, PartitionStage::Draining),
        (3, PartitionStage::Held),
    ];
    assert_eq!(stages(change), expected);
}

#[test]
fn a_sealed_partition_whose_successor_is_nowhere_is_said() {
    let plan = of(vec![kept(1, 4, sealed(&[2]), &orders())]);
    assert!(
        plan.findings.said[0].contains("was not found: p2"),
        "{:?}",
        plan.findings
    );
    assert_eq!(only(&plan).after.stage, QueueStage::Deleting);
}

#[test]
fn messages_that_go_on_to_an_heir_go_on_and_one_that_has_all_is_followed() {
    let noted = || orders();
    let successors = vec![PartitionId(3)];
    let forwarding = Standing::Forwarding {
        successors: successors.clone(),
        heir: PartitionId(4),
    };
    let heir = || Standing::Heir {
        of: PartitionId(1),
        successors: successors.clone(),
    };
    for source in [forwarding, sealed(&[3])] {
        let plan = of(vec![
            kept(1, 6, source, &noted()),
            kept(3, 6, Standing::Open, &noted()),
            kept(4, 7, heir(), &noted()),
        ]);
        let [moving] = &only(&plan).moves[..] else {
            panic!("one move: {:?}", only(&plan).moves);
        };
        let ids = |records: &[PartitionRecord]| -> Vec<u64> {
            records.iter().map(|one| one.partition.0).collect()
        };
        assert_eq!(moving.stage, MoveStage::Draining);
        assert_eq!((ids(&moving.seals), ids(&moving.opens)), (vec![1], vec![3]));
        assert_eq!(moving.heirs, []);
        let [forward] = &moving.forwards[..] else {
            panic!("one goes on: {:?}", moving.forwards);
        };
        assert_eq!(
            (forward.from, forward.heir.partition.0),
            (PartitionId(1), 4)
        );
        assert_eq!(only(&plan).after.partitions.len(), 3);
    }
    let plan = of(vec![
        kept(3, 6, Standing::Open, &noted()),
        kept(4, 7, heir(), &noted()),
    ]);
    let [moving] = &only(&plan).moves[..] else {
        panic!("one move: {:?}", only(&plan).moves);
    };
    assert_eq!(moving.heirs, [PartitionId(4)]);
    assert_eq!((moving.seals.len(), moving.forwards.len()), (1, 0));
}

/// Partitions of an earlier build have no notes: their queues were taken for deleted.
#[test]
fn a_queue_of_the_store_whose_partitions_say_nothing_of_it_stays() {
    let mut silent = kept(1, 4, Standing::Open, &orders());
    silent.description = None;
    let mut unreadable = kept(1, 4, Standing::Open, &orders());
    let broken = unreadable.description.as_mut().expect("it has one");
    broken.bytes = b"{".as_slice().into();
    for found in [silent, unreadable] {
        let at = stored(kept(1, 4, Standing::Open, &orders()), 5);
        let queues = [(at.record.name.clone(), at)].into();
        let stored = Stored {
            queues,
            ..Stored::default()
        };
        let found = [(ClusterId(1), vec![found])];
        let plan = plan(found, stored, &BTreeSet::new(), NOW);
        assert_eq!((plan.gone.len(), plan.changes.len(), plan.kept), (0, 0, 1));
    }
}

/// A successor of a move that was undone was not deleted yet when the queue was moved again. Both were taken
/// for one split, whose seal the cluster refused for ever.
#[test]
fn a_successor_that_was_left_over_has_no_part_in_the_move_after_it() {
    for (live, stage) in [
        (closed(&[1]), MoveStage::Opening),
        (Standing::Open, MoveStage::Draining),
    ] {
        let plan = of(vec![
            kept(1, 8, sealed(&[3]), &orders()),
            kept(2, 6, closed(&[1]), &orders()),
            kept(3, 8, live, &orders()),
        ]);
        let change = only(&plan);
        let [moving, left_over] = &change.moves[..] else {
            panic!("two moves: {:?}", change.moves);
        };
        assert_eq!((moving.stage, moving.kind), (stage, MoveKind::Move));
        assert_eq!((ids(&moving.seals), ids(&moving.opens)), (vec![1], vec![3]));
        assert_eq!(left_over.stage, MoveStage::Undoing);
        assert_eq!(ids(&left_over.clears), [2]);
        assert!(plan.fences.is_empty(), "what is sealed takes no other seal");
        let partitions: Vec<u64> = stages(change).iter().map(|one| one.0).collect();
        assert_eq!(partitions, [1, 3]);
    }
}

/// One of two partitions that are merged has a successor left over from a move of its own.
#[test]
fn a_left_over_successor_does_not_join_two_moves_into_one() {
    let halves = GroupRange::ALL.split(2);
    let half = |n: usize| noted("orders.fifo", 1, halves[n]);
    let whole = noted("orders.fifo", 1, GroupRange::ALL);
    let plan = of(vec![
        kept(1, 8, sealed(&[4]), &half(0)),
        kept(2, 4, Standing::Open, &half(1)),
        kept(3, 6, closed(&[2]), &half(1)),
        kept(4, 8, closed(&[1, 2]), &whole),
    ]);
    let [merge, left_over] = &only(&plan).moves[..] else {
        panic!("two moves: {:?}", only(&plan).moves);
    };
    assert_eq!(
        (merge.stage, merge.kind),
        (MoveStage::Sealing, MoveKind::Merge)
    );
    assert_eq!(
        (ids(&merge.seals), ids(&merge.opens)),
        (vec![1, 2], vec![4])
    );
    assert_eq!(ids(&left_over.clears), [3]);
    assert!(plan.fences.keys().eq([&PartitionId(2)]));
}

/// An heir of a forwarding that was given up was not deleted yet. The source was told of it and of the one that
/// it passes to in turns, without end.
#[test]
fn of_two_heirs_only_that_one_lives_to_which_the_messages_go() {
    let successors = vec![PartitionId(3)];
    let heir = || Standing::Heir {
        of: PartitionId(1),
        successors: successors.clone(),
    };
    let to = |heir: u64| Standing::Forwarding {
        successors: successors.clone(),
        heir: PartitionId(heir),
    };
    for (source, live, idle) in [(to(4), 4, 5), (to(5), 5, 4), (sealed(&[3]), 5, 4)] {
        let plan = of(vec![
            kept(1, 8, source, &orders()),
            kept(3, 6, Standing::Open, &orders()),
            kept(4, 7, heir(), &orders()),
            kept(5, 7, heir(), &orders()),
        ]);
        let change = only(&plan);
        let [moving] = &change.moves[..] else {
            panic!("one move: {:?}", change.moves);
        };
        assert_eq!(moving.stage, MoveStage::Draining);
        let [forward] = &moving.forwards[..] else {
            panic!("one goes on: {:?}", moving.forwards);
        };
        assert_eq!(forward.heir.partition, PartitionId(live));
        assert_eq!(
            (ids(&moving.seals), ids(&moving.clears)),
            (vec![1], vec![idle])
        );
        let partitions: Vec<u64> = stages(change).iter().map(|one| one.0).collect();
        assert_eq!(partitions, [1, 3, live]);
    }
}

#[test]
fn messages_that_go_to_an_heir_which_is_nowhere_are_said() {
    let forwarding = Standing::Forwarding {
        successors: vec![PartitionId(3)],
        heir: PartitionId(4),
    };
    let plan = of(vec![
        kept(1, 8, forwarding, &orders()),
        kept(3, 6, Standing::Open, &orders()),
    ]);
    let [finding] = &plan.findings.said[..] else {
        panic!("one finding: {:?}", plan.findings);
    };
    assert!(
        finding.contains("passes its messages on to p4"),
        "{finding}"
    );
}

/// The store takes no record of more than a megabyte, and panicked.
#[test]
fn a_queue_of_more_partitions_than_a_record_holds_is_left_alone() {
    let partitions = (1..=20_000).map(|id| kept(id, 4, Standing::Open, &orders()));
    let plan = of(partitions.collect());
    assert!(plan.changes.is_empty());
    let [finding] = &plan.findings.said[..] else {
        panic!("one finding: {:?}", plan.findings);
    };
    assert!(finding.contains("has 20000 partitions"), "{finding}");
}
