//! A ledger whose entries are tampered with.

use shoal_types::Epoch;

use super::*;

const LEASE: Duration = Duration::from_secs(30);
const BYTES: usize = 64;

/// A ledger of one queue and the answers of an honest service, to be tampered with.
struct Desk(Ledger);

impl Desk {
    fn new() -> Self {
        Self(Ledger::new(7, 1, LEASE, 0))
    }

    /// Of a FIFO queue with so many groups.
    fn with_groups(groups: usize) -> Self {
        Self(Ledger::new(7, 1, LEASE, groups))
    }

    fn send(&self, numbers: &[u64]) -> Sending {
        let sending = self.0.begin_send(0, numbers.len() as u32, 0);
        self.answer(sending, numbers);
        sending
    }

    fn answer(&self, sending: Sending, numbers: &[u64]) {
        let answers = numbers.iter().map(|n| SendAnswer::Accepted(*n)).collect();
        self.0.end_send(sending, &Ok(answers));
    }

    fn message(&self, index: u32, sequence: u64) -> Received {
        Received {
            sequence,
            receipt: String::new(),
            body: body::write(self.0.name(0, index), BYTES),
        }
    }

    fn deliver(&self, index: u32, sequence: u64, began: Micros, ended: Micros) {
        let receive = self.0.begin_receive(began);
        self.0
            .delivered(0, &self.message(index, sequence), receive, ended);
    }

    fn delete(&self, index: u32, at: Micros) {
        assert_eq!(self.0.end_delete(0, &[index], &Ok(vec![true]), at), 1);
    }

    /// Received and deleted as it should be.
    fn consume(&self, index: u32, sequence: u64) {
        self.deliver(index, sequence, 10, 20);
        self.delete(index, 30);
    }

    fn broken(&self) -> Vec<Kind> {
        self.0.verdict(true).violations.kinds().collect()
    }
}

fn failure(applied: Applied) -> Failure {
    Failure {
        code: "busy".to_owned(),
        detail: String::new(),
        applied,
    }
}

#[test]
fn an_honest_run_is_found_honest() {
    let desk = Desk::new();
    desk.send(&[1, 2]);
    desk.send(&[3]);
    for index in 0..3 {
        desk.consume(index, u64::from(index) + 1);
    }
    let verdict = desk.0.verdict(true);
    assert!(verdict.ok, "{}", verdict.violations);
    assert_eq!(
        (verdict.accepted, verdict.received, verdict.deleted),
        (3, 3, 3)
    );
    assert_eq!((verdict.open, verdict.redelivered), (0, 0));
}

#[test]
fn a_lost_message_is_found() {
    let desk = Desk::new();
    desk.send(&[1, 2]);
    desk.consume(0, 1);
    assert_eq!(desk.broken(), [Kind::Lost]);
}

#[test]
fn a_message_that_vanished_after_its_receive_is_found() {
    let desk = Desk::new();
    desk.send(&[1]);
    desk.deliver(0, 1, 10, 20);
    assert_eq!(desk.broken(), [Kind::Vanished]);
}

#[test]
fn a_delete_of_unknown_outcome_explains_why_a_message_is_gone() {
    let desk = Desk::new();
    desk.send(&[1]);
    desk.deliver(0, 1, 10, 20);
    desk.0
        .end_delete(0, &[0], &Err(failure(Applied::Unknown)), 30);
    assert_eq!(desk.broken(), []);
}

#[test]
fn a_message_delivered_after_its_delete_is_found() {
    let desk = Desk::new();
    desk.send(&[1]);
    desk.consume(0, 1);
    let later = micros(LEASE) + 100;
    desk.deliver(0, 1, 29, later);
    assert_eq!(
        desk.broken(),
        [],
        "that receive began before the delete was answered"
    );
    desk.deliver(0, 1, 31, 2 * later);
    assert_eq!(desk.broken(), [Kind::Returned]);
}

#[test]
fn a_message_in_two_hands_is_found() {
    let desk = Desk::new();
    desk.send(&[1]);
    desk.deliver(0, 1, 10, 20);
    let end = 10 + micros(LEASE - limits::LEASE_TOLERANCE);
    desk.deliver(0, 1, end - 100, end - 1);
    desk.delete(0, end);
    assert_eq!(desk.broken(), [Kind::TwoReceivers]);
}

#[test]
fn a_message_that_comes_back_after_its_lease_is_no_violation() {
    let desk = Desk::new();
    desk.send(&[1]);
    desk.deliver(0, 1, 10, 20);
    desk.deliver(0, 1, 10, 10 + micros(LEASE));
    desk.delete(0, micros(LEASE) + 50);
    let verdict = desk.0.verdict(true);
    assert!(verdict.ok, "{}", verdict.violations);
    assert_eq!(verdict.redelivered, 1);
}

#[test]
fn a_send_that_was_applied_twice_is_found() {
    let desk = Desk::new();
    desk.send(&[1]);
    desk.consume(0, 1);
    desk.deliver(0, 2, 40, micros(LEASE) + 100);
    assert!(desk.broken().contains(&Kind::SentTwice));
}

