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
