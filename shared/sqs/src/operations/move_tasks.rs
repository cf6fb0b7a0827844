//! Moving the messages of a dead-letter queue back, or to another queue.

use shoal_types::QueueName;

use crate::reading::Members;
use crate::{SqsError, limits};

/// Starts to move messages out of a dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartMessageMoveTask {
    /// The dead-letter queue.
    pub source: QueueName,
    /// Where its messages go; if it is not said, each to where it came from.
    pub destination: Option<QueueName>,
    /// Messages a second; 1 to 500. If it is not said, as fast as it goes.
    pub max_per_second: Option<u32>,
}

/// Stops such a task; what was moved stays moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelMessageMoveTask {
    /// The task's handle; not looked into here.
    pub task_handle: String,
}

/// Lists the newest such tasks of a dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListMessageMoveTasks {
    /// The dead-letter queue.
    pub source: QueueName,
    /// How many tasks; 1 to 10.
    pub max_results: u32,
}

impl StartMessageMoveTask {
    pub(crate) fn read(members: &mut Members<'_>) -> Result<Self, SqsError> {
        let source = members.queue_of_arn("SourceArn")?;
        let reason = "Must be between 1 and 500, if provided.";
        Ok(Self {
            source: source.ok_or_else(|| SqsError::missing("SourceArn"))?,
            destination: members.queue_of_arn("DestinationArn")?,
            max_per_second: members.whole(
                "MaxNumberOfMessagesPerSecond",
                1..=limits::MOVE_RATE_MAX,
                reason,
            )?,
        })
    }
}

impl CancelMessageMoveTask {
    pub(crate) fn read(members: &mut Members<'_>) -> Result<Self, SqsError> {
        let task_handle = members.required_text("TaskHandle")?.into_owned();
        Ok(Self { task_handle })
    }
}

impl ListMessageMoveTasks {
    pub(crate) fn read(members: &mut Members<'_>) -> Result<Self, SqsError> {
        let source = members.queue_of_arn("SourceArn")?;
        let reason = "Must be between 1 and 10, if provided.";
        let max_results = members.whole("MaxResults", 1..=limits::MOVE_TASKS_MAX, reason)?;
        Ok(Self {
            source: source.ok_or_else(|| SqsError::missing("SourceArn"))?,
            max_results: max_results.unwrap_or(1),
        })
    }
}
