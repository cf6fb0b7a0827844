//! C11: a message dies after exactly as many receives as its queue says, and is then in the dead-letter queue
//! once (P9); and the same of what tasks move: nothing is lost on the way, or stands in two queues.
//!
//! A body tells which message it is, wherever that is given. What is judged:
//! where it is sure when messages die, none is given more often; a dead letter was not received less often
//! than some instruction said, nor than consumers saw; it names the message that it was, and a queue whose dead
//! may go there. A message is not given in one place, in another, and in the first again, nor twice in a queue
//! out of which there is no way, nor anywhere after it was deleted. The dead of a FIFO group come in its order.
//! And once all queues are empty, what was accepted was deleted by somebody, wherever it went.

use std::collections::BTreeMap;

use shoal_types::{Command, DeadFrom, GroupName, PartitionId, ReceiptResult, SendResult, Sequence};

use super::facts::{Delivered, Facts, Story, Use, first_of};
use super::findings::Findings;
use super::{Checker, Evidence, leases, no_loss};
use crate::history::SimTime;

/// Where a message was: the partition that it was sent or came to, and its number there.
type Place = (PartitionId, Sequence);

/// All that is known of one message in one place.
struct Stay<'a> {
    place: Place,
    story: &'a Story,
    /// When it was surely there at the earliest, as far as somebody was given it …
    from: SimTime,
    /// … and at the latest.
    until: SimTime,
}

pub(super) fn check(facts: &Facts<'_>, evidence: &Evidence<'_>, findings: &mut Findings<'_>) {
    for delivered in &facts.delivered {
        check_receives(facts, delivered, findings);
        if let Some(dead_from) = delivered.delivery.dead_from.as_deref() {
            check_past(facts, delivered, dead_from, findings);
        }
    }
    let stays = stays(facts);
    for stays in stays.values() {
        check_once(facts, evidence, stays, findings);
    }
    check_order(facts, findings);
    check_loss(facts, evidence, &stays, findings);
}

/// Of messages that were given under more than the number that their send was told, all places.
fn stays<'a>(facts: &'a Facts<'_>) -> BTreeMap<usize, Vec<Stay<'a>>> {
    let mut stays: BTreeMap<usize, Vec<Stay<'a>>> = BTreeMap::new();
    for (place, story) in &facts.stories {
        let bodies = story.delivered.iter();
        let Some(sent) = bodies.filter_map(|at| facts.delivered[*at].sent).next() else {
            continue;
        };
        let leases = leases::of(facts, place.0, story);
        let from = leases.values().map(|lease| lease.granted_until).min();
        let until = leases.values().map(|lease| lease.granted_from).max();
        let (Some(from), Some(until)) = (from, until) else {
            continue;
        };
        stays.entry(sent).or_default().push(Stay {
            place: *place,
            story,
            from,
            until,
        });
    }
    stays
}

/// Where it is sure when messages die.
fn check_receives(facts: &Facts<'_>, delivered: &Delivered<'_>, findings: &mut Findings<'_>) {
    let Command::Receive { attempt: None, .. } = facts.operations[delivered.operation].command
    else {
        return;
    };
    let partition = delivered.delivery.receipt.partition;
    let fifo = |queue: PartitionId| facts.partitions.get(&queue).is_some_and(|q| q.fifo());
    let source_is_fifo = fifo(facts.home(partition));
    // A FIFO queue refuses messages without a group.
    let is_lasting =
        |to: PartitionId| facts.partitions.contains_key(&to) && (source_is_fifo || !fifo(to));
    let (from, until) = (delivered.invoked, delivered.returned);
    let most = facts.ways.surely_dies(partition, from, until, is_lasting);
    let receives = delivered.delivery.receive_count;
    if most.is_some_and(|most| receives > u32::from(most)) {
        findings.add(Checker::C11, delivered.returned, || {
            format!(
                "message {} of {partition} dies after {} receives and was given for the {receives}th time by {}",
                delivered.delivery.sequence.number(),
                most.unwrap_or_default(),
                facts.describe_delivered(delivered)
            )
        });
    }
}

