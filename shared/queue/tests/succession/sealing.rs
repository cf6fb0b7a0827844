//! What a sealed partition does, and what it refuses.

use shoal_types::limits::SEALED_WAIT_MAX;
use shoal_types::{
    ClusterId, Command, Deduplication, Epoch, ErrorCode, GroupRange, HeldGroups, Inherited,
    Outcome, PartitionSettings, Revision, SendItem, SendResult, Sequence, SuccessionStage, Ts,
    group_hash,
};

use super::{NEXT, OTHER, closed, create, create_fifo, desk, seal_for, settings, successor};
use crate::desk::{Desk, QUEUE, grouped, item, keyed, origin, seconds};

#[test]
fn a_sealed_partition_takes_no_sends_and_says_who_follows() {
    let mut desk = desk(false);
    desk.send(vec![item(1), keyed(item(2), 7)]);
    let seal = desk.seal(QUEUE, NEXT, 1);
    assert_eq!(
        (seal.partition, seal.epoch, seal.keyed_sends, &seal.held),
        (QUEUE, Epoch(0), 1, &HeldGroups::None)
    );
    assert_eq!((seal.revision, seal.sealed_at), (Revision(20), desk.now()));
    assert_eq!(seal.successors, [successor(NEXT, 1)]);
    for items in [vec![item(3)], vec![], vec![keyed(item(2), 7), item(4)]] {
        let shown = desk.send_to(QUEUE, items);
        assert_eq!(shown, Outcome::Sealed(Box::new(seal.clone())));
    }
    assert_eq!(desk.counts().last_sequence, Sequence(2), "nothing applied");
    desk.restart();
    let shown = desk.send_to(QUEUE, vec![item(3)]);
    assert_eq!(shown, Outcome::Sealed(Box::new(seal)));
}

#[test]
fn what_was_sent_before_the_seal_is_answered_as_ever() {
    let mut desk = desk(false);
    let first = |n| vec![SendResult::Accepted(Sequence(n))];
    assert_eq!(desk.send(vec![item(1)]), first(1));
    let request = desk.last_request();
    let other = SendItem {
        deduplication: Some(Deduplication {
            key: [8; 16],
            fingerprint: Some(1),
        }),
        ..item(5)
    };
    assert_eq!(desk.send(vec![keyed(item(2), 7)]), first(2));
    assert_eq!(desk.send(vec![other.clone()]), first(3));
    desk.seal(QUEUE, NEXT, 1);
    assert_eq!(desk.repeat(request, origin(2)), Outcome::Sent(first(1)));
    let changed = SendItem {
        deduplication: Some(Deduplication {
            key: [8; 16],
            fingerprint: Some(2),
        }),
        ..other
    };
    assert_eq!(
        desk.send(vec![keyed(item(2), 7), changed]),
        [SendResult::Duplicate(Sequence(2)), SendResult::Conflict]
    );
}

#[test]
fn what_is_left_in_a_sealed_partition_is_received_as_ever() {
    let mut desk = desk(false);
    desk.send(vec![item(1), item(2), item(3), item(4)]);
    desk.seal(QUEUE, NEXT, 1);
    let first = desk.receive(1);
    desk.change_visibility(&first, seconds(60));
    desk.release(&first, 0);
    let first = desk.receive(1);
    desk.unreceive(&first);
    assert_eq!(desk.numbers(2), [1, 2]);
    desk.wait(seconds(31));
    let again = desk.receive(2);
    desk.acknowledge(&again);
    assert_eq!(desk.counts().ready, 2);
    desk.request(Command::ConfigurePartition {
        partition: QUEUE,
        settings: PartitionSettings {
            retention: seconds(60),
            ..settings(0, false)
        },
        revision: Revision(21),
    });
    desk.purge();
    assert_eq!(desk.totals(), (0, 0));
    assert!(desk.machine().is_drained(QUEUE));
}

