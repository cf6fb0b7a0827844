//! C8: a group's next message is delivered only after the one before is gone, and a group is in one
//! receive's hands at a time.
//!
//! For each lease of a FIFO queue's message, every message of its group with a smaller number must be
//! given by the same receive, or possibly be gone before that receive returned. Partitions that follow one
//! another are one queue here. Once a later message
//! was leased without it, an earlier one is not leased any more. And while a message is surely leased,
//! no receive that began later is given another one of its group.

use std::collections::BTreeMap;

use shoal_types::{GroupName, PartitionId, Sequence};

use super::facts::{Facts, Story};
use super::findings::Findings;
use super::leases::{self, Lease};
use super::{Checker, Evidence};
use crate::history::SimTime;

struct Member<'a> {
    sequence: Sequence,
    story: &'a Story,
    /// It may be gone from then on.
    may_be_gone: SimTime,
    leases: Vec<Held>,
}

struct Held {
    lease: Lease,
    /// Until when it surely lasts.
    until: SimTime,
}

type Group = (PartitionId, GroupName);

pub(super) fn check(facts: &Facts<'_>, evidence: &Evidence<'_>, findings: &mut Findings<'_>) {
    for (group, members) in &groups(facts, evidence) {
        for (at, later) in members.iter().enumerate() {
            for held in &later.leases {
                check_order(facts, group, &members[..at], later, &held.lease, findings);
            }
        }
        check_exclusive(facts, group, members, findings);
    }
}

fn groups<'a>(facts: &'a Facts<'_>, evidence: &Evidence<'_>) -> BTreeMap<Group, Vec<Member<'a>>> {
    let skew = evidence.skew_bound;
    let mut groups: BTreeMap<Group, Vec<Member<'a>>> = BTreeMap::new();
    for ((partition, sequence), story) in &facts.stories {
        let fifo = facts.partitions.get(partition).is_some_and(|q| q.fifo());
        let sent = story.sent.iter().map(|at| &facts.sent[*at].item.group);
        let delivered = story.delivered.iter();
        let delivered = delivered.map(|at| &facts.delivered[*at].delivery.group);
        let (true, Some(Some(group))) = (fifo, sent.chain(delivered).next()) else {
            continue;
        };
        let leases = leases::of(facts, *partition, story).into_iter();
        let leases = leases.map(|(number, lease)| Held {
            until: leases::holds_until(facts, story, number, &lease, skew),
            lease,
        });
        let member = Member {
            sequence: *sequence,
            story,
            may_be_gone: story.may_be_gone_from(facts, *partition, skew),
            leases: leases.collect(),
        };
        // By number: that is the order of the stories, also of partitions that follow one another.
        let key = (facts.root(*partition), group.clone());
        groups.entry(key).or_default().push(member);
    }
    groups
}

fn check_order(
    facts: &Facts<'_>,
    (partition, group): &Group,
    earlier: &[Member<'_>],
    later: &Member<'_>,
    lease: &Lease,
    findings: &mut Findings<'_>,
) {
    let granted = lease.granted_until;
    // A dead message comes back if there is no dead-letter queue any more.
    let may_die = facts.ways.dies_from(*partition).is_some();
    let comes_back = |earlier: &Member<'_>| {
        if may_die {
            return false;
        }
        let mut leases = earlier.leases.iter();
        leases.any(|held| held.lease.granted_from > granted)
    };
    let overtaken = earlier.iter().find(|earlier| {
        (earlier.may_be_gone > granted || comes_back(earlier))
            && !is_given_by(facts, earlier.story, &lease.operations)
    });
    if let Some(overtaken) = overtaken {
        findings.add(Checker::C8, granted, || {
            format!(
                "group {group} of {partition}: {} gave message {} before {} was gone",
                facts.describe(lease.operations[0]),
                later.sequence.number(),
                overtaken.sequence.number()
            )
        });
    }
}

fn is_given_by(facts: &Facts<'_>, story: &Story, operations: &[usize]) -> bool {
    let mut delivered = story.delivered.iter().map(|at| &facts.delivered[*at]);
    delivered.any(|delivered| operations.contains(&delivered.operation))
}

/// Leases in the order in which their receives began, against those that surely last meanwhile.
fn check_exclusive(
    facts: &Facts<'_>,
    (partition, group): &Group,
    members: &[Member<'_>],
    findings: &mut Findings<'_>,
) {
    let leases = members
        .iter()
        .flat_map(|member| member.leases.iter().map(move |held| (member, &held.lease)));
    let mut by_begin: Vec<(&Member<'_>, &Lease)> = leases.collect();
    by_begin.sort_by_key(|(_, lease)| lease.granted_from);
    for member in members {
        for held in &member.leases {
            let until = held.until.min(member.may_be_gone);
            let after = held.lease.granted_until;
            let from = by_begin.partition_point(|(_, lease)| lease.granted_from <= after);
            let meanwhile = by_begin[from..]
                .iter()
                .take_while(|(_, lease)| lease.granted_from < until)
                .find(|(other, lease)| {
                    other.sequence != member.sequence && lease.granted_until < until
                });
            if let Some((other, lease)) = meanwhile {
                findings.add(Checker::C8, lease.granted_until, || {
                    format!(
                        "group {group} of {partition}: {} gave message {} while {} had {} until {until} \
                         at least",
                        facts.describe(lease.operations[0]),
                        other.sequence.number(),
                        facts.describe(held.lease.operations[0]),
                        member.sequence.number()
                    )
                });
            }
        }
    }
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

    #[test]
    fn a_group_is_in_one_receives_hands() {
        let both_leased = || {
            let mut tale = two_in_a_group();
            tale.received(30..40, &[("a", 1, 1), ("b", 2, 1)]);
            tale.released(50..60, 1, 1, 0);
            tale
        };
        let mut tale = both_leased();
        tale.received(70..80, &[("a", 1, 2)]);
        tale.alarms(C8, &["gave message 1 while", "had 2 until 3.030000 s"]);
        let mut tale = both_leased();
        tale.acknowledges(61..65, 2, 1, None);
        tale.received(70..80, &[("a", 1, 2)]);
        tale.pleases(C8);
    }

    #[test]
    fn a_repeated_attempt_gives_what_is_left_of_it() {
        let mut command = Tale::receive(9);
        if let shoal_types::Command::Receive { attempt, .. } = &mut command {
            *attempt = Some([7; 16]);
        }
        let mut tale = two_in_a_group();
        tale.received_by(30..40, command.clone(), &[("a", 1, 1), ("b", 2, 1)]);
        tale.released(50..60, 1, 1, 0);
        tale.received_by(70..80, command, &[("b", 2, 1)]);
        tale.pleases(C8);
    }
}
