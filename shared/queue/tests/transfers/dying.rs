//! When messages die, and what is seen of them then.

use shoal_types::limits::DUE_ITEMS_PER_ENTRY;
use shoal_types::{
    Command, DeadFrom, ErrorCode, MessageId, Outcome, ReceiptResult, Revision, SendItem, Sequence,
};

use super::{Both, DEAD, ORDERS, dies_after, never_dies};
use crate::desk::{Desk, QUEUE, grouped, item, numbers_of, seconds};

#[test]
fn a_message_dies_after_exactly_as_many_receives_as_its_queue_says_and_stands_in_the_other_once() {
    let mut both = Both::dying_after(3, false);
    both.source.send(vec![item(7), item(8)]);
    let kept = both.source.receive(2).remove(1);
    both.source.acknowledge(&[kept]);
    both.wait(30);
    assert_eq!(both.source.fail(10), [1], "the second time");
    assert_eq!(both.source.outbox().dead, 0);
    assert_eq!(both.source.fail(10), [1], "the third time");
    assert_eq!(both.source.outbox().dead, 1);
    assert_eq!(both.source.numbers(10), [0; 0], "and no fourth");
    assert_eq!(both.source.counts().ready, 0);
    both.restart();
    both.carry_all();
    let dead = both.dead();
    assert_eq!(dead.len(), 1);
    let sequence = Sequence(1);
    assert_eq!((dead[0].sequence, dead[0].receive_count), (sequence, 1));
    assert_eq!((dead[0].size, dead[0].crc), (7, 7));
    let died = DeadFrom {
        queue: ORDERS,
        message: MessageId {
            partition: QUEUE,
            sequence,
        },
        receives: 3,
    };
    assert_eq!(dead[0].dead_from.as_deref(), Some(&died));
    assert_eq!(both.source.outbox().delivered, 1);
    assert_eq!(both.source.totals(), (0, 0));
    assert_eq!(both.source.live_bodies(), 0, "its body is not needed");
    both.restart();
    assert_eq!(both.dead()[0].dead_from, dead[0].dead_from, "it stays");
}

#[test]
fn whichever_way_a_lease_ends_it_counts_but_not_if_nobody_saw_the_message() {
    let mut both = Both::dying_after(1, false);
    let desk = &mut both.source;
    desk.send(vec![item(1), item(2), item(3), item(4)]);
    let received = desk.receive(4);
    desk.unreceive(&received[3..]);
    assert_eq!(desk.outbox().dead, 0, "it was not received");
    desk.release(&received[..1], seconds(60));
    assert_eq!(desk.outbox().dead, 1, "there is no delay for the dead");
    desk.change_visibility(&received[1..2], 0);
    assert_eq!(desk.outbox().dead, 2);
    desk.wait(seconds(30));
    assert_eq!(desk.outbox().dead, 3);
    assert_eq!(desk.numbers(10), [4]);
    desk.wait(seconds(30));
    both.carry_all();
    let sizes: Vec<u32> = both.dead().iter().map(|dead| dead.size).collect();
    assert_eq!(sizes, [1, 2, 3, 4], "in the order of their deaths");
}

#[test]
fn who_holds_a_receipt_of_a_dead_message_has_no_say_in_it_any_more() {
    // An acknowledge that came after the message had gone was answered as done, and the message stayed in
    // the dead-letter queue.
    let mut both = Both::dying_after(1, false);
    both.source.send(vec![item(1), item(2)]);
    let received = both.source.receive(1);
    both.source.wait(seconds(30));
    let expired = [ReceiptResult::Expired];
    assert_eq!(both.source.acknowledge(&received), expired, "it is dead");
    let again = both.source.change_visibility(&received, seconds(5));
    assert_eq!(again, expired);
    both.carry_all();
    assert_eq!(both.source.acknowledge(&received), expired, "it is gone");
    both.restart();
    assert_eq!(both.source.acknowledge(&received), expired);
    let second = both.source.receive(1);
    let done = [ReceiptResult::Done];
    assert_eq!(both.source.acknowledge(&second), done, "this one lives");
    assert_eq!(both.source.acknowledge(&second), done);
}

#[test]
fn the_group_of_a_dead_message_goes_on_and_its_dead_keep_their_order() {
    let mut both = Both::dying_after(1, true);
    both.source.send_in_groups(&["a", "a", "b", "a"]);
    assert_eq!(both.source.fail(1), [1]);
    assert_eq!(both.source.numbers(10), [2, 3, 4], "nobody waits for it");
    both.restart();
    both.source.wait(seconds(30));
    assert_eq!(both.source.outbox().dead, 4);
    both.carry_all();
    let dead = both.dead();
    let of_a = dead.iter().filter(|one| one.group.as_deref() == Some("a"));
    let of_a: Vec<u64> = of_a
        .map(|one| one.dead_from.as_ref().unwrap().message.sequence.number())
        .collect();
    assert_eq!(of_a, [1, 2, 4]);
    assert_eq!(both.source.totals(), (0, 0));
}

