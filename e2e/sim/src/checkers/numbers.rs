//! C6: numbers grow and leave no gap. C7: a send that begins after another was answered gets the
//! larger number.
//!
//! C6 looks at each partition's numbers: no number is given twice, those of one send are neighbours,
//! and after the drain every number up to the largest was seen somewhere. Only sends whose answer
//! nobody got may have taken a number unseen. C7 goes through the sends in the order in which they
//! began, with the largest number answered before.

use std::collections::{BTreeMap, BTreeSet};

use shoal_types::{Outcome, PartitionId, SendResult, Sequence};

use super::facts::Facts;
use super::findings::Findings;
use super::{Checker, Evidence};
use crate::history::SimTime;

pub(super) fn check_gaps(facts: &Facts<'_>, evidence: &Evidence<'_>, findings: &mut Findings<'_>) {
    let mut seen: BTreeMap<PartitionId, BTreeSet<Sequence>> = BTreeMap::new();
    let mut accepted: BTreeMap<(PartitionId, Sequence), usize> = BTreeMap::new();
    let mut unknown: BTreeMap<PartitionId, usize> = BTreeMap::new();
    for sent in &facts.sent {
        match sent.answered {
            Some((at, SendResult::Accepted(sequence))) => {
                seen.entry(sent.partition).or_default().insert(sequence);
                let before = accepted.insert((sent.partition, sequence), sent.operation);
                if let Some(before) = before {
                    findings.add(Checker::C6, at, || {
                        format!(
                            "number {sequence} of {} was given to {} and to {}",
                            sent.partition,
                            facts.describe(before),
                            facts.describe(sent.operation)
                        )
                    });
                }
            }
            // What it repeats may have been sent to what this partition follows.
            Some((_, SendResult::Duplicate(sequence)))
                if facts.epoch(sent.partition) == Some(sequence.epoch()) =>
            {
                seen.entry(sent.partition).or_default().insert(sequence);
            }
            None if sent.possible => *unknown.entry(sent.partition).or_default() += 1,
            _ => {}
        }
    }
    for (partition, sequence) in facts.stories.keys() {
        seen.entry(*partition).or_default().insert(*sequence);
    }
    check_batches(facts, findings);
    if !evidence.drained {
        return;
    }
    for (partition, numbers) in &seen {
        let (first, last) = (numbers.first(), numbers.last());
        let (Some(first), Some(last)) = (first, last) else {
            continue;
        };
        let counted = evidence.counts.values().flatten();
        let counted = counted.filter(|(counted, _)| facts.home(**counted) == *partition);
        let counted = counted.map(|(_, counts)| counts.last_sequence).max();
        let last = counted.unwrap_or(*last).max(*last);
        let missing = (last.number() as usize).saturating_sub(numbers.len());
        let allowance = unknown.get(partition).copied().unwrap_or_default();
        // Those that came from other queues were perhaps never seen there.
        let some_came = facts.ways.lead_to(facts.root(*partition));
        if first.epoch() != last.epoch() || missing > allowance && !some_came {
            findings.add(Checker::C6, evidence.ended_at, || {
                let range = 1..=last.number();
                let gap = range
                    .map(|n| Sequence::new(last.epoch(), n))
                    .find(|n| !numbers.contains(n));
                format!(
                    "{partition} numbered up to {last}, of which {missing} were seen nowhere, the \
                     first of them {gap:?}; {allowance} messages were sent without an answer"
                )
            });
        }
    }
}

fn check_batches(facts: &Facts<'_>, findings: &mut Findings<'_>) {
    for (number, operation) in facts.operations.iter().enumerate() {
        let Some((at, Outcome::Sent(results))) = operation.answered else {
            continue;
        };
        let accepted: Vec<Sequence> = accepted(results).collect();
        let neighbours = |pair: &[Sequence]| pair[1].0 == pair[0].0 + 1;
        if !accepted.windows(2).all(neighbours) {
            findings.add(Checker::C6, at, || {
                let call = facts.describe(number);
                format!("the messages of {call} are no neighbours: {accepted:?}")
            });
        }
    }
}

fn accepted(results: &[SendResult]) -> impl Iterator<Item = Sequence> {
    results.iter().filter_map(|result| match result {
        SendResult::Accepted(sequence) => Some(*sequence),
        _ => None,
    })
}

