//! What a successor waits for, takes over, and holds back.

use shoal_types::{
    Command, Epoch, ErrorCode, HeldGroups, Inherited, KeyedSend, Outcome, PartitionId, Revision,
    Seal, SendResult, Sequence, SuccessionStage, Ts, group_hash,
};

use super::{
    NEXT, OTHER, closed, closed_knowing, create, create_fifo, desk, seal_for, successor, tell,
};
use crate::desk::{Desk, QUEUE, grouped, item, keyed, seconds};

fn gone(groups: &[&str]) -> Inherited {
    Inherited::GroupsGone(groups.iter().map(|group| group_hash(group)).collect())
}

fn accepted(epoch: u32, number: u64) -> Vec<SendResult> {
    vec![SendResult::Accepted(Sequence::new(Epoch(epoch), number))]
}

#[test]
fn a_successor_is_closed_until_it_was_shown_the_seal() {
    let mut desk = desk(false);
    assert_eq!(desk.request(create(NEXT, 1, &[QUEUE])), Outcome::Done);
    desk.restart();
    assert_eq!(desk.send_to(NEXT, vec![item(1)]), closed(&[QUEUE]));
    assert_eq!(desk.receive_from(NEXT), []);
    let stage = desk.succession(NEXT).stage;
    let waits_for = vec![QUEUE];
    assert_eq!(stage, SuccessionStage::Closed { waits_for });
    let seal = desk.seal(QUEUE, NEXT, 1);
    for _ in 0..2 {
        assert_eq!(desk.told(NEXT, &seal, Inherited::Seal), Outcome::Done);
    }
    assert_eq!(desk.sent_to(NEXT, vec![item(1)]), accepted(1, 1));
    desk.restart();
    assert_eq!(desk.sent_to(NEXT, vec![item(1)]), accepted(1, 2));
    assert_eq!(desk.succession(NEXT).stage, SuccessionStage::Open);
}

#[test]
fn a_successor_is_created_once_and_follows_the_same_for_ever() {
    let mut desk = desk(false);
    let create = |revision, succeeds: &[PartitionId]| {
        let mut command = create(NEXT, 1, succeeds);
        if let Command::CreateSuccessor { revision: r, .. } = &mut command {
            *r = Revision(revision);
        }
        command
    };
    let invalid = ErrorCode::InvalidRequest;
    let many: Vec<_> = (100..134).map(PartitionId).collect();
    for wrong in [&[][..], &[QUEUE, QUEUE], &[QUEUE, NEXT], &many] {
        assert_eq!(desk.refusal(create(10, wrong)), invalid, "{wrong:?}");
    }
    assert_eq!(desk.request(create(10, &[QUEUE, OTHER])), Outcome::Done);
    assert_eq!(desk.request(create(10, &[QUEUE, OTHER])), Outcome::Done);
    assert_eq!(
        desk.request(create(9, &[OTHER])),
        Outcome::Done,
        "an old one"
    );
    assert_eq!(desk.refusal(create(11, &[OTHER])), invalid);
    assert_eq!(desk.request(create(11, &[OTHER, QUEUE])), Outcome::Done);
    let ordinary = Command::CreateSuccessor {
        partition: QUEUE,
        settings: super::settings(0, false),
        revision: Revision(12),
        succeeds: vec![OTHER],
    };
    assert_eq!(desk.refusal(ordinary), invalid);
    let delete = Command::DeletePartition {
        partition: NEXT,
        revision: Revision(12),
    };
    desk.request(delete);
    assert_eq!(desk.refusal(create(13, &[QUEUE])), ErrorCode::Fenced);
}

