//! Which partitions something can be decided about in a round: what the manager would refuse is not planned.

use shoal_types::{PartitionId, QueueId};

use crate::facts::Queue;
use crate::limits::QUEUE_PARTITIONS_MAX;
use crate::round::Round;
use crate::{WhyNot, WhyStays};

impl<'a> Round<'a> {
    /// The queue of a partition, if the partition can be moved: it takes sends, nothing is in flight for
    /// it, and for a FIFO queue for none of the others.
    pub(crate) fn movable(&self, queue: QueueId, partition: PartitionId) -> Option<&'a Queue> {
        let queue = self.changeable(queue, partition).ok()?;
        (!queue.fifo || queue.is_settled()).then_some(queue)
    }

    /// The queue of a partition, if the partition can leave a cluster that is to be empty. That need not
    /// wait until others of a FIFO queue are empty, whose consumers may never come: the one that follows
    /// holds back what this one holds back.
    pub(crate) fn leaves(
        &self,
        queue: QueueId,
        partition: PartitionId,
    ) -> Result<&'a Queue, WhyStays> {
        let queue = self.changeable(queue, partition)?;
        let is_between = queue.fifo && queue.is_between();
        match queue.may_be_followed_again() {
            true => Ok(queue),
            false if is_between => Err(WhyStays::Changing),
            false => Err(WhyStays::ManyBehind),
        }
    }

    /// The queue of a partition that takes sends, if nothing but its order might be in the way.
    fn changeable(&self, queue: QueueId, partition: PartitionId) -> Result<&'a Queue, WhyStays> {
        let facts = self.facts;
        let queue = facts.queues.get(queue).ok_or(WhyStays::Changing)?;
        let is_active = queue.active().any(|active| active.partition == partition);
        let waits = facts.changes.contains_key(&partition) || self.decided.contains(&queue.queue);
        if !is_active || waits {
            return Err(WhyStays::Changing);
        }
        if let Some(left) = facts.leaves_alone(queue.queue, self.now) {
            return Err(WhyStays::LeftAlone {
                again_in: left.until.since(self.now),
                why: left.why.clone(),
            });
        }
        if queue.partitions.len() >= QUEUE_PARTITIONS_MAX {
            return Err(WhyStays::ManyPartitions);
        }
        Ok(queue)
    }

    /// Why nothing more may be decided about queues, if that is so.
    pub(crate) fn is_full(&self) -> Option<WhyNot> {
        if self.has_room() {
            None
        } else if self.waits_for_consumers() {
            Some(WhyNot::ManyDrain)
        } else {
            Some(WhyNot::FleetBusy)
        }
    }
}
