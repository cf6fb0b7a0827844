//! The attributes' names, and which of them somebody asks for.

use std::collections::BTreeSet;

use crate::{ErrorKind, SqsError};

macro_rules! queue_attributes {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// An attribute of a queue.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum QueueAttribute { $($(#[$doc])* $name,)* }

        impl QueueAttribute {
            /// Every one of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

queue_attributes! {
    /// Messages that can be received; never set.
    ApproximateNumberOfMessages,
    /// Messages whose delay has not passed; never set.
    ApproximateNumberOfMessagesDelayed,
    /// Messages in consumers' hands; never set.
    ApproximateNumberOfMessagesNotVisible,
    /// Whether equal bodies are one message; of FIFO queues.
    ContentBasedDeduplication,
    /// Seconds since 1970; never set.
    CreatedTimestamp,
    /// Within what equal deduplication ids are one message; of FIFO queues.
    DeduplicationScope,
    /// Seconds that a message is held back.
    DelaySeconds,
    /// `true`; of FIFO queues, set when the queue is created.
    FifoQueue,
    /// Within what SQS would count requests; of FIFO queues.
    FifoThroughputLimit,
    /// Seconds that a key of encryption is used again; kept and shown.
    KmsDataKeyReusePeriodSeconds,
    /// A key of encryption; kept and shown.
    KmsMasterKeyId,
    /// Seconds since 1970; never set.
    LastModifiedTimestamp,
    /// Bytes of the largest message.
    MaximumMessageSize,
    /// Seconds that a message is kept.
    MessageRetentionPeriod,
    /// Who may do what, as JSON.
    Policy,
    /// The ARN; never set.
    QueueArn,
    /// Seconds that a receive waits if it does not say.
    ReceiveMessageWaitTimeSeconds,
    /// Which queues may have this one as dead-letter queue, as JSON.
    RedriveAllowPolicy,
    /// Dead-letter queue and receives before, as JSON.
    RedrivePolicy,
    /// Whether SQS's own encryption is on; kept and shown.
    SqsManagedSseEnabled,
    /// Seconds that a received message stays hidden.
    VisibilityTimeout,
}

impl QueueAttribute {
    /// The attribute of this name.
    ///
    /// # Errors
    /// `InvalidAttributeName`.
    pub fn of(name: &str) -> Result<Self, SqsError> {
        let known = Self::ALL
            .iter()
            .find(|attribute| attribute.as_str() == name);
        known.copied().ok_or_else(|| Self::unknown(name))
    }

    pub(crate) fn unknown(name: &str) -> SqsError {
        let message = format!("Unknown Attribute {}.", crate::error::quoted(name));
        SqsError::new(ErrorKind::InvalidAttributeName, message)
    }
}

/// Which attributes to show.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct QueueAttributeNames(BTreeSet<QueueAttribute>);

impl QueueAttributeNames {
    /// Reads the names, of which `All` means every one.
    pub(crate) fn read<S: AsRef<str>>(names: &[S]) -> Result<Self, SqsError> {
        let mut asked = BTreeSet::new();
        for name in names.iter().map(AsRef::as_ref) {
            if name == "All" {
                asked.extend(QueueAttribute::ALL);
            } else {
                asked.insert(QueueAttribute::of(name)?);
            }
        }
        Ok(Self(asked))
    }

    /// True if this one is to be shown.
    #[must_use]
    pub fn has(&self, attribute: QueueAttribute) -> bool {
        self.0.contains(&attribute)
    }

    /// Those to be shown.
    pub fn iter(&self) -> impl Iterator<Item = QueueAttribute> {
        self.0.iter().copied()
    }
}
