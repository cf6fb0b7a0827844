//! What a client is told, with the places of the bodies that go along.

use bytes::Bytes;
use shoal_queue::PlacedBody;
use shoal_types::{
    BodyRef, Delivery, HostReply, Outcome, PartitionId, Peeked, QueryReply, Refusal,
};

use crate::recent_bodies::RecentBodies;

/// An answer, its bodies still to be read where they are not at hand.
pub struct Answer {
    /// The reply or why there is none.
    pub result: Result<HostReply, Refusal>,
    /// One per message in the reply, in order.
    pub bodies: Vec<StoredBody>,
}

/// A body on its way into an answer.
pub enum StoredBody {
    /// Still in memory.
    Recent(Bytes),
    /// To be read from the log.
    InLog(PlacedBody),
}

impl Answer {
    pub(super) fn reply(reply: HostReply) -> Self {
        Self {
            result: Ok(reply),
            bodies: Vec::new(),
        }
    }

    pub(super) fn refused(refusal: Refusal) -> Self {
        Self {
            result: Err(refusal),
            bodies: Vec::new(),
        }
    }

    pub(super) fn outcome(outcome: Outcome, recent: &RecentBodies) -> Self {
        let bodies = match &outcome {
            Outcome::Received(deliveries) => delivered(deliveries, recent),
            _ => Vec::new(),
        };
        match outcome {
            Outcome::Refused(refusal) => Self::refused(refusal),
            outcome => Self {
                result: Ok(HostReply::Outcome(outcome)),
                bodies,
            },
        }
    }

    pub(super) fn peeked(
        partition: PartitionId,
        found: Vec<(Peeked, BodyRef)>,
        recent: &RecentBodies,
    ) -> Self {
        let body = |(peeked, at): &(Peeked, BodyRef)| PlacedBody {
            partition,
            sequence: peeked.sequence,
            at: *at,
            size: peeked.size,
            crc: peeked.crc,
        };
        let bodies = found.iter().map(|found| stored(body(found), recent));
        let bodies = bodies.collect();
        let peeked = found.into_iter().map(|(peeked, ..)| peeked).collect();
        Self {
            result: Ok(HostReply::Query(QueryReply::Peeked(peeked))),
            bodies,
        }
    }
}

fn delivered(deliveries: &[Delivery], recent: &RecentBodies) -> Vec<StoredBody> {
    let body = |delivery: &Delivery| PlacedBody {
        partition: delivery.receipt.partition,
        sequence: delivery.sequence,
        at: delivery.body,
        size: delivery.size,
        crc: delivery.crc,
    };
    let bodies = deliveries.iter();
    bodies.map(|d| stored(body(d), recent)).collect()
}

/// A body from memory, if it is there.
pub(super) fn stored(body: PlacedBody, recent: &RecentBodies) -> StoredBody {
    match recent.get(body.at) {
        Some(bytes) => StoredBody::Recent(bytes),
        None => StoredBody::InLog(body),
    }
}
