//! Histories in which messages of `QUEUE` die after two receives and go to another queue.

use shoal_types::{
    ClusterId, Command, DeadFrom, DeadLetters, Delivery, GroupRange, MessageId, Outcome,
    PartitionId, QueueId, Receipt, ReceiptResult, Revision, Sequence, Target, TargetPart,
};

use super::Checker::C11;
use crate::checkers::tale::{QUEUE, Span, Tale};

const DEAD: PartitionId = PartitionId(5);

fn dies_after(receives: u16, revision: u64) -> Command {
    goes_to(DEAD, receives, revision)
}

fn goes_to(dead: PartitionId, receives: u16, revision: u64) -> Command {
    let to = Target {
        queue: QueueId(dead.0),
        parts: vec![TargetPart {
            partition: dead,
            cluster: ClusterId(1),
            members: Vec::new(),
            groups: GroupRange::ALL,
        }],
    };
    Command::SetDeadLetters {
        partition: QUEUE,
        dead_letters: Some(Box::new(DeadLetters {
            queue: QueueId(QUEUE.0),
            max_receives: receives,
            to,
        })),
        revision: Revision(revision),
    }
}

/// Both queues, and what was said.
fn dying(fifo: bool) -> Tale {
    let mut tale = if fifo { Tale::fifo() } else { Tale::new() };
    let settings = tale.settings();
    let create = Command::CreatePartition {
        partition: DEAD,
        settings,
        revision: Revision(2),
    };
    for (at, command) in [(1, create), (3, dies_after(2, 5))] {
        tale.told(at..at + 1, command, Outcome::Done);
    }
    tale
}

/// Message 1 was received twice in `QUEUE`.
fn received_twice() -> Tale {
    let mut tale = dying(false);
    tale.sent(10..20, "a", 1);
    tale.received(30..40, &[("a", 1, 1)]);
    tale.received(5_000..5_010, &[("a", 1, 2)]);
    tale
}

fn past(number: u64) -> DeadFrom {
    DeadFrom {
        queue: QueueId(QUEUE.0),
        message: MessageId {
            partition: QUEUE,
            sequence: Sequence(number),
        },
        receives: 2,
    }
}

fn receipt(number: u64, lease: u16) -> Receipt {
    Receipt {
        partition: DEAD,
        sequence: Sequence(number),
        lease,
    }
}

fn letter(word: &'static str, number: u64, lease: u16, past: DeadFrom) -> Delivery {
    let mut delivery = Tale::delivery(word, number, lease);
    delivery.receipt = receipt(number, lease);
    delivery.dead_from = Some(Box::new(past));
    delivery
}

fn gives(tale: &mut Tale, span: Span, word: &'static str, delivery: Delivery) {
    let mut command = Tale::receive(1);
    if let Command::Receive { partition, .. } = &mut command {
        *partition = DEAD;
    }
    let told = Tale::received_told(&[(word, delivery)]);
    tale.call(span, command, Vec::new(), Some(told));
}

fn deletes(tale: &mut Tale, span: Span, number: u64, lease: u16) {
    let command = Command::Acknowledge {
        partition: DEAD,
        receipts: vec![receipt(number, lease)],
    };
    tale.told(span, command, Outcome::Receipts(vec![ReceiptResult::Done]));
}

fn died_and_deleted() -> Tale {
    let mut tale = received_twice();
    gives(&mut tale, 10_000..10_010, "a", letter("a", 7, 1, past(1)));
    deletes(&mut tale, 10_020..10_030, 7, 1);
    tale
}

#[test]
fn a_message_that_died_and_was_deleted_in_the_other_queue_is_well() {
    died_and_deleted().pleases(C11);
}

#[test]
fn one_receive_too_many_is_an_alarm_and_one_that_may_be_before_the_setting_is_not() {
    let mut tale = received_twice();
    tale.received(10_000..10_010, &[("a", 1, 3)]);
    tale.acknowledged(10_020..10_030, 1, 3);
    tale.alarms(C11, &["message 1", "dies after 2", "3th time", "call 6"]);
    let mut tale = received_twice();
    tale.told(9_000..10_005, dies_after(4, 6), Outcome::Done);
    tale.received(10_000..10_010, &[("a", 1, 3)]);
    tale.acknowledged(10_020..10_030, 1, 3);
    tale.pleases(C11);
}

