//! Bodies of `GET /v1/queues/{queue}/messages/peek`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shoal_types::{MessageId, MessagePayload, PartitionId, Peeked, Sequence};

use crate::{AttributeBody, Timestamp, Whole, attribute, body, text};

/// The query.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeekQuery {
    /// At most so many messages; 10 if not said.
    pub limit: Option<Whole<1, 1_000>>,
}

/// The answer: the first messages that could be received, as one host saw them a moment ago. Nothing
/// is leased.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PeekAnswer {
    /// The messages, smallest number first.
    pub messages: Vec<PeekedMessage>,
}

/// A message that was only looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeekedMessage {
    /// Its id.
    pub id: String,
    /// Its number in the queue.
    #[serde(with = "text")]
    pub sequence: Sequence,
    /// The body, if it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The body, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    /// Named values beside the body.
    #[serde(default)]
    pub attributes: BTreeMap<String, AttributeBody>,
    /// Its message group.
    pub group: Option<String>,
    /// How often it was received.
    pub receive_count: u32,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// `crc32c:` and the CRC-32C of the body's bytes in hex digits.
    pub checksum: String,
}

impl PeekedMessage {
    /// Joins what the host said with the stored message, whose bytes were checked.
    #[must_use]
    pub fn new(partition: PartitionId, peeked: Peeked, payload: MessagePayload) -> Self {
        let sequence = peeked.sequence;
        let checksum = body::checksum(payload.body.bytes());
        let (body, body_base64) = body::write(payload.body);
        Self {
            id: MessageId {
                partition,
                sequence,
            }
            .to_string(),
            sequence,
            body,
            body_base64,
            attributes: attribute::write(payload.attributes),
            group: peeked.group.as_deref().map(str::to_owned),
            receive_count: peeked.receive_count,
            sent_at: Timestamp(peeked.sent_at),
            checksum,
        }
    }
}
