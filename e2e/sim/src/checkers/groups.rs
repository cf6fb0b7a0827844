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
