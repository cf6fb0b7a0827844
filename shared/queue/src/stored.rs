//! The stored form of the state: keys and values of a checkpoint.
//!
//! Every value begins with a version byte; what follows is postcard. A key is its kind and its
//! numbers, big-endian, so that a store keeps what belongs together side by side.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shoal_types::{
    BodyRef, DeadFrom, GroupName, MachineVersion, PartitionId, PartitionSettings, Position,
    Revision, Ts,
};

use crate::chunk::{Chunk, Hold, Side, Slot};
use crate::chunk_extras::{ChunkExtras, Extra};
use crate::limits::CHUNK_SLOTS;
use crate::link::LinkBack;

/// The version of all values. A successor keeps reading this one.
const VERSION: u8 = 1;
/// That of a chunk of which there is more to say: its record, then its [`ChunkExtras`].
const VERSION_WITH_EXTRAS: u8 = 2;

/// The key space. The numbers are on disks: they never change and are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// `1` → [`MachineRecord`]. Written by every checkpoint.
    Machine,
    /// `2 | partition` → [`PartitionRecord`]. Lives as long as the partition.
    Partition(PartitionId),
    /// `8 | partition` → a [`crate::lineage::LineageRecord`]. Only of partitions that follow others or are
    /// sealed. Read before their messages, since it says which groups are held.
    Lineage(PartitionId),
    /// `9 | partition` → what the manager noted down beside it, a [`shoal_types::Description`].
    Description(PartitionId),
    /// `10 | partition` → a [`crate::transfers::TransfersRecord`]. Only of partitions whose messages go to other
    /// queues or came from there.
    Transfers(PartitionId),
    /// `3 | partition | number / 256` → [`ChunkRecord`]. Lives as long as one of its messages; dead if
    /// its partition is gone or all its numbers were purged.
    Chunk(PartitionId, u64),
    /// `4 | partition | block` → a block of sends with deduplication keys.
    KeyedSends(PartitionId, u64),
    /// `5 | partition | block` → a block of receives with attempt keys.
    Attempts(PartitionId, u64),
    /// `6 | block` → a block of remembered requests, waiting receives among them.
    Remembered(u64),
    /// `7 | partition` → the [`Revision`] at which the partition was deleted.
    Deleted(PartitionId),
}

impl Key {
    pub(crate) fn encode(self) -> Vec<u8> {
        let (kind, numbers) = match self {
            Self::Machine => (1, [None, None]),
            Self::Partition(id) => (2, [Some(id.0), None]),
            Self::Chunk(id, index) => (3, [Some(id.0), Some(index)]),
            Self::KeyedSends(id, block) => (4, [Some(id.0), Some(block)]),
            Self::Attempts(id, block) => (5, [Some(id.0), Some(block)]),
            Self::Remembered(block) => (6, [Some(block), None]),
            Self::Deleted(id) => (7, [Some(id.0), None]),
            Self::Lineage(id) => (8, [Some(id.0), None]),
            Self::Description(id) => (9, [Some(id.0), None]),
            Self::Transfers(id) => (10, [Some(id.0), None]),
        };
        let mut bytes = vec![kind];
        for number in numbers.into_iter().flatten() {
            bytes.extend(number.to_be_bytes());
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, numbers) = bytes.split_first()?;
        let number = |at: usize| {
            let bytes = numbers.get(at * 8..at * 8 + 8)?;
            Some(u64::from_be_bytes(bytes.try_into().expect("8 bytes")))
        };
        let key = match kind {
            1 => Self::Machine,
            2 => Self::Partition(PartitionId(number(0)?)),
            3 => Self::Chunk(PartitionId(number(0)?), number(1)?),
            4 => Self::KeyedSends(PartitionId(number(0)?), number(1)?),
            5 => Self::Attempts(PartitionId(number(0)?), number(1)?),
            6 => Self::Remembered(number(0)?),
            7 => Self::Deleted(PartitionId(number(0)?)),
            8 => Self::Lineage(PartitionId(number(0)?)),
            9 => Self::Description(PartitionId(number(0)?)),
            10 => Self::Transfers(PartitionId(number(0)?)),
            _ => return None,
        };
        (key.encode() == bytes).then_some(key)
    }
}

/// What belongs to no partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MachineRecord {
    /// First, in every release: it says whether the rest may be read.
    pub(crate) version: MachineVersion,
    pub(crate) executed: Position,
    pub(crate) hash: u64,
    pub(crate) deleted_floor: Revision,
}

