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
        // C11 follows what may have gone to other queues.
        let may_leave = facts.ways.leaves_from(facts.root(*partition)).is_some();
        if may_leave || is_accounted_for(facts, evidence, *partition, story) {
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

/// Somebody deleted it, or may have, or it was purged or its time is over.
pub(super) fn is_accounted_for(
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

#[cfg(test)]
mod tests {
    use shoal_types::ReceiptResult;

    use super::Checker::C1;
    use crate::checkers::tale::Tale;

    fn acknowledged_once() -> Tale {
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        tale.received(30..40, &[("a", 1, 1)]);
        tale
    }

    #[test]
    fn a_message_that_was_acknowledged_or_may_be_is_not_lost() {
        let mut tale = acknowledged_once();
        tale.acknowledged(50..60, 1, 1);
        tale.pleases(C1);
        let mut tale = acknowledged_once();
        tale.acknowledges(50..60, 1, 1, None);
        tale.pleases(C1);
    }

    #[test]
    fn a_message_that_nobody_received_is_lost() {
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        tale.received(30..40, &[]);
        tale.alarms(C1, &["message 1", "call 1", "received 0 times"]);
    }

    #[test]
    fn a_message_that_was_received_and_never_came_back_is_lost() {
        let mut tale = acknowledged_once();
        tale.acknowledges(50..60, 1, 1, Some(ReceiptResult::Superseded));
        tale.alarms(C1, &["message 1", "received 1 times"]);
    }

    #[test]
    fn a_receive_that_nobody_heard_of_excuses_as_many_as_it_may_have_taken() {
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        let mut command = Tale::receive(1);
        if let shoal_types::Command::Receive { auto_ack, .. } = &mut command {
            *auto_ack = true;
        }
        tale.call(30..40, command, Vec::new(), None);
        tale.pleases(C1);
        tale.sent(50..60, "b", 2);
        tale.alarms(C1, &["message 2"]);
    }

    #[test]
    fn a_purge_excuses_what_was_sent_before_it_only() {
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        tale.purged(30..40);
        tale.pleases(C1);
        tale.sent(50..60, "b", 2);
        tale.alarms(C1, &["message 2"]);
    }

    #[test]
    fn a_time_to_live_excuses_when_it_is_over() {
        let mut tale = Tale::new();
        let mut item = Tale::item("a");
        item.ttl = Some(30_000_000);
        let accepted = shoal_types::SendResult::Accepted(shoal_types::Sequence(1));
        tale.sends(10..20, "a", item, Some(accepted));
        tale.received(100..110, &[]);
        tale.alarms(C1, &["message 1"]);
        tale.received(40_000..40_010, &[]);
        tale.pleases(C1);
    }
}
