//! What hosts of a cluster say to each other beside the replication protocol, which carries it and does
//! not look at it: a host whose copy of a body is damaged asks the others for theirs.
//!
//! Each is a frame as in [`shoal_types::encode_frame`]; the order of the variants is the wire format.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use shoal_queue::PlacedBody;
use shoal_types::{PartitionId, Sequence, WireError, decode_frame, encode_frame, join};

/// One thing said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum BetweenHosts {
    /// "I cannot read this body; do you have it?"
    BodyWanted(BodyName),
    /// The answer: the body goes along if the sender has it, sound.
    BodyGiven(BodyName),
}

/// A body, by the message that it belongs to, the same on every host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BodyName {
    /// The message's partition.
    pub(crate) partition: PartitionId,
    /// The message.
    pub(crate) sequence: Sequence,
    /// Bytes of the stored form.
    pub(crate) size: u32,
    /// CRC-32C of the stored form.
    pub(crate) crc: u32,
}

impl BodyName {
    pub(crate) fn of(body: &PlacedBody) -> Self {
        Self {
            partition: body.partition,
            sequence: body.sequence,
            size: body.size,
            crc: body.crc,
        }
    }
}

impl BetweenHosts {
    /// The bytes, in one piece.
    pub(crate) fn encode(&self, body: Option<Bytes>) -> Bytes {
        let bodies: Vec<Bytes> = body.into_iter().collect();
        join(&encode_frame(self, &bodies))
    }

    /// Reads what [`BetweenHosts::encode`] wrote.
    ///
    /// # Errors
    /// If the bytes are nothing of this kind, or of a later release.
    pub(crate) fn decode(bytes: Bytes) -> Result<(Self, Option<Bytes>), WireError> {
        let mut frame = decode_frame::<Self>(bytes)?;
        let count = frame.bodies.len();
        if count > 1 {
            return Err(WireError::Head(format!("{count} bodies for one message")));
        }
        Ok((frame.head, frame.bodies.pop()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_understood() {
        let name = BodyName {
            partition: PartitionId(7),
            sequence: Sequence(9),
            size: 4,
            crc: 77,
        };
        let empty = Some(Bytes::new());
        let some = Some(Bytes::from_static(b"body"));
        for body in [None, empty, some] {
            for said in [
                BetweenHosts::BodyWanted(name),
                BetweenHosts::BodyGiven(name),
            ] {
                let bytes = said.encode(body.clone());
                assert_eq!(BetweenHosts::decode(bytes), Ok((said, body.clone())));
            }
        }
        assert!(BetweenHosts::decode(Bytes::from_static(b"hello, who is there?")).is_err());
    }
}
