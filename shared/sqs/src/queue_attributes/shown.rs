//! Showing a queue's attributes as SQS writes them: all of them as text.

use shoal_types::{DeduplicationScope, QueueName, QueueSettings, ThroughputLimit};

use super::redrive;
use super::{QueueAttribute, QueueAttributeNames, QueueAttributes};
use crate::place::arn;

/// What there is to know of a queue.
#[derive(Clone, Copy, Debug)]
pub struct QueueFacts<'a> {
    /// Its name and scope.
    pub name: &'a QueueName,
    /// Its settings.
    pub settings: &'a QueueSettings,
    /// When it was created, in seconds since 1970.
    pub created_s: u64,
    /// When its attributes were last changed, in seconds since 1970.
    pub modified_s: u64,
    /// Messages that can be received.
    pub visible: u64,
    /// Messages in consumers' hands.
    pub in_flight: u64,
    /// Messages whose delay has not passed.
    pub delayed: u64,
}

impl QueueFacts<'_> {
    /// Those attributes of these names that the queue has.
    #[must_use]
    pub fn select(&self, names: &QueueAttributeNames) -> Vec<(QueueAttribute, String)> {
        let with_value = |attribute| Some((attribute, self.value(attribute)?));
        names.iter().filter_map(with_value).collect()
    }

    /// The attribute's value as text, if the queue has it.
    #[must_use]
    pub fn value(&self, attribute: QueueAttribute) -> Option<String> {
        use QueueAttribute as A;
        let settings = self.settings;
        let sqs = &settings.sqs;
        let of_fifo = |value: &str| settings.fifo.then(|| value.to_owned());
        Some(match attribute {
            A::ApproximateNumberOfMessages => self.visible.to_string(),
            A::ApproximateNumberOfMessagesDelayed => self.delayed.to_string(),
            A::ApproximateNumberOfMessagesNotVisible => self.in_flight.to_string(),
            A::ContentBasedDeduplication => of_fifo(flag(settings.content_deduplication))?,
            A::CreatedTimestamp => self.created_s.to_string(),
            A::DeduplicationScope => of_fifo(match sqs.deduplication_scope.unwrap_or_default() {
                DeduplicationScope::Queue => "queue",
                DeduplicationScope::MessageGroup => "messageGroup",
            })?,
            A::DelaySeconds => settings.delay_s.to_string(),
            A::FifoQueue => of_fifo("true")?,
            A::FifoThroughputLimit => of_fifo(match sqs.throughput_limit.unwrap_or_default() {
                ThroughputLimit::Queue => "perQueue",
                ThroughputLimit::MessageGroup => "perMessageGroupId",
            })?,
            A::KmsDataKeyReusePeriodSeconds => sqs.kms_data_key_reuse_period_s?.to_string(),
            A::KmsMasterKeyId => sqs.kms_master_key_id.clone()?,
            A::LastModifiedTimestamp => self.modified_s.to_string(),
            A::MaximumMessageSize => settings.max_message_bytes.to_string(),
            A::MessageRetentionPeriod => settings.retention_s.to_string(),
            A::Policy => sqs.policy.clone()?,
            A::QueueArn => arn(self.name),
            A::ReceiveMessageWaitTimeSeconds => settings.receive_wait_s.to_string(),
            A::RedriveAllowPolicy => redrive::write_allow(&settings.redrive_allow)?,
            A::RedrivePolicy => {
                let count = settings.max_receive_count?;
                redrive::write(settings.dead_letter_queue.as_ref()?, count)
            }
            A::SqsManagedSseEnabled => flag(sqs.managed_sse.unwrap_or(true)).to_owned(),
            A::VisibilityTimeout => settings.visibility_timeout_s.to_string(),
        })
    }

    /// The first attribute that would change if the queue was created with these: why creating it again
    /// is refused.
    #[must_use]
    pub fn first_difference(&self, wanted: &QueueAttributes) -> Option<QueueAttribute> {
        let mut settings = self.settings.clone();
        wanted.apply(&mut settings);
        let changed = QueueFacts {
            settings: &settings,
            ..*self
        };
        let differs = |a: &&QueueAttribute| self.value(**a) != changed.value(**a);
        QueueAttribute::ALL.iter().find(differs).copied()
    }
}

fn flag(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}
