//! C9: one message per deduplication key and per request.
//!
//! A body is delivered under one number only, the one its send was told. Of the sends with one key
//! that surely lie within the window at most one is accepted, and a duplicate names the number of a
//! send with its key that does not surely lie before the window.

use std::collections::BTreeMap;

use shoal_types::limits::DEDUPLICATION_WINDOW;
use shoal_types::{DedupKey, PartitionId, SendResult, Sequence};

use super::facts::{Facts, Sent};
use super::findings::Findings;
use super::{Checker, Evidence};
use crate::history::SimTime;

pub(super) fn check(facts: &Facts<'_>, evidence: &Evidence<'_>, findings: &mut Findings<'_>) {
    check_bodies(facts, findings);
    let mut by_key: BTreeMap<(PartitionId, DedupKey), Vec<&Sent<'_>>> = BTreeMap::new();
    for sent in &facts.sent {
        if let Some(deduplication) = sent.item.deduplication {
            let key = (facts.root(sent.partition), deduplication.key);
            by_key.entry(key).or_default().push(sent);
        }
    }
    for ((partition, _), sends) in &by_key {
        check_accepted(facts, evidence, *partition, sends, findings);
        check_duplicates(facts, evidence, *partition, sends, findings);
    }
}

fn check_bodies(facts: &Facts<'_>, findings: &mut Findings<'_>) {
    let mut number_of: BTreeMap<usize, (Sequence, usize)> = BTreeMap::new();
    for (at, delivered) in facts.delivered.iter().enumerate() {
        let Some(sent) = delivered.sent.filter(|_| !delivered.came) else {
            continue;
        };
        let number = delivered.delivery.sequence;
        let (first, first_at) = *number_of.entry(sent).or_insert((number, at));
        if first != number {
            findings.add(Checker::C9, delivered.returned, || {
                format!(
                    "what {} sent once was delivered as message {first} in {} and as {number} in {}",
                    facts.describe(facts.sent[sent].operation),
                    facts.describe_delivered(&facts.delivered[first_at]),
                    facts.describe_delivered(delivered)
                )
            });
        }
    }
}

fn accepted<'a>(sends: &[&'a Sent<'a>]) -> Vec<(SimTime, Sequence, &'a Sent<'a>)> {
    let accepted = |sent: &&'a Sent<'a>| match sent.answered {
        Some((at, SendResult::Accepted(sequence))) => Some((at, sequence, *sent)),
        _ => None,
    };
    sends.iter().filter_map(accepted).collect()
}

fn check_accepted(
    facts: &Facts<'_>,
    evidence: &Evidence<'_>,
    partition: PartitionId,
    sends: &[&Sent<'_>],
    findings: &mut Findings<'_>,
) {
    for pair in accepted(sends).windows(2) {
        let [(one_at, one, first), (other_at, other, second)] = pair else {
            continue;
        };
        let begun = first.invoked.min(second.invoked);
        let apart = one_at.max(other_at).0 - begun.0;
        if apart + evidence.skew_bound < DEDUPLICATION_WINDOW {
            findings.add(Checker::C9, *other_at, || {
                format!(
                    "{partition}: with one deduplication key {} got number {one} and {} number {other}",
                    facts.describe(first.operation),
                    facts.describe(second.operation)
                )
            });
        }
    }
}

fn check_duplicates(
    facts: &Facts<'_>,
    evidence: &Evidence<'_>,
    partition: PartitionId,
    sends: &[&Sent<'_>],
    findings: &mut Findings<'_>,
) {
    let accepted = accepted(sends);
    let unknown = sends
        .iter()
        .any(|sent| sent.answered.is_none() && sent.possible);
    for sent in sends {
        let Some((at, SendResult::Duplicate(sequence))) = sent.answered else {
            continue;
        };
        let original = accepted.iter().find(|(_, number, _)| *number == sequence);
        let too_old = original.is_some_and(|(answered, ..)| {
            let window = DEDUPLICATION_WINDOW + evidence.skew_bound;
            answered.0 + window < sent.invoked.0
        });
        if too_old || original.is_none() && !unknown {
            findings.add(Checker::C9, at, || {
                format!(
                    "{partition}: {} was told that it repeats message {sequence}, which no send with \
                     its key within the window was",
                    facts.describe(sent.operation)
                )
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::{SendResult, Sequence};

    use super::Checker::C9;
    use crate::checkers::tale::Tale;

    const ACCEPTED: fn(u64) -> Option<SendResult> = |n| Some(SendResult::Accepted(Sequence(n)));
    const DUPLICATE: fn(u64) -> Option<SendResult> = |n| Some(SendResult::Duplicate(Sequence(n)));
    const MINUTE: u64 = 60_000;

    #[test]
    fn a_repetition_gets_the_number_of_the_first() {
        let mut tale = Tale::new();
        tale.sends(10..20, "a", Tale::keyed("a", 1), ACCEPTED(1));
        tale.sends(30..40, "b", Tale::keyed("b", 1), DUPLICATE(1));
        tale.sends(30..40, "c", Tale::keyed("c", 2), ACCEPTED(2));
        tale.pleases(C9);
    }

    #[test]
    fn two_messages_with_one_key_within_the_window_are_an_alarm() {
        let mut tale = Tale::new();
        tale.sends(10..20, "a", Tale::keyed("a", 1), ACCEPTED(1));
        tale.sends(30..40, "b", Tale::keyed("b", 1), ACCEPTED(2));
        tale.alarms(C9, &["call 1 ", "number 1", "call 2 ", "number 2"]);
    }

    #[test]
    fn after_the_window_a_key_is_new_again() {
        let mut tale = Tale::new();
        tale.sends(10..20, "a", Tale::keyed("a", 1), ACCEPTED(1));
        let later = 6 * MINUTE;
        tale.sends(later..later + 10, "b", Tale::keyed("b", 1), ACCEPTED(2));
        tale.pleases(C9);
        let mut tale = Tale::new();
        tale.sends(10..20, "a", Tale::keyed("a", 1), ACCEPTED(1));
        tale.sends(later..later + 10, "b", Tale::keyed("b", 1), DUPLICATE(1));
        tale.alarms(C9, &["call 2 ", "repeats message 1"]);
    }

    #[test]
    fn a_duplicate_names_a_message_with_its_key() {
        let mut tale = Tale::new();
        tale.sends(10..20, "a", Tale::keyed("a", 1), ACCEPTED(1));
        tale.sends(30..40, "b", Tale::keyed("b", 2), DUPLICATE(1));
        tale.alarms(C9, &["call 2 ", "repeats message 1"]);
    }

    #[test]
    fn one_send_under_two_numbers_is_an_alarm() {
        let mut tale = Tale::new();
        tale.sends(10..20, "a", Tale::item("a"), None);
        tale.received(30..40, &[("a", 1, 1)]);
        tale.pleases(C9);
        tale.received(50..60, &[("a", 2, 1)]);
        tale.alarms(C9, &["call 1 ", "message 1 in call 2", "as 2 in call 3"]);
    }
}
