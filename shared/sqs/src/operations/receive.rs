//! Receiving messages.

use shoal_types::QueueName;
use shoal_types::limits::{RECEIVE_WAIT_S_MAX, VISIBILITY_S_MAX};

use crate::names::{AttributeNames, SystemAttributeNames};
use crate::reading::Members;
use crate::{SqsError, limits, message};

/// Receives up to ten messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiveMessage {
    /// Of which queue.
    pub queue: QueueName,
    /// How many messages at most; 1 to 10.
    pub max_messages: u32,
    /// Seconds that they stay hidden, 0 to 43,200; as the queue says if not said.
    pub visibility_timeout_s: Option<u32>,
    /// Seconds to wait for a first message, 0 to 20; as the queue says if not said.
    pub wait_s: Option<u32>,
    /// What to tell of each message; both of SQS's lists together.
    pub system_attributes: SystemAttributeNames,
    /// Which of a message's own attributes to give.
    pub attributes: AttributeNames,
    /// The same for each attempt at one receive. FIFO queues give the same messages again for it; other
    /// queues have no use for it.
    pub attempt_id: Option<String>,
}

impl ReceiveMessage {
    pub(crate) fn read(members: &mut Members<'_>) -> Result<Self, SqsError> {
        let queue = members.queue()?;
        let names = members.texts("MessageSystemAttributeNames", "MessageSystemAttributeName")?;
        let old_names = members.texts("AttributeNames", "AttributeName")?;
        let max_messages = members.whole(
            "MaxNumberOfMessages",
            1..=limits::RECEIVE_MESSAGES_MAX,
            "Must be between 1 and 10, if provided.",
        )?;
        let attempt_id = members.text("ReceiveRequestAttemptId")?;
        Ok(Self {
            queue,
            max_messages: max_messages.unwrap_or(1),
            visibility_timeout_s: members.whole(
                "VisibilityTimeout",
                0..=VISIBILITY_S_MAX,
                "Must be between 0 and 43200, if provided.",
            )?,
            wait_s: members.whole(
                "WaitTimeSeconds",
                0..=RECEIVE_WAIT_S_MAX,
                "Must be >= 0 and <= 20, if provided.",
            )?,
            system_attributes: SystemAttributeNames::read(&names, &old_names)?,
            attributes: AttributeNames::read(
                &members.texts("MessageAttributeNames", "MessageAttributeName")?,
            ),
            attempt_id: message::id("ReceiveRequestAttemptId", attempt_id)?,
        })
    }
}
