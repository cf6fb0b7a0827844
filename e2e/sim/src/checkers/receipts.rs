//! C5: a stale receipt neither deletes nor extends.
//!
//! Once somebody holds a newer lease of a message, whatever is begun with an older receipt must not
//! be done; an acknowledge may still say "done" if the message was gone already. The same where the
//! lease has surely run out: it can no longer be changed, and in a FIFO queue not deleted either.

use shoal_types::{Micros, PartitionId, ReceiptResult};

use super::facts::{Facts, Shown, Story, Use};
use super::findings::Findings;
use super::leases::{self, Lease};
use super::{Checker, Evidence};
use crate::history::SimTime;

pub(super) fn check(facts: &Facts<'_>, evidence: &Evidence<'_>, findings: &mut Findings<'_>) {
    for ((partition, sequence), story) in &facts.stories {
        if story.shown.is_empty() {
            continue;
        }
        let fifo = facts.partitions.get(partition).is_some_and(|q| q.fifo());
        let leases = leases::of(facts, *partition, story);
        for at in &story.shown {
            let shown = &facts.shown[*at];
            let Some((answered, ReceiptResult::Done)) = shown.answered else {
                continue;
            };
            let newer = story.delivered.iter().map(|at| &facts.delivered[*at]);
            let mut newer = newer.filter(|delivered| {
                delivered.delivery.receipt.lease > shown.receipt.lease
                    && delivered.returned < shown.invoked
            });
            let stale = newer.next();
            let ran_out = leases.get(&shown.receipt.lease).filter(|lease| {
                !was_changed(facts, story, shown)
                    && lease.over_from(evidence.skew_bound) < shown.invoked
                    && (fifo || shown.use_ != Use::Acknowledge)
            });
            if stale.is_none() && ran_out.is_none() {
                continue;
            }
            let skew = evidence.skew_bound;
            if shown.use_ == Use::Acknowledge
                && may_be_gone(facts, *partition, story, shown, answered, skew)
            {
                continue;
            }
            findings.add(Checker::C5, answered, || {
                let why = match (stale, ran_out) {
                    (Some(newer), _) => format!("after {}", facts.describe_delivered(newer)),
                    (None, Some(lease)) => describe_end(lease, skew),
                    (None, None) => unreachable!("one of them was found"),
                };
                format!(
                    "message {} of {partition}: lease {} was good for {} {why}",
                    sequence.number(),
                    shown.receipt.lease,
                    facts.describe(shown.operation)
                )
            });
        }
    }
}

fn describe_end(lease: &Lease, skew: Micros) -> String {
    format!("though it ran out before {}", lease.over_from(skew))
}

/// Somebody may have moved the lease's end.
fn was_changed(facts: &Facts<'_>, story: &Story, than: &Shown) -> bool {
    story.shown.iter().map(|at| &facts.shown[*at]).any(|shown| {
        shown.receipt.lease == than.receipt.lease
            && matches!(shown.use_, Use::Change(_))
            && shown.possible
            && shown.operation != than.operation
    })
}

/// Somebody entitled to it may have deleted the message before.
fn may_be_gone(
    facts: &Facts<'_>,
    partition: PartitionId,
    story: &Story,
    than: &Shown,
    answered: SimTime,
    skew: Micros,
) -> bool {
    let mut others = story.shown.iter().map(|at| &facts.shown[*at]);
    let acknowledged = others.any(|shown| {
        // One request may show several receipts of a message: the newest deletes it.
        let may_be_before = if shown.operation == than.operation {
            shown.receipt.lease > than.receipt.lease
        } else {
            shown.receipt.lease >= than.receipt.lease && shown.invoked < answered
        };
        shown.use_ == Use::Acknowledge && shown.possible && may_be_before
    });
    let before = |at: Option<SimTime>| at.is_some_and(|at| at < answered);
    acknowledged
        || before(story.taken_from(facts))
        || before(story.may_be_taken_unseen_from(facts, partition))
        || story.may_be_cleared_from(facts, partition, skew) < answered
}

#[cfg(test)]
mod tests {
    use shoal_types::ReceiptResult::{Done, Superseded};

    use super::Checker::C5;
    use crate::checkers::tale::Tale;

    /// Message 1 is leased a second time from 6 s on.
    fn leased_twice(mut tale: Tale) -> Tale {
        tale.sent_in_group(10..20, "a", 1);
        tale.received(30..40, &[("a", 1, 1)]);
        tale.received(6_000..6_010, &[("a", 1, 2)]);
        tale
    }

    #[test]
    fn a_stale_receipt_is_told_so() {
        let mut tale = leased_twice(Tale::new());
        tale.acknowledges(6_020..6_030, 1, 1, Some(Superseded));
        tale.extends(6_020..6_030, 1, 2, 3_000, Some(Done));
        tale.pleases(C5);
    }

    #[test]
    fn a_stale_receipt_must_not_delete() {
        let mut tale = leased_twice(Tale::new());
        tale.acknowledges(6_020..6_030, 1, 1, Some(Done));
        tale.alarms(C5, &["lease 1 was good for call 4", "after call 3"]);
    }

    #[test]
    fn a_stale_receipt_may_find_the_message_gone() {
        let mut tale = leased_twice(Tale::new());
        tale.acknowledges(6_012..6_025, 1, 2, Some(Done));
        tale.acknowledges(6_020..6_030, 1, 1, Some(Done));
        tale.pleases(C5);
    }

    #[test]
    fn a_stale_receipt_must_not_extend_even_what_is_gone() {
        let mut tale = leased_twice(Tale::new());
        tale.acknowledges(6_012..6_025, 1, 2, Some(Done));
        tale.extends(6_020..6_030, 1, 1, 3_000, Some(Done));
        tale.alarms(C5, &["lease 1 was good for call 5", "after call 3"]);
    }

    #[test]
    fn a_lease_that_ran_out_deletes_in_a_standard_queue_only() {
        let ran_out = |mut tale: Tale| {
            tale.sent_in_group(10..20, "a", 1);
            tale.received(30..40, &[("a", 1, 1)]);
            tale.acknowledges(5_050..5_060, 1, 1, Some(Done));
            tale
        };
        ran_out(Tale::new()).pleases(C5);
        ran_out(Tale::fifo()).alarms(C5, &["call 3", "ran out"]);
    }

    #[test]
    fn a_lease_that_ran_out_cannot_be_extended() {
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        tale.received(30..40, &[("a", 1, 1)]);
        tale.extends(5_030..5_050, 1, 1, 3_000, Some(Done));
        tale.pleases(C5);
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        tale.received(30..40, &[("a", 1, 1)]);
        tale.extends(5_050..5_060, 1, 1, 3_000, Some(Done));
        tale.alarms(C5, &["call 3", "ran out"]);
    }
}
