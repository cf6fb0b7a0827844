//! Deleting messages that were received.

use shoal_types::QueueName;

use super::batch::{self, BatchEntry, DeletedEntry};
use crate::SqsError;
use crate::reading::Members;

/// Deletes one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteMessage {
    /// Where.
    pub queue: QueueName,
    /// Which message; not looked into here.
    pub receipt_handle: String,
}

/// Deletes one to ten messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteMessageBatch {
    /// Where.
    pub queue: QueueName,
    /// Which messages.
    pub entries: Vec<BatchEntry<DeletedEntry>>,
}

impl DeleteMessage {
    pub(crate) fn read(members: &mut Members<'_>) -> Result<Self, SqsError> {
        Ok(Self {
            queue: members.queue()?,
            receipt_handle: members.required_text("ReceiptHandle")?.into_owned(),
        })
    }
}

impl DeleteMessageBatch {
    pub(crate) fn read(members: &mut Members<'_>) -> Result<Self, SqsError> {
        const ENTRY: &str = "DeleteMessageBatchRequestEntry";
        Ok(Self {
            queue: members.queue()?,
            entries: batch::entries(members, ENTRY, &["Id", "ReceiptHandle"], |entry| {
                Ok(DeletedEntry {
                    receipt_handle: entry.required_text("ReceiptHandle")?.into_owned(),
                })
            })?,
        })
    }
}
