//! Sending messages.

use shoal_types::QueueName;
use shoal_types::limits::MESSAGE_BYTES_MAX;

use super::batch::{self, BatchEntry};
use crate::reading::Members;
use crate::{ErrorKind, MessageToSend, SqsError, limits};

/// Sends one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendMessage {
    /// To which queue.
    pub queue: QueueName,
    /// What.
    pub message: MessageToSend,
}

/// Sends one to ten messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendMessageBatch {
    /// To which queue.
    pub queue: QueueName,
    /// What; together at most 1 MiB.
    pub entries: Vec<BatchEntry<MessageToSend>>,
}

impl SendMessage {
    pub(crate) fn read(members: &mut Members<'_>) -> Result<Self, SqsError> {
        let queue = members.queue()?;
        let message = MessageToSend::read(members)?;
        message.check_size(MESSAGE_BYTES_MAX)?;
        Ok(Self { queue, message })
    }
}

impl SendMessageBatch {
    pub(crate) fn read(members: &mut Members<'_>) -> Result<Self, SqsError> {
        const ENTRY: &str = "SendMessageBatchRequestEntry";
        let queue = members.queue()?;
        let entries = batch::entries(members, ENTRY, &["Id", "MessageBody"], MessageToSend::read)?;
        let sent = entries.iter().filter_map(|entry| entry.item.as_ref().ok());
        let bytes: usize = sent.map(|message| message.payload.size()).sum();
        if bytes > limits::BATCH_BYTES_MAX {
            let most = limits::BATCH_BYTES_MAX;
            let message = format!(
                "Batch requests cannot be longer than {most} bytes. You have sent {bytes} bytes."
            );
            return Err(SqsError::new(ErrorKind::BatchRequestTooLong, message));
        }
        Ok(Self { queue, entries })
    }
}
