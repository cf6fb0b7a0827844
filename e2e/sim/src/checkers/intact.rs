//! C2: what is delivered was sent, byte for byte.
//!
//! Every body of a run is different, so each delivered body names its send. That send must have begun
//! before, must not have been refused or found to be a duplicate, and must agree in size, checksum and
//! group; the checksum must be the body's. A number always stands for the same body.

use std::collections::BTreeMap;

use super::facts::{Delivered, Facts};
use super::findings::Findings;
use super::{Checker, Evidence};

pub(super) fn check(facts: &Facts<'_>, _: &Evidence<'_>, findings: &mut Findings<'_>) {
    let mut first_by_number = BTreeMap::new();
    for delivered in &facts.delivered {
        if let Some(what) = mismatch(facts, delivered) {
            findings.add(Checker::C2, delivered.returned, || {
                let number = delivered.delivery.sequence.number();
                let call = facts.describe_delivered(delivered);
                format!(
                    "message {number} of {} in {call}: {what}",
                    delivered.partition
                )
            });
        }
        let message = (delivered.partition, delivered.delivery.sequence);
        let first: &Delivered<'_> = first_by_number.entry(message).or_insert(delivered);
        if first.body != delivered.body {
            findings.add(Checker::C2, delivered.returned, || {
                format!(
                    "message {} of {} had one body in {} and another in {}",
                    message.1.number(),
                    message.0,
                    facts.describe_delivered(first),
                    facts.describe_delivered(delivered)
                )
            });
        }
    }
}

fn mismatch(facts: &Facts<'_>, delivered: &Delivered<'_>) -> Option<String> {
    let Delivered { delivery, body, .. } = delivered;
    if delivery.size as usize != body.len() || delivery.crc != crc32c::crc32c(body) {
        return Some(format!(
            "its {} bytes do not match size {} and checksum {:08x}",
            body.len(),
            delivery.size,
            delivery.crc
        ));
    }
    let Some(sent) = delivered.sent.map(|at| &facts.sent[at]) else {
        return Some("nobody sent this body".to_owned());
    };
    let send = || facts.describe(sent.operation);
    let (from, here) = (facts.root(sent.partition), facts.root(delivered.partition));
    if delivered.came && !facts.ways.lead(from, here)
        || !delivered.came && sent.partition != delivered.partition
    {
        return Some(format!("it was sent to {} by {}", sent.partition, send()));
    }
    if sent.invoked > delivered.returned {
        return Some(format!("it was sent later, by {}", send()));
    }
    if !sent.possible {
        return Some(format!(
            "it was not accepted but {:?}, by {}",
            sent.answered.map(|(_, result)| result),
            send()
        ));
    }
    if let Some((_, shoal_types::SendResult::Accepted(sequence))) = sent.answered
        && !delivered.came
        && sequence != delivery.sequence
    {
        return Some(format!("it was accepted as {sequence} by {}", send()));
    }
    if sent.item.group != delivery.group || sent.item.crc != delivery.crc {
        return Some(format!("its group or checksum is not that of {}", send()));
    }
    None
}

#[cfg(test)]
mod tests {
    use shoal_types::{Applied, SendResult};

    use super::Checker::C2;
    use crate::checkers::tale::Tale;

    #[test]
    fn what_was_sent_may_be_delivered_even_if_nobody_knew() {
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        tale.sends(10..20, "b", Tale::item("b"), None);
        tale.received(30..40, &[("a", 1, 1), ("b", 2, 1)]);
        tale.pleases(C2);
    }

    #[test]
    fn a_body_that_nobody_sent_is_an_alarm() {
        let mut tale = Tale::new();
        tale.received(30..40, &[("x", 1, 1)]);
        tale.alarms(C2, &["nobody sent", "call 1"]);
    }

    #[test]
    fn a_body_that_does_not_match_its_checksum_is_an_alarm() {
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        let mut delivery = Tale::delivery("a", 1, 1);
        delivery.crc ^= 1;
        let told = Tale::received_told(&[("a", delivery)]);
        tale.call(30..40, Tale::receive(1), Vec::new(), Some(told));
        tale.alarms(C2, &["checksum", "call 2"]);
    }

    #[test]
    fn a_body_under_another_number_than_was_told_is_an_alarm() {
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        tale.received(30..40, &[("a", 2, 1)]);
        tale.alarms(C2, &["message 2", "accepted as 1", "call 1"]);
    }

    #[test]
    fn one_number_with_two_bodies_is_an_alarm() {
        let mut tale = Tale::new();
        tale.sends(10..20, "a", Tale::item("a"), None);
        tale.sends(10..20, "b", Tale::item("b"), None);
        tale.received(30..40, &[("a", 1, 1)]);
        tale.received(5_030..5_040, &[("b", 1, 2)]);
        tale.alarms(C2, &["message 1", "call 3", "call 4"]);
    }

    #[test]
    fn what_was_refused_or_a_duplicate_is_not_delivered() {
        let mut tale = Tale::new();
        let send = tale.sends(10..20, "a", Tale::item("a"), None);
        let refused = Tale::refused(Applied::No);
        send.returned = Some((crate::history::SimTime(20_000), refused));
        tale.received(30..40, &[("a", 1, 1)]);
        tale.alarms(C2, &["not accepted", "call 1"]);
        let mut tale = Tale::new();
        let result = SendResult::Duplicate(shoal_types::Sequence(1));
        tale.sends(10..20, "b", Tale::keyed("b", 1), Some(result));
        tale.received(30..40, &[("b", 2, 1)]);
        tale.alarms(C2, &["Duplicate"]);
    }
}
