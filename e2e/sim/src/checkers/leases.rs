//! The leases of one message as clients saw them, for the checkers that judge them.

use std::collections::BTreeMap;

use shoal_types::{Command, Micros, PartitionId};

use super::facts::{Facts, Story, Use};
use crate::history::SimTime;

/// One lease of one message. Repetitions of a receive and of its attempt give the same lease again.
pub(super) struct Lease {
    /// The operations that were given it.
    pub(super) operations: Vec<usize>,
    /// It was not granted before this …
    pub(super) granted_from: SimTime,
    /// … and not after.
    pub(super) granted_until: SimTime,
    /// How long it lasts at least, in microseconds, if nobody changes it.
    pub(super) lasts_min: Micros,
    /// At most.
    pub(super) lasts_max: Micros,
}

impl Lease {
    /// When it has surely ended, if nobody changed it.
    pub(super) fn over_from(&self, skew: Micros) -> SimTime {
        let lasts = self.lasts_max.saturating_add(skew);
        SimTime(self.granted_until.0.saturating_add(lasts))
    }
}

/// By the number of the lease.
pub(super) fn of(facts: &Facts<'_>, partition: PartitionId, story: &Story) -> BTreeMap<u16, Lease> {
    let mut leases: BTreeMap<u16, Lease> = BTreeMap::new();
    let queue = facts.partitions.get(&partition);
    for at in &story.delivered {
        let delivered = &facts.delivered[*at];
        let Command::Receive {
            visibility,
            attempt,
            ..
        } = facts.operations[delivered.operation].command
        else {
            continue;
        };
        // A repeated attempt gives leases that the first one took.
        let first = attempt.and_then(|key| facts.attempts.get(&(partition, key)));
        let granted_from = first.map_or(delivered.invoked, |first| delivered.invoked.min(*first));
        let least = visibility.or_else(|| Some(queue?.visibility_min()));
        let most = visibility.or_else(|| Some(queue?.visibility_max()));
        let lease = leases
            .entry(delivered.delivery.receipt.lease)
            .or_insert_with(|| Lease {
                operations: Vec::new(),
                granted_from,
                granted_until: delivered.returned,
                lasts_min: Micros::MAX,
                lasts_max: 0,
            });
        if !lease.operations.contains(&delivered.operation) {
            lease.operations.push(delivered.operation);
        }
        lease.granted_from = lease.granted_from.min(granted_from);
        lease.granted_until = lease.granted_until.min(delivered.returned);
        // The first attempt may have asked for another time.
        let repeats = granted_from < delivered.invoked;
        let least = least.filter(|_| !repeats).unwrap_or_default();
        let most = most.filter(|_| !repeats).unwrap_or(Micros::MAX);
        lease.lasts_min = lease.lasts_min.min(least);
        lease.lasts_max = lease.lasts_max.max(most);
    }
    leases
}

/// Until when the lease surely holds: from the receive's beginning for as long as it lasts, or from an
/// extension's; cut short where a client may have ended it.
pub(super) fn holds_until(
    facts: &Facts<'_>,
    story: &Story,
    number: u16,
    lease: &Lease,
    skew: Micros,
) -> SimTime {
    let shown: Vec<_> = story
        .shown
        .iter()
        .map(|at| &facts.shown[*at])
        .filter(|shown| shown.receipt.lease == number && shown.possible)
        .collect();
    let window = |began: SimTime, lasts: Micros, executed_after: SimTime| {
        let end = began.0.saturating_add(lasts).saturating_sub(skew);
        let later = shown.iter().filter(|other| {
            other.answered.is_none_or(|(done, _)| done > executed_after) && other.invoked != began
        });
        let cut = later.map(|other| other.invoked.0).min();
        SimTime(cut.map_or(end, |cut| end.min(cut)))
    };
    let granted = window(lease.granted_from, lease.lasts_min, lease.granted_from);
    let changed_to = |operation: usize| {
        let same = shown.iter().filter(|other| other.operation == operation);
        let ends = same.filter_map(|other| match other.use_ {
            Use::Change(lasts) => Some(lasts),
            _ => None,
        });
        ends.min()
    };
    let extended = shown.iter().filter_map(|shown| {
        let lasts = changed_to(shown.operation).filter(|_| shown.answered.is_some())?;
        Some(window(shown.invoked, lasts, shown.invoked))
    });
    extended.chain([granted]).max().unwrap_or(granted)
}