#[test]
fn a_full_partition_that_is_sealed_sends_on_instead_of_refusing() {
    let full = PartitionSettings {
        max_messages: 1,
        ..settings(0, false)
    };
    let mut desk = Desk::with(full);
    let to = shoal_queue::MACHINE_VERSION_MAX;
    desk.anonymous(Command::RaiseVersion { to });
    desk.send(vec![item(1)]);
    let send = Command::Send {
        partition: QUEUE,
        items: vec![item(1)],
    };
    assert_eq!(desk.admit(send.clone(), 5), Err(ErrorCode::QueueFull));
    desk.seal(QUEUE, NEXT, 1);
    assert_eq!(desk.admit(send.clone(), 5), Ok(()));
    assert!(matches!(desk.request(send), Outcome::Sealed(_)));
}

#[test]
fn sealing_again_changes_addresses_and_nothing_else() {
    let mut desk = desk(false);
    desk.send(vec![keyed(item(1), 7)]);
    let seal = desk.seal(QUEUE, NEXT, 1);
    desk.wait(seconds(400));
    assert_eq!(desk.seal(QUEUE, NEXT, 1), seal, "the same once more");
    let mut moved = successor(NEXT, 1);
    moved.members[0].address = "elsewhere:1".to_owned();
    let again = |revision, successors| Command::Seal {
        partition: QUEUE,
        successors,
        revision: Revision(revision),
    };
    assert_eq!(
        desk.refusal(again(19, vec![moved.clone()])),
        ErrorCode::Fenced
    );
    let refreshed = desk.sealed(again(25, vec![moved.clone()]));
    assert_eq!(refreshed.successors[0].members, moved.members);
    assert_eq!(
        (
            refreshed.revision,
            refreshed.sealed_at,
            refreshed.keyed_sends
        ),
        (Revision(25), seal.sealed_at, 1)
    );
    let mut others = vec![vec![moved.clone(), successor(OTHER, 1)]];
    others.extend(
        [
            |one: &mut shoal_types::Successor| one.partition = OTHER,
            |one: &mut shoal_types::Successor| one.epoch = Epoch(2),
            |one: &mut shoal_types::Successor| one.cluster = ClusterId(7),
            |one: &mut shoal_types::Successor| one.groups = GroupRange { first: 0, last: 1 },
        ]
        .map(|change| {
            let mut one = moved.clone();
            change(&mut one);
            vec![one]
        }),
    );
    for successors in others {
        assert_eq!(desk.refusal(again(30, successors)), ErrorCode::Fenced);
    }
    let configure = Command::ConfigurePartition {
        partition: QUEUE,
        settings: settings(0, false),
        revision: Revision(24),
    };
    assert_eq!(desk.refusal(configure), ErrorCode::Fenced, "a seal fences");
}

#[test]
fn seals_that_make_no_sense_are_refused() {
    let mut desk = desk(false);
    let many = (0..34).map(|n| successor(shoal_types::PartitionId(50 + n), 1));
    let wrong = |change: fn(&mut shoal_types::Successor)| {
        let mut one = successor(NEXT, 1);
        change(&mut one);
        vec![one]
    };
    let refused = [
        vec![],
        many.collect(),
        vec![successor(NEXT, 1), successor(NEXT, 2)],
        wrong(|one| one.epoch = Epoch(0)),
        wrong(|one| one.partition = QUEUE),
        wrong(|one| one.members.clear()),
        wrong(|one| one.groups = GroupRange { first: 2, last: 1 }),
    ];
    for successors in refused {
        let seal = seal_for(QUEUE, successors);
        let what = format!("{seal:?}");
        assert_eq!(desk.refusal(seal), ErrorCode::InvalidRequest, "{what}");
    }
    let early = Command::Seal {
        partition: QUEUE,
        successors: vec![successor(NEXT, 1)],
        revision: Revision(0),
    };
    assert_eq!(desk.refusal(early), ErrorCode::Fenced);
    let nowhere = seal_for(OTHER, vec![successor(NEXT, 1)]);
    assert_eq!(desk.refusal(nowhere), ErrorCode::StaleRoute);
    assert_eq!(desk.succession(QUEUE).stage, SuccessionStage::Open);
}

