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
    if sent.partition != delivered.partition {
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
        && sequence != delivery.sequence
    {
        return Some(format!("it was accepted as {sequence} by {}", send()));
    }
    if sent.item.group != delivery.group || sent.item.crc != delivery.crc {
        return Some(format!("its group or checksum is not that of {}", send()));
    }
    None
}