#[test]
fn a_seal_that_does_not_concern_it_is_refused() {
    let mut desk = desk(false);
    desk.request(create(NEXT, 1, &[QUEUE]));
    let seal = desk.seal(QUEUE, NEXT, 1);
    let wrong = |change: fn(&mut Seal)| {
        let mut seal = seal.clone();
        change(&mut seal);
        seal
    };
    let refused = [
        wrong(|seal| seal.partition = OTHER),
        wrong(|seal| seal.successors[0].partition = OTHER),
        wrong(|seal| seal.successors[0].epoch = Epoch(2)),
        wrong(|seal| seal.successors.clear()),
        wrong(|seal| seal.successors[0].members[0].address = "there".to_owned()),
        wrong(|seal| seal.epoch = Epoch(1)),
        wrong(|seal| seal.keyed_sends = u32::MAX),
        wrong(|seal| seal.held = HeldGroups::These(vec![2, 1])),
        wrong(|seal| seal.held = HeldGroups::These((0..10_001).collect())),
    ];
    for seal in &refused {
        let refusal = desk.refusal(tell(NEXT, seal, Inherited::Seal));
        assert_eq!(refusal, ErrorCode::InvalidRequest, "{seal:?}");
    }
    let to_itself = tell(QUEUE, &seal, Inherited::Seal);
    assert_eq!(desk.refusal(to_itself), ErrorCode::InvalidRequest);
    assert_eq!(desk.send_to(NEXT, vec![item(1)]), closed(&[QUEUE]));
    desk.told(NEXT, &seal, Inherited::Seal);
    let changed = [
        wrong(|seal| seal.sealed_at = Ts(5)),
        wrong(|seal| seal.keyed_sends = 5),
    ];
    for seal in &changed {
        let refusal = desk.refusal(tell(NEXT, seal, Inherited::Seal));
        assert_eq!(refusal, ErrorCode::InvalidRequest, "not as before");
    }
    let refreshed = wrong(|seal| seal.revision = Revision(77));
    assert_eq!(desk.told(NEXT, &refreshed, Inherited::Seal), Outcome::Done);
}

/// A partition with three keyed sends, sealed, and its closed successor.
fn three_keyed_sends() -> (Desk, Seal, Vec<KeyedSend>) {
    let mut desk = desk(false);
    desk.send((1..=3).map(|key| keyed(item(1), key)).collect());
    desk.request(create(NEXT, 1, &[QUEUE]));
    let seal = desk.seal(QUEUE, NEXT, 1);
    let sends = desk.machine().keyed_sends_at_seal(QUEUE, 0, 9).unwrap();
    (desk, seal, sends)
}

fn block(first: u32, sends: &[KeyedSend]) -> Inherited {
    Inherited::KeyedSends {
        first,
        sends: sends.to_vec(),
    }
}

#[test]
fn a_successor_opens_when_it_was_told_of_every_keyed_send() {
    let (mut desk, seal, sends) = three_keyed_sends();
    let gap = tell(NEXT, &seal, block(1, &sends[1..]));
    let invalid = ErrorCode::InvalidRequest;
    assert_eq!(desk.refusal(gap), invalid, "a gap");
    let waits = closed(&[QUEUE]);
    assert_eq!(desk.told(NEXT, &seal, Inherited::Seal), waits);
    let waits_with_two = closed_knowing(2, &[QUEUE]);
    assert_eq!(
        desk.told(NEXT, &seal, block(0, &sends[..2])),
        waits_with_two
    );
    assert_eq!(desk.refusal(tell(NEXT, &seal, block(3, &[]))), invalid);
    let too_many = tell(NEXT, &seal, block(2, &sends[1..]));
    assert_eq!(desk.refusal(too_many), invalid);
    let mut later = sends.clone();
    later[2].sequence = Sequence::new(Epoch(1), 1);
    assert_eq!(desk.refusal(tell(NEXT, &seal, block(0, &later))), invalid);
    assert_eq!(
        desk.told(NEXT, &seal, block(0, &sends[..1])),
        waits_with_two,
        "again"
    );
    desk.restart();
    assert_eq!(desk.told(NEXT, &seal, Inherited::Seal), waits_with_two);
    assert_eq!(desk.send_to(NEXT, vec![item(1)]), waits);
    assert_eq!(desk.told(NEXT, &seal, block(1, &sends[1..])), Outcome::Done);
    assert_eq!(desk.told(NEXT, &seal, block(0, &sends)), Outcome::Done);
    assert_eq!(desk.sent_to(NEXT, vec![item(1)]), accepted(1, 1));
}