#[test]
fn only_an_open_partition_is_sealed() {
    let mut desk = desk(false);
    desk.request(create(NEXT, 1, &[QUEUE]));
    let on = seal_for(NEXT, vec![successor(OTHER, 2)]);
    assert_eq!(desk.refusal(on.clone()), ErrorCode::NotReady);
    let seal = desk.seal(QUEUE, NEXT, 1);
    desk.told(NEXT, &seal, Inherited::Seal);
    assert!(matches!(desk.request(on), Outcome::Sealed(_)));
}

#[test]
fn a_seal_names_the_groups_with_messages_and_later_those_that_are_gone() {
    let mut desk = desk(true);
    desk.send_in_groups(&["a", "b", "b", "c"]);
    let taken = desk.receive(1);
    desk.acknowledge(&taken);
    let seal = desk.seal(QUEUE, NEXT, 1);
    let mut left = ["b", "c"].map(group_hash);
    left.sort_unstable();
    assert_eq!(seal.held, HeldGroups::These(left.to_vec()));
    assert_eq!(desk.machine().groups_gone(QUEUE), Some(vec![]));
    let taken = desk.receive(3);
    desk.acknowledge(&taken[..1]);
    desk.acknowledge(&taken[2..]);
    let gone = Some(vec![group_hash("c")]);
    assert_eq!(desk.machine().groups_gone(QUEUE), gone);
    assert!(!desk.machine().is_drained(QUEUE));
    desk.acknowledge(&taken[1..2]);
    assert_eq!(desk.machine().groups_gone(QUEUE), Some(left.to_vec()));
    assert!(desk.machine().is_drained(QUEUE));
    desk.restart();
    assert_eq!(desk.machine().groups_gone(QUEUE), Some(left.to_vec()));
    assert_eq!(desk.machine().sealed().collect::<Vec<_>>(), [QUEUE]);
}

#[test]
fn of_more_groups_than_a_seal_names_all_are_held() {
    let mut desk = desk(true);
    let named = |n: u32| grouped(item(1), &format!("group-{n}"));
    for thousand in 0..10 {
        let numbers = thousand * 1_000..(thousand + 1) * 1_000;
        desk.send(numbers.map(named).collect());
    }
    let count = |held: &HeldGroups| match held {
        HeldGroups::These(groups) => groups.len(),
        other => panic!("{other:?}"),
    };
    let mut all = self::desk(true);
    assert_eq!(
        all.seal(QUEUE, NEXT, 1).held,
        HeldGroups::None,
        "it is empty"
    );
    desk.checkpoint();
    let mut one_more = Desk::fifo();
    one_more.anonymous(Command::RaiseVersion {
        to: shoal_queue::MACHINE_VERSION_MAX,
    });
    for thousand in 0..11 {
        let numbers = thousand * 1_000..(thousand + 1) * 1_000;
        one_more.send(numbers.map(named).collect());
    }
    let seal = desk.seal(QUEUE, NEXT, 1);
    assert_eq!(count(&seal.held), 10_000);
    assert_eq!(one_more.seal(QUEUE, NEXT, 1).held, HeldGroups::All);
    assert_eq!(one_more.machine().groups_gone(QUEUE), Some(vec![]));
}