/// What a dead letter says about itself.
fn check_past(
    facts: &Facts<'_>,
    delivered: &Delivered<'_>,
    dead_from: &DeadFrom,
    findings: &mut Findings<'_>,
) {
    if let Some(what) = wrong_past(facts, delivered, dead_from) {
        findings.add(Checker::C11, delivered.returned, || {
            format!(
                "message {} of {}, {dead_from:?}, in {}: {what}",
                delivered.delivery.sequence.number(),
                delivered.partition,
                facts.describe_delivered(delivered)
            )
        });
    }
}

fn wrong_past(
    facts: &Facts<'_>,
    delivered: &Delivered<'_>,
    dead_from: &DeadFrom,
) -> Option<String> {
    let (died_in, here) = (first_of(dead_from.queue), facts.root(delivered.partition));
    let Some(least) = facts.ways.least(died_in, here) else {
        return Some(format!("no dead of {died_in} go to {here}"));
    };
    if dead_from.receives < least {
        return Some(format!("none dies after less than {least} receives"));
    }
    let sent = &facts.sent[delivered.sent?];
    let named = dead_from.message;
    let name = (facts.home(named.partition), named.sequence);
    if let Some((_, SendResult::Accepted(sequence))) = sent.answered {
        // A task that moves a message gives it a new name.
        let moved = facts.ways.moves_from(facts.root(sent.partition)).is_some();
        let root_of_name = facts.root(name.0);
        if name != (sent.partition, sequence) && !moved && !was_moved(facts, root_of_name) {
            let send = facts.describe(sent.operation);
            return Some(format!(
                "it was accepted as {sequence} of {} by {send}",
                sent.partition
            ));
        }
    }
    let story = facts.stories.get(&name)?;
    let seen = || story.delivered.iter().map(|at| &facts.delivered[*at]);
    if let Some(other) = seen().find(|other| other.body != delivered.body) {
        let call = facts.describe_delivered(other);
        return Some(format!("that message had another body in {call}"));
    }
    let given_back = story.shown.iter().map(|at| &facts.shown[*at]);
    let uncounted = given_back.filter(|shown| shown.use_ == Use::Unreceive && shown.possible);
    let seen = seen().map(|other| other.delivery.receive_count).max();
    if seen.is_some_and(|seen| seen > u32::from(dead_from.receives)) && uncounted.count() == 0 {
        return Some(format!("that message was received {seen:?} times"));
    }
    None
}

/// A message may have got a name in this queue by a task.
fn was_moved(facts: &Facts<'_>, root: PartitionId) -> bool {
    facts.ways.lead_to(root)
}

