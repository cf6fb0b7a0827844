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
