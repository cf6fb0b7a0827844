//! A message to send: its body, attributes and the ids beside them, checked by SQS's rules.

use std::borrow::Cow;

use shoal_types::limits::{DELAY_S_MAX, GROUP_CHARS_MAX};
use shoal_types::{Body, MessagePayload, Sequence};

use crate::reading::Members;
use crate::{ErrorKind, SentMessage, SqsError, attributes, md5};

/// A message whose parameters are right as far as that needs no queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageToSend {
    /// Body and attributes; at most 1 MiB together, also all of a batch. A queue may take less, see
    /// [`MessageToSend::check_size`].
    pub payload: MessagePayload,
    /// `AWSTraceHeader`, the one system attribute that can be sent. It does not count in the size.
    pub trace_header: Option<String>,
    /// Seconds before it can be received, 0 to 900; as the queue says if not said. A FIFO queue takes none
    /// but 0, which then means nothing.
    pub delay_s: Option<u32>,
    /// Its message group. A FIFO queue needs one; any other gives groups their turns.
    pub group_id: Option<String>,
    /// Messages with the same one within five minutes are one message; only of FIFO queues.
    pub deduplication_id: Option<String>,
}

impl MessageToSend {
    pub(crate) fn read(members: &mut Members<'_>) -> Result<Self, SqsError> {
        let body = members.required_text("MessageBody")?;
        check_characters(&body)?;
        let body = Body::Text(members.bytes(body));
        let attributes = attributes::read(members)?;
        let group_id = members.text("MessageGroupId")?;
        let deduplication_id = members.text("MessageDeduplicationId")?;
        Ok(Self {
            payload: MessagePayload { attributes, body },
            trace_header: attributes::read_trace_header(members)?,
            delay_s: members.whole(
                "DelaySeconds",
                0..=DELAY_S_MAX,
                "DelaySeconds must be >= 0 and <= 900.",
            )?,
            group_id: id("MessageGroupId", group_id)?,
            deduplication_id: id("MessageDeduplicationId", deduplication_id)?,
        })
    }

    /// Checks that body and attributes have at most so many bytes.
    ///
    /// # Errors
    /// `InvalidParameterValue` as for a message sent alone.
    pub fn check_size(&self, bytes_max: usize) -> Result<(), SqsError> {
        self.fits(bytes_max, "One or more parameters are invalid.")
    }

    /// The same for an entry of a batch, whose text is another one.
    ///
    /// # Errors
    /// `InvalidParameterValue` for that entry.
    pub fn check_entry_size(&self, bytes_max: usize) -> Result<(), SqsError> {
        self.fits(bytes_max, "One or more parameters cannot be validated.")
    }

    fn fits(&self, bytes_max: usize, what: &str) -> Result<(), SqsError> {
        if self.payload.size() <= bytes_max {
            return Ok(());
        }
        let message = format!("{what} Reason: Message must be shorter than {bytes_max} bytes.");
        Err(SqsError::new(ErrorKind::InvalidParameterValue, message))
    }

    /// What is answered once the message is kept, under this id and, in a FIFO queue, this number.
    #[must_use]
    pub fn sent(&self, message_id: String, sequence_number: Option<Sequence>) -> SentMessage {
        let trace_header = self.trace_header.as_deref();
        SentMessage {
            message_id,
            md5_of_body: md5::md5_of_body(self.payload.body.bytes()),
            md5_of_attributes: md5::md5_of_attributes(&self.payload.attributes),
            md5_of_system_attributes: trace_header.map(md5::md5_of_trace_header),
            sequence_number,
        }
    }
}

/// Checks that a text consists of the characters that SQS takes.
pub(crate) fn check_characters(text: &str) -> Result<(), SqsError> {
    if text.chars().all(is_taken) {
        return Ok(());
    }
    let message = "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | \
                   #xE000 to #xFFFD | #x10000 to #x10FFFF";
    Err(SqsError::new(ErrorKind::InvalidMessageContents, message))
}

/// True for the characters that a body may have; those of XML 1.0.
pub(crate) fn is_taken(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..)
}

/// Checks a group's, deduplication or attempt id: 1 to 128 letters, digits and punctuation of ASCII.
pub(crate) fn id(parameter: &str, id: Option<Cow<'_, str>>) -> Result<Option<String>, SqsError> {
    let Some(id) = id else { return Ok(None) };
    let right_length = (1..=GROUP_CHARS_MAX).contains(&id.len());
    if right_length && id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(Some(id.into_owned()));
    }
    let reason = format!(
        "{parameter} can only include alphanumeric and punctuation characters. 1 to 128 in length."
    );
    Err(SqsError::invalid(parameter, id, reason))
}