/// In one place after the other, and never again in one that it left.
fn check_once(
    facts: &Facts<'_>,
    evidence: &Evidence<'_>,
    stays: &[Stay<'_>],
    findings: &mut Findings<'_>,
) {
    for (at, one) in stays.iter().enumerate() {
        for other in &stays[at + 1..] {
            let back_and_forth = one.until > other.from && other.until > one.from;
            let root = facts.root(one.place.0);
            let same_queue = root == facts.root(other.place.0);
            let twice = same_queue && facts.ways.leaves_from(root).is_none();
            let deleted = is_given_after_its_end(facts, evidence, one, other)
                || is_given_after_its_end(facts, evidence, other, one);
            if back_and_forth || twice || deleted {
                findings.add(Checker::C11, one.from.max(other.from), || {
                    format!(
                        "one message is number {} of {} and number {} of {}, as given by {} and by {}",
                        one.place.1,
                        one.place.0,
                        other.place.1,
                        other.place.0,
                        describe(facts, one),
                        describe(facts, other)
                    )
                });
            }
        }
    }
}

fn describe(facts: &Facts<'_>, stay: &Stay<'_>) -> String {
    facts.describe_delivered(&facts.delivered[stay.story.delivered[0]])
}

/// Somebody was told that it is deleted in one place, and it was given in another one later.
fn is_given_after_its_end(
    facts: &Facts<'_>,
    evidence: &Evidence<'_>,
    ended: &Stay<'_>,
    given: &Stay<'_>,
) -> bool {
    let shown = ended.story.shown.iter().map(|at| &facts.shown[*at]);
    let acknowledged = shown.filter_map(|shown| match shown.answered {
        Some((at, ReceiptResult::Done)) if shown.use_ == Use::Acknowledge => Some(at),
        _ => None,
    });
    let delivered = ended.story.delivered.iter().map(|at| &facts.delivered[*at]);
    let taken = delivered.filter(|one| one.auto_ack).map(|one| one.returned);
    let Some(end) = acknowledged.chain(taken).min() else {
        return false;
    };
    // What was purged or expired on its way is gone where it was, and may have arrived all the same.
    let partition = ended.place.0;
    let cleared = ended
        .story
        .may_be_cleared_from(facts, partition, evidence.skew_bound);
    given.until > end && cleared > end
}

/// The dead of one FIFO group, by the numbers that they had.
fn check_order(facts: &Facts<'_>, findings: &mut Findings<'_>) {
    type Way = (PartitionId, PartitionId, GroupName);
    let mut dead: BTreeMap<Way, BTreeMap<Sequence, (Sequence, &Delivered<'_>)>> = BTreeMap::new();
    for delivered in &facts.delivered {
        let delivery = delivered.delivery;
        let (Some(from), Some(group)) = (delivery.dead_from.as_deref(), &delivery.group) else {
            continue;
        };
        let (died_in, here) = (first_of(from.queue), facts.root(delivered.partition));
        let fifo = |id: PartitionId| facts.partitions.get(&id).is_some_and(|q| q.fifo());
        let in_order = fifo(died_in) && fifo(here);
        let named_there = facts.root(from.message.partition) == died_in;
        if in_order && named_there && !facts.ways.lead(here, died_in) {
            let of_group = dead.entry((died_in, here, group.clone())).or_default();
            of_group.insert(from.message.sequence, (delivery.sequence, delivered));
        }
    }
    for ((died_in, here, group), of_group) in &dead {
        let numbers: Vec<_> = of_group.values().collect();
        for pair in numbers.windows(2) {
            let [(one, first), (next, second)] = pair else {
                continue;
            };
            if one >= next {
                findings.add(Checker::C11, second.returned, || {
                    format!(
                        "dead letters of group {group} went from {died_in} to {here} out of order: {} and {}",
                        facts.describe_delivered(first),
                        facts.describe_delivered(second)
                    )
                });
            }
        }
    }
}

/// What C1 leaves out: messages of queues out of which there is a way.
fn check_loss(
    facts: &Facts<'_>,
    evidence: &Evidence<'_>,
    stays: &BTreeMap<usize, Vec<Stay<'_>>>,
    findings: &mut Findings<'_>,
) {
    if !evidence.drained {
        return;
    }
    let all = facts.partitions.values();
    let unseen = all.flat_map(|queue| &queue.taken_unseen);
    let mut allowance: u64 = unseen.map(|(_, most)| most).sum();
    for (number, sent) in facts.sent.iter().enumerate() {
        let Some((_, SendResult::Accepted(sequence))) = sent.answered else {
            continue;
        };
        if facts.ways.leaves_from(facts.root(sent.partition)).is_none() {
            continue;
        }
        let own = (sent.partition, sequence);
        let story = facts.stories.get(&own).map(|story| (own.0, story));
        let others = stays.get(&number).into_iter().flatten();
        let mut places = story
            .into_iter()
            .chain(others.map(|stay| (stay.place.0, stay.story)));
        let ended = |(partition, story): (PartitionId, &Story)| {
            no_loss::is_accounted_for(facts, evidence, partition, story)
        };
        if places.any(ended) || may_be_cleared_elsewhere(facts, evidence, sent.partition) {
            continue;
        }
        if allowance > 0 {
            allowance -= 1;
            continue;
        }
        findings.add(Checker::C11, sent.invoked, || {
            format!(
                "message {} of {}, accepted by {}, is neither there nor in any queue that it may have gone to",
                sequence.number(),
                sent.partition,
                facts.describe(sent.operation)
            )
        });
    }
}

/// A queue to which it may have gone was purged or deleted, or keeps messages for a short time.
fn may_be_cleared_elsewhere(
    facts: &Facts<'_>,
    evidence: &Evidence<'_>,
    partition: PartitionId,
) -> bool {
    let reachable = facts.ways.reachable(facts.root(partition));
    let mut all = facts.partitions.iter();
    all.any(|(id, queue)| {
        let is_short = queue.retention_min() < evidence.ended_at.0 + evidence.skew_bound;
        // Nothing came to one that was deleted and never created.
        let was_there = queue.epoch().is_some();
        let may_have = was_there && reachable.contains(&facts.root(*id));
        may_have && (is_short || !queue.cleared.is_empty())
    })
}

#[cfg(test)]
mod tests;
