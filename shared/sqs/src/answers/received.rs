//! A message as a consumer gets it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use shoal_types::{Attribute, Body, MessagePayload};

use crate::{SystemAttribute, md5_of_attributes, md5_of_body, message};

/// A message that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedMessage {
    message_id: String,
    receipt_handle: String,
    body: Bytes,
    attributes: BTreeMap<String, Attribute>,
    system_attributes: Vec<(SystemAttribute, String)>,
}

impl ReceivedMessage {
    /// A message of this id, in its consumer's hands by this handle. Of its attributes, and of what SQS
    /// knows of it, only what was asked for is to be there, see [`crate::ReceiveMessage`].
    ///
    /// A body that no client of SQS could have sent, bytes or with characters that SQS does not take, is
    /// given as base64: SQS's bodies are texts, and XML could not carry it.
    #[must_use]
    pub fn new(
        message_id: String,
        receipt_handle: String,
        payload: MessagePayload,
        system_attributes: Vec<(SystemAttribute, String)>,
    ) -> Self {
        let body = match payload.body {
            Body::Text(text) if is_sqs_text(&text) => text,
            Body::Text(bytes) | Body::Binary(bytes) => STANDARD.encode(bytes).into(),
        };
        Self {
            message_id,
            receipt_handle,
            body,
            attributes: payload.attributes,
            system_attributes,
        }
    }

    pub(super) fn message_id(&self) -> &str {
        &self.message_id
    }

    pub(super) fn receipt_handle(&self) -> &str {
        &self.receipt_handle
    }

    pub(super) fn body(&self) -> &str {
        str::from_utf8(&self.body).expect("checked when it was made")
    }

    pub(super) fn md5_of_body(&self) -> String {
        md5_of_body(&self.body)
    }

    pub(super) fn attributes(&self) -> &BTreeMap<String, Attribute> {
        &self.attributes
    }

    /// Over the attributes that are given, which need not be all.
    pub(super) fn md5_of_attributes(&self) -> Option<String> {
        md5_of_attributes(&self.attributes)
    }

    pub(super) fn system_attributes(&self) -> &[(SystemAttribute, String)] {
        &self.system_attributes
    }
}

fn is_sqs_text(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_ok_and(|text| text.chars().all(message::is_taken))
}
