//! What can be said about a send or a receive besides the queue.

use serde::Serialize;

/// A message to send.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Message {
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_s: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_s: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dedup_id: Option<String>,
}

impl Message {
    /// With a text as body.
    #[must_use]
    pub fn text(body: impl Into<String>) -> Self {
        Self {
            body: Some(body.into()),
            ..Self::default()
        }
    }

    /// With any bytes as body.
    #[must_use]
    pub fn binary(body: &[u8]) -> Self {
        use base64::Engine as _;
        let body = base64::engine::general_purpose::STANDARD.encode(body);
        Self {
            body_base64: Some(body),
            ..Self::default()
        }
    }

    /// Text if the bytes are UTF-8, binary otherwise.
    #[must_use]
    pub fn of_bytes(body: Vec<u8>) -> Self {
        String::from_utf8(body).map_or_else(|e| Self::binary(e.as_bytes()), Self::text)
    }

    /// Held back so many seconds.
    #[must_use]
    pub fn delay_s(mut self, seconds: u32) -> Self {
        self.delay_s = Some(seconds);
        self
    }

    /// Dropped after so many seconds.
    #[must_use]
    pub fn ttl_s(mut self, seconds: u32) -> Self {
        self.ttl_s = Some(seconds);
        self
    }

    /// In this message group.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// The same message as any other with this id within five minutes.
    #[must_use]
    pub fn dedup_id(mut self, id: impl Into<String>) -> Self {
        self.dedup_id = Some(id.into());
        self
    }
}

impl From<&str> for Message {
    fn from(body: &str) -> Self {
        Self::text(body)
    }
}

impl From<String> for Message {
    fn from(body: String) -> Self {
        Self::text(body)
    }
}

/// How to receive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Receive {
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_s: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    visibility_timeout_s: Option<u32>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    auto_ack: bool,
}

impl Receive {
    /// At most so many messages, 1 to 1,000.
    #[must_use]
    pub fn max(mut self, max: u32) -> Self {
        self.max = Some(max);
        self
    }

    /// Wait so many seconds for a message, 0 to 20.
    #[must_use]
    pub fn wait_s(mut self, seconds: u32) -> Self {
        self.wait_s = Some(seconds);
        self
    }

    /// Hide the messages for so many seconds.
    #[must_use]
    pub fn visibility_timeout_s(mut self, seconds: u32) -> Self {
        self.visibility_timeout_s = Some(seconds);
        self
    }

    /// Delete what is received at once: at most once. A message whose answer gets lost is gone.
    #[must_use]
    pub fn auto_ack(mut self) -> Self {
        self.auto_ack = true;
        self
    }
}
