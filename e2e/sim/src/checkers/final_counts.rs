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

#[cfg(test)]
mod tests {
    use shoal_types::{HostId, Outcome, PartitionCounts, SendResult, Sequence, Ts};

    use super::Checker::C16;
    use crate::checkers::tale::{QUEUE, Tale};

    /// One message was sent, and is there.
    fn with_counts(counts: PartitionCounts) -> Tale {
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        tale.formed();
        tale.executes(1, 0, Outcome::Done);
        let accepted = SendResult::Accepted(Sequence(1));
        tale.executes(15, 1, Outcome::Sent(vec![accepted]));
        tale.counts.insert(HostId(2), [(QUEUE, counts)].into());
        tale.drained = false;
        tale
    }

    fn right() -> PartitionCounts {
        PartitionCounts {
            ready: 1,
            bytes: 1,
            oldest_sent_at: Some(Ts(15_000)),
            last_sequence: Sequence(1),
            ..PartitionCounts::default()
        }
    }

    #[test]
    fn a_host_counts_what_the_model_counts() {
        with_counts(right()).pleases(C16);
        let wrong = PartitionCounts {
            ready: 2,
            ..right()
        };
        with_counts(wrong).alarms(C16, &["h2", "p1", "the model"]);
    }

    #[test]
    fn nothing_is_left_in_an_emptied_queue() {
        let mut tale = with_counts(right());
        tale.drained = true;
        tale.alarms(C16, &["h2", "p1", "after it was emptied"]);
    }

    #[test]
    fn a_partition_that_only_a_host_knows_is_an_alarm() {
        let mut tale = with_counts(right());
        let counts = tale.counts.get_mut(&HostId(2)).unwrap();
        counts.insert(shoal_types::PartitionId(9), PartitionCounts::default());
        tale.alarms(C16, &["p9", "deleted"]);
    }

    #[test]
    fn hosts_that_did_not_come_to_rest_may_differ() {
        let mut tale = with_counts(PartitionCounts::default());
        tale.settled = false;
        tale.pleases(C16);
    }
}
