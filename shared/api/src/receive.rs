//! Bodies of `POST /v1/queues/{queue}/messages/receive`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shoal_types::{
    DeadFrom, Delivery, MessageId, MessagePayload, PartitionId, QueueName, Receipt, Sequence,
    limits,
};

use crate::queue::{VisibilitySeconds, WaitSeconds};
use crate::{AttributeBody, Timestamp, Whole, attribute, body, text};

/// How to receive. An empty object, or no body, is one message at once or nothing.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReceiveRequest {
    /// At most so many messages; 1 if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Whole<1, { limits::RECEIVE_BATCH_MAX as u64 }>>,
    /// Seconds to wait if there is none; as the queue says if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_s: Option<WaitSeconds>,
    /// Seconds until they come back if they are not acknowledged; as the queue says if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility_timeout_s: Option<VisibilitySeconds>,
    /// Deletes them as they are received: at most once. What is lost on the way is lost for good.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub auto_ack: bool,
}

/// The answer: messages, smallest number first; none if nothing came in time.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReceiveAnswer {
    /// The messages.
    pub messages: Vec<ReceivedMessage>,
}

/// A message in a consumer's hands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedMessage {
    /// Its id, the same at every delivery.
    pub id: String,
    /// Its number in the queue.
    #[serde(with = "text")]
    pub sequence: Sequence,
    /// What to acknowledge, extend or release it with; missing after `auto_ack`.
    #[serde(
        default,
        with = "text::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub receipt: Option<Receipt>,
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
    /// How often it was received, this time included.
    pub receive_count: u32,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// `crc32c:` and the CRC-32C of the body's bytes in hex digits.
    pub checksum: String,
    /// Where it comes from, if it is a dead letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_from: Option<DeadLetterSource>,
}

/// Where a dead letter comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterSource {
    /// The queue in which it died; missing if that is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueName>,
    /// The id that it was sent under.
    pub id: String,
    /// How often it was received there.
    pub receive_count: u16,
}

impl DeadLetterSource {
    /// What the message itself says, with the name of the queue, if there is one.
    #[must_use]
    pub fn new(dead_from: &DeadFrom, queue: Option<QueueName>) -> Self {
        Self {
            queue,
            id: dead_from.message.to_string(),
            receive_count: dead_from.receives,
        }
    }
}

impl ReceivedMessage {
    /// Joins what the host said with the stored message, whose bytes were checked. Of a dead letter,
    /// `died_in` is the queue that its number of a queue stands for, if that is still there.
    #[must_use]
    pub fn new(
        partition: PartitionId,
        delivery: Delivery,
        payload: MessagePayload,
        auto_ack: bool,
        died_in: Option<QueueName>,
    ) -> Self {
        let sequence = delivery.sequence;
        let checksum = body::checksum(payload.body.bytes());
        let (body, body_base64) = body::write(payload.body);
        Self {
            id: MessageId {
                partition,
                sequence,
            }
            .to_string(),
            sequence,
            receipt: (!auto_ack).then_some(delivery.receipt),
            body,
            body_base64,
            attributes: attribute::write(payload.attributes),
            group: delivery.group.as_deref().map(str::to_owned),
            receive_count: delivery.receive_count,
            sent_at: Timestamp(delivery.sent_at),
            checksum,
            dead_from: delivery
                .dead_from
                .map(|dead_from| DeadLetterSource::new(&dead_from, died_in)),
        }
    }
}
