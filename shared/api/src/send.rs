//! Bodies of `POST /v1/queues/{queue}/messages`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shoal_types::{ErrorCode, GroupName, MessageId, MessagePayload, Micros, Sequence, limits};

use crate::object::Object;
use crate::queue::DelaySeconds;
use crate::{AttributeBody, Batch, ItemError, Problem, Whole, attribute, body, text};

/// Seconds that a message is kept at most: any time up to the longest retention.
pub(crate) type TtlSeconds = Whole<1, { *limits::RETENTION_S.end() as u64 }>;

/// One message to send.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SendMessage {
    /// The body, if it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The body, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    /// Named values beside the body; at most 10.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, AttributeBody>,
    /// Seconds before it can be received; as the queue says if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_s: Option<DelaySeconds>,
    /// Seconds after which it is dropped, if sooner than the queue's retention.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<TtlSeconds>,
    /// Message group; FIFO queues need one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Messages with the same one within five minutes are one message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dedup_id: Option<String>,
}

/// One message, or `messages` and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "the other fields are those of SendMessage")]
pub struct SendRequest {
    /// Messages to send in this order; 1 to 1,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<Batch<Object<SendMessage>, { limits::SEND_BATCH_MAX }>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, AttributeBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_s: Option<DelaySeconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<TtlSeconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dedup_id: Option<String>,
}

/// A message whose fields were checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedMessage {
    /// What is stored.
    pub payload: MessagePayload,
    /// Held back so long.
    pub delay: Option<Micros>,
    /// Dropped after so long.
    pub ttl: Option<Micros>,
    /// Its group.
    pub group: Option<GroupName>,
    /// Its deduplication id.
    pub dedup_id: Option<String>,
}

impl SendRequest {
    /// The messages, checked, and whether they came as a batch.
    ///
    /// # Errors
    /// Names the first field that is wrong, as `body` or `messages[3].body`.
    pub fn check(self) -> Result<(Vec<CheckedMessage>, bool), Problem> {
        let Self {
            messages,
            body,
            body_base64,
            attributes,
            delay_s,
            ttl_s,
            group,
            dedup_id,
        } = self;
        let single = SendMessage {
            body,
            body_base64,
            attributes,
            delay_s,
            ttl_s,
            group,
            dedup_id,
        };
        let Some(messages) = messages else {
            return Ok((vec![single.check("")?], false));
        };
        if single != SendMessage::default() {
            let why = "stands alone: give one message's fields, or a list of messages";
            return Err(Problem::invalid("messages", why));
        }
        let messages = messages.into_vec();
        if messages.is_empty() {
            return Err(Problem::invalid(
                "messages",
                "is empty, expected 1 to 1000 messages",
            ));
        }
        let check = |(i, Object(message)): (usize, Object<SendMessage>)| {
            message.check(&format!("messages[{i}]."))
        };
        let checked = messages
            .into_iter()
            .enumerate()
            .map(check)
            .collect::<Result<_, _>>()?;
        Ok((checked, true))
    }
}

impl SendMessage {
    /// Checks everything that does not depend on the queue. `at` is put before the fields' names.
    fn check(self, at: &str) -> Result<CheckedMessage, Problem> {
        for (name, value) in [("group", &self.group), ("dedup_id", &self.dedup_id)] {
            if let Some(value) = value {
                check_label(value).map_err(|why| Problem::invalid(format!("{at}{name}"), why))?;
            }
        }
        let payload = MessagePayload {
            body: body::read(self.body, self.body_base64, at)?,
            attributes: if self.attributes.is_empty() {
                BTreeMap::new()
            } else {
                attribute::read(self.attributes, &format!("{at}attributes"))?
            },
        };
        let size = payload.size();
        if size > limits::MESSAGE_BYTES_MAX {
            let limit = limits::MESSAGE_BYTES_MAX;
            let detail = format!("{at}body: {size} bytes with attributes are more than {limit}");
            return Err(Problem::new(ErrorCode::TooLarge, detail).at(format!("{at}body")));
        }
        Ok(CheckedMessage {
            payload,
            delay: self.delay_s.map(Whole::seconds),
            ttl: self.ttl_s.map(Whole::seconds),
            group: self.group.map(GroupName::from),
            dedup_id: self.dedup_id,
        })
    }
}