#[test]
fn what_is_sent_to_a_group_of_which_all_are_dead_is_given_out() {
    // It was taken for one that waits behind others, and its group gave nothing until the dead had gone.
    let mut both = Both::dying_after(1, true);
    both.source.send_in_groups(&["a"]);
    assert_eq!(both.source.fail(1), [1]);
    both.source.send_in_groups(&["a", "a"]);
    assert_eq!(both.source.outbox().dead, 1, "nobody took it yet");
    assert_eq!(both.source.numbers(10), [2, 3]);
}

#[test]
fn what_is_on_its_way_died_in_its_queue_also_if_the_setting_is_taken_back() {
    // It showed queue 0 then. Whoever brought the parcel later brought something else.
    let mut both = Both::dying_after(1, false);
    both.source.send(vec![item(1)]);
    both.source.fail(1);
    both.source.next_parcel(0);
    let before = both.source.parcel();
    assert_eq!(both.source.request(never_dies(6)), Outcome::Done);
    assert_eq!(both.source.parcel(), before);
    both.source.restart();
    assert_eq!(both.source.parcel(), before);
    both.carry_all();
    let queue = both.dead()[0].dead_from.as_ref().map(|died| died.queue);
    assert_eq!(queue, Some(ORDERS));
}

#[test]
fn a_later_message_of_a_group_does_not_die_before_the_earlier() {
    // Both are received at once, and the later is given back first.
    let mut both = Both::dying_after(1, true);
    let desk = &mut both.source;
    desk.send_in_groups(&["a", "a", "a"]);
    let received = desk.receive(2);
    desk.release(&received[1..], 0);
    assert_eq!(desk.outbox().dead, 0, "the first may live yet");
    desk.restart();
    desk.release(&received[..1], 0);
    desk.wait(1);
    assert_eq!(desk.outbox().dead, 2, "first the one, at once the other");
    assert_eq!(desk.numbers(10), [3]);
    desk.wait(seconds(30));
    both.carry_all();
    assert_eq!(numbers_of(&both.dead()), [1, 2, 3]);
    let sequences: Vec<_> = both
        .dead()
        .iter()
        .map(|one| one.dead_from.as_ref().unwrap().message.sequence.number())
        .collect();
    assert_eq!(sequences, [1, 2, 3]);
}

#[test]
fn a_message_that_is_to_die_is_not_given_along_with_an_earlier_one_of_its_group() {
    let mut both = Both::dying_after(2, true);
    let desk = &mut both.source;
    desk.send_in_groups(&["a", "a", "a"]);
    let first = desk.receive(2);
    desk.unreceive(&first[..1]);
    desk.release(&first[1..], 0);
    let second = desk.receive(2);
    desk.unreceive(&second[..1]);
    desk.release(&second[1..], 0);
    // 1 was received by nobody, 2 twice.
    let third = desk.receive(3);
    assert_eq!(
        numbers_of(&third),
        [1],
        "2 is not received a third time, nor 3 before it"
    );
    desk.acknowledge(&third);
    assert_eq!(desk.numbers(3), [3]);
    assert_eq!(desk.outbox().dead, 1);
}

#[test]
fn what_was_received_too_often_before_there_was_a_setting_dies_instead_of_being_given_out() {
    let mut desk = super::desk(false);
    for _ in 0..2 {
        desk.send(vec![item(1); 1_000]);
    }
    for _ in 0..2 {
        desk.receive(1_000);
        desk.receive(500);
        desk.wait(seconds(30));
        desk.wait(1);
    }
    assert_eq!(desk.request(dies_after(2, 9)), Outcome::Done);
    let before = desk.outbox().dead;
    desk.wait(1);
    let died = desk.outbox().dead - before;
    assert!(died <= DUE_ITEMS_PER_ENTRY as u64, "{died} in one entry");
    desk.wait(1);
    assert_eq!(desk.outbox().dead, 1_500);
    assert_eq!(desk.numbers(1), [1_501]);
}

#[test]
fn a_setting_that_is_taken_back_brings_the_dead_to_life_but_for_what_is_on_its_way() {
    for fifo in [false, true] {
        let mut both = Both::dying_after(1, fifo);
        both.source.send_in_groups(&["a", "a", "b", "a"]);
        while !both.source.fail(1).is_empty() {}
        let dead = both.source.outbox().dead;
        assert_eq!(dead, 4);
        both.source.next_parcel(0);
        let (_, parcel) = both.source.parcel().expect("all of them");
        assert_eq!(parcel.messages.len(), 4);
        assert_eq!(both.source.request(never_dies(4)), fenced());
        assert_eq!(both.source.request(never_dies(6)), Outcome::Done);
        both.source.wait(1);
        assert_eq!(both.source.outbox().dead, 4, "they may have arrived");
        // They had not: who was to take them was deleted.
        both.source.request(Command::ReturnParcel {
            partition: QUEUE,
            parcel: parcel.number,
        });
        both.restart();
        both.source.wait(1);
        assert_eq!(both.source.outbox().dead, 0);
        assert_eq!(both.given(fifo), [1, 2, 3, 4]);
        assert!(!both.source.outbox().target_gone);
    }
}

