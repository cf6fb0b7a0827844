//! Liveness: once faults are over, every operation is answered in time and the queues can be emptied.
//!
//! An operation that begins a while after the last fault and waits long enough must be answered; a
//! refusal counts as an answer if trying elsewhere could not help. The hosts must come to the same
//! state, and the drain must come to its end.

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
        let must = operation.invoked.0 > evidence.healed_at.0 + RECOVERY
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
