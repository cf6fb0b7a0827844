//! What lies in the log for a message, in and out. What is not what was sent is not handed out.
//!
//! Beside what its sender attached, a message may have what the service notes of it. That lies among its
//! attributes under names that no sender can use, and is told apart from them again here.

use std::collections::BTreeMap;

use bytes::Bytes;
use metrics::counter;
use shoal_api::Problem;
use shoal_types::{Applied, Attribute, ErrorCode, MessagePayload, PartitionId, Sequence};
use tracing::error;

use crate::metric_names;

/// Stored names: they never change. Both protocols refuse a sender's attributes that begin so.
const TRACE_HEADER: &str = "AWS.TraceHeader";
const SENDER: &str = "AWS.SenderId";
const DEDUPLICATION_ID: &str = "AWS.DeduplicationId";

/// What is noted of a message beside what its sender attached. It does not count in the message's size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    /// Of the sender's trace; handed through.
    pub(crate) trace_header: Option<String>,
    /// Who sent it, if that was not the queue's own account.
    pub(crate) sender: Option<String>,
    /// The deduplication id that the sender gave.
    pub(crate) deduplication_id: Option<String>,
}

/// A message as it was sent, and what was noted of it.
pub(crate) struct StoredMessage {
    pub(crate) payload: MessagePayload,
    pub(crate) notes: Notes,
}

/// The stored form of a message with these notes.
pub(crate) fn write(payload: &MessagePayload, notes: &Notes) -> Bytes {
    let named = [
        (TRACE_HEADER, &notes.trace_header),
        (SENDER, &notes.sender),
        (DEDUPLICATION_ID, &notes.deduplication_id),
    ];
    if named.iter().all(|(_, note)| note.is_none()) {
        return payload.encode();
    }
    let mut with_notes = payload.clone();
    for (name, note) in named {
        if let Some(note) = note {
            let attribute = Attribute {
                kind: "String".to_owned(),
                value: Bytes::copy_from_slice(note.as_bytes()),
            };
            with_notes.attributes.insert(name.to_owned(), attribute);
        }
    }
    with_notes.encode()
}

fn split(mut payload: MessagePayload) -> StoredMessage {
    let attributes = &mut payload.attributes;
    let notes = Notes {
        trace_header: take(attributes, TRACE_HEADER),
        sender: take(attributes, SENDER),
        deduplication_id: take(attributes, DEDUPLICATION_ID),
    };
    StoredMessage { payload, notes }
}

fn take(attributes: &mut BTreeMap<String, Attribute>, name: &str) -> Option<String> {
    let note = attributes.remove(name)?;
    String::from_utf8(note.value.into()).ok()
}

/// The message, if its bytes are those that were sent. Otherwise it is left out of the answer and comes
/// back after its lease, perhaps from a host whose copy is good.
pub(crate) fn read(
    partition: PartitionId,
    sequence: Sequence,
    crc: u32,
    bytes: &Bytes,
) -> Option<StoredMessage> {
    let why = if crc32c::crc32c(bytes) == crc {
        match MessagePayload::decode(bytes) {
            Ok(payload) => return Some(split(payload)),
            Err(error) => error.to_string(),
        }
    } else {
        "checksum mismatch".to_owned()
    };
    counter!(metric_names::CORRUPT_BODIES).increment(1);
    error!(%partition, %sequence, why, "message held back, its bytes are damaged");
    None
}

/// The answer when nothing else is left.
pub(super) fn nothing_intact(partition: PartitionId) -> Problem {
    let detail = format!("the stored bytes in {partition} are damaged and were held back");
    Problem::new(ErrorCode::Corrupt, detail).applied(Applied::Unknown)
}

#[cfg(test)]
mod tests {
    use shoal_types::Body;

    use super::*;

    #[test]
    fn notes_come_back_apart_from_what_the_sender_attached() {
        let attribute = Attribute {
            kind: "String".to_owned(),
            value: Bytes::from_static(b"blue"),
        };
        let payload = MessagePayload {
            attributes: [("colour".to_owned(), attribute)].into(),
            body: Body::Text("hello".into()),
        };
        let all = Notes {
            trace_header: Some("Root=1-5759e988-bd862e3fe1be46a994272793".to_owned()),
            sender: Some("123456789012".to_owned()),
            deduplication_id: Some("d".to_owned()),
        };
        for notes in [Notes::default(), all] {
            let stored = write(&payload, &notes);
            let crc = crc32c::crc32c(&stored);
            let read = read(PartitionId(1), Sequence(1), crc, &stored).unwrap();
            assert_eq!((read.payload, read.notes), (payload.clone(), notes));
        }
    }
}
