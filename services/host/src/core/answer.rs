//! What a client is told, with the places of the bodies that go along.

use bytes::Bytes;
use shoal_types::{BodyRef, Delivery, HostReply, Outcome, Peeked, QueryReply, Refusal};

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
    /// To be read from the log: where and how many bytes.
    InLog(BodyRef, u32),
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

    pub(super) fn peeked(found: Vec<(Peeked, BodyRef)>, recent: &RecentBodies) -> Self {
        let bodies = found
            .iter()
            .map(|(peeked, at)| stored(*at, peeked.size, recent))
            .collect();
        let peeked = found.into_iter().map(|(peeked, ..)| peeked).collect();
        Self {
            result: Ok(HostReply::Query(QueryReply::Peeked(peeked))),
            bodies,
        }
    }
}

fn delivered(deliveries: &[Delivery], recent: &RecentBodies) -> Vec<StoredBody> {
    deliveries
        .iter()
        .map(|d| stored(d.body, d.size, recent))
        .collect()
}

fn stored(at: BodyRef, size: u32, recent: &RecentBodies) -> StoredBody {
    match recent.get(at) {
        Some(body) => StoredBody::Recent(body),
        None => StoredBody::InLog(at, size),
    }
}