/// A partition without its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartitionRecord {
    pub(crate) settings: PartitionSettings,
    pub(crate) revision: Revision,
    pub(crate) last: u64,
    pub(crate) purged_through: u64,
    /// To check what was read.
    pub(crate) messages: u64,
    /// As `messages`.
    pub(crate) bytes: u64,
}

/// The messages of a chunk. Indexes and group lists follow from them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ChunkRecord {
    /// What the messages' times are counted from.
    base: Ts,
    groups: Vec<GroupName>,
    messages: Vec<MessageRecord>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct MessageRecord {
    offset: u8,
    /// Microseconds from the record's `base`.
    sent_after: u64,
    body: BodyRef,
    size: u32,
    crc: u32,
    lease: u16,
    receives: u16,
    given_back: bool,
    /// An index into the record's `groups`.
    group: Option<u16>,
    side: Option<Side>,
}

/// A message as read from a checkpoint.
pub(crate) struct StoredMessage {
    pub(crate) number: u64,
    pub(crate) slot: Slot,
    pub(crate) group: Option<GroupName>,
    /// What its link has, if it has one. Never a message: lists follow from the rest.
    pub(crate) back: LinkBack,
    pub(crate) side: Side,
    pub(crate) dead_from: Option<DeadFrom>,
}

pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_extend(value, vec![VERSION]).expect("writing to memory does not fail")
}

/// The value, or what is wrong with the bytes.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => read(rest),
        Some((version, _)) => Err(format!("version {version} is not known to this release")),
        None => Err("empty".to_owned()),
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("{} bytes too many", rest.len())),
        Err(error) => Err(error.to_string()),
    }
}

/// The machine version that a [`MachineRecord`] of any release begins with.
pub(crate) fn decode_machine_version(bytes: &[u8]) -> Result<MachineVersion, String> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => match postcard::take_from_bytes(rest) {
            Ok((version, _)) => Ok(version),
            Err(error) => Err(error.to_string()),
        },
        _ => decode(bytes),
    }
}

pub(crate) fn encode_chunk(chunk: &Chunk, fifo: bool) -> Vec<u8> {
    let slots = chunk.live().iter().filter_map(|offset| chunk.slot(offset));
    let mut record = ChunkRecord {
        base: slots.map(|slot| slot.sent_at).min().unwrap_or(Ts::ZERO),
        groups: Vec::new(),
        messages: Vec::with_capacity(chunk.live().len()),
    };
    for offset in chunk.live().iter() {
        let slot = chunk.slot(offset).expect("its bit is set");
        let group = chunk.link(offset).map(|link| {
            let groups = &mut record.groups;
            // Messages of one chunk share names, so the same name is the same allocation.
            let known = groups
                .iter()
                .position(|name| Arc::ptr_eq(name, &link.group));
            known.unwrap_or_else(|| {
                groups.push(GroupName::clone(&link.group));
                groups.len() - 1
            }) as u16
        });
        let side = chunk.side(offset);
        record.messages.push(MessageRecord {
            offset,
            sent_after: slot.sent_at.since(record.base),
            body: slot.body,
            size: slot.size,
            crc: slot.crc,
            lease: slot.lease,
            receives: slot.receives,
            given_back: slot.given_back,
            group,
            side: (side != Side::default()).then_some(side),
        });
    }
    encode_record(&record, &ChunkExtras::of(chunk, fifo))
}

fn encode_record(record: &ChunkRecord, extras: &ChunkExtras) -> Vec<u8> {
    if extras.is_empty() {
        return encode(record);
    }
    postcard::to_extend(&(record, extras), vec![VERSION_WITH_EXTRAS])
        .expect("writing to memory does not fail")
}

fn decode_record(bytes: &[u8]) -> Result<(ChunkRecord, ChunkExtras), String> {
    match bytes.split_first() {
        Some((&VERSION_WITH_EXTRAS, rest)) => read(rest),
        _ => Ok((decode(bytes)?, ChunkExtras::default())),
    }
}

