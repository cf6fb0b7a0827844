//! How entries travel inside frames: their heads in the frame's head, their payloads as bodies.
//!
//! The frame is that of [`shoal_types::encode_frame`], except that a payload in several chunks is one
//! body: the bytes do not tell how the coordinator had cut it.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use shoal_types::{HostId, Ts, ViewNumber, WireError};

use crate::{Entry, Payload};

/// Why bytes are no record or message of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No frame, or its head is of another type.
    #[error(transparent)]
    Frame(#[from] WireError),
    /// A record of a kind that this version does not know.
    #[error("unknown kind of record: {0}")]
    UnknownKind(u8),
    /// A payload differs from what its coordinator had sent.
    #[error("payload of entry {index} of lane {lane} in view {view} does not match its checksum")]
    PayloadDamaged {
        /// The entry's view.
        view: ViewNumber,
        /// The entry's lane.
        lane: HostId,
        /// The entry's index.
        index: u64,
    },
    /// What a driver said about a snapshot differs from what was sent.
    #[error("a message about a snapshot does not match its checksum")]
    SnapshotDamaged,
    /// More or fewer messages than the frame says.
    #[error("{found} messages where {said} were said to be")]
    Messages {
        /// How many there should be.
        said: usize,
        /// How many there are.
        found: usize,
    },
    /// More or fewer payloads than entries.
    #[error("{bodies} payloads for {entries} entries")]
    Payloads {
        /// Bodies in the frame.
        bodies: usize,
        /// Entries in its head.
        entries: usize,
    },
    /// A list that is longer than any of ours.
    #[error("{what}: {count} are more than {max}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many are allowed.
        max: usize,
    },
}

/// An entry without its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EntryHead {
    view: ViewNumber,
    lane: HostId,
    index: u64,
    ts: Ts,
    crc: u32,
}

impl EntryHead {
    pub(crate) fn of(entry: &Entry) -> Self {
        Self {
            view: entry.view,
            lane: entry.lane,
            index: entry.index,
            ts: entry.ts,
            crc: entry.payload.crc(),
        }
    }

    pub(crate) fn with_payload(self, payload: Bytes) -> Result<Arc<Entry>, DecodeError> {
        let payload = Payload::from(payload);
        if payload.crc() != self.crc {
            return Err(DecodeError::PayloadDamaged {
                view: self.view,
                lane: self.lane,
                index: self.index,
            });
        }
        Ok(Arc::new(Entry {
            view: self.view,
            lane: self.lane,
            index: self.index,
            ts: self.ts,
            payload,
        }))
    }
}

/// Encodes a head and payloads: one chunk for everything before the first payload, then the payloads'
/// own chunks, uncopied.
pub(crate) fn frame<T: Serialize + ?Sized>(head: &T, payloads: &[&Payload]) -> Vec<Bytes> {
    let u32_of = |n: usize| u32::try_from(n).expect("lengths are limited long before");
    let mut start = BytesMut::with_capacity(96 + 4 * payloads.len());
    start.put_u32_le(0);
    let mut writer = start.writer();
    postcard::to_io(head, &mut writer).expect("writing to memory does not fail");
    let mut start = writer.into_inner();
    let head_len = u32_of(start.len() - 4);
    start[..4].copy_from_slice(&head_len.to_le_bytes());
    start.put_u32_le(u32_of(payloads.len()));
    for payload in payloads {
        start.put_u32_le(u32_of(payload.len()));
    }
    let chunks = payloads.iter().flat_map(|payload| payload.chunks());
    let mut all = vec![start.freeze()];
    all.extend(chunks.filter(|chunk| !chunk.is_empty()).cloned());
    all
}