fn fenced() -> Outcome {
    Outcome::Refused(shoal_types::Refusal::not_applied(
        ErrorCode::Fenced,
        "a later instruction was carried out already",
    ))
}

#[test]
fn if_the_dead_letter_queue_is_gone_messages_live_until_another_one_is_named() {
    let mut both = Both::dying_after(1, true);
    both.source.send_in_groups(&["a", "a", "b"]);
    while !both.source.fail(1).is_empty() {}
    both.source.next_parcel(0);
    let (_, parcel) = both.source.parcel().unwrap();
    let gone = Command::ReturnParcel {
        partition: QUEUE,
        parcel: parcel.number,
    };
    assert_eq!(both.source.request(gone.clone()), Outcome::Done);
    assert_eq!(both.source.request(gone), Outcome::Done, "again");
    both.source.wait(1);
    let outbox = both.source.outbox();
    assert!(outbox.target_gone && outbox.dead == 0 && outbox.parcel.is_none());
    assert_eq!(both.source.fail(10), [1, 2, 3]);
    assert_eq!(both.source.fail(10), [1, 2, 3], "as often as may be");
    assert_eq!(
        both.source.machine().senders().count(),
        0,
        "nothing is tried"
    );
    assert_eq!(both.source.request(dies_after(1, 7)), Outcome::Done);
    both.source.wait(1);
    both.carry_all();
    assert_eq!(both.dead().len(), 3);
}

#[test]
fn the_dead_are_kept_no_longer_than_the_living_and_a_purge_reaches_them() {
    let mut both = Both::dying_after(1, false);
    let short = SendItem {
        ttl: Some(seconds(100)),
        ..item(1)
    };
    both.source.send(vec![short, item(2), item(3)]);
    both.source.fail(3);
    assert_eq!(both.source.outbox().dead, 3);
    both.source.next_parcel(0);
    both.source.wait(seconds(100));
    assert_eq!(both.source.outbox().dead, 2);
    assert_eq!(both.source.parcel().unwrap().1.messages.len(), 2);
    both.source.purge();
    both.source.restart();
    assert_eq!(both.source.outbox().dead, 0);
    let (_, empty) = both.source.parcel().expect("it is still to be heard of");
    assert_eq!(empty.messages, []);
    both.carry_all();
    assert_eq!(both.dead(), []);
    assert_eq!(both.source.live_bodies(), 0);
}

#[test]
fn dead_letters_of_a_standard_queue_keep_their_age_and_those_of_a_fifo_queue_are_sent_anew() {
    for fifo in [false, true] {
        let mut both = Both::dying_after(1, fifo);
        let sent_at = both.source.now();
        both.source.send(vec![grouped(item(1), "a")]);
        both.wait(40_000);
        both.target.sent_to(DEAD, vec![grouped(item(5), "other")]);
        both.source.fail(1);
        both.target.wait(seconds(30));
        both.carry_all();
        let dead = both.dead();
        let arrived = both.target.now();
        let expected = if fifo { arrived } else { sent_at };
        assert_eq!(dead[1].sent_at, expected);
        let oldest = both.target.machine().counts(DEAD).unwrap();
        assert_eq!(oldest.oldest_sent_at, Some(dead[0].sent_at.min(expected)));
        both.target.restart();
        // A day after it was sent, though one with a smaller number is younger.
        both.wait(86_400 - 40_030);
        let left = if fifo { 2 } else { 1 };
        assert_eq!(both.target.totals().0, left);
    }
}

#[test]
fn dead_letters_are_set_by_the_manager_alone_and_the_latest_word_counts() {
    let mut desk = super::desk(false);
    assert_eq!(desk.request(dies_after(3, 9)), Outcome::Done);
    assert_eq!(desk.refusal(dies_after(4, 8)), ErrorCode::Fenced);
    assert_eq!(desk.request(dies_after(4, 9)), Outcome::Done, "as before");
    let max = |desk: &Desk| desk.outbox().dead_letters.map(|known| known.max_receives);
    assert_eq!(max(&desk), Some(3));
    let delete = Command::DeletePartition {
        partition: QUEUE,
        revision: Revision(8),
    };
    assert_eq!(desk.refusal(delete), ErrorCode::Fenced);
    assert_eq!(desk.machine().instructed(), Revision(9));
    // The partition's own settings are fenced apart from these.
    let configure = Command::ConfigurePartition {
        partition: QUEUE,
        settings: crate::desk::plain_settings(),
        revision: Revision(2),
    };
    assert_eq!(desk.request(configure), Outcome::Done);
    let mut old = Desk::new();
    assert_eq!(old.refusal(dies_after(3, 9)), ErrorCode::NotReady);
    assert_eq!(old.admit(dies_after(3, 9), 5), Err(ErrorCode::NotReady));
}
