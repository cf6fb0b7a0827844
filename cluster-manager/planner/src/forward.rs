//! What nobody consumes from a sealed partition goes on to another cluster: when, and to which.

use shoal_types::{ClusterId, PartitionId};

use crate::facts::{Change, ClusterStage, Forwarding, Queue};
use crate::limits::{FORWARDS_PER_ROUND, RECEIVER_MAX};
use crate::round::Round;
use crate::{Action, Decided, Heat, Reason, WhyStays};

/// Forwards what has been sealed for longer than patience lasts; off a cluster that is drained also what
/// was forwarded there before, and without patience if an operator wants that.
pub(crate) fn forward_what_is_late(round: &mut Round) {
    let mut more = FORWARDS_PER_ROUND;
    for (&partition, change) in &round.facts.changes {
        if more == 0 || !round.may_forward() {
            return;
        }
        if let Ok(decided) = forwarded(round, partition, change) {
            round.forward(partition, decided);
            more -= 1;
        }
    }
}

/// Why what is left in a sealed partition of a cluster that is drained stays there, if there is anything to
/// say: nothing of what is on its way.
pub(crate) fn why_it_stays(round: &Round, partition: PartitionId) -> Option<WhyStays> {
    let change = round.facts.changes.get(&partition)?;
    if round.forwarded.contains(&partition) {
        return None;
    }
    match forwarded(round, partition, change) {
        Ok(_) => Some(WhyStays::FleetBusy),
        Err(why) => why,
    }
}

/// The forwarding of what is left in a partition, or why not; `None` if there is nothing to say.
fn forwarded(
    round: &Round,
    partition: PartitionId,
    change: &Change,
) -> Result<Decided, Option<WhyStays>> {
    let sealed = change.sealed.filter(|_| change.drains()).ok_or(None)?;
    let queue = round.facts.queues.get(change.queue).ok_or(None)?;
    let known = queue.partition(partition).ok_or(None)?;
    let from = known.cluster;
    let place = round.facts.clusters.get(&from).ok_or(None)?;
    let is_drained = place.stage == ClusterStage::Draining;
    if change.is_heir && !is_drained {
        return Err(None);
    }
    let sealed_for = round.now.since(sealed);
    let patience = match is_drained && place.forwards_at_once {
        true => 0,
        false => round.rules.drain_patience,
    };
    if sealed_for < patience {
        let forwarded_in = patience - sealed_for;
        return Err(Some(WhyStays::Consumed { forwarded_in }));
    }
    if queue.is_between() {
        return Err(Some(WhyStays::Changing));
    }
    if let Some(older) = queue.held_back_by(known) {
        return Err(Some(WhyStays::HeldBack { on: older.cluster }));
    }
    let avoid = avoided(round, change)?;
    if !round.able.contains_key(&from) {
        return Err(Some(WhyStays::NoMajority));
    }
    let to = heir_place(round, queue, from, avoid).ok_or(Some(WhyStays::NoOther))?;
    let action = Action::Forward {
        queue: queue.queue,
        partition,
        from,
        to,
    };
    let reason = Reason::NotConsumed { sealed_for };
    Ok(Decided { action, reason })
}

/// Where it came to nothing the last time, if it may be tried again.
fn avoided(round: &Round, change: &Change) -> Result<Option<ClusterId>, WhyStays> {
    let Forwarding::GivenUp { again, at } = change.forwarding else {
        return Ok(None);
    };
    let again_in = again.map(|again| again.since(round.now));
    match again_in {
        Some(0) => Ok(Some(at)),
        _ => Err(WhyStays::ForwardingGivenUp { again_in, at }),
    }
}

/// Where an heir is to be: not where one could not be made before, if there is another; not where it is too
/// hot, if there is a cooler one; then where the queue is sent to, so that it is in one place; then the
/// coolest. A cluster that is too hot is better than none: what comes is written once, and consumed by
/// nobody.
fn heir_place(
    round: &Round,
    queue: &Queue,
    from: ClusterId,
    avoid: Option<ClusterId>,
) -> Option<ClusterId> {
    let takes = round
        .able
        .iter()
        .filter(|(id, able)| **id != from && able.cluster.stage == ClusterStage::Serving);
    let order = takes.map(|(id, able)| {
        let heat = able.settled.or(able.any).map_or(Heat::ZERO, |it| it.heat);
        let is_sent_to = queue.active().any(|active| active.cluster == *id);
        (
            avoid == Some(*id),
            heat > RECEIVER_MAX,
            !is_sent_to,
            heat,
            *id,
        )
    });
    order.min().map(|(.., id)| id)
}
