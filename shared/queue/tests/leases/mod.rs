//! Stories of how long leases last, how many there are, and what receipts say.

use shoal_queue::MACHINE_VERSION_MAX;
use shoal_types::limits::{LEASE_MAX, LEASED_MAX};
use shoal_types::{Command, Delivery, ErrorCode, Outcome, PartitionSettings, ReceiptResult};

use crate::desk::{Desk, QUEUE, grouped, item, plain_settings, seconds};

fn desk(fifo: bool) -> Desk {
    let mut desk = Desk::with(PartitionSettings {
        fifo,
        retention: seconds(14 * 86_400),
        ..plain_settings()
    });
    let to = MACHINE_VERSION_MAX;
    desk.anonymous(Command::RaiseVersion { to });
    desk
}

/// As many messages in flight as there may be, of two groups, and three more. Gives the last ones.
fn at_the_bound(fifo: bool) -> (Desk, Vec<Delivery>) {
    let mut desk = desk(fifo);
    let mut last = Vec::new();
    for n in 0..LEASED_MAX / 1_000 {
        let group = format!("group-{n}");
        desk.send(vec![grouped(item(1), &group); 1_000]);
        last = desk.receive(1_000);
        assert_eq!(last.len(), 1_000);
    }
    desk.send(vec![grouped(item(1), "more"); 3]);
    (desk, last)
}

fn receive(max: u16, auto_ack: bool) -> Command {
    Command::Receive {
        partition: QUEUE,
        max,
        visibility: None,
        wait_until: None,
        attempt: None,
        auto_ack,
    }
}

#[test]
fn a_standard_queue_with_120000_in_flight_says_so() {
    let (mut desk, last) = at_the_bound(false);
    assert_eq!(desk.refusal(receive(1, false)), ErrorCode::TooManyInFlight);
    assert_eq!(desk.take(1).len(), 1, "deleting at once needs no lease");
    let waiter = desk.wait_for(2, 10);
    desk.acknowledge(&last[..1]);
    let given = desk.given();
    assert_eq!(
        given,
        [(waiter, vec![LEASED_MAX as u64 + 2])],
        "one lease ended"
    );
    assert_eq!(desk.refusal(receive(1, false)), ErrorCode::TooManyInFlight);
    desk.acknowledge(&last[1..2]);
    assert_eq!(desk.numbers(9), [LEASED_MAX as u64 + 3]);
}

#[test]
fn a_receive_that_gives_up_to_the_bound_is_no_error() {
    let (mut desk, last) = at_the_bound(false);
    desk.acknowledge(&last[..2]);
    assert_eq!(desk.receive(9).len(), 2, "as many as there is room for");
    assert_eq!(desk.refusal(receive(9, false)), ErrorCode::TooManyInFlight);
}

#[test]
fn a_refused_receive_may_be_repeated() {
    let (mut desk, last) = at_the_bound(false);
    assert_eq!(desk.refusal(receive(1, false)), ErrorCode::TooManyInFlight);
    let refused = desk.last_request();
    desk.acknowledge(&last[..1]);
    let again = desk.repeat(refused, crate::desk::origin(2));
    assert!(
        matches!(&again, Outcome::Received(deliveries) if deliveries.len() == 1),
        "nothing was applied, so nothing was remembered: {again:?}"
    );
}

#[test]
fn a_fifo_queue_with_120000_in_flight_gives_nothing_and_no_error() {
    let (mut desk, last) = at_the_bound(true);
    assert_eq!(desk.numbers(1), [0; 0]);
    desk.acknowledge(&last[..1]);
    assert_eq!(desk.numbers(9), [LEASED_MAX as u64 + 1]);
}

#[test]
fn a_repeated_attempt_is_answered_at_the_bound_too() {
    let (mut desk, last) = at_the_bound(false);
    desk.acknowledge(&last[..1]);
    let first = desk.attempt(1, 7);
    assert_eq!(first.len(), 1);
    assert_eq!(desk.attempt(1, 7), first, "it needs no new lease");
}

#[test]
fn a_lease_lasts_at_most_twelve_hours_from_the_receive() {
    let hours = |n: u64| seconds(n * 3_600);
    let mut desk = desk(false);
    desk.send(vec![item(1)]);
    let received = desk.receive(1);
    for _ in 0..11 {
        assert_eq!(
            desk.change_visibility(&received, hours(1) + 1),
            [ReceiptResult::Done]
        );
        desk.wait(hours(1));
        desk.restart();
    }
    // Eleven hours have passed.
    assert_eq!(
        desk.change_visibility(&received, hours(1) + 1),
        [ReceiptResult::TooLong]
    );
    assert_eq!(desk.receive(1), [], "the lease ends when it did");
    assert_eq!(
        desk.change_visibility(&received, LEASE_MAX - hours(11)),
        [ReceiptResult::Done]
    );
    desk.wait(hours(1));
    let again = desk.receive(1);
    assert_eq!(again.len(), 1);
    assert_eq!(
        desk.change_visibility(&again, hours(12)),
        [ReceiptResult::Done],
        "a new receive counts anew"
    );
}

#[test]
fn a_lease_by_older_rules_may_be_extended_as_by_those() {
    let mut desk = Desk::new();
    desk.send(vec![item(1)]);
    let received = desk.receive(1);
    let to = MACHINE_VERSION_MAX;
    desk.anonymous(Command::RaiseVersion { to });
    desk.restart();
    let days = seconds(86_400 / 2);
    assert_eq!(
        desk.change_visibility(&received, days + 1),
        [ReceiptResult::Done]
    );
}

#[test]
fn receipts_tell_given_back_from_run_out_from_gone() {
    let mut desk = desk(false);
    desk.send(vec![item(1), item(2), item(3), item(4)]);
    let all = desk.receive(4);
    let [given_back, deleted, runs_out, again] = [0, 1, 2, 3].map(|n| all[n..=n].to_vec());
    desk.change_visibility(&given_back, 0);
    desk.acknowledge(&deleted);
    let minute = seconds(60);
    assert_eq!(
        desk.change_visibility(&given_back, minute),
        [ReceiptResult::NotLeased]
    );
    assert_eq!(
        desk.change_visibility(&deleted, minute),
        [ReceiptResult::Gone]
    );
    assert_eq!(desk.acknowledge(&deleted), [ReceiptResult::Done]);
    assert_eq!(desk.acknowledge(&given_back), [ReceiptResult::NotLeased]);
    desk.wait(seconds(30));
    assert_eq!(
        desk.change_visibility(&runs_out, minute),
        [ReceiptResult::Expired]
    );
    desk.restart();
    assert_eq!(
        desk.change_visibility(&given_back, minute),
        [ReceiptResult::NotLeased]
    );
    assert_eq!(desk.receive(9).len(), 3);
    assert_eq!(
        desk.change_visibility(&again, minute),
        [ReceiptResult::Superseded]
    );
    assert_eq!(
        desk.change_visibility(&given_back, minute),
        [ReceiptResult::Superseded]
    );
}

#[test]
fn older_rules_take_given_back_for_run_out() {
    let mut desk = Desk::new();
    desk.send(vec![item(1)]);
    let received = desk.receive(1);
    desk.release(&received, 0);
    assert_eq!(
        desk.change_visibility(&received, seconds(60)),
        [ReceiptResult::Expired]
    );
}