/// Checks a group's name or a deduplication id.
///
/// # Errors
/// What is wrong with it.
pub fn check_label(value: &str) -> Result<(), String> {
    let chars = value.chars().count();
    if (1..=limits::GROUP_CHARS_MAX).contains(&chars) {
        Ok(())
    } else {
        Err(format!(
            "has {chars} characters, expected 1 to {}",
            limits::GROUP_CHARS_MAX
        ))
    }
}

/// The answer to a send: one item per message, in order. Status 201 if all were taken, 207 if only
/// some or none of a batch were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendAnswer {
    /// What became of each message.
    pub messages: Vec<SendItemAnswer>,
}

/// What became of one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SendItemAnswer {
    /// It is kept.
    Sent {
        /// Its id.
        id: String,
        /// Its number in the queue, as text, since it may be beyond what JSON numbers hold exactly.
        #[serde(with = "text")]
        sequence: Sequence,
    },
    /// It is not.
    Failed {
        /// Why.
        error: ItemError,
    },
}

impl SendItemAnswer {
    /// The answer for a message that is kept.
    #[must_use]
    pub fn sent(id: MessageId) -> Self {
        Self::Sent {
            id: id.to_string(),
            sequence: id.sequence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn check(body: &str) -> Result<(Vec<CheckedMessage>, bool), Problem> {
        json::read::<SendRequest>(body.as_bytes())?.check()
    }

    #[test]
    fn one_message_and_a_batch_of_one_are_the_same_message() {
        let fields = r#"{"body":"x","attributes":{"a":"b"},"delay_s":1,"ttl_s":2,"group":"g","dedup_id":"d"}"#;
        let (single, as_batch) = check(fields).unwrap();
        assert!(!as_batch);
        let (batch, as_batch) = check(&format!(r#"{{"messages":[{fields}]}}"#)).unwrap();
        assert!(as_batch);
        assert_eq!(single, batch);
        assert_eq!(single[0].delay, Some(1_000_000));
    }

    #[test]
    fn mistakes_name_message_and_field() {
        for (body, code, field) in [
            ("{}", ErrorCode::InvalidRequest, "body"),
            (r#"{"messages":[]}"#, ErrorCode::InvalidRequest, "messages"),
            (
                r#"{"messages":[{"body":"x"}],"group":"g"}"#,
                ErrorCode::InvalidRequest,
                "messages",
            ),
            (
                r#"{"messages":[{"body":"x"},{"body":""}]}"#,
                ErrorCode::InvalidRequest,
                "messages[1].body",
            ),
            (
                r#"{"messages":[{"body":"x","group":""}]}"#,
                ErrorCode::InvalidRequest,
                "messages[0].group",
            ),
            (
                r#"{"messages":[["x"]]}"#,
                ErrorCode::InvalidRequest,
                "messages[0]",
            ),
            (
                r#"{"body":"x","ttl_s":0}"#,
                ErrorCode::InvalidRequest,
                "ttl_s",
            ),
            (
                r#"{"messages":[{"body":"x","attributes":{"a":""}}]}"#,
                ErrorCode::InvalidRequest,
                "messages[0].attributes.a.value",
            ),
        ] {
            let problem = check(body).unwrap_err();
            assert_eq!(
                (problem.code, problem.field.as_deref()),
                (code, Some(field)),
                "{body}"
            );
        }
        let many = vec![r#"{"body":"x"}"#; 1_001].join(",");
        let problem = check(&format!(r#"{{"messages":[{many}]}}"#)).unwrap_err();
        assert_eq!(
            (problem.code, problem.field.as_deref()),
            (ErrorCode::TooLarge, Some("messages"))
        );
        let problem = check(&format!(r#"{{"body":"{}"}}"#, "x".repeat((1 << 20) + 1))).unwrap_err();
        assert_eq!(
            (problem.code, problem.field.as_deref()),
            (ErrorCode::TooLarge, Some("body"))
        );
    }

    #[test]
    fn answers_tell_success_and_failure_apart_when_read_back() {
        let id = MessageId {
            partition: shoal_types::PartitionId(1),
            sequence: Sequence(1 << 60),
        };
        let answer = SendAnswer {
            messages: vec![
                SendItemAnswer::sent(id),
                SendItemAnswer::Failed {
                    error: Problem::new(ErrorCode::QueueFull, "full").into(),
                },
            ],
        };
        let json = serde_json::to_value(&answer).unwrap();
        assert_eq!(json["messages"][0]["sequence"], "1152921504606846976");
        assert_eq!(json["messages"][1]["error"]["code"], "queue_full");
        assert_eq!(serde_json::from_value::<SendAnswer>(json).unwrap(), answer);
    }
}