#[test]
fn a_gap_and_a_repetition_in_the_numbers_are_found() {
    let desk = Desk::new();
    desk.send(&[1, 3]);
    desk.consume(0, 1);
    desk.consume(1, 3);
    assert_eq!(desk.broken(), [Kind::NumberMissing]);

    let desk = Desk::new();
    let (first, second) = (desk.0.begin_send(0, 1, 0), desk.0.begin_send(0, 1, 0));
    desk.answer(first, &[1]);
    desk.answer(second, &[1]);
    desk.consume(0, 1);
    desk.consume(1, 1);
    assert_eq!(desk.broken(), [Kind::NumberTwice]);
}

#[test]
fn a_queue_that_moved_goes_on_with_1_in_a_higher_epoch() {
    let moved = |number| Sequence::new(Epoch(3), number).0;
    let desk = Desk::new();
    desk.send(&[1, moved(1), moved(2)]);
    for (index, number) in (0..).zip([1, moved(1), moved(2)]) {
        desk.consume(index, number);
    }
    assert_eq!(desk.broken(), []);

    let desk = Desk::new();
    desk.send(&[1, moved(2)]);
    desk.consume(0, 1);
    desk.consume(1, moved(2));
    assert_eq!(desk.broken(), [Kind::NumberMissing]);
}

#[test]
fn a_group_s_next_message_in_other_hands_is_found() {
    let desk = Desk::with_groups(1);
    desk.send(&[1, 2, 3]);
    desk.consume(0, 1);
    desk.consume(1, 2);
    desk.consume(2, 3);
    assert_eq!(desk.broken(), []);

    let desk = Desk::with_groups(1);
    desk.send(&[1, 2]);
    desk.deliver(0, 1, 10, 20);
    desk.deliver(1, 2, 10, 20);
    desk.delete(0, 30);
    desk.delete(1, 30);
    assert_eq!(desk.broken(), [Kind::GroupOrder]);
}

#[test]
fn a_number_of_a_send_with_unknown_outcome_is_no_gap() {
    let desk = Desk::new();
    desk.send(&[1]);
    let unknown = desk.0.begin_send(0, 1, 0);
    desk.0.end_send(unknown, &Err(failure(Applied::Unknown)));
    desk.send(&[3]);
    for index in 0..3 {
        desk.consume(index, u64::from(index) + 1);
    }
    let verdict = desk.0.verdict(true);
    assert!(verdict.ok, "{}", verdict.violations);
    assert_eq!(
        (verdict.accepted, verdict.unknown, verdict.received),
        (2, 1, 3)
    );
}

#[test]
fn a_smaller_number_after_a_larger_one_is_found() {
    let desk = Desk::new();
    let early = desk.0.begin_send(0, 1, 0);
    desk.send(&[2]);
    desk.answer(early, &[1]);
    desk.consume(0, 1);
    desk.consume(1, 2);
    assert_eq!(desk.broken(), [], "they were on their way at the same time");

    let desk = Desk::new();
    desk.send(&[2]);
    desk.send(&[1]);
    desk.consume(0, 2);
    desk.consume(1, 1);
    assert_eq!(desk.broken(), [Kind::OutOfOrder]);
}

#[test]
fn an_altered_body_is_found() {
    let desk = Desk::new();
    desk.send(&[1]);
    let mut message = desk.message(0, 1);
    let mut bytes = message.body.to_vec();
    bytes[BYTES - 1] ^= 1;
    message.body = bytes.into();
    let receive = desk.0.begin_receive(10);
    desk.0.delivered(0, &message, receive, 20);
    desk.delete(0, 30);
    assert_eq!(desk.broken(), [Kind::Altered]);
}

#[test]
fn a_refused_send_that_is_delivered_is_found() {
    let desk = Desk::new();
    let sending = desk.0.begin_send(0, 1, 0);
    desk.0.end_send(sending, &Err(failure(Applied::No)));
    assert_eq!(desk.broken(), []);
    desk.consume(0, 1);
    assert_eq!(desk.broken(), [Kind::RefusedButDelivered]);
}

#[test]
fn a_message_of_someone_else_is_found() {
    let desk = Desk::new();
    let message = Received {
        sequence: 1,
        receipt: String::new(),
        body: "hello".into(),
    };
    let receive = desk.0.begin_receive(10);
    assert_eq!(desk.0.delivered(0, &message, receive, 20), None);
    assert_eq!(desk.broken(), [Kind::Foreign]);
}

#[test]
fn a_run_that_was_not_drained_is_not_ok() {
    let desk = Desk::new();
    desk.send(&[1]);
    let verdict = desk.0.verdict(false);
    assert_eq!(verdict.violations.count(Kind::NotDrained), 1);
    assert_eq!(
        verdict.violations.count(Kind::Lost),
        0,
        "it may be there yet"
    );
}
