//! Changing when a received message becomes visible again.

use shoal_types::QueueName;
use shoal_types::limits::VISIBILITY_S_MAX;

use super::batch::{self, BatchEntry, VisibilityEntry};
use crate::SqsError;
use crate::reading::Members;

/// Changes when one message's lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeMessageVisibility {
    /// Where.
    pub queue: QueueName,
    /// Which message; not looked into here.
    pub receipt_handle: String,
    /// Seconds from now; 0 to 43,200.
    pub visibility_timeout_s: u32,
}

/// Changes when the leases of one to ten messages end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeMessageVisibilityBatch {
    /// Where.
    pub queue: QueueName,
    /// Which messages, and how.
    pub entries: Vec<BatchEntry<VisibilityEntry>>,
}

impl ChangeMessageVisibility {
    pub(crate) fn read(members: &mut Members<'_>) -> Result<Self, SqsError> {
        Ok(Self {
            queue: members.queue()?,
            receipt_handle: members.required_text("ReceiptHandle")?.into_owned(),
            visibility_timeout_s: visibility(members)?,
        })
    }
}

impl ChangeMessageVisibilityBatch {
    pub(crate) fn read(members: &mut Members<'_>) -> Result<Self, SqsError> {
        const ENTRY: &str = "ChangeMessageVisibilityBatchRequestEntry";
        Ok(Self {
            queue: members.queue()?,
            entries: batch::entries(members, ENTRY, &["Id", "ReceiptHandle"], |entry| {
                Ok(VisibilityEntry {
                    receipt_handle: entry.required_text("ReceiptHandle")?.into_owned(),
                    visibility_timeout_s: visibility(entry)?,
                })
            })?,
        })
    }
}

fn visibility(members: &mut Members<'_>) -> Result<u32, SqsError> {
    const NAME: &str = "VisibilityTimeout";
    let reason = "Must be between 0 and 43200, if provided.";
    let seconds = members.whole(NAME, 0..=VISIBILITY_S_MAX, reason)?;
    seconds.ok_or_else(|| SqsError::missing(NAME))
}
