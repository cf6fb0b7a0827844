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

#[cfg(test)]
mod tests {
    use shoal_types::ReceiptResult;

    use super::Checker::C4;
    use crate::checkers::tale::Tale;

    /// Leased for 4 s at 30 ms; clocks may be off by 1 s.
    fn leased() -> Tale {
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        tale.received(30..40, &[("a", 1, 1)]);
        tale
    }

    #[test]
    fn a_lease_may_follow_when_the_one_before_may_be_over() {
        let mut tale = leased();
        tale.received(3_000..3_031, &[("a", 1, 2)]);
        tale.pleases(C4);
    }

    #[test]
    fn a_lease_must_not_begin_while_another_surely_lasts() {
        let mut tale = leased();
        tale.received(3_000..3_029, &[("a", 1, 2)]);
        tale.alarms(C4, &["message 1", "by call 2", "leased again", "by call 3"]);
    }

    #[test]
    fn an_extension_makes_a_lease_last() {
        let mut tale = leased();
        tale.extends(2_000..2_010, 1, 1, 9_000, Some(ReceiptResult::Done));
        tale.received(9_000..9_999, &[("a", 1, 2)]);
        tale.alarms(C4, &["call 2", "call 4"]);
        let mut tale = leased();
        tale.extends(2_000..2_010, 1, 1, 9_000, Some(ReceiptResult::Done));
        tale.received(9_000..10_001, &[("a", 1, 2)]);
        tale.pleases(C4);
    }

    #[test]
    fn whoever_may_have_given_a_lease_back_has_it_no_more() {
        let mut tale = leased();
        tale.released(100..110, 1, 1, 0);
        tale.received(105..120, &[("a", 1, 2)]);
        tale.pleases(C4);
        let mut tale = leased();
        tale.extends(100..110, 1, 1, 0, None);
        tale.received(105..120, &[("a", 1, 2)]);
        tale.pleases(C4);
    }

    #[test]
    fn a_repeated_attempt_gives_a_lease_that_may_be_old() {
        let mut command = Tale::receive(1);
        if let shoal_types::Command::Receive { attempt, .. } = &mut command {
            *attempt = Some([7; 16]);
        }
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        tale.call(30..35, command.clone(), Vec::new(), None);
        tale.received_by(4_000..4_010, command, &[("a", 1, 1)]);
        tale.received(4_050..4_060, &[("a", 1, 2)]);
        tale.pleases(C4);
    }

    #[test]
    fn one_lease_is_given_to_one_receive_and_its_repetitions() {
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        tale.call(30..35, Tale::receive(1), Vec::new(), None);
        let told = Tale::received_told(&[("a", Tale::delivery("a", 1, 1))]);
        tale.again(35..40, Some(told));
        tale.pleases(C4);
        tale.received(50..60, &[("a", 1, 1)]);
        tale.alarms(C4, &["lease 1 of message 1", "call 2", "call 4"]);
    }
}
