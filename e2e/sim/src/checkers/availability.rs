//! C10: a receive with room gives every message that is surely there to be given.
//!
//! For each message of a standard queue: the stretches of time in which it was surely accepted, not
//! delayed, in nobody's hands and not gone. A receive that lies in such a stretch from its beginning
//! to its end and gave fewer messages than it was asked for should have given it. Stretches in which a
//! receive that nobody heard of may hold the message do not count. A receive ends before the first
//! message that does not fit into what one answer may carry, so whatever lies behind such a message does
//! not count either. Where messages go on to an heir it is not known where each of them is, from when they
//! may until somebody was given it there. (Groups of FIFO queues are judged by the drain: see liveness and C1.)

use std::collections::BTreeMap;

use shoal_types::limits::RECEIVE_BYTES_MAX;
use shoal_types::{Command, Micros, Outcome, PartitionId, SendResult, Sequence};

use super::facts::{Facts, PartitionFacts, Story, Use};
use super::findings::Findings;
use super::{Checker, Evidence, leases};
use crate::history::SimTime;
use crate::workload::limits::{PATIENCE_MAX, VISIBILITY_MAX};

/// A message that is surely ready, from one time to another.
struct Ready {
    from: SimTime,
    until: SimTime,
    sequence: Sequence,
    /// Of the largest message up to this one.
    bytes: usize,
}

type Stretch = (SimTime, SimTime);

pub(super) fn check(facts: &Facts<'_>, evidence: &Evidence<'_>, findings: &mut Findings<'_>) {
    let skew = evidence.skew_bound;
    let mut ready: BTreeMap<PartitionId, Vec<Ready>> = BTreeMap::new();
    let mut largest: BTreeMap<PartitionId, usize> = BTreeMap::new();
    for ((partition, sequence), story) in &facts.stories {
        let sent = story.sent.iter();
        let sent = sent.map(|at| facts.sent[*at].item.size as usize);
        let delivered = story.delivered.iter();
        let delivered = delivered.map(|at| facts.delivered[*at].delivery.size as usize);
        let size = sent.chain(delivered).next().unwrap_or(0);
        let largest = largest.entry(*partition).or_default();
        *largest = size.max(*largest);
        let bytes = *largest;
        let queue = facts.partitions.get(partition);
        let Some(queue) = queue.filter(|queue| !queue.fifo()) else {
            continue;
        };
        for (from, until) in stretches(facts, *partition, queue, story, skew) {
            for place in places(facts, *partition, story) {
                let there = Ready {
                    from: from.max(place.from),
                    until: until.min(place.until),
                    sequence: *sequence,
                    bytes,
                };
                if there.from < there.until {
                    ready.entry(place.partition).or_default().push(there);
                }
            }
        }
    }
    let receives = Receives::of(facts, skew);
    for (partition, mut ready) in ready {
        ready.sort_by_key(|ready| ready.from);
        let mut latest = SimTime::default();
        let latest: Vec<SimTime> = ready
            .iter()
            .map(|ready| {
                latest = latest.max(ready.until);
                latest
            })
            .collect();
        for receive in receives.short.get(&partition).into_iter().flatten() {
            let begun = ready.partition_point(|ready| ready.from <= receive.invoked);
            if begun == 0 || latest[begun - 1] < receive.returned {
                continue;
            }
            let missed = ready[..begun].iter().find(|ready| {
                ready.until >= receive.returned && receive.bytes + ready.bytes <= RECEIVE_BYTES_MAX
            });
            if let Some(missed) = missed {
                findings.add(Checker::C10, receive.returned, || {
                    format!(
                        "{partition}: {} had room and did not give message {}, which was there to be \
                         given from {} to {}",
                        facts.describe(receive.operation),
                        missed.sequence.number(),
                        missed.from,
                        missed.until
                    )
                });
            }
        }
    }
}

/// A receive that gave less than it was asked for.
struct Short {
    operation: usize,
    invoked: SimTime,
    returned: SimTime,
    bytes: usize,
}

struct Receives {
    short: BTreeMap<PartitionId, Vec<Short>>,
}

impl Receives {
    fn of(facts: &Facts<'_>, skew: Micros) -> Self {
        let mut short: BTreeMap<PartitionId, Vec<Short>> = BTreeMap::new();
        for (number, operation) in facts.operations.iter().enumerate() {
            let Command::Receive {
                partition,
                max,
                attempt: None,
                ..
            } = operation.command
            else {
                continue;
            };
            let Some((returned, Outcome::Received(deliveries))) = operation.answered else {
                continue;
            };
            let queue = facts.partitions.get(&facts.home(*partition));
            let unseen = queue.is_some_and(|queue| {
                queue.leased_unseen.iter().any(|from| {
                    *from <= returned && operation.invoked.0 <= unseen_until(*from, skew)
                })
            });
            // A repeated receive gives the first attempt's leases that are left.
            if unseen || operation.calls.len() > 1 || deliveries.len() >= usize::from(*max) {
                continue;
            }
            short.entry(*partition).or_default().push(Short {
                operation: number,
                invoked: operation.invoked,
                returned,
                bytes: deliveries.iter().map(|d| d.size as usize).sum(),
            });
        }
        Self { short }
    }
}

/// A receive that nobody heard of may have been executed until its deadline, and its leases last.
fn unseen_until(from: SimTime, skew: Micros) -> u64 {
    from.0 + PATIENCE_MAX + VISIBILITY_MAX + 2 * skew
}

/// Where a message surely is, from one time to another.
struct Place {
    partition: PartitionId,
    from: SimTime,
    until: SimTime,
}

