//! Liveness: once faults are over, every operation is answered in time and the queues can be emptied.
//!
//! An operation that begins a while after the last fault and waits long enough must be answered; a
//! refusal counts as an answer if trying elsewhere could not help. Who insists on one host may have to
//! wait for that host to come back. The hosts must come to the same state, and the drain must come to
//! its end.

use shoal_types::Micros;

use super::facts::{Facts, Operation};
use super::findings::Findings;
use super::{Checker, Evidence, words};
use crate::history::Told;

/// After the last fault the cluster may take so long to find together.
const RECOVERY: Micros = 10_000_000;
/// A patient client has its answer within this, on top of what it asked to be kept waiting.
const ANSWER: Micros = 1_400_000;

pub(super) fn check(facts: &Facts<'_>, evidence: &Evidence<'_>, findings: &mut Findings<'_>) {
    if !evidence.settled {
        findings.add(Checker::Liveness, evidence.ended_at, || {
            let healed = evidence.healed_at;
            format!("faults ended at {healed}, and the hosts did not come to rest")
        });
    }
    if !evidence.drained {
        findings.add(Checker::Liveness, evidence.ended_at, || {
            let healed = evidence.healed_at;
            format!("faults ended at {healed}, and the queues could not be emptied")
        });
    }
    for operation in &facts.operations {
        let last = operation.calls[operation.calls.len() - 1];
        let due = operation.invoked.0 + operation.calls[0].waits + ANSWER;
        let must = !last.pinned
            && operation.invoked.0 > evidence.healed_at.0 + RECOVERY
            && due <= last.until.0
            && due <= evidence.ended_at.0;
        if must && !is_answered(operation, due) {
            findings.add(Checker::Liveness, operation.invoked, || {
                format!(
                    "no answer: {}, last {}",
                    words::operation(operation),
                    words::call(last)
                )
            });
        }
    }
}

fn is_answered(operation: &Operation<'_>, due: u64) -> bool {
    operation.calls.iter().any(|call| match &call.returned {
        Some((at, Told::Outcome(..))) => at.0 <= due,
        Some((at, Told::Refused(refusal))) => at.0 <= due && !refusal.code.retryable(),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use shoal_types::Applied;

    use super::Checker::Liveness;
    use crate::checkers::tale::Tale;

    #[test]
    fn who_asks_long_after_the_last_fault_is_answered() {
        let mut tale = Tale::new();
        tale.sent(20_000..20_010, "a", 1);
        tale.received(40_000..40_010, &[]);
        tale.pleases(Liveness);
        tale.call(20_000..21_000, Tale::receive(1), Vec::new(), None);
        tale.alarms(Liveness, &["no answer", "call 3"]);
    }

    #[test]
    fn a_refusal_is_no_answer_if_another_attempt_would_have_helped() {
        let mut tale = Tale::new();
        let refused = Tale::refused(Applied::No);
        tale.call(20_000..20_010, Tale::receive(1), Vec::new(), Some(refused));
        tale.received(40_000..40_010, &[]);
        tale.alarms(Liveness, &["no answer", "call 1"]);
    }

    #[test]
    fn while_the_cluster_recovers_nobody_need_be_answered() {
        let mut tale = Tale::new();
        tale.healed_at = 15_000;
        tale.call(20_000..21_000, Tale::receive(1), Vec::new(), None);
        tale.received(40_000..40_010, &[]);
        tale.pleases(Liveness);
    }

    #[test]
    fn who_insists_on_one_host_waits_for_it() {
        let mut tale = Tale::new();
        tale.call(20_000..21_000, Tale::receive(1), Vec::new(), None)
            .pinned = true;
        tale.received(40_000..40_010, &[]);
        tale.pleases(Liveness);
    }

    #[test]
    fn a_cluster_must_come_to_rest_and_be_emptied() {
        let mut tale = Tale::new();
        tale.settled = false;
        tale.alarms(Liveness, &["did not come to rest"]);
        tale.settled = true;
        tale.drained = false;
        tale.alarms(Liveness, &["could not be emptied"]);
    }
}
