//! C12: delays, times to live and retention are kept.
//!
//! Nothing is delivered before its send began plus its delay, nor before its release began plus the
//! release's; nothing by a receive that begins after its time was surely over. All less what clocks
//! may be off. Where settings changed during the run, the most lenient ones count.

use shoal_types::{Micros, PartitionId, SendResult, Sequence};

use super::facts::{Delivered, Facts, Story, Use};
use super::findings::Findings;
use super::{Checker, Evidence};
use crate::history::SimTime;

pub(super) fn check(facts: &Facts<'_>, evidence: &Evidence<'_>, findings: &mut Findings<'_>) {
    let skew = evidence.skew_bound;
    for ((partition, sequence), story) in &facts.stories {
        for at in &story.delivered {
            let delivered = &facts.delivered[*at];
            let early = not_before(facts, *partition, story, delivered)
                .filter(|at| delivered.returned.0.saturating_add(skew) < at.0);
            if let Some(early) = early {
                findings.add(Checker::C12, delivered.returned, || {
                    let what = format!("was delayed until {early}");
                    describe(facts, *partition, *sequence, &what, delivered)
                });
            }
            let late = not_after(facts, *partition, story)
                .filter(|at| at.0.saturating_add(skew) < delivered.invoked.0);
            if let Some(late) = late {
                findings.add(Checker::C12, delivered.returned, || {
                    let what = format!("was to be kept until {late}");
                    describe(facts, *partition, *sequence, &what, delivered)
                });
            }
        }
    }
}

fn describe(
    facts: &Facts<'_>,
    partition: PartitionId,
    sequence: Sequence,
    what: &str,
    delivered: &Delivered<'_>,
) -> String {
    format!(
        "message {} of {partition} {what} and delivered by {}",
        sequence.number(),
        facts.describe_delivered(delivered)
    )
}

/// Earliest delivery: after the delay of the send, and of the release of the lease before.
fn not_before(
    facts: &Facts<'_>,
    partition: PartitionId,
    story: &Story,
    delivered: &Delivered<'_>,
) -> Option<SimTime> {
    let queue = facts.partitions.get(&partition)?;
    let sent = delivered.sent.filter(|_| !delivered.came).map(|at| {
        let sent = &facts.sent[at];
        let delay = sent.item.delay.unwrap_or_else(|| queue.delay_min());
        later(sent.invoked, delay)
    });
    let released = story.shown.iter().filter_map(|at| {
        let shown = &facts.shown[*at];
        let done = shown.answered.is_some() && shown.possible;
        match shown.use_ {
            // Of a lease that was not the newest it would not have been done.
            Use::Release(delay)
                if done && shown.receipt.lease < delivered.delivery.receipt.lease =>
            {
                Some(later(shown.invoked, delay))
            }
            _ => None,
        }
    });
    released.chain(sent).max()
}

/// Latest delivery, if its send's answer is known.
fn not_after(facts: &Facts<'_>, partition: PartitionId, story: &Story) -> Option<SimTime> {
    let queue = facts.partitions.get(&partition)?;
    let answered = story.sent.iter().filter_map(|at| {
        let sent = &facts.sent[*at];
        match sent.answered {
            Some((at, SendResult::Accepted(_))) => {
                let kept = queue.retention_max();
                Some(later(at, sent.item.ttl.unwrap_or(kept).min(kept)))
            }
            _ => None,
        }
    });
    answered.max()
}

fn later(than: SimTime, micros: Micros) -> SimTime {
    SimTime(than.0.saturating_add(micros))
}

#[cfg(test)]
mod tests {
    use shoal_types::{SendResult, Sequence};

    use super::Checker::C12;
    use crate::checkers::tale::{MS, Tale};

    fn sent(change: impl FnOnce(&mut shoal_types::SendItem)) -> Tale {
        let mut tale = Tale::new();
        let mut item = Tale::item("a");
        change(&mut item);
        tale.sends(10..20, "a", item, Some(SendResult::Accepted(Sequence(1))));
        tale
    }

    #[test]
    fn a_delayed_message_comes_after_its_delay() {
        let delayed = || sent(|item| item.delay = Some(3_000 * MS));
        let mut tale = delayed();
        tale.received(1_000..2_010, &[("a", 1, 1)]);
        tale.pleases(C12);
        let mut tale = delayed();
        tale.received(1_000..2_009, &[("a", 1, 1)]);
        tale.alarms(C12, &["message 1", "delayed until 3.01", "call 2"]);
    }

    #[test]
    fn the_queue_says_how_long_if_the_send_does_not() {
        let mut tale = Tale::with(|settings| settings.delay = 3_000 * MS);
        tale.sent(10..20, "a", 1);
        tale.received(1_000..2_009, &[("a", 1, 1)]);
        tale.alarms(C12, &["message 1", "delayed until 3.01"]);
    }

    #[test]
    fn a_released_message_comes_after_the_delay() {
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        tale.received(30..40, &[("a", 1, 1)]);
        tale.released(50..60, 1, 1, 3_000);
        tale.received(61..2_049, &[("a", 1, 2)]);
        tale.alarms(C12, &["delayed until 3.05", "call 4"]);
    }

    #[test]
    fn what_is_over_is_not_delivered_any_more() {
        let short = || sent(|item| item.ttl = Some(3_000 * MS));
        let mut tale = short();
        tale.received(4_020..4_030, &[("a", 1, 1)]);
        tale.pleases(C12);
        let mut tale = short();
        tale.received(4_021..4_030, &[("a", 1, 1)]);
        tale.alarms(C12, &["kept until 3.02", "call 2"]);
        let mut tale = Tale::with(|settings| settings.retention = 3_000 * MS);
        tale.sent(10..20, "a", 1);
        tale.received(4_021..4_030, &[("a", 1, 1)]);
        tale.alarms(C12, &["kept until 3.02", "call 2"]);
    }
}