struct Numbered {
    partition: PartitionId,
    invoked: SimTime,
    returned: SimTime,
    least: Sequence,
    most: Sequence,
    operation: usize,
}

pub(super) fn check_real_time(facts: &Facts<'_>, _: &Evidence<'_>, findings: &mut Findings<'_>) {
    let numbered = facts.operations.iter().enumerate();
    let numbered = numbered.filter_map(|(number, operation)| {
        let (returned, Outcome::Sent(results)) = operation.answered? else {
            return None;
        };
        Some(Numbered {
            partition: facts.root(operation.command.partition()?),
            invoked: operation.invoked,
            returned,
            least: accepted(results).min()?,
            most: accepted(results).max()?,
            operation: number,
        })
    });
    let mut by_partition: BTreeMap<PartitionId, Vec<Numbered>> = BTreeMap::new();
    for send in numbered {
        by_partition.entry(send.partition).or_default().push(send);
    }
    for (partition, sends) in &by_partition {
        let mut by_end: Vec<&Numbered> = sends.iter().collect();
        by_end.sort_by_key(|send| send.returned);
        let mut by_begin: Vec<&Numbered> = sends.iter().collect();
        by_begin.sort_by_key(|send| send.invoked);
        let mut ended = by_end.into_iter().peekable();
        let mut largest: Option<&Numbered> = None;
        for send in by_begin {
            while let Some(before) = ended.next_if(|before| before.returned < send.invoked) {
                if largest.is_none_or(|largest| before.most > largest.most) {
                    largest = Some(before);
                }
            }
            if let Some(before) = largest.filter(|before| before.most > send.least) {
                findings.add(Checker::C7, send.returned, || {
                    format!(
                        "{partition}: {} got number {}, and {}, which began later, number {}",
                        facts.describe(before.operation),
                        before.most,
                        facts.describe(send.operation),
                        send.least
                    )
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::SendResult;

    use super::Checker::{C6, C7};
    use super::Sequence;
    use crate::checkers::tale::{QUEUE, Tale};

    #[test]
    fn numbers_without_a_gap_please() {
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        tale.sent(15..30, "b", 2);
        tale.pleases(C6);
        tale.pleases(C7);
    }

    #[test]
    fn a_gap_is_an_alarm_unless_an_unanswered_send_may_have_the_number() {
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        tale.sent(10..20, "c", 3);
        tale.alarms(C6, &["up to 3", "1 were seen nowhere", "0/2"]);
        tale.sends(10..20, "b", Tale::item("b"), None);
        tale.pleases(C6);
    }

    #[test]
    fn a_gap_at_the_end_is_seen_from_what_hosts_count() {
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        let counts = shoal_types::PartitionCounts {
            last_sequence: Sequence(2),
            ..Default::default()
        };
        let host = shoal_types::HostId(1);
        tale.counts.insert(host, [(QUEUE, counts)].into());
        tale.alarms(C6, &["up to 2"]);
    }

    #[test]
    fn a_number_given_twice_is_an_alarm() {
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        tale.sent(30..40, "b", 1);
        tale.alarms(C6, &["number 1", "call 1", "call 2"]);
    }

    #[test]
    fn the_messages_of_one_send_are_neighbours() {
        let batch = |results: [u64; 2]| {
            let mut tale = Tale::new();
            let command = shoal_types::Command::Send {
                partition: QUEUE,
                items: vec![Tale::item("a"), Tale::item("b")],
            };
            let accepted = results.map(|n| SendResult::Accepted(Sequence(n)));
            let outcome = shoal_types::Outcome::Sent(accepted.to_vec());
            let send = tale.told(10..20, command, outcome);
            send.bodies = vec!["a".into(), "b".into()];
            tale
        };
        batch([1, 2]).pleases(C6);
        batch([2, 1]).alarms(C6, &["call 1", "no neighbours"]);
    }

    #[test]
    fn a_send_that_begins_after_another_was_answered_gets_the_larger_number() {
        let mut tale = Tale::new();
        tale.sent(10..30, "a", 2);
        tale.sent(29..40, "b", 1);
        tale.pleases(C7);
        let mut tale = Tale::new();
        tale.sent(10..30, "a", 2);
        tale.sent(31..40, "b", 1);
        tale.alarms(C7, &["call 1", "number 2", "call 2", "number 1"]);
    }
}