/// First where it was sent to, until it may go on to an heir. Then it is where somebody was given it.
fn places(facts: &Facts<'_>, home: PartitionId, story: &Story) -> Vec<Place> {
    let place = |partition, from| Place {
        partition,
        from,
        until: facts
            .kinship
            .goes_on_from(partition)
            .unwrap_or(SimTime(u64::MAX)),
    };
    let mut places = vec![place(home, SimTime::default())];
    let delivered = story.delivered.iter().map(|at| &facts.delivered[*at]);
    let mut came_to: BTreeMap<PartitionId, SimTime> = BTreeMap::new();
    for delivered in delivered {
        let heir = delivered.delivery.receipt.partition;
        if heir != home {
            let first = came_to.entry(heir).or_insert(delivered.returned);
            *first = delivered.returned.min(*first);
        }
    }
    places.extend(came_to.into_iter().map(|(heir, first)| place(heir, first)));
    places
}

fn stretches(
    facts: &Facts<'_>,
    partition: PartitionId,
    queue: &PartitionFacts,
    story: &Story,
    skew: Micros,
) -> Vec<Stretch> {
    let [sent] = story.sent[..] else {
        return Vec::new();
    };
    let sent = &facts.sent[sent];
    let Some((answered, SendResult::Accepted(_))) = sent.answered else {
        return Vec::new();
    };
    let delay = sent.item.delay.unwrap_or_else(|| queue.delay_max());
    let delay = if delay == 0 { 0 } else { delay + skew };
    let mut from = later(answered, delay);
    let gone = story.may_be_gone_from(facts, partition, skew);
    let leases = leases::of(facts, partition, story);
    let leased = leases
        .values()
        .map(|lease| (lease.granted_from, lease.over_from(skew)));
    let touched = story.shown.iter().filter_map(|at| {
        let shown = &facts.shown[*at];
        let lasts = match shown.use_ {
            Use::Acknowledge => return None,
            Use::Change(micros) | Use::Release(micros) => micros,
            Use::Unreceive => 0,
        };
        let over = shown
            .answered
            .map_or(SimTime(u64::MAX), |(at, _)| later(at, lasts + skew));
        shown.possible.then_some((shown.invoked, over))
    });
    let mut busy: Vec<Stretch> = leased.chain(touched).collect();
    busy.sort_unstable();
    let mut free = Vec::new();
    for (begins, ends) in busy.into_iter().chain([(gone, SimTime(u64::MAX))]) {
        let until = begins.min(gone);
        if from < until {
            free.push((from, until));
        }
        from = from.max(ends);
    }
    free
}

fn later(than: SimTime, micros: Micros) -> SimTime {
    SimTime(than.0.saturating_add(micros))
}

#[cfg(test)]
mod tests {
    use shoal_types::SendItem;

    use super::Checker::C10;
    use super::{RECEIVE_BYTES_MAX, SendResult, Sequence};
    use crate::checkers::tale::Tale;

    #[test]
    fn a_full_receive_may_leave_messages() {
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        tale.sent(10..20, "b", 2);
        tale.received(30..40, &[("a", 1, 1)]);
        tale.pleases(C10);
    }

    #[test]
    fn what_lies_behind_a_message_that_does_not_fit_need_not_be_given() {
        // Seed 304261: forty-nine messages of 4.1 MB together, and the next one had 260 KB.
        let large = |bytes: usize| SendItem {
            size: bytes as u32,
            ..Tale::item("large")
        };
        let given = [("a", Tale::delivery("a", 1, 1))];
        let some_of = |bytes: usize| {
            let mut tale = Tale::new();
            tale.sent(10..20, "a", 1);
            let accepted = SendResult::Accepted(Sequence(2));
            tale.sends(10..20, "large", large(bytes), Some(accepted));
            tale.sent(10..20, "b", 3);
            let told = Tale::received_told(&given);
            tale.call(30..40, Tale::receive(5), Vec::new(), Some(told));
            tale
        };
        some_of(RECEIVE_BYTES_MAX).pleases(C10);
        some_of(RECEIVE_BYTES_MAX - 1).alarms(C10, &["call 4", "message 2"]);
    }

    #[test]
    fn an_empty_receive_while_a_message_is_there_is_an_alarm() {
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        tale.received(30..40, &[]);
        tale.received(50..60, &[("a", 1, 1)]);
        tale.alarms(C10, &["call 2", "message 1"]);
    }

    #[test]
    fn what_may_be_on_its_way_delayed_or_leased_need_not_be_given() {
        let mut tale = Tale::new();
        tale.received(15..40, &[]);
        tale.sent(10..20, "a", 1);
        tale.received(30..40, &[("a", 1, 1)]);
        tale.received(35..4_500, &[]);
        tale.pleases(C10);
        let mut tale = Tale::new();
        tale.call(10..12, Tale::receive(5), Vec::new(), None);
        tale.sent(10..20, "a", 1);
        tale.received(30..40, &[]);
        tale.pleases(C10);
    }

    #[test]
    fn a_lease_that_ran_out_or_was_given_back_makes_a_message_available() {
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        tale.received(30..40, &[("a", 1, 1)]);
        tale.received(5_041..5_050, &[]);
        tale.alarms(C10, &["call 3", "message 1"]);
        let mut tale = Tale::new();
        tale.sent(10..20, "a", 1);
        tale.received(30..40, &[("a", 1, 1)]);
        tale.acknowledges(45..50, 1, 1, None);
        tale.received(5_041..5_050, &[]);
        tale.pleases(C10);
    }
}
