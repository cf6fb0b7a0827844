//! A message as it lies in the log: attributes, then the body. To the queue it is opaque bytes.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::wire::{self, WireError};

/// What a producer sent and a consumer gets back, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct MessagePayload {
    /// Named values beside the body.
    pub attributes: BTreeMap<String, Attribute>,
    /// The body.
    pub body: Body,
}

/// The body and whether it came as text: text goes back as `body`, bytes as `body_base64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// UTF-8, checked when it was taken.
    Text(Bytes),
    /// Any bytes.
    Binary(Bytes),
}

impl Default for Body {
    fn default() -> Self {
        Self::Text(Bytes::new())
    }
}

impl Body {
    /// The bytes, whichever kind.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes,
        }
    }
}

/// A named value beside the body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// `String`, `Number` or `Binary`, optionally with `.` and a label of the user's (SQS).
    pub kind: String,
    /// The value; UTF-8 unless the kind is `Binary`.
    pub value: Bytes,
}

/// Stored bytes that are no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a stored message: {0}")]
pub struct PayloadError(String);

#[derive(Serialize, Deserialize)]
struct Head {
    text: bool,
    attributes: BTreeMap<String, Attribute>,
}

impl MessagePayload {
    /// Bytes that count towards the size limits: body, attribute names, kinds and values.
    #[must_use]
    pub fn size(&self) -> usize {
        let attributes = self.attributes.iter();
        attributes
            .map(|(name, a)| name.len() + a.kind.len() + a.value.len())
            .sum::<usize>()
            + self.body.bytes().len()
    }

    /// The stored form: a frame of head and body.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let head = Head {
            text: matches!(self.body, Body::Text(_)),
            attributes: self.attributes.clone(),
        };
        wire::join(&wire::encode_frame(
            &head,
            std::slice::from_ref(self.body.bytes()),
        ))
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// If the bytes are not what [`MessagePayload::encode`] wrote.
    pub fn decode(stored: &Bytes) -> Result<Self, PayloadError> {
        let frame = wire::decode_frame::<Head>(stored.clone())
            .map_err(|e: WireError| PayloadError(e.to_string()))?;
        let [body] = <[Bytes; 1]>::try_from(frame.bodies)
            .map_err(|bodies| PayloadError(format!("{} bodies instead of 1", bodies.len())))?;
        let body = if frame.head.text {
            Body::Text(body)
        } else {
            Body::Binary(body)
        };
        Ok(Self {
            attributes: frame.head.attributes,
            body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_byte_for_byte() {
        let kind = "Number.float".to_owned();
        let message = MessagePayload {
            attributes: [(
                "n".to_owned(),
                Attribute {
                    kind,
                    value: Bytes::from_static(b"1.5"),
                },
            )]
            .into(),
            body: Body::Binary(Bytes::from_static(b"\0\xff body")),
        };
        assert_eq!(message.size(), 1 + 12 + 3 + 7);
        assert_eq!(MessagePayload::decode(&message.encode()).unwrap(), message);
    }

    #[test]
    fn truncated_bytes_are_refused() {
        let stored = MessagePayload {
            body: Body::Text("hello".into()),
            ..Default::default()
        }
        .encode();
        for end in 0..stored.len() {
            assert!(
                MessagePayload::decode(&stored.slice(..end)).is_err(),
                "{end} bytes"
            );
        }
    }
}
