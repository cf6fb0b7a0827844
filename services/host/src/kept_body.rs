//! A body kept once more: the log record by which a host gives a message's body another place in its
//! own log, because the old place is to go (compaction) or is damaged (repair). It says nothing to any
//! other host, and which message waits where does not change by it.
//!
//! | kind | record | head (postcard) | body |
//! |---|---|---|---|
//! | 64 | kept body | partition, sequence, the place that it had | the body as it was sent |
//!
//! The record is a frame as in [`shoal_types::encode_frame`]. Kinds from 64 on are the host's own;
//! those below belong to the engine. The number and the head are the log's format: they never change.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use shoal_queue::PlacedBody;
use shoal_storage::Address;
use shoal_types::{BodyRef, PartitionId, Sequence, WireError, decode_frame, encode_frame};

/// The record's kind in the log.
pub(crate) const KIND: u8 = 64;

/// Whose body it is. Applying the record twice, or to a message that is gone or whose body has moved
/// on, changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptBody {
    /// The partition of the message.
    pub(crate) partition: PartitionId,
    /// The message.
    pub(crate) sequence: Sequence,
    /// Where this host had the body until now.
    pub(crate) from: BodyRef,
}

impl KeptBody {
    /// Of a body that lies here now.
    pub(crate) fn of(body: &PlacedBody) -> Self {
        Self {
            partition: body.partition,
            sequence: body.sequence,
            from: body.at,
        }
    }
}

/// What a record holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Whose body.
    pub(crate) kept: KeptBody,
    /// The body.
    pub(crate) body: Bytes,
    /// Bytes of the record before the body.
    pub(crate) starts: usize,
}

/// The record's bytes in chunks, and how many of them stand before the body.
pub(crate) fn encode(kept: &KeptBody, body: Bytes) -> (Vec<Bytes>, usize) {
    let chunks = encode_frame(kept, &[body]);
    let starts = chunks[0].len();
    (chunks, starts)
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// If the bytes are no such record.
pub(crate) fn decode(record: Bytes) -> Result<Found, WireError> {
    let frame = decode_frame::<KeptBody>(record)?;
    let count = frame.bodies.len();
    let [body] = <[Bytes; 1]>::try_from(frame.bodies)
        .map_err(|_| WireError::Head(format!("{count} bodies in a record of one")))?;
    Ok(Found {
        kept: frame.head,
        body,
        starts: frame.bodies_at,
    })
}

/// Where the body lies, of a record whose payload lies at `record`.
pub(crate) fn place(record: Address, starts: usize) -> BodyRef {
    record.body(starts)
}

#[cfg(test)]
mod tests {
    use shoal_types::join;

    use super::*;

    fn kept() -> KeptBody {
        KeptBody {
            partition: PartitionId(7),
            sequence: Sequence(300),
            from: BodyRef {
                segment: 2,
                offset: 4_200,
            },
        }
    }

    #[test]
    fn what_was_written_is_read_and_the_body_is_found_in_the_record() {
        for body in [Bytes::from_static(b"kept"), Bytes::new()] {
            let (chunks, starts) = encode(&kept(), body.clone());
            let record = join(&chunks);
            assert_eq!(record[starts..], body[..]);
            let found = decode(record).unwrap();
            assert_eq!((found.kept, found.body), (kept(), body));
            assert_eq!(found.starts, starts);
        }
        let at = Address {
            segment: 9,
            offset: 4_096,
        };
        let (_, starts) = encode(&kept(), Bytes::from_static(b"kept"));
        let body = place(at, starts);
        assert_eq!((body.segment, body.offset), (9, 4_096 + starts as u32));
    }

    #[test]
    fn the_bytes_are_those_of_earlier_releases() {
        let (chunks, _) = encode(&kept(), Bytes::from_static(b"kept"));
        let bytes = [
            6, 0, 0, 0, 7, 172, 2, 2, 232, 32, 1, 0, 0, 0, 4, 0, 0, 0, b'k', b'e', b'p', b't',
        ];
        assert_eq!(join(&chunks)[..], bytes);
    }

    #[test]
    fn bytes_that_are_no_such_record_are_an_error() {
        let (chunks, _) = encode(&kept(), Bytes::from_static(b"kept"));
        let record = join(&chunks);
        for end in 0..record.len() {
            assert!(decode(record.slice(..end)).is_err(), "cut at {end}");
        }
        let none = join(&encode_frame(&kept(), &[]));
        assert!(decode(none).is_err());
    }
}