#[test]
fn inherited_keys_tell_repetitions_until_their_own_five_minutes_are_over() {
    let (mut desk, seal, mut sends) = three_keyed_sends();
    sends[1].fingerprint = Some(9);
    // By a clock that is ahead.
    sends[2].sent_at = desk.now().after(seconds(3_600));
    desk.wait(seconds(200));
    desk.told(NEXT, &seal, block(0, &sends));
    desk.restart();
    let mut changed = keyed(item(1), 2);
    changed.deduplication.as_mut().unwrap().fingerprint = Some(8);
    assert_eq!(
        desk.sent_to(NEXT, vec![keyed(item(1), 1), changed]),
        [SendResult::Duplicate(Sequence(1)), SendResult::Conflict]
    );
    desk.wait(seconds(99));
    let repeated = |n| vec![SendResult::Duplicate(Sequence(n))];
    assert_eq!(desk.sent_to(NEXT, vec![keyed(item(1), 1)]), repeated(1));
    desk.wait(seconds(1));
    assert_eq!(desk.sent_to(NEXT, vec![keyed(item(1), 1)]), accepted(1, 1));
    let own = vec![SendResult::Duplicate(Sequence::new(Epoch(1), 1))];
    assert_eq!(desk.sent_to(NEXT, vec![keyed(item(1), 1)]), own);
    desk.wait(seconds(199));
    assert_eq!(desk.sent_to(NEXT, vec![keyed(item(1), 3)]), repeated(3));
    desk.wait(seconds(1));
    assert_eq!(desk.sent_to(NEXT, vec![keyed(item(1), 3)]), accepted(1, 2));
}

#[test]
fn of_two_inherited_sends_with_one_key_the_later_counts() {
    for later_first in [false, true] {
        let mut desk = desk(false);
        desk.request(Command::CreatePartition {
            partition: OTHER,
            settings: super::settings(1, false),
            revision: Revision(2),
        });
        desk.send(vec![keyed(item(1), 7)]);
        desk.wait(seconds(100));
        desk.sent_to(OTHER, vec![keyed(item(1), 7)]);
        desk.request(create(NEXT, 2, &[QUEUE, OTHER]));
        let mut seals = [desk.seal(QUEUE, NEXT, 2), desk.seal(OTHER, NEXT, 2)];
        if later_first {
            seals.reverse();
        }
        for seal in &seals {
            desk.tell_keyed_sends(NEXT, seal, 10);
        }
        let later = vec![SendResult::Duplicate(Sequence::new(Epoch(1), 1))];
        assert_eq!(desk.sent_to(NEXT, vec![keyed(item(1), 7)]), later);
        desk.wait(seconds(299));
        assert_eq!(desk.sent_to(NEXT, vec![keyed(item(1), 7)]), later);
    }
}

/// A FIFO partition with messages of these groups, sealed, and its open successor with one of each.
fn held(groups: &[&str]) -> (Desk, Seal) {
    let mut desk = desk(true);
    desk.send_in_groups(groups);
    desk.request(create_fifo(NEXT, 1, &[QUEUE]));
    let seal = desk.seal(QUEUE, NEXT, 1);
    desk.told(NEXT, &seal, Inherited::Seal);
    let same = groups.iter().map(|group| grouped(item(1), group));
    desk.sent_to(NEXT, same.collect());
    (desk, seal)
}

#[test]
fn a_held_group_is_not_handed_out_and_holds_up_no_other() {
    let (mut desk, seal) = held(&["a", "b", "c"]);
    desk.sent_to(NEXT, vec![grouped(item(1), "new")]);
    desk.restart();
    assert_eq!(desk.groups_from(NEXT), ["new"]);
    desk.told(NEXT, &seal, gone(&["b", "unheard of"]));
    assert_eq!(desk.groups_from(NEXT), ["b"]);
    desk.told(NEXT, &seal, Inherited::Seal);
    desk.told(NEXT, &seal, gone(&["b"]));
    desk.restart();
    assert_eq!(desk.groups_from(NEXT), [""; 0], "b is in somebody's hands");
    desk.sent_to(NEXT, vec![grouped(item(1), "a")]);
    desk.told(NEXT, &seal, Inherited::Drained);
    assert_eq!(desk.groups_from(NEXT), ["a", "c", "a"]);
    desk.told(NEXT, &seal, Inherited::Seal);
    desk.sent_to(NEXT, vec![grouped(item(1), "d")]);
    assert_eq!(desk.groups_from(NEXT), ["d"], "nothing is held anew");
}

#[test]
fn who_waits_is_given_a_held_group_as_soon_as_it_is_free() {
    let (mut desk, seal) = held(&["a", "b"]);
    let waiter = desk.wait_at(NEXT, 20);
    assert_eq!(desk.given(), []);
    desk.told(NEXT, &seal, gone(&["b"]));
    assert_eq!(desk.given(), [(waiter, vec![2])]);
    let waiter = desk.wait_at(NEXT, 20);
    desk.told(NEXT, &seal, Inherited::Drained);
    assert_eq!(desk.given(), [(waiter, vec![1])]);
}

