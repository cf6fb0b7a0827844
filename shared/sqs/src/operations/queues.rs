//! Creating, finding, describing, emptying and deleting queues.

use std::borrow::Cow;
use std::collections::BTreeMap;

use shoal_types::QueueName;

use super::tags;
use crate::queue_attributes::QueueAttributeNames;
use crate::reading::Members;
use crate::{QueueAttributes, SqsError, limits};

/// Creates a queue, or finds one that is as it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateQueue {
    /// Its name, in the caller's account and region.
    pub name: QueueName,
    /// What is not as by default.
    pub attributes: QueueAttributes,
    /// Tags; at most 50.
    pub tags: BTreeMap<String, String>,
}

/// Deletes a queue with all its messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteQueue {
    /// Which one.
    pub queue: QueueName,
}

/// Deletes all messages of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgeQueue {
    /// Which one.
    pub queue: QueueName,
}

/// Asks for a queue's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetQueueUrl {
    /// Its name, in the account that was named or the caller's, and in the caller's region.
    pub name: QueueName,
}

/// Asks for a queue's attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetQueueAttributes {
    /// Which queue.
    pub queue: QueueName,
    /// Which attributes; none asked, none given.
    pub names: QueueAttributeNames,
}

/// Changes a queue's attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetQueueAttributes {
    /// Which queue.
    pub queue: QueueName,
    /// What changes.
    pub attributes: QueueAttributes,
}

/// Lists the queues of the caller's account and region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQueues {
    /// Only those whose names begin so.
    pub prefix: String,
    /// Which part of the list.
    pub page: Page,
}

/// Lists the queues that have this one as their dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListDeadLetterSourceQueues {
    /// The dead-letter queue.
    pub queue: QueueName,
    /// Which part of the list.
    pub page: Page,
}

/// A part of a list of queues.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Page {
    /// How many queues; 1 to 1,000. If it is not said, 1,000 and no token for more.
    pub max_results: Option<u32>,
    /// Where the last answer ended: its token, not looked into here.
    pub next_token: Option<String>,
}

impl CreateQueue {
    pub(crate) fn read(members: &mut Members<'_>) -> Result<Self, SqsError> {
        let attributes = members.map("Attributes", "Attribute", "Name", "Value")?;
        let says_fifo = |(name, value): &(Cow<'_, str>, Cow<'_, str>)| {
            name == "FifoQueue" && value.eq_ignore_ascii_case("true")
        };
        let fifo = attributes.iter().any(says_fifo);
        let name = members.local_queue("QueueName", fifo)?;
        Ok(Self {
            attributes: QueueAttributes::read(attributes, name.is_fifo())?,
            tags: tags::read(members, "tags")?,
            name,
        })
    }
}

impl DeleteQueue {
    pub(crate) fn read(members: &mut Members<'_>) -> Result<Self, SqsError> {
        let queue = members.queue()?;
        Ok(Self { queue })
    }
}

impl PurgeQueue {
    pub(crate) fn read(members: &mut Members<'_>) -> Result<Self, SqsError> {
        let queue = members.queue()?;
        Ok(Self { queue })
    }
}

impl GetQueueUrl {
    pub(crate) fn read(members: &mut Members<'_>) -> Result<Self, SqsError> {
        let name = members.owned_queue("QueueName", "QueueOwnerAWSAccountId")?;
        Ok(Self { name })
    }
}

impl GetQueueAttributes {
    pub(crate) fn read(members: &mut Members<'_>) -> Result<Self, SqsError> {
        Ok(Self {
            queue: members.queue()?,
            names: QueueAttributeNames::read(&members.texts("AttributeNames", "AttributeName")?)?,
        })
    }
}

impl SetQueueAttributes {
    pub(crate) fn read(members: &mut Members<'_>) -> Result<Self, SqsError> {
        let queue = members.queue()?;
        let attributes = members.map("Attributes", "Attribute", "Name", "Value")?;
        if attributes.is_empty() {
            return Err(SqsError::missing("Attribute.Name"));
        }
        let attributes = QueueAttributes::read(attributes, queue.is_fifo())?;
        Ok(Self { queue, attributes })
    }
}

impl ListQueues {
    pub(crate) fn read(members: &mut Members<'_>) -> Result<Self, SqsError> {
        let prefix = members.text("QueueNamePrefix")?.unwrap_or_default();
        Ok(Self {
            prefix: prefix.into_owned(),
            page: Page::read(members)?,
        })
    }
}

impl ListDeadLetterSourceQueues {
    pub(crate) fn read(members: &mut Members<'_>) -> Result<Self, SqsError> {
        Ok(Self {
            queue: members.queue()?,
            page: Page::read(members)?,
        })
    }
}

impl Page {
    fn read(members: &mut Members<'_>) -> Result<Self, SqsError> {
        let reason = "Must be between 1 and 1000, if provided.";
        let max_results = members.whole("MaxResults", 1..=limits::PAGE_QUEUES_MAX, reason)?;
        let next_token = members.text("NextToken")?;
        Ok(Self {
            max_results,
            next_token: next_token.map(|token| token.into_owned()),
        })
    }
}