#[test]
fn keyed_sends_keep_their_places_while_their_time_ends() {
    let mut desk = desk(false);
    for key in 0..4 {
        desk.send(vec![keyed(item(1), key)]);
        desk.wait(seconds(90));
    }
    // The first one's five minutes are over: it is not counted any more.
    let seal = desk.seal(QUEUE, NEXT, 1);
    assert_eq!(seal.keyed_sends, 3);
    let sequences = |desk: &Desk, first, max| -> Vec<u64> {
        let sends = desk.machine().keyed_sends_at_seal(QUEUE, first, max);
        let sends = sends.unwrap().into_iter();
        sends.map(|send| send.sequence.0).collect()
    };
    assert_eq!(sequences(&desk, 0, 9), [2, 3, 4]);
    assert_eq!(sequences(&desk, 1, 1), [3]);
    assert_eq!(sequences(&desk, 3, 9), [0u64; 0]);
    desk.wait(seconds(50));
    assert_eq!(sequences(&desk, 0, 9), [0, 3, 4], "a place stays a place");
    desk.wait(seconds(1_000));
    desk.restart();
    assert_eq!(sequences(&desk, 0, 9), [0, 0, 0]);
    let over = desk.machine().keyed_sends_at_seal(QUEUE, 0, 1).unwrap();
    assert_eq!(over[0].sent_at, Ts::ZERO);
    assert_eq!(desk.machine().keyed_sends_at_seal(NEXT, 0, 1), None);
}

#[test]
fn that_successors_know_of_the_end_is_noted_once_it_is_true() {
    let mut desk = desk(true);
    desk.request(create_fifo(NEXT, 1, &[QUEUE]));
    desk.send_in_groups(&["a"]);
    let told = |successors: &[_]| Command::ToldDrained {
        partition: QUEUE,
        successors: successors.to_vec(),
    };
    let invalid = ErrorCode::InvalidRequest;
    assert_eq!(desk.refusal(told(&[NEXT])), invalid, "it is not sealed");
    desk.sealed(seal_for(
        QUEUE,
        vec![successor(NEXT, 1), successor(OTHER, 1)],
    ));
    assert_eq!(desk.refusal(told(&[NEXT])), invalid, "a message is left");
    let taken = desk.receive(1);
    desk.acknowledge(&taken);
    assert_eq!(desk.refusal(told(&[QUEUE])), invalid, "no successor");
    assert_eq!(desk.refusal(told(&[])), invalid);
    let names = |desk: &Desk| match desk.succession(QUEUE).stage {
        SuccessionStage::Sealed { told_drained, .. } => told_drained,
        other => panic!("{other:?}"),
    };
    assert_eq!(desk.request(told(&[OTHER])), Outcome::Done);
    assert_eq!(names(&desk), [OTHER]);
    desk.request(told(&[OTHER]));
    desk.request(told(&[NEXT]));
    desk.restart();
    assert_eq!(names(&desk), [NEXT, OTHER]);
    assert_eq!(desk.succession(QUEUE).messages, 0);
    let delete = Command::DeletePartition {
        partition: QUEUE,
        revision: Revision(21),
    };
    assert_eq!(desk.request(delete), Outcome::Done);
    desk.restart();
    assert_eq!(desk.machine().succession(QUEUE), None);
    assert_eq!(
        desk.send_to(NEXT, vec![grouped(item(1), "a")]),
        closed(&[QUEUE])
    );
}

/// A wait that its frontend gave up instead could be given a message at the same moment, which then was
/// leased to nobody.
#[test]
fn a_seal_ends_the_waits_at_its_partition_and_later_ones_are_short() {
    let mut desk = desk(false);
    let early = [desk.wait_at(QUEUE, 20), desk.wait_at(QUEUE, 10)];
    desk.seal(QUEUE, NEXT, 1);
    let mut given = desk.given();
    given.sort_unstable();
    assert_eq!(given, [(early[0], vec![]), (early[1], vec![])]);

    let late = desk.wait_at(QUEUE, 20);
    assert_eq!(desk.given(), []);
    desk.wait(SEALED_WAIT_MAX);
    desk.anonymous(Command::Tick);
    assert_eq!(desk.given(), [(late, vec![])]);
}
