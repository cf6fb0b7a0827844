//! C3: nothing is delivered after its acknowledge was answered.
//!
//! For each message the earliest answer that says it is deleted; a receive that begins later must not
//! give it. A receive that deletes at once may repeat its own answer to a later attempt.

use shoal_types::ReceiptResult;

use super::facts::{Facts, Use};
use super::findings::Findings;
use super::{Checker, Evidence};

pub(super) fn check(facts: &Facts<'_>, _: &Evidence<'_>, findings: &mut Findings<'_>) {
    for ((partition, sequence), story) in &facts.stories {
        let acknowledged = story.shown.iter().filter_map(|at| {
            let shown = &facts.shown[*at];
            match shown.answered {
                Some((answered, ReceiptResult::Done)) if shown.use_ == Use::Acknowledge => {
                    Some((answered, shown.operation))
                }
                _ => None,
            }
        });
        let taken = story.delivered.iter().filter_map(|at| {
            let delivered = &facts.delivered[*at];
            delivered
                .auto_ack
                .then_some((delivered.returned, delivered.operation))
        });
        let Some((deleted_at, by)) = acknowledged.chain(taken).min() else {
            continue;
        };
        for at in &story.delivered {
            let delivered = &facts.delivered[*at];
            let began = if delivered.auto_ack {
                delivered.invoked
            } else {
                delivered.call.invoked
            };
            if began > deleted_at {
                findings.add(Checker::C3, delivered.returned, || {
                    format!(
                        "message {} of {partition} was deleted by {} and delivered by {}",
                        sequence.number(),
                        facts.describe(by),
                        facts.describe_delivered(delivered)
                    )
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Checker::C3;
    use crate::checkers::tale::Tale;

    fn deleted() -> Tale {
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        tale.received(30..40, &[("a", 1, 1)]);
        tale.acknowledged(6_000..6_050, 1, 1);
        tale
    }

    #[test]
    fn a_receive_that_began_before_the_answer_may_give_it() {
        let mut tale = deleted();
        tale.received(6_049..6_100, &[("a", 1, 2)]);
        tale.pleases(C3);
    }

    #[test]
    fn a_receive_that_begins_after_the_answer_must_not() {
        let mut tale = deleted();
        tale.received(6_051..6_100, &[("a", 1, 2)]);
        tale.alarms(
            C3,
            &["message 1", "deleted by call 3", "delivered by call 4"],
        );
    }

    #[test]
    fn what_was_deleted_as_it_was_received_does_not_come_back() {
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        tale.took(30..40, "a", 1, 1);
        tale.pleases(C3);
        tale.received(50..60, &[("a", 1, 2)]);
        tale.alarms(C3, &["deleted by call 2", "delivered by call 3"]);
    }
}
