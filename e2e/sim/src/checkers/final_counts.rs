//! C16: at the end the counts are the model's, and zero.
//!
//! When the hosts have come to rest, all of them count the same; what they count is what the reference
//! model counts after the whole order; and after the drain nothing is left.

use super::findings::Findings;
use super::witness::Replayed;
use super::{Checker, Evidence};

pub(super) fn check(evidence: &Evidence<'_>, replayed: &Replayed, findings: &mut Findings<'_>) {
    if !evidence.settled {
        return;
    }
    for (host, counts) in evidence.counts {
        let modelled = replayed.agreed.then_some(&replayed.counts);
        for (partition, expected) in modelled.into_iter().flatten() {
            let counted = counts.get(partition);
            if counted != Some(expected) {
                findings.add(Checker::C16, evidence.ended_at, || {
                    format!("{host} counts {counted:?} in {partition}, the model {expected:?}")
                });
            }
        }
        for (partition, counted) in counts {
            if replayed.agreed && !replayed.counts.contains_key(partition) {
                findings.add(Checker::C16, evidence.ended_at, || {
                    format!("{host} counts {counted:?} in {partition}, which was deleted")
                });
            }
            let left = counted.ready + counted.in_flight + counted.delayed;
            if evidence.drained && (left > 0 || counted.bytes > 0) {
                findings.add(Checker::C16, evidence.ended_at, || {
                    format!("{host} counts {counted:?} in {partition} after it was emptied")
                });
            }
        }
    }
}