#[test]
fn when_all_groups_are_held_none_is_handed_out_until_the_end() {
    let mut desk = desk(true);
    desk.request(create_fifo(NEXT, 1, &[QUEUE]));
    let mut seal = desk.seal(QUEUE, NEXT, 1);
    seal.held = HeldGroups::All;
    desk.told(NEXT, &seal, Inherited::Seal);
    desk.sent_to(NEXT, vec![grouped(item(1), "a")]);
    desk.restart();
    desk.told(NEXT, &seal, gone(&["a"]));
    assert_eq!(desk.groups_from(NEXT), [""; 0]);
    desk.told(NEXT, &seal, Inherited::Drained);
    assert_eq!(desk.groups_from(NEXT), ["a"]);
}

#[test]
fn a_purge_leaves_groups_held() {
    let (mut desk, seal) = held(&["a", "b"]);
    desk.request(Command::Purge { partition: NEXT });
    desk.sent_to(NEXT, vec![grouped(item(1), "a")]);
    assert_eq!(desk.groups_from(NEXT), [""; 0]);
    desk.wait(seconds(1));
    desk.restart();
    desk.told(NEXT, &seal, gone(&["a", "b"]));
    assert_eq!(desk.groups_from(NEXT), ["a"]);
}

#[test]
fn a_merged_partition_waits_for_all_and_holds_for_each() {
    let mut desk = desk(true);
    desk.request(Command::CreatePartition {
        partition: OTHER,
        settings: super::settings(1, true),
        revision: Revision(2),
    });
    desk.send_in_groups(&["a"]);
    desk.sent_to(OTHER, vec![grouped(item(1), "a")]);
    desk.request(create_fifo(NEXT, 2, &[OTHER, QUEUE]));
    assert_eq!(
        desk.send_to(NEXT, vec![grouped(item(1), "b")]),
        closed(&[QUEUE, OTHER])
    );
    let seals = [desk.seal(QUEUE, NEXT, 2), desk.seal(OTHER, NEXT, 2)];
    assert_eq!(
        desk.told(NEXT, &seals[1], Inherited::Seal),
        closed(&[QUEUE])
    );
    assert_eq!(desk.told(NEXT, &seals[0], Inherited::Seal), Outcome::Done);
    desk.sent_to(NEXT, vec![grouped(item(1), "a")]);
    desk.told(NEXT, &seals[0], gone(&["a"]));
    desk.told(NEXT, &seals[0], Inherited::Drained);
    assert_eq!(
        desk.groups_from(NEXT),
        [""; 0],
        "the other one holds it yet"
    );
    desk.told(NEXT, &seals[1], gone(&["a"]));
    assert_eq!(desk.groups_from(NEXT), ["a"]);
}

#[test]
fn the_end_of_a_drained_partition_does_not_stand_for_its_keyed_sends() {
    let (mut desk, seal, _) = three_keyed_sends();
    let told = desk.told(NEXT, &seal, Inherited::Drained);
    assert_eq!(told, closed(&[QUEUE]));
}

#[test]
fn a_partition_hands_on_what_it_holds_for_what_it_follows_itself() {
    let (mut desk, first) = held(&["a", "b"]);
    desk.request(create_fifo(OTHER, 2, &[NEXT]));
    desk.request(Command::Purge { partition: NEXT });
    // Nothing of a and b is in the middle, but at the beginning.
    let second = desk.sealed(seal_for(NEXT, vec![successor(OTHER, 2)]));
    assert_eq!(second.held, first.held);
    desk.told(OTHER, &second, Inherited::Seal);
    desk.sent_to(OTHER, vec![grouped(item(1), "a")]);
    assert_eq!(desk.groups_from(OTHER), [""; 0]);
    assert_eq!(desk.machine().groups_gone(NEXT), Some(vec![]));
    assert!(!desk.machine().is_drained(NEXT));
    desk.told(NEXT, &first, gone(&["a"]));
    let a = vec![group_hash("a")];
    assert_eq!(desk.machine().groups_gone(NEXT), Some(a));
    desk.told(NEXT, &first, Inherited::Drained);
    assert!(desk.machine().is_drained(NEXT));
    desk.told(OTHER, &second, Inherited::Drained);
    assert_eq!(desk.groups_from(OTHER), ["a"]);
}