pub(crate) fn decode_chunk(index: u64, bytes: &[u8]) -> Result<Vec<StoredMessage>, String> {
    let (record, mut extras) = decode_record(bytes)?;
    let ascending = record.messages.is_sorted_by(|a, b| a.offset < b.offset);
    if !ascending {
        return Err("messages are not in order".to_owned());
    }
    let mut message = |message: MessageRecord| {
        let group = match message.group {
            None => None,
            Some(at) => Some(
                record
                    .groups
                    .get(usize::from(at))
                    .cloned()
                    .ok_or_else(|| "a message's group is missing".to_owned())?,
            ),
        };
        let slot = Slot {
            sent_at: record.base.after(message.sent_after),
            body: message.body,
            size: message.size,
            crc: message.crc,
            lease: message.lease,
            receives: message.receives,
            given_back: message.given_back,
        };
        let Extra {
            back,
            received,
            dead_from,
        } = extras.take(message.offset)?;
        if back != LinkBack::None && group.is_none() {
            return Err("a message without a group takes turns".to_owned());
        }
        let mut side = message.side.unwrap_or_default();
        match (&mut side.hold, received) {
            (Hold::Leased { since, .. }, Some(received)) => *since = received,
            (_, Some(_)) => return Err("a message is not leased, and was received".to_owned()),
            (_, None) => {}
        }
        Ok(StoredMessage {
            number: index * CHUNK_SLOTS + u64::from(message.offset),
            slot,
            group,
            back,
            side,
            dead_from,
        })
    };
    let messages = record.messages.into_iter().map(&mut message);
    let messages = messages.collect::<Result<_, _>>()?;
    if !extras.is_empty() {
        return Err("more is said of messages that are not there".to_owned());
    }
    Ok(messages)
}

/// A chunk's value with other places of bodies, without the messages that get none; `None` if none is left.
pub(crate) fn replace_bodies(
    index: u64,
    bytes: &[u8],
    mut place: impl FnMut(u64, BodyRef, u32, u32) -> Option<BodyRef>,
) -> Result<Option<Vec<u8>>, String> {
    let (mut record, mut extras) = decode_record(bytes)?;
    record.messages.retain_mut(|message| {
        let number = index * CHUNK_SLOTS + u64::from(message.offset);
        let placed = place(number, message.body, message.size, message.crc);
        placed.inspect(|at| message.body = *at).is_some()
    });
    let messages = &record.messages;
    extras.retain(|offset| messages.iter().any(|message| message.offset == offset));
    Ok((!messages.is_empty()).then(|| encode_record(&record, &extras)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_frozen() {
        let id = PartitionId(0x0102);
        let hex = |key: Key| -> String {
            let bytes = key.encode();
            assert_eq!(Key::decode(&bytes), Some(key));
            bytes.iter().map(|byte| format!("{byte:02x}")).collect()
        };
        assert_eq!(hex(Key::Machine), "01");
        assert_eq!(hex(Key::Partition(id)), "020000000000000102");
        assert_eq!(hex(Key::Chunk(id, 3)), "0300000000000001020000000000000003");
        assert_eq!(
            hex(Key::KeyedSends(id, 3)),
            "0400000000000001020000000000000003"
        );
        assert_eq!(
            hex(Key::Attempts(id, 3)),
            "0500000000000001020000000000000003"
        );
        assert_eq!(hex(Key::Remembered(3)), "060000000000000003");
        assert_eq!(hex(Key::Deleted(id)), "070000000000000102");
        assert_eq!(hex(Key::Lineage(id)), "080000000000000102");
        assert_eq!(hex(Key::Description(id)), "090000000000000102");
        assert_eq!(hex(Key::Transfers(id)), "0a0000000000000102");
    }

    #[test]
    fn keys_of_other_lengths_or_kinds_are_refused() {
        for bytes in [
            &[][..],
            &[0],
            &[8],
            &[9],
            &[10],
            &[11],
            &[1, 0],
            &[2, 0, 0],
            &[6; 10],
        ] {
            assert_eq!(Key::decode(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn values_of_other_versions_or_lengths_are_refused() {
        let bytes = encode(&Revision(5));
        assert_eq!(decode(&bytes), Ok(Revision(5)));
        assert!(decode::<Revision>(&[]).is_err());
        assert!(decode::<Revision>(&bytes[..1]).is_err());
        assert!(decode::<Revision>(&[&bytes[..], &[0]].concat()).is_err());
        assert_eq!(
            decode::<Revision>(&[9, 5]),
            Err("version 9 is not known to this release".to_owned())
        );
    }
}
