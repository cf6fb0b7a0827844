//! C15: a repeated request gets the first answer again.
//!
//! All attempts of an operation that were answered must have been told the same. Two attempts of a
//! receive may differ in that the later one gives only the leases that still last.

use std::collections::BTreeSet;

use shoal_types::{Outcome, PartitionId, Sequence};

use super::facts::Facts;
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
