//! C1: an accepted message is received until it is acknowledged, expired or purged.
//!
//! Judged after the drain, when every queue is empty: whoever is told "accepted" must find the message
//! deleted by someone entitled to it, or excused. A message that was received but acknowledged by
//! nobody and never came back is lost as much as one that was never seen. Receives that delete at once
//! and whose answer got lost excuse as many messages as they may have taken, not more.

use std::collections::BTreeMap;

use shoal_types::{PartitionId, SendResult};

use super::facts::{Facts, Story, Use};
use super::findings::Findings;
use super::{Checker, Evidence};

pub(super) fn check(facts: &Facts<'_>, evidence: &Evidence<'_>, findings: &mut Findings<'_>) {
    if !evidence.drained {
        return;
    }
    let mut excused: BTreeMap<PartitionId, u64> = BTreeMap::new();
    for ((partition, sequence), story) in &facts.stories {
        if is_accounted_for(facts, evidence, *partition, story) {
            continue;
        }
        let accepted = story.sent.iter().map(|at| &facts.sent[*at]).find(|sent| {
            matches!(sent.answered, Some((_, SendResult::Accepted(number))) if number == *sequence)
        });
        let Some(accepted) = accepted else { continue };
        let allowance: u64 = facts.partitions.get(partition).map_or(0, |queue| {
            let taken = queue.taken_unseen.iter();
            taken.map(|(_, most)| most).sum()
        });
        let used = excused.entry(*partition).or_default();
        *used += 1;
        if *used > allowance {
            findings.add(Checker::C1, accepted.invoked, || {
                format!(
                    "message {} of {partition}, accepted by {}, was received {} times, acknowledged \
                     by nobody, and is not in the empty queue",
                    sequence.number(),
                    facts.describe(accepted.operation),
                    story.delivered.len()
                )
            });
        }
    }
}

fn is_accounted_for(
    facts: &Facts<'_>,
    evidence: &Evidence<'_>,
    partition: PartitionId,
    story: &Story,
) -> bool {
    let acknowledged = story.shown.iter().map(|at| &facts.shown[*at]);
    let mut acknowledged = acknowledged.filter(|s| s.use_ == Use::Acknowledge && s.possible);
    acknowledged.next().is_some()
        || story.taken_from(facts).is_some()
        || story.may_be_cleared_from(facts, partition, evidence.skew_bound) <= evidence.ended_at
}
