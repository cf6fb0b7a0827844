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
            let key = (sent.partition, deduplication.key);
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
        let Some(sent) = delivered.sent else { continue };
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
