//! What is known of one message: how it was sent, who received it, what receipts were shown for it.

use std::collections::BTreeMap;

use shoal_types::{Micros, PartitionId, SendResult, Sequence};

use super::{Facts, Use};
use crate::checkers::leases;
use crate::history::SimTime;

/// Indexes into the facts, in the order of the operations.
#[derive(Debug, Default)]
pub(in crate::checkers) struct Story {
    /// The sends that were told this number, or whose body was delivered under it.
    pub(in crate::checkers) sent: Vec<usize>,
    pub(in crate::checkers) delivered: Vec<usize>,
    pub(in crate::checkers) shown: Vec<usize>,
}

pub(super) fn of(facts: &Facts<'_>) -> BTreeMap<(PartitionId, Sequence), Story> {
    let mut stories: BTreeMap<(PartitionId, Sequence), Story> = BTreeMap::new();
    for (at, sent) in facts.sent.iter().enumerate() {
        if let Some((_, SendResult::Accepted(sequence))) = sent.answered {
            let story = stories.entry((sent.partition, sequence)).or_default();
            story.sent.push(at);
        }
    }
    for (at, delivered) in facts.delivered.iter().enumerate() {
        let message = (delivered.partition, delivered.delivery.sequence);
        let story = stories.entry(message).or_default();
        story.delivered.push(at);
        if let Some(sent) = delivered.sent
            && !delivered.came
            && !story.sent.contains(&sent)
        {
            story.sent.push(sent);
        }
    }
    for (at, shown) in facts.shown.iter().enumerate() {
        let home = facts.home(shown.receipt.partition);
        let message = (home, shown.receipt.sequence);
        if let Some(story) = stories.get_mut(&message) {
            story.shown.push(at);
        }
    }
    stories
}

impl Story {
    /// The earliest time at which the message may be gone: it may be acknowledged, deleted as it was
    /// received, purged with its queue, or its time may be over.
    pub(in crate::checkers) fn may_be_gone_from(
        &self,
        facts: &Facts<'_>,
        partition: PartitionId,
        skew: Micros,
    ) -> SimTime {
        let acknowledged = self.shown.iter().filter_map(|at| {
            let shown = &facts.shown[*at];
            (shown.use_ == Use::Acknowledge && shown.possible).then_some(shown.invoked)
        });
        let told = acknowledged.chain(self.taken_from(facts)).min();
        let unseen = self.may_be_taken_unseen_from(facts, partition);
        let cleared = self.may_be_cleared_from(facts, partition, skew);
        let left = self.may_have_left_from(facts, partition);
        let earliest = told.into_iter().chain(unseen).chain(left).chain([cleared]);
        earliest.min().unwrap_or(cleared)
    }

    /// Since when it may be dead, or on its way to another queue.
    fn may_have_left_from(&self, facts: &Facts<'_>, partition: PartitionId) -> Option<SimTime> {
        let (ways, root) = (&facts.ways, facts.root(partition));
        let began = self.sent_from(facts);
        let moved = ways.moves_from(root).map(|from| from.max(began));
        let leases = leases::of(facts, partition, self).into_values();
        let received = leases.map(|lease| lease.granted_from);
        let queue = facts.partitions.get(&partition);
        let unseen = queue.into_iter().flat_map(|queue| &queue.leased_unseen);
        let unseen = unseen.map(|from| (*from).max(began));
        let received = received.chain(unseen).min();
        let died = ways.dies_from(root).zip(received);
        let died = died.map(|(from, received)| from.max(received));
        moved.into_iter().chain(died).min()
    }

    /// True if the message was not sent to where it is but came from another queue.
    pub(in crate::checkers) fn came(&self, facts: &Facts<'_>) -> bool {
        let delivered = self.delivered.first().map(|at| &facts.delivered[*at]);
        self.sent.is_empty() && delivered.is_some_and(|delivered| delivered.came)
    }

    /// Since when it may have been deleted as it was received, by a receive that was answered.
    pub(in crate::checkers) fn taken_from(&self, facts: &Facts<'_>) -> Option<SimTime> {
        let delivered = self.delivered.iter().map(|at| &facts.delivered[*at]);
        let taken = delivered.filter(|delivered| delivered.auto_ack);
        taken.map(|delivered| delivered.invoked).min()
    }

    /// The same by a receive whose answer nobody got.
    pub(in crate::checkers) fn may_be_taken_unseen_from(
        &self,
        facts: &Facts<'_>,
        partition: PartitionId,
    ) -> Option<SimTime> {
        let began = self.sent_from(facts);
        let unseen = &facts.partitions.get(&partition)?.taken_unseen;
        unseen.iter().map(|(from, _)| (*from).max(began)).min()
    }

    /// Since when it may be purged, deleted with its queue, or expired.
    pub(in crate::checkers) fn may_be_cleared_from(
        &self,
        facts: &Facts<'_>,
        partition: PartitionId,
        skew: Micros,
    ) -> SimTime {
        let began = self.sent_from(facts);
        let queue = facts.partitions.get(&partition);
        let cleared = queue
            .into_iter()
            .flat_map(|queue| &queue.cleared)
            .filter(|(_, done)| *done >= began)
            .map(|(from, _)| (*from).max(began));
        let retention = queue.map_or(0, super::PartitionFacts::retention_min);
        let lives = self.time_to_live(facts).unwrap_or(retention).min(retention);
        let expires = began.0.saturating_add(lives).saturating_sub(skew);
        let expires = SimTime(expires.max(began.0));
        cleared
            .min()
            .map_or(expires, |cleared| cleared.min(expires))
    }

    /// It cannot be in the queue earlier.
    pub(in crate::checkers) fn sent_from(&self, facts: &Facts<'_>) -> SimTime {
        let sends = self.sent.iter().map(|at| facts.sent[*at].invoked);
        sends.min().unwrap_or_default()
    }

    fn time_to_live(&self, facts: &Facts<'_>) -> Option<Micros> {
        let sends = self.sent.iter().filter_map(|at| facts.sent[*at].item.ttl);
        sends.min()
    }
}
