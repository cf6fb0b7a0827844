//! What the operations answer, and writing it in either protocol.

mod json;
mod received;
mod writing;
mod xml;

use std::collections::BTreeMap;

pub use received::ReceivedMessage;
pub use writing::{write_answer, write_error};

use shoal_types::Sequence;

use crate::{OperationName, QueueAttribute, SqsError};

/// An operation's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To what answers nothing but that it is done.
    Done(OperationName),
    /// Messages that the cancelled task had moved.
    CancelMessageMoveTask {
        /// How many.
        moved: u64,
    },
    /// The entries' results.
    ChangeMessageVisibilityBatch(BatchAnswer<()>),
    /// The queue's URL, of a new queue or one that is as asked for.
    CreateQueue {
        /// See [`crate::queue_url`].
        url: String,
    },
    /// The entries' results.
    DeleteMessageBatch(BatchAnswer<()>),
    /// The attributes that were asked for and that the queue has.
    GetQueueAttributes(Vec<(QueueAttribute, String)>),
    /// The queue's URL.
    GetQueueUrl {
        /// See [`crate::queue_url`].
        url: String,
    },
    /// The URLs of queues that have this one as their dead-letter queue.
    ListDeadLetterSourceQueues(QueuePage),
    /// Tasks, the newest first.
    ListMessageMoveTasks(Vec<MoveTask>),
    /// A queue's tags.
    ListQueueTags(BTreeMap<String, String>),
    /// The URLs of queues.
    ListQueues(QueuePage),
    /// Messages; none is an answer too.
    ReceiveMessage(Vec<ReceivedMessage>),
    /// What became of the message.
    SendMessage(SentMessage),
    /// The entries' results.
    SendMessageBatch(BatchAnswer<SentMessage>),
    /// The new task's handle.
    StartMessageMoveTask {
        /// By which it can be cancelled.
        task_handle: String,
    },
}

/// What became of a batch's entries, by their ids, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct BatchAnswer<T>(pub Vec<(String, Result<T, SqsError>)>);

/// A part of a list of queues.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct QueuePage {
    /// See [`crate::queue_url`].
    pub urls: Vec<String>,
    /// With which to ask for the rest, if there is one and a number of results was given.
    pub next_token: Option<String>,
}

/// A message that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentMessage {
    /// Its id.
    pub message_id: String,
    /// Of its body, as hex digits.
    pub md5_of_body: String,
    /// Of its attributes, if it has any.
    pub md5_of_attributes: Option<String>,
    /// Of its system attributes, if it has any.
    pub md5_of_system_attributes: Option<String>,
    /// Its number, in FIFO queues.
    pub sequence_number: Option<Sequence>,
}

/// A task that moves the messages of a dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveTask {
    /// By which it can be cancelled; shown while it runs.
    pub task_handle: String,
    /// Where it is.
    pub status: MoveTaskStatus,
    /// The dead-letter queue's ARN.
    pub source_arn: String,
    /// The ARN of the queue to which messages go, unless each goes to where it came from.
    pub destination_arn: Option<String>,
    /// Messages a second at most, if that was said.
    pub max_per_second: Option<u32>,
    /// Messages moved so far.
    pub moved: u64,
    /// Messages there were to move when it started, if that is known.
    pub to_move: Option<u64>,
    /// Why it failed, if it did.
    pub failure_reason: Option<String>,
    /// When it was started, in milliseconds since 1970.
    pub started_ms: u64,
}

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveTaskStatus {
    /// It moves messages.
    Running,
    /// All are moved.
    Completed,
    /// It was told to stop and has not yet.
    Cancelling,
    /// It was told to stop.
    Cancelled,
    /// It could not go on.
    Failed,
}

impl MoveTaskStatus {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Completed => "COMPLETED",
            Self::Cancelling => "CANCELLING",
            Self::Cancelled => "CANCELLED",
            Self::Failed => "FAILED",
        }
    }
}
