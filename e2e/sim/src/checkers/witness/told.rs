//! What clients were told against the order.

use std::collections::BTreeMap;

use shoal_types::{Command, HostId, Outcome, RequestId};

use super::{ByRequest, Executed, Execution, Gift};
use crate::auditor::OrderLog;
use crate::checkers::facts::{Facts, is_refused, is_turned_away};
use crate::checkers::findings::Findings;
use crate::checkers::{Checker, words};
use crate::history::{Call, SimTime, Step, Told};

/// Everything that was executed was asked, and took effect once; what was told was executed in time,
/// and nothing that was refused.
pub(in crate::checkers) fn check(facts: &Facts<'_>, log: &OrderLog, findings: &mut Findings<'_>) {
    let executed = by_request(log, findings);
    check_asked(facts, &executed, findings);
    check_refused(facts, &executed, findings);
    check_answers(facts, &executed, findings);
}

fn by_request<'a>(log: &'a OrderLog, findings: &mut Findings<'_>) -> ByRequest<'a> {
    let mut executed = ByRequest::new();
    for (place, logged) in log.steps().iter().enumerate() {
        let at = logged.at;
        match &logged.step {
            Step::Command(request, bodies, outcome) if request.id != RequestId(0) => {
                let executions = &mut executed.entry(request.id).or_default().executions;
                executions.push(Execution {
                    place,
                    at,
                    request,
                    bodies,
                    outcome,
                });
            }
            Step::Command(request, ..) => {
                let own = matches!(
                    request.command,
                    Command::Tick
                        | Command::CancelWaiter { .. }
                        | Command::RaiseVersion { .. }
                        | Command::Succeed { .. }
                        | Command::ToldDrained { .. }
                        | Command::NextPiece { .. }
                        | Command::TakePiece { .. }
                        | Command::EndForwarding { .. }
                        | Command::NextParcel { .. }
                        | Command::TakeParcel { .. }
                        | Command::RedirectParcel { .. }
                        | Command::ReturnParcel { .. }
                );
                if !own {
                    findings.add(Checker::C0, at, || {
                        format!("step {place}: {request:?} is no command of a host's own")
                    });
                }
            }
            Step::Given(origin, waiter, deliveries) => {
                let gifts = &mut executed.entry(*waiter).or_default().gifts;
                gifts.push(Gift {
                    at,
                    origin: *origin,
                    deliveries,
                });
            }
            Step::Entry(_) | Step::View(..) => {}
        }
    }
    executed
}

/// What was executed was asked like that, at the host it came from and not before, and every
/// execution of a request that had an effect gave the same.
fn check_asked(facts: &Facts<'_>, executed: &ByRequest<'_>, findings: &mut Findings<'_>) {
    let operations: BTreeMap<RequestId, usize> = facts
        .operations
        .iter()
        .enumerate()
        .map(|(number, operation)| (operation.id, number))
        .collect();
    for (id, executed) in executed {
        let operation = operations.get(id).map(|at| &facts.operations[*at]);
        for execution in &executed.executions {
            let Execution { request, place, .. } = execution;
            let asked = operation.is_some_and(|operation| {
                let at_this_host =
                    |call: &&Call| call.host == request.origin.host && call.invoked <= execution.at;
                *operation.command == request.command
                    && operation.deadline == request.deadline
                    && operation.bodies == execution.bodies
                    && operation
                        .calls
                        .iter()
                        .copied()
                        .any(|call| at_this_host(&call))
            });
            if !asked {
                findings.add(Checker::C0, execution.at, || {
                    let operation = operation.map(words::operation);
                    format!("step {place} executes {request:?}, which was not asked: {operation:?}")
                });
            }
        }
        let effects = executed.executions.iter().filter(|execution| {
            matches!(execution.outcome, Outcome::Sent(_) | Outcome::Receipts(_))
        });
        let effects: Vec<&Execution<'_>> = effects.collect();
        for pair in effects.windows(2) {
            let (one, other) = (pair[0], pair[1]);
            if one.outcome != other.outcome {
                findings.add(Checker::C0, other.at, || {
                    format!(
                        "request {id} took effect twice: {:?} in step {}, {:?} in step {}",
                        one.outcome, one.place, other.outcome, other.place
                    )
                });
            }
        }
    }
}

