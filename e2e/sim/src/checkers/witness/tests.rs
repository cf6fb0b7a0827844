//! Good and bad orders, against what clients were told and against the model.

use shoal_types::{
    Applied, Command, HostId, Incarnation, Origin, Outcome, Request, RequestId, SendResult,
    Sequence, Ts,
};

use crate::checkers::Checker::C0;
use crate::checkers::tale::{QUEUE, Tale};
use crate::history::{SimTime, Step, Told};

fn accepted(number: u64) -> Outcome {
    Outcome::Sent(vec![SendResult::Accepted(Sequence(number))])
}

fn with_queue() -> Tale {
    let mut tale = Tale::new();
    tale.formed();
    tale.executes(1, 0, Outcome::Done);
    tale
}

/// Sent and received, told as executed.
fn sent_and_received() -> Tale {
    let mut tale = with_queue();
    tale.sent(10..20, "a", 1);
    tale.executes(15, 1, accepted(1));
    tale
}

#[test]
fn an_order_that_the_model_repeats_pleases() {
    sent_and_received().pleases(C0);
}

#[test]
fn an_outcome_that_the_model_does_not_give_is_an_alarm() {
    let mut tale = with_queue();
    tale.sent(10..20, "a", 2);
    tale.executes(15, 1, accepted(2));
    tale.alarms(C0, &["step 4", "the model", "Accepted(Sequence(0/1))"]);
}

#[test]
fn a_client_that_was_told_something_else_than_was_executed_is_an_alarm() {
    let mut tale = with_queue();
    tale.sent(10..20, "a", 2);
    tale.executes(15, 1, accepted(1));
    tale.alarms(C0, &["call 1 ", "was told", "but the order says"]);
}

#[test]
fn a_client_that_was_told_before_it_was_executed_is_an_alarm() {
    let mut tale = with_queue();
    tale.sent(10..20, "a", 1);
    tale.executes(21, 1, accepted(1));
    tale.alarms(C0, &["call 1 ", "but the order says"]);
}

#[test]
fn a_command_that_nobody_asked_is_an_alarm() {
    let mut tale = sent_and_received();
    tale.executed(30, Step::Entry(Tale::position(30)));
    let request = Request {
        id: RequestId(77),
        deadline: Ts(1_000_000),
        origin: Origin::default(),
        command: Command::Purge { partition: QUEUE },
    };
    tale.executed(30, Step::Command(request, Vec::new(), Outcome::Done));
    tale.alarms(C0, &["step 6", "not asked"]);
}

#[test]
fn a_command_that_was_refused_as_not_applied_must_not_be_executed() {
    let mut tale = with_queue();
    let send = tale.sends(10..20, "a", Tale::item("a"), None);
    send.returned = Some((SimTime(20_000), Tale::refused(Applied::Unknown)));
    tale.executes(15, 1, accepted(1));
    tale.pleases(C0);
    let mut tale = with_queue();
    let send = tale.sends(10..20, "a", Tale::item("a"), None);
    send.returned = Some((SimTime(20_000), Tale::refused(Applied::No)));
    tale.executes(15, 1, accepted(1));
    tale.alarms(C0, &["call 1 ", "refused as not applied", "[4]"]);
}

#[test]
fn an_answer_that_was_executed_before_it_was_asked_is_an_alarm() {
    // It stands before calls that were answered before it began.
    let mut tale = with_queue();
    tale.sent(10..24, "a", 2);
    tale.sent(25..60, "b", 1);
    tale.executes(22, 2, accepted(1));
    tale.executes(23, 1, accepted(2));
    tale.alarms(C0, &["step 4", "not asked"]);
    let told = |violation: &crate::checkers::Violation| violation.what.contains("was told");
    assert!(tale.found_by(C0).iter().any(told));
}

#[test]
fn a_request_that_took_effect_twice_is_an_alarm() {
    let mut tale = with_queue();
    tale.sent(10..20, "a", 1);
    tale.again(12..30, Some(Told::Outcome(accepted(1), Vec::new())));
    tale.executes(15, 1, accepted(1));
    tale.executes(25, 2, accepted(1));
    tale.pleases(C0);
    let mut tale = with_queue();
    tale.sent(10..20, "a", 1);
    tale.again(12..30, None);
    tale.executes(15, 1, accepted(1));
    tale.executes(25, 2, accepted(2));
    tale.alarms(C0, &["the model"]);
}

#[test]
fn a_gift_that_the_model_does_not_give_is_an_alarm() {
    let mut tale = sent_and_received();
    let origin = Origin {
        host: HostId(1),
        incarnation: Incarnation(1),
    };
    tale.executed(15, Step::Given(origin, RequestId(9), Vec::new()));
    tale.alarms(C0, &["step 5", "the model gives nothing"]);
}

#[test]
fn hosts_that_execute_different_things_are_an_alarm() {
    let mut tale = sent_and_received();
    tale.executed_by(2, 16, Step::View(shoal_types::ViewNumber(1), Vec::new()));
    tale.executed_by(2, 16, Step::Entry(Tale::position(15)));
    let [violation] = tale.auditor.violations() else {
        panic!("{:?}", tale.auditor.violations());
    };
    assert_eq!(violation.checker, C0);
    assert!(violation.what.contains("h2"), "{}", violation.what);
}
