//! C4: a message is in one receiver's hands at a time.
//!
//! A lease was granted after its receive began, so it surely holds until the beginning plus the
//! visibility timeout, less what clocks may be off, unless a client may have ended it. The next lease
//! was granted before its receive returned, so that must not be earlier. And nobody is given a lease
//! that somebody else has, but by repeating the same request or attempt.

use shoal_types::Command;

use super::facts::Facts;
use super::findings::Findings;
use super::{Checker, Evidence, leases};

pub(super) fn check(facts: &Facts<'_>, evidence: &Evidence<'_>, findings: &mut Findings<'_>) {
    for ((partition, sequence), story) in &facts.stories {
        let leases = leases::of(facts, *partition, story);
        for (number, lease) in &leases {
            if let [one, other, ..] = lease.operations[..]
                && !is_same_attempt(facts, one, other)
            {
                findings.add(Checker::C4, lease.granted_until, || {
                    format!(
                        "lease {number} of message {} of {partition} was given to {} and to {}",
                        sequence.number(),
                        facts.describe(one),
                        facts.describe(other)
                    )
                });
            }
            let until = leases::holds_until(facts, story, *number, lease, evidence.skew_bound);
            let later = leases.range(number + 1..);
            let next = later.min_by_key(|(_, later)| later.granted_until);
            if let Some((next_number, next)) = next
                && next.granted_until < until
            {
                findings.add(Checker::C4, next.granted_until, || {
                    format!(
                        "message {} of {partition} was leased until {until} at least (lease {number}) \
                         by {}, and leased again (lease {next_number}) by {}",
                        sequence.number(),
                        facts.describe(lease.operations[0]),
                        facts.describe(next.operations[0])
                    )
                });
            }
        }
    }
}

fn is_same_attempt(facts: &Facts<'_>, one: usize, other: usize) -> bool {
    let attempt = |at: usize| match facts.operations[at].command {
        Command::Receive { attempt, .. } => *attempt,
        _ => None,
    };
    attempt(one).is_some() && attempt(one) == attempt(other)
}