/// Found by seed 26 of dead letters alone: the judge held a message against the setting of the time when it went.
#[test]
fn what_died_before_its_queue_named_another_one_goes_there() {
    let mut tale = dying(false);
    tale.told(5..6, goes_to(PartitionId(6), 1, 6), Outcome::Done);
    tale.sent(10..20, "a", 1);
    tale.received(30..40, &[("a", 1, 1)]);
    tale.told(5_000..5_010, dies_after(2, 7), Outcome::Done);
    let past = DeadFrom {
        receives: 1,
        ..past(1)
    };
    gives(&mut tale, 10_000..10_010, "a", letter("a", 7, 1, past));
    deletes(&mut tale, 10_020..10_030, 7, 1);
    tale.pleases(C11);
}

#[test]
fn a_dead_letter_that_nobody_deletes_is_lost() {
    let mut tale = received_twice();
    tale.alarms(C11, &["message 1", "call 3", "neither there"]);
    gives(&mut tale, 10_000..10_010, "a", letter("a", 7, 1, past(1)));
    tale.alarms(C11, &["message 1", "neither there"]);
    tale.drained = false;
    tale.pleases(C11);
}

#[test]
fn two_of_one_dead_letter_are_an_alarm() {
    let mut tale = died_and_deleted();
    gives(&mut tale, 10_000..10_010, "a", letter("a", 8, 1, past(1)));
    tale.alarms(C11, &["number 7 of p5", "number 8 of p5"]);
}

#[test]
fn a_message_in_both_queues_is_an_alarm() {
    // It came to the other one, and was given in its own afterwards.
    let mut tale = received_twice();
    gives(&mut tale, 3_000..3_010, "a", letter("a", 7, 1, past(1)));
    deletes(&mut tale, 12_020..12_030, 7, 1);
    gives(&mut tale, 9_000..9_010, "a", letter("a", 7, 2, past(1)));
    tale.alarms(C11, &["number 1 of p1", "number 7 of p5"]);
    // It was deleted there, and given here.
    let mut tale = received_twice();
    tale.acknowledged(6_000..6_010, 1, 2);
    gives(&mut tale, 10_000..10_010, "a", letter("a", 7, 1, past(1)));
    tale.alarms(C11, &["number 1 of p1", "number 7 of p5"]);
}

#[test]
fn a_dead_letter_says_the_truth_about_itself() {
    let told = |change: fn(&mut DeadFrom)| {
        let mut tale = received_twice();
        let mut past = past(1);
        change(&mut past);
        gives(&mut tale, 10_000..10_010, "a", letter("a", 7, 1, past));
        deletes(&mut tale, 10_020..10_030, 7, 1);
        tale
    };
    told(|_| ()).pleases(C11);
    told(|past| past.queue = QueueId(0)).alarms(C11, &["message 7", "no dead of p0 go to p5"]);
    told(|past| past.receives = 1).alarms(C11, &["less than 2"]);
    told(|past| past.message.sequence = Sequence(2)).alarms(C11, &["accepted as 1 of p1"]);
    let mut seen_more = dying(false);
    seen_more.told(5..6, dies_after(1, 6), Outcome::Done);
    seen_more.told(7..8, dies_after(3, 7), Outcome::Done);
    seen_more.sent(10..20, "a", 1);
    seen_more.received(30..40, &[("a", 1, 3)]);
    gives(
        &mut seen_more,
        10_000..10_010,
        "a",
        letter("a", 7, 1, past(1)),
    );
    deletes(&mut seen_more, 10_020..10_030, 7, 1);
    seen_more.alarms(C11, &["received Some(3) times"]);
}

#[test]
fn the_dead_of_a_group_keep_their_order() {
    let in_order = |first: u64, second: u64| {
        let mut tale = dying(true);
        for (word, number, place) in [("a", 1, first), ("b", 2, second)] {
            tale.sent_in_group(10 * number..10 * number + 5, word, number);
            let mut letter = letter(word, place, 1, past(number));
            letter.group = Some("g".into());
            gives(&mut tale, 9_000 * number..9_000 * number + 10, word, letter);
            deletes(
                &mut tale,
                9_000 * number + 20..9_000 * number + 30,
                place,
                1,
            );
        }
        tale
    };
    in_order(7, 8).pleases(C11);
    in_order(8, 7).alarms(C11, &["group g", "from p1 to p5", "out of order"]);
}
