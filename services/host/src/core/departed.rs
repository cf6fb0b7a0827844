//! Bodies of messages that were deleted as they were received. Only the coordinator reads such a body, a
//! moment later; if its own is damaged, the other members, whose messages are gone as well, must still be
//! able to give theirs. So every member remembers for a while where it has them, and keeps the segments.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use shoal_queue::PlacedBody;
use shoal_types::{Delivery, Mono, PartitionId, Sequence};

use crate::limits;

/// See the module.
#[derive(Default)]
pub(super) struct Departed {
    /// By the time at which they went.
    order: VecDeque<(Mono, PartitionId, Sequence)>,
    bodies: BTreeMap<(PartitionId, Sequence), PlacedBody>,
}

impl Departed {
    pub(super) fn note(&mut self, delivery: &Delivery, now: Mono) {
        let (partition, sequence) = (delivery.receipt.partition, delivery.sequence);
        let body = PlacedBody {
            partition,
            sequence,
            at: delivery.body,
            size: delivery.size,
            crc: delivery.crc,
        };
        if self.bodies.insert((partition, sequence), body).is_none() {
            self.order.push_back((now, partition, sequence));
        }
        if self.order.len() > limits::DEPARTED_MAX {
            self.forget_first();
        }
    }

    /// Forgets those that nobody asks for any more.
    pub(super) fn forget_old(&mut self, now: Mono) {
        while let Some((at, ..)) = self.order.front()
            && now >= *at + limits::DEPARTED_KEPT
        {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, partition, sequence)) = self.order.pop_front() {
            self.bodies.remove(&(partition, sequence));
        }
    }

    pub(super) fn body(&self, partition: PartitionId, sequence: Sequence) -> Option<PlacedBody> {
        self.bodies.get(&(partition, sequence)).copied()
    }

    /// The segments of the log in which they lie.
    pub(super) fn segments(&self) -> BTreeSet<u32> {
        self.bodies.values().map(|body| body.at.segment).collect()
    }
}
