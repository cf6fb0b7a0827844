//! Histories in which messages go on from `QUEUE` to an heir: both are judged as one.

use shoal_types::{
    Command, Heir, HeldGroups, PartitionId, Receipt, ReceiptResult, Revision, Seal, Sequence, Ts,
};

use crate::checkers::Checker::{C1, C3, C4, C9, C10, C17};
use crate::checkers::tale::{QUEUE, Span, Tale};
use crate::history::Told;

const HEIR: PartitionId = PartitionId(3);

/// Message 1 is received in `QUEUE`, which goes on to its heir from 5 s on.
fn goes_on() -> Tale {
    let mut tale = Tale::new();
    tale.sent(10..20, "a", 1);
    tale.received(30..40, &[("a", 1, 1)]);
    let settings = tale.settings();
    let seal = Seal {
        partition: QUEUE,
        epoch: settings.epoch,
        successors: Vec::new(),
        keyed_sends: 0,
        held: HeldGroups::None,
        revision: Revision(3),
        sealed_at: Ts(0),
    };
    let create = Command::CreateHeir {
        partition: HEIR,
        settings,
        revision: Revision(4),
        source: QUEUE,
        seal: Box::new(seal),
    };
    let heir = Heir {
        partition: HEIR,
        cluster: shoal_types::ClusterId(1),
        members: Vec::new(),
    };
    let forward = Command::Forward {
        partition: QUEUE,
        heir,
        revision: Revision(5),
    };
    for (at, command) in [(4_900, create), (5_000, forward)] {
        tale.told(at..at + 10, command, shoal_types::Outcome::Done);
    }
    tale
}

fn from_heir(tale: &mut Tale, span: Span, word: &'static str, number: u64, lease: u16) {
    let mut delivery = Tale::delivery(word, number, lease);
    delivery.receipt = receipt(number, lease);
    let told = Tale::received_told(&[(word, delivery)]);
    tale.call(span, at_heir(Tale::receive(1)), Vec::new(), Some(told));
}

fn receipt(number: u64, lease: u16) -> Receipt {
    Receipt {
        partition: HEIR,
        sequence: Sequence(number),
        lease,
    }
}

fn at_heir(mut command: Command) -> Command {
    match &mut command {
        Command::Receive { partition, .. } | Command::DeletePartition { partition, .. } => {
            *partition = HEIR;
        }
        other => panic!("{other:?} is not asked of the heir"),
    }
    command
}

fn acknowledged_at_heir(tale: &mut Tale, span: Span, number: u64, lease: u16) {
    let command = Command::Acknowledge {
        partition: HEIR,
        receipts: vec![receipt(number, lease)],
    };
    let done = shoal_types::Outcome::Receipts(vec![ReceiptResult::Done]);
    tale.told(span, command, done);
}

fn deleted(tale: &mut Tale, span: Span, partition: PartitionId) {
    let command = Command::DeletePartition {
        partition,
        revision: Revision(6),
    };
    tale.told(span, command, shoal_types::Outcome::Done);
}

#[test]
fn what_an_heir_gives_is_the_same_message() {
    let mut tale = goes_on();
    from_heir(&mut tale, 6_000..6_010, "a", 1, 2);
    acknowledged_at_heir(&mut tale, 6_020..6_030, 1, 2);
    for checker in [C1, C3, C4, C9, C17] {
        tale.pleases(checker);
    }
    from_heir(&mut tale, 7_000..7_010, "a", 1, 3);
    tale.alarms(
        C3,
        &["message 1", "deleted by call 6", "delivered by call 7"],
    );
}

#[test]
fn leases_are_counted_on_at_the_heir() {
    let mut tale = goes_on();
    from_heir(&mut tale, 6_000..6_010, "a", 1, 1);
    tale.alarms(C4, &["lease 1 of message 1", "call 2", "call 5"]);
}

#[test]
fn a_source_that_is_deleted_takes_nothing_along() {
    let mut tale = goes_on();
    deleted(&mut tale, 6_000..6_010, QUEUE);
    tale.alarms(C1, &["message 1", "acknowledged by nobody"]);
    let mut tale = goes_on();
    deleted(&mut tale, 6_000..6_010, HEIR);
    tale.pleases(C1);
}

#[test]
fn where_the_message_was_its_receipt_has_expired_for_good() {
    let shown_at_source = |result| {
        let mut tale = goes_on();
        from_heir(&mut tale, 6_000..6_010, "a", 1, 2);
        acknowledged_at_heir(&mut tale, 6_020..6_030, 1, 2);
        tale.acknowledges(6_100..6_110, 1, 1, Some(result));
        tale
    };
    shown_at_source(ReceiptResult::Expired).pleases(C17);
    shown_at_source(ReceiptResult::Superseded).alarms(C17, &["message 1", "Superseded"]);
}

#[test]
fn where_a_message_is_that_may_go_on_is_not_known_until_it_was_given_there() {
    let mut tale = goes_on();
    tale.received(9_000..9_010, &[]);
    tale.pleases(C10);
    from_heir(&mut tale, 10_000..10_010, "a", 1, 2);
    let nothing = Told::Outcome(shoal_types::Outcome::Received(Vec::new()), Vec::new());
    let receive = at_heir(Tale::receive(1));
    tale.call(20_000..20_010, receive, Vec::new(), Some(nothing));
    tale.alarms(C10, &["call 7", "message 1"]);
}
