//! C8: a group's next message is delivered only after the one before is gone.
//!
//! For each delivery of a FIFO queue's message, every message of its group with a smaller number must
//! be given by the same receive, or possibly be gone before that receive returned. And once a later
//! message was delivered without it, an earlier one is not delivered any more.

use std::collections::BTreeMap;

use shoal_types::{GroupName, PartitionId, Sequence};

use super::facts::{Facts, Story};
use super::findings::Findings;
use super::{Checker, Evidence};
use crate::history::SimTime;

struct Member<'a> {
    sequence: Sequence,
    story: &'a Story,
    /// It may be gone from then on.
    may_be_gone: SimTime,
}

pub(super) fn check(facts: &Facts<'_>, evidence: &Evidence<'_>, findings: &mut Findings<'_>) {
    let mut groups: BTreeMap<(PartitionId, GroupName), Vec<Member<'_>>> = BTreeMap::new();
    for ((partition, sequence), story) in &facts.stories {
        let fifo = facts.partitions.get(partition).is_some_and(|q| q.fifo());
        let group = story
            .sent
            .iter()
            .find_map(|at| facts.sent[*at].item.group.clone());
        let (true, Some(group)) = (fifo, group) else {
            continue;
        };
        let skew = evidence.skew_bound;
        let member = Member {
            sequence: *sequence,
            story,
            may_be_gone: story.may_be_gone_from(facts, *partition, skew),
        };
        // By number: that is the order of the stories.
        groups.entry((*partition, group)).or_default().push(member);
    }
    for ((partition, group), members) in &groups {
        for (at, later) in members.iter().enumerate() {
            let earlier = &members[..at];
            for delivered in &later.story.delivered {
                let delivered = &facts.delivered[*delivered];
                let overtaken = earlier.iter().find(|earlier| {
                    !is_given_by(facts, earlier.story, delivered.operation)
                        && (is_surely_there(earlier, delivered.returned)
                            || comes_back(facts, earlier.story, delivered.returned))
                });
                if let Some(overtaken) = overtaken {
                    findings.add(Checker::C8, delivered.returned, || {
                        format!(
                            "group {group} of {partition}: {} gave message {} before {} was gone",
                            facts.describe_delivered(delivered),
                            later.sequence.number(),
                            overtaken.sequence.number()
                        )
                    });
                }
            }
        }
    }
}

fn is_surely_there(member: &Member<'_>, at: SimTime) -> bool {
    member.may_be_gone > at
}

fn is_given_by(facts: &Facts<'_>, story: &Story, operation: usize) -> bool {
    let mut delivered = story.delivered.iter().map(|at| &facts.delivered[*at]);
    delivered.any(|delivered| delivered.operation == operation)
}

/// It is delivered by a receive that begins later.
fn comes_back(facts: &Facts<'_>, story: &Story, than: SimTime) -> bool {
    let mut delivered = story.delivered.iter().map(|at| &facts.delivered[*at]);
    delivered.any(|delivered| delivered.invoked > than)
}

#[cfg(test)]
mod tests {
    use super::Checker::C8;
    use crate::checkers::tale::Tale;

    fn two_in_a_group() -> Tale {
        let mut tale = Tale::fifo();
        tale.sent_in_group(10..20, "a", 1);
        tale.sent_in_group(21..25, "b", 2);
        tale
    }

    #[test]
    fn the_next_one_comes_with_the_one_before_or_after_it_is_gone() {
        let mut tale = two_in_a_group();
        tale.received(30..40, &[("a", 1, 1), ("b", 2, 1)]);
        tale.pleases(C8);
        let mut tale = two_in_a_group();
        tale.received(30..40, &[("a", 1, 1)]);
        tale.acknowledged(50..60, 1, 1);
        tale.received(51..70, &[("b", 2, 1)]);
        tale.pleases(C8);
    }

    #[test]
    fn the_next_one_must_not_come_while_the_one_before_is_there() {
        let mut tale = two_in_a_group();
        tale.received(30..40, &[("a", 1, 1)]);
        tale.received(41..49, &[("b", 2, 1)]);
        tale.acknowledged(50..60, 1, 1);
        tale.alarms(C8, &["group g", "call 4", "message 2 before 1"]);
    }

    #[test]
    fn the_next_one_must_not_come_before_one_that_nobody_has_seen_yet() {
        let mut tale = two_in_a_group();
        tale.received(30..40, &[("b", 2, 1)]);
        tale.alarms(C8, &["message 2 before 1"]);
    }

    #[test]
    fn the_one_before_does_not_come_back() {
        let mut tale = two_in_a_group();
        tale.received(30..40, &[("a", 1, 1)]);
        tale.acknowledges(50..60, 1, 1, None);
        tale.received(61..70, &[("b", 2, 1)]);
        tale.pleases(C8);
        tale.received(5_000..5_010, &[("a", 1, 2)]);
        tale.alarms(C8, &["message 2 before 1", "call 5"]);
    }

    #[test]
    fn a_standard_queue_has_groups_for_show() {
        let mut tale = Tale::new();
        tale.sent_in_group(10..20, "a", 1);
        tale.sent_in_group(21..25, "b", 2);
        tale.received(30..40, &[("b", 2, 1)]);
        tale.pleases(C8);
    }

    #[test]
    fn a_change_to_another_kind_of_queue_is_never_carried_out() {
        let mut tale = Tale::new();
        tale.sent_in_group(10..20, "a", 1);
        tale.sent_in_group(21..25, "b", 2);
        let settings = Tale::fifo().settings();
        tale.call(10..20, Tale::configure(settings), Vec::new(), None);
        tale.received(30..40, &[("b", 2, 1)]);
        tale.pleases(C8);
    }
}
