//! C14, the clients' side: a message's receive count grows with each lease, unless a client said that
//! it never saw the message. (The hosts' side, positions and incarnations, is the auditor's.)

use super::facts::{Facts, Use};
use super::findings::Findings;
use super::{Checker, Evidence};

pub(super) fn check(facts: &Facts<'_>, _: &Evidence<'_>, findings: &mut Findings<'_>) {
    for ((partition, sequence), story) in &facts.stories {
        let mut delivered: Vec<_> = story
            .delivered
            .iter()
            .map(|at| &facts.delivered[*at])
            .collect();
        delivered.sort_by_key(|d| (d.delivery.receipt.lease, d.returned));
        for pair in delivered.windows(2) {
            let (before, after) = (pair[0].delivery, pair[1].delivery);
            let same = before.receipt.lease == after.receipt.lease;
            let undone = story.shown.iter().map(|at| &facts.shown[*at]).any(|shown| {
                shown.use_ == Use::Unreceive
                    && shown.possible
                    && shown.receipt.lease == before.receipt.lease
            });
            let grows = match (same, undone) {
                (true, _) => after.receive_count == before.receive_count,
                (false, true) => after.receive_count >= before.receive_count,
                (false, false) => after.receive_count > before.receive_count,
            };
            let possible = u32::from(after.receipt.lease) >= after.receive_count;
            if !grows || !possible {
                findings.add(Checker::C14, pair[1].returned, || {
                    format!(
                        "message {} of {partition} was received {} times (lease {}) in {}, then {} \
                         times (lease {}) in {}",
                        sequence.number(),
                        before.receive_count,
                        before.receipt.lease,
                        facts.describe_delivered(pair[0]),
                        after.receive_count,
                        after.receipt.lease,
                        facts.describe_delivered(pair[1])
                    )
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Checker::C14;
    use crate::checkers::tale::Tale;
    use crate::history::Told;

    fn received_twice(counts: [u32; 2], between: impl FnOnce(&mut Tale)) -> Tale {
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        tale.received(30..40, &[("a", 1, 1)]);
        between(&mut tale);
        tale.received(6_000..6_010, &[("a", 1, 2)]);
        for (lease, count) in (1..).zip(counts) {
            tale.change_deliveries(|delivery| {
                if delivery.receipt.lease == lease {
                    delivery.receive_count = count;
                }
            });
        }
        tale
    }

    #[test]
    fn a_count_grows_with_each_lease() {
        received_twice([1, 2], |_| ()).pleases(C14);
        received_twice([1, 1], |_| ()).alarms(C14, &["message 1", "call 2", "call 3"]);
        received_twice([2, 1], |_| ()).alarms(C14, &["2 times (lease 1)"]);
        received_twice([1, 3], |_| ()).alarms(C14, &["3 times (lease 2)"]);
    }

    #[test]
    fn what_no_client_saw_need_not_count() {
        let unreceived = |tale: &mut Tale| tale.unreceived(50..60, 1, 1);
        received_twice([1, 1], unreceived).pleases(C14);
        received_twice([1, 0], unreceived).alarms(C14, &["message 1"]);
    }

    #[test]
    fn a_repeated_answer_counts_the_same() {
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        tale.received(30..40, &[("a", 1, 1)]);
        let mut delivery = Tale::delivery("a", 1, 1);
        delivery.receive_count = 2;
        let told: Told = Tale::received_told(&[("a", delivery)]);
        tale.again(45..50, Some(told));
        tale.alarms(C14, &["1 times (lease 1)", "2 times (lease 1)"]);
    }
}
