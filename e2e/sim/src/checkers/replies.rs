//! C15: a repeated request gets the first answer again.
//!
//! All attempts of an operation that were answered must have been told the same. Two attempts of a
//! receive may differ in that the later one gives only the leases that still last.

use std::collections::BTreeSet;

use shoal_types::{Outcome, PartitionId, Sequence};

use super::facts::{Facts, is_turned_away};
use super::findings::Findings;
use super::{Checker, Evidence, words};
use crate::history::Told;

pub(super) fn check(facts: &Facts<'_>, _: &Evidence<'_>, findings: &mut Findings<'_>) {
    for operation in &facts.operations {
        if operation.calls.len() < 2 {
            continue;
        }
        let told = operation.calls.iter().filter_map(|call| {
            let (at, told) = call.returned.as_ref()?;
            match told {
                Told::Outcome(outcome, _) if is_turned_away(operation.command, outcome) => None,
                Told::Outcome(outcome, _) => Some((*at, *call, outcome)),
                _ => None,
            }
        });
        let told: Vec<_> = told.collect();
        for pair in told.windows(2) {
            let [(_, one, first), (at, other, second)] = pair else {
                continue;
            };
            if !agree(first, second) {
                findings.add(Checker::C15, *at, || {
                    format!(
                        "one request, two answers: {} was told {first:?}, {} was told {second:?}",
                        words::call(one),
                        words::call(other)
                    )
                });
            }
        }
    }
}

fn agree(one: &Outcome, other: &Outcome) -> bool {
    match (one, other) {
        (Outcome::Received(one), Outcome::Received(other)) => {
            let leases =
                |deliveries: &[shoal_types::Delivery]| -> BTreeSet<(PartitionId, Sequence, u16)> {
                    let lease = |d: &shoal_types::Delivery| {
                        (d.receipt.partition, d.sequence, d.receipt.lease)
                    };
                    deliveries.iter().map(lease).collect()
                };
            let (one, other) = (leases(one), leases(other));
            one.is_subset(&other) || other.is_subset(&one)
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::{SendResult, Sequence};

    use super::Checker::C15;
    use super::{Outcome, Told};
    use crate::checkers::tale::Tale;

    fn sent_twice(second: u64) -> Tale {
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        let outcome = Outcome::Sent(vec![SendResult::Accepted(Sequence(second))]);
        tale.again(15..30, Some(Told::Outcome(outcome, Vec::new())));
        tale
    }

    #[test]
    fn a_repeated_send_gets_the_same_number() {
        sent_twice(1).pleases(C15);
        sent_twice(2).alarms(C15, &["call 1 ", "call 2 ", "Accepted"]);
    }

    #[test]
    fn a_repeated_receive_gets_what_is_left_and_nothing_else() {
        let received_again = |numbers: &[(&'static str, u64)]| {
            let mut tale = Tale::new();
            tale.received(30..40, &[("a", 1, 1), ("b", 2, 1)]);
            let again: Vec<_> = numbers
                .iter()
                .map(|(word, number)| (*word, Tale::delivery(word, *number, 1)))
                .collect();
            tale.again(50..60, Some(Tale::received_told(&again)));
            tale
        };
        received_again(&[("b", 2)]).pleases(C15);
        received_again(&[("b", 2), ("c", 3)]).alarms(C15, &["call 1 ", "call 2 "]);
    }
}
