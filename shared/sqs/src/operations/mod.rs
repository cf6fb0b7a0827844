//! The 23 operations: their names, and for each its request with every parameter checked.
//!
//! A request here is what a handler works on: names are names of queues, ranges hold, lists are as long as
//! they may be. What only a look at the queue can tell (whether it exists, whether a receipt handle is of
//! it, how large its messages may be) is not checked here.

mod batch;
mod delete;
mod move_tasks;
mod permissions;
mod queues;
mod receive;
mod send;
mod tags;
mod visibility;

pub use batch::{BatchEntry, DeletedEntry, VisibilityEntry};
pub use delete::{DeleteMessage, DeleteMessageBatch};
pub use move_tasks::{CancelMessageMoveTask, ListMessageMoveTasks, StartMessageMoveTask};
pub use permissions::{AddPermission, RemovePermission};
pub use queues::{
    CreateQueue, DeleteQueue, GetQueueAttributes, GetQueueUrl, ListDeadLetterSourceQueues,
    ListQueues, Page, PurgeQueue, SetQueueAttributes,
};
pub use receive::ReceiveMessage;
pub use send::{SendMessage, SendMessageBatch};
use shoal_types::QueueName;
pub use tags::{ListQueueTags, TagQueue, UntagQueue};
pub use visibility::{ChangeMessageVisibility, ChangeMessageVisibilityBatch};

use crate::SqsError;
use crate::reading::Members;

macro_rules! operations {
    ($($name:ident,)*) => {
        /// What is asked.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each variant has its request's documentation")]
        pub enum Operation { $($name($name),)* }

        /// The name of an operation, as it stands in `x-amz-target` and `Action`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "the names are the documentation")]
        pub enum OperationName { $($name,)* }

        impl OperationName {
            /// Every operation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name as text.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// The operation of this name.
            #[must_use]
            pub fn of(name: &str) -> Option<Self> {
                match name { $(stringify!($name) => Some(Self::$name),)* _ => None }
            }

            /// Reads its request.
            pub(crate) fn read(self, members: &mut Members<'_>) -> Result<Operation, SqsError> {
                match self { $(Self::$name => $name::read(members).map(Operation::$name),)* }
            }
        }

        impl Operation {
            /// Which one it is.
            #[must_use]
            pub fn name(&self) -> OperationName {
                match self { $(Self::$name(_) => OperationName::$name,)* }
            }
        }
    };
}

operations! {
    AddPermission,
    CancelMessageMoveTask,
    ChangeMessageVisibility,
    ChangeMessageVisibilityBatch,
    CreateQueue,
    DeleteMessage,
    DeleteMessageBatch,
    DeleteQueue,
    GetQueueAttributes,
    GetQueueUrl,
    ListDeadLetterSourceQueues,
    ListMessageMoveTasks,
    ListQueueTags,
    ListQueues,
    PurgeQueue,
    ReceiveMessage,
    RemovePermission,
    SendMessage,
    SendMessageBatch,
    SetQueueAttributes,
    StartMessageMoveTask,
    TagQueue,
    UntagQueue,
}

impl Operation {
    /// The queue that it is about, if it is about one: the one of its queue URL or source ARN. What it
    /// creates or asks the address of counts too.
    #[must_use]
    pub fn queue(&self) -> Option<&QueueName> {
        Some(match self {
            Self::AddPermission(r) => &r.queue,
            Self::ChangeMessageVisibility(r) => &r.queue,
            Self::ChangeMessageVisibilityBatch(r) => &r.queue,
            Self::CreateQueue(r) => &r.name,
            Self::DeleteMessage(r) => &r.queue,
            Self::DeleteMessageBatch(r) => &r.queue,
            Self::DeleteQueue(r) => &r.queue,
            Self::GetQueueAttributes(r) => &r.queue,
            Self::GetQueueUrl(r) => &r.name,
            Self::ListDeadLetterSourceQueues(r) => &r.queue,
            Self::ListMessageMoveTasks(r) => &r.source,
            Self::ListQueueTags(r) => &r.queue,
            Self::PurgeQueue(r) => &r.queue,
            Self::ReceiveMessage(r) => &r.queue,
            Self::RemovePermission(r) => &r.queue,
            Self::SendMessage(r) => &r.queue,
            Self::SendMessageBatch(r) => &r.queue,
            Self::SetQueueAttributes(r) => &r.queue,
            Self::StartMessageMoveTask(r) => &r.source,
            Self::TagQueue(r) => &r.queue,
            Self::UntagQueue(r) => &r.queue,
            Self::CancelMessageMoveTask(_) | Self::ListQueues(_) => return None,
        })
    }
}
