//! What two hosts say to each other about a snapshot, and the bytes of its chunks.
//!
//! A message is a frame ([`shoal_types::encode_frame`]) whose head is a [`Say`] and whose body, of a
//! chunk, is the chunk's data. Chunk 0 is the [`Header`], of version 2 on with its CRC-32C behind it; the
//! others are items one after the other:
//!
//! ```text
//!  1 | u32 LE key length | u32 LE value length | key | value    a row, places of bodies all zero
//!  2 | u32 LE length | body                                     the next body of the row before
//! ```

use bytes::{Buf, BufMut, Bytes};
use serde::{Deserialize, Serialize};
use shoal_replication::{EngineCheckpoint, Message, Payload};
use shoal_storage::DiskVersion;
use shoal_types::{ClusterId, Position, WireError, decode_frame, encode_frame};

const ROW: u8 = 1;
const BODY: u8 = 2;

/// What is said. The variants' order is the wire format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Say {
    /// "Send me this chunk." Chunk 0 begins a transfer; the receiver numbers its transfers.
    Ask { transfer: u64, chunk: u64 },
    /// Here it is.
    Chunk {
        transfer: u64,
        chunk: u64,
        /// CRC-32C of the data.
        crc: u32,
        /// Of the last chunk: what all of them come to.
        sums: Option<Sums>,
    },
    /// "Not from me": the receiver asks another peer.
    Declined { transfer: u64, why: Declined },
}

/// Why a host gives no snapshot. The variants' order is the wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Declined {
    /// It is no member, or the asker is to be none.
    NotMember,
    /// It is sending one to somebody else.
    Busy,
    /// It does not know this transfer (any more), or cannot read what it would have to send.
    Unable,
}

/// What a snapshot is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    /// First, in every release: how the rest is to be read. Of header, items, and what [`Say`] means.
    #[serde(with = "number")]
    pub(super) version: DiskVersion,
    pub(super) cluster: ClusterId,
    /// The entry executed last.
    pub(super) position: Position,
    /// The machine's, there.
    pub(super) state_hash: u64,
    /// Messages in all queues.
    pub(super) messages: u64,
    /// Bytes of them.
    pub(super) message_bytes: u64,
    pub(super) engine: EngineCheckpoint,
}

/// What all chunks after the header come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sums {
    pub(super) rows: u64,
    pub(super) bodies: u64,
    pub(super) bytes: u64,
    /// CRC-32C over their data, in order.
    pub(super) crc: u32,
}

impl Sums {
    pub(super) fn add_data(&mut self, data: &[u8]) {
        self.bytes += data.len() as u64;
        self.crc = crc32c::crc32c_append(self.crc, data);
    }
}

impl Say {
    pub(super) fn message(&self, data: Option<Bytes>) -> Message {
        let data: Vec<Bytes> = data.into_iter().collect();
        Message::Snapshot(Payload::new(encode_frame(self, &data)))
    }

    pub(super) fn read(payload: &Payload) -> Result<(Self, Bytes), WireError> {
        let frame = decode_frame::<Self>(payload.contiguous())?;
        let data = frame.bodies.into_iter().next().unwrap_or_default();
        Ok((frame.head, data))
    }
}

impl Header {
    pub(super) fn encode(&self) -> Bytes {
        let mut out = postcard::to_stdvec(self).expect("writing to memory does not fail");
        match self.version {
            DiskVersion::V1 => {}
            DiskVersion::V2 => out.put_u32_le(crc32c::crc32c(&out)),
        }
        out.into()
    }

    /// As a release reads it that knows up to `newest`.
    pub(super) fn decode(data: &[u8], newest: DiskVersion) -> Result<Self, String> {
        let number = postcard::take_from_bytes::<u16>(data);
        let (number, _) = number.map_err(|error| error.to_string())?;
        let version = DiskVersion::numbered(number).filter(|version| *version <= newest);
        let fields = match version {
            None => return Err(format!("format {number} is not known to this release")),
            Some(DiskVersion::V1) => data,
            Some(DiskVersion::V2) => {
                let sealed = data.split_last_chunk::<4>();
                let sound = sealed
                    .filter(|(fields, crc)| crc32c::crc32c(fields) == u32::from_le_bytes(**crc));
                sound.ok_or("its header fails its checksum")?.0
            }
        };
        postcard::from_bytes(fields).map_err(|error| error.to_string())
    }
}

mod number {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};
    use shoal_storage::DiskVersion;

    pub(super) fn serialize<S: Serializer>(version: &DiskVersion, s: S) -> Result<S::Ok, S::Error> {
        version.number().serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<DiskVersion, D::Error> {
        let version = DiskVersion::numbered(u16::deserialize(d)?);
        version.ok_or_else(|| D::Error::custom("no version of ours"))
    }
}

fn put_u32(out: &mut Vec<u8>, n: usize) {
    out.put_u32_le(u32::try_from(n).expect("rows and bodies are limited long before"));
}

pub(super) fn put_row(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    out.push(ROW);
    put_u32(out, key.len());
    put_u32(out, value.len());
    out.extend_from_slice(key);
    out.extend_from_slice(value);
}

pub(super) fn put_body(out: &mut Vec<u8>, body: &[u8]) {
    out.push(BODY);
    put_u32(out, body.len());
    out.extend_from_slice(body);
}

/// A piece of a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Row(Bytes, Bytes),
    Body(Bytes),
}

/// The next item of a chunk's data; `None` at its end.
pub(super) fn take_item(data: &mut Bytes) -> Result<Option<Item>, &'static str> {
    const CUT_OFF: &str = "a chunk is cut off";
    if data.is_empty() {
        return Ok(None);
    }
    let length = |data: &mut Bytes| data.try_get_u32_le().map_err(|_| CUT_OFF);
    let item = match data.get_u8() {
        ROW => {
            let (key, value) = (length(data)? as usize, length(data)? as usize);
            if data.len() < key.saturating_add(value) {
                return Err(CUT_OFF);
            }
            Item::Row(data.split_to(key), data.split_to(value))
        }
        BODY => {
            let body = length(data)? as usize;
            if data.len() < body {
                return Err(CUT_OFF);
            }
            Item::Body(data.split_to(body))
        }
        _ => return Err("a chunk has an item of no known kind"),
    };
    Ok(Some(item))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_gives_back_what_was_put_in_and_nothing_of_a_part() {
        let mut out = Vec::new();
        put_row(&mut out, b"key", b"value");
        put_body(&mut out, b"body");
        put_body(&mut out, b"");
        let whole = Bytes::from(out);
        let mut data = whole.clone();
        let mut found = Vec::new();
        while let Some(item) = take_item(&mut data).unwrap() {
            found.push(item);
        }
        let bytes = |b: &'static [u8]| Bytes::from_static(b);
        let expected = [
            Item::Row(bytes(b"key"), bytes(b"value")),
            Item::Body(bytes(b"body")),
            Item::Body(bytes(b"")),
        ];
        assert_eq!(found, expected);
        let mut part = whole.slice(..5);
        assert!(take_item(&mut part).is_err());
        assert!(take_item(&mut Bytes::from_static(&[9])).is_err());
    }

    #[test]
    fn what_is_said_is_understood() {
        let say = Say::Chunk {
            transfer: 7,
            chunk: 3,
            crc: 9,
            sums: Some(Sums::default()),
        };
        let data = Bytes::from_static(b"data");
        let Message::Snapshot(payload) = say.message(Some(data.clone())) else {
            panic!("it is about a snapshot")
        };
        assert_eq!(Say::read(&payload).unwrap(), (say, data));
    }
}