/// A host that says "not applied" must not have its command executed: of one request no more
/// executions come from a host than it took calls that it did not refuse.
fn check_refused(facts: &Facts<'_>, executed: &ByRequest<'_>, findings: &mut Findings<'_>) {
    for operation in &facts.operations {
        let Some(executed) = executed.get(&operation.id) else {
            continue;
        };
        for refused in operation.calls.iter().filter(|call| is_refused(call)) {
            let host = refused.host;
            let taken = operation.calls.iter();
            let taken = taken.filter(|call| call.host == host && !is_refused(call));
            if effects_from(executed, host) > taken.count() {
                findings.add(Checker::C0, refused.invoked, || {
                    let places: Vec<usize> = executed.executions.iter().map(|e| e.place).collect();
                    format!(
                        "{} was refused as not applied, and executed in one of the steps {places:?}",
                        words::call(refused)
                    )
                });
            }
        }
    }
}

fn effects_from(executed: &Executed<'_>, host: HostId) -> usize {
    let executions = executed.executions.iter().filter(|execution| {
        execution.request.origin.host == host
            && !matches!(execution.outcome, Outcome::Refused(_) | Outcome::Waiting)
            && !is_turned_away(&execution.request.command, execution.outcome)
    });
    let gifts = executed.gifts.iter();
    let gifts = gifts.filter(|gift| gift.origin.host == host && !gift.deliveries.is_empty());
    executions.count() + gifts.count()
}

/// Each answer was executed, between its call's begin and end. The order grows as time goes, so this
/// also says that who began after another was answered comes after it in the order.
fn check_answers(facts: &Facts<'_>, executed: &ByRequest<'_>, findings: &mut Findings<'_>) {
    let nothing = Executed::default();
    for call in facts.calls {
        let Some((returned, Told::Outcome(outcome, _))) = &call.returned else {
            continue;
        };
        let executed = executed.get(&call.request.id).unwrap_or(&nothing);
        if !was_executed(call, outcome, *returned, executed)
            && !is_superseded_wait(call, outcome, executed)
        {
            findings.add(Checker::C0, *returned, || {
                let outcomes = executed.executions.iter();
                let outcomes: Vec<_> = outcomes
                    .map(|e| (e.place, e.at, e.request.origin.host, e.outcome))
                    .collect();
                format!(
                    "{} was told {outcome:?}, but the order says {outcomes:?}",
                    words::call(call)
                )
            });
        }
    }
}

/// The host that was asked executed the request with this answer, or gave it to the waiting receive.
fn was_executed(
    call: &Call,
    outcome: &Outcome,
    returned: SimTime,
    executed: &Executed<'_>,
) -> bool {
    let in_time = |at: SimTime| call.invoked <= at && at <= returned;
    let mut executions = executed.executions.iter();
    let mut gifts = executed.gifts.iter();
    executions.any(|execution| {
        execution.request.origin.host == call.host
            && in_time(execution.at)
            && execution.outcome == outcome
    }) || gifts.any(|gift| {
        gift.origin.host == call.host
            && in_time(gift.at)
            && matches!(outcome, Outcome::Received(given) if given == gift.deliveries)
    })
}

/// A waiting receive that was repeated at the same host is told "nothing": the repetition waits on.
fn is_superseded_wait(call: &Call, outcome: &Outcome, executed: &Executed<'_>) -> bool {
    let waits = executed.executions.iter().filter(|execution| {
        execution.request.origin.host == call.host && *execution.outcome == Outcome::Waiting
    });
    matches!(outcome, Outcome::Received(given) if given.is_empty()) && waits.count() > 1
}
