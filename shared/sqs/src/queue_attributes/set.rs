//! Reading attributes that a queue is created with or that are changed, and comparing and applying them.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};
use shoal_types::{DeduplicationScope, QueueSettings, RedriveAllow, ThroughputLimit, limits};

use super::QueueAttribute;
use super::redrive::{self, RedrivePolicy};
use crate::reading::Texts;
use crate::{ErrorKind, SqsError};

/// Seconds that SQS uses a key of encryption again if nothing is set.
const KMS_REUSE_DEFAULT_S: u32 = 300;

/// A new value, or none any more: setting such an attribute to an empty text removes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<T> {
    /// To this value.
    To(T),
    /// To none.
    Remove,
}

/// Attributes that are set; what is `None` is not spoken of.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct QueueAttributes {
    /// `FifoQueue` was given, and is true: a queue that is none cannot become one.
    pub fifo: bool,
    /// Seconds, 0 to 43,200.
    pub visibility_timeout_s: Option<u32>,
    /// Seconds, 0 to 900.
    pub delay_s: Option<u32>,
    /// Seconds, 60 to 1,209,600.
    pub retention_s: Option<u32>,
    /// Bytes, 1,024 to 1,048,576.
    pub max_message_bytes: Option<u32>,
    /// Seconds, 0 to 20.
    pub receive_wait_s: Option<u32>,
    /// Of FIFO queues.
    pub content_deduplication: Option<bool>,
    /// Of FIFO queues.
    pub deduplication_scope: Option<DeduplicationScope>,
    /// Of FIFO queues.
    pub throughput_limit: Option<ThroughputLimit>,
    /// A JSON object as text. What its statements mean is not checked here.
    pub policy: Option<Change<String>>,
    /// Its dead-letter queue.
    pub redrive_policy: Option<Change<RedrivePolicy>>,
    /// Whose dead-letter queue it may be; removing it allows all.
    pub redrive_allow: Option<RedriveAllow>,
    /// A key's name.
    pub kms_master_key_id: Option<Change<String>>,
    /// Seconds, 60 to 86,400.
    pub kms_data_key_reuse_period_s: Option<u32>,
    /// Whether SQS's own encryption is on.
    pub managed_sse: Option<bool>,
}

impl QueueAttributes {
    /// Reads names and values. `fifo` is whether the queue is one, by its name.
    pub(crate) fn read(given: Texts<'_>, fifo: bool) -> Result<Self, SqsError> {
        let mut read = Self::default();
        for (name, value) in given {
            read.set(QueueAttribute::of(&name)?, &value, fifo)?;
        }
        if read.managed_sse == Some(true) && matches!(read.kms_master_key_id, Some(Change::To(_))) {
            let message = "You can use one type of server-side encryption (SSE) at one time. You can either \
                           enable KMS SSE or SQS SSE.";
            return Err(SqsError::new(ErrorKind::InvalidAttributeName, message));
        }
        Ok(read)
    }

    fn set(&mut self, attribute: QueueAttribute, value: &str, fifo: bool) -> Result<(), SqsError> {
        use QueueAttribute as A;
        check_kind(attribute, fifo)?;
        let invalid = || invalid_value(attribute);
        let whole = |range| whole(value, range).ok_or_else(invalid);
        let flag = || flag(value).ok_or_else(invalid);
        match attribute {
            A::VisibilityTimeout => {
                self.visibility_timeout_s = Some(whole(0..=limits::VISIBILITY_S_MAX)?);
            }
            A::DelaySeconds => self.delay_s = Some(whole(0..=limits::DELAY_S_MAX)?),
            A::MessageRetentionPeriod => self.retention_s = Some(whole(limits::RETENTION_S)?),
            A::MaximumMessageSize => {
                self.max_message_bytes = Some(whole(limits::QUEUE_MESSAGE_BYTES)?);
            }
            A::ReceiveMessageWaitTimeSeconds => {
                self.receive_wait_s = Some(whole(0..=limits::RECEIVE_WAIT_S_MAX)?);
            }
            A::KmsDataKeyReusePeriodSeconds => {
                self.kms_data_key_reuse_period_s = Some(whole(limits::KMS_REUSE_S)?);
            }
            A::FifoQueue => {
                if !flag()? {
                    return Err(fifo_stays());
                }
                self.fifo = true;
            }
            A::ContentBasedDeduplication => self.content_deduplication = Some(flag()?),
            A::SqsManagedSseEnabled => self.managed_sse = Some(flag()?),
            A::DeduplicationScope => {
                self.deduplication_scope = Some(deduplication_scope(value).ok_or_else(invalid)?);
            }
            A::FifoThroughputLimit => {
                self.throughput_limit = Some(throughput_limit(value).ok_or_else(invalid)?);
            }
            A::Policy => {
                let right = value.len() <= limits::POLICY_BYTES_MAX
                    && (value.is_empty() || is_object(value));
                self.policy = Some(change(value, right).ok_or_else(invalid)?);
            }
            A::KmsMasterKeyId => {
                let right = value.chars().count() <= limits::KMS_KEY_CHARS_MAX
                    && !value.chars().any(char::is_control);
                self.kms_master_key_id = Some(change(value, right).ok_or_else(invalid)?);
            }
            A::RedrivePolicy => {
                self.redrive_policy = Some(match value {
                    "" => Change::Remove,
                    policy => Change::To(redrive::read(policy)?),
                });
            }
            A::RedriveAllowPolicy => {
                self.redrive_allow = Some(match value {
                    "" => RedriveAllow::All,
                    policy => redrive::read_allow(policy)?,
                });
            }
            A::ApproximateNumberOfMessages
            | A::ApproximateNumberOfMessagesDelayed
            | A::ApproximateNumberOfMessagesNotVisible
            | A::CreatedTimestamp
            | A::LastModifiedTimestamp
            | A::QueueArn => return Err(QueueAttribute::unknown(attribute.as_str())),
        }
        Ok(())
    }

    /// Sets in a queue's settings what is spoken of, and leaves the rest.
    pub fn apply(&self, settings: &mut QueueSettings) {
        let Self {
            fifo: _,
            visibility_timeout_s,
            delay_s,
            retention_s,
            max_message_bytes,
            receive_wait_s,
            content_deduplication,
            deduplication_scope,
            throughput_limit,
            policy,
            redrive_policy,
            redrive_allow,
            kms_master_key_id,
            kms_data_key_reuse_period_s,
            managed_sse,
        } = self;
        let sqs = &mut settings.sqs;
        put(&mut settings.visibility_timeout_s, *visibility_timeout_s);
        put(&mut settings.delay_s, *delay_s);
        put(&mut settings.retention_s, *retention_s);
        put(&mut settings.max_message_bytes, *max_message_bytes);
        put(&mut settings.receive_wait_s, *receive_wait_s);
        put(&mut settings.content_deduplication, *content_deduplication);
        put(&mut settings.redrive_allow, redrive_allow.clone());
        put(&mut sqs.deduplication_scope, deduplication_scope.map(Some));
        put(&mut sqs.throughput_limit, throughput_limit.map(Some));
        put(&mut sqs.policy, policy.as_ref().map(Change::value));
        // Of SQS's two ways to encrypt, one that is set replaces the other.
        if let Some(key) = kms_master_key_id {
            sqs.kms_master_key_id = key.value();
            sqs.managed_sse = Some(sqs.kms_master_key_id.is_none());
        }
        // SQS shows it only while it is another than the default.
        let reuse =
            kms_data_key_reuse_period_s.map(|s| Some(s).filter(|s| *s != KMS_REUSE_DEFAULT_S));
        put(&mut sqs.kms_data_key_reuse_period_s, reuse);
        if let Some(managed) = managed_sse {
            sqs.managed_sse = Some(*managed);
            if *managed {
                sqs.kms_master_key_id = None;
            }
        }
        if let Some(redrive) = redrive_policy {
            let redrive = redrive.value();
            settings.max_receive_count = redrive.as_ref().map(|r| r.max_receive_count);
            settings.dead_letter_queue = redrive.map(|r| r.dead_letter_queue);
        }
    }
}

impl<T: Clone> Change<T> {
    fn value(&self) -> Option<T> {
        match self {
            Self::To(value) => Some(value.clone()),
            Self::Remove => None,
        }
    }
}

fn put<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

/// Refuses attributes of FIFO queues on others.
fn check_kind(attribute: QueueAttribute, fifo: bool) -> Result<(), SqsError> {
    use QueueAttribute as A;
    match attribute {
        A::FifoQueue | A::ContentBasedDeduplication if !fifo => {
            Err(QueueAttribute::unknown(attribute.as_str()))
        }
        A::DeduplicationScope | A::FifoThroughputLimit if !fifo => {
            let name = attribute.as_str();
            let message = format!("You can specify the {name} only when FifoQueue is set to true.");
            Err(SqsError::new(ErrorKind::InvalidAttributeName, message))
        }
        _ => Ok(()),
    }
}

fn fifo_stays() -> SqsError {
    let message =
        "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported.";
    SqsError::new(ErrorKind::InvalidAttributeValue, message)
}

fn invalid_value(attribute: QueueAttribute) -> SqsError {
    let message = format!("Invalid value for the parameter {}.", attribute.as_str());
    SqsError::new(ErrorKind::InvalidAttributeValue, message)
}

fn whole(value: &str, range: RangeInclusive<u32>) -> Option<u32> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| value.parse().ok())??;
    range.contains(&number).then_some(number)
}

fn flag(value: &str) -> Option<bool> {
    if value.eq_ignore_ascii_case("true") {
        Some(true)
    } else if value.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

fn deduplication_scope(value: &str) -> Option<DeduplicationScope> {
    match value {
        "queue" => Some(DeduplicationScope::Queue),
        "messageGroup" => Some(DeduplicationScope::MessageGroup),
        _ => None,
    }
}

fn throughput_limit(value: &str) -> Option<ThroughputLimit> {
    match value {
        "perQueue" => Some(ThroughputLimit::Queue),
        "perMessageGroupId" => Some(ThroughputLimit::MessageGroup),
        _ => None,
    }
}

fn change(value: &str, right: bool) -> Option<Change<String>> {
    match (right, value) {
        (false, _) => None,
        (true, "") => Some(Change::Remove),
        (true, value) => Some(Change::To(value.to_owned())),
    }
}

/// An object that is nested no deeper than can be read when somebody asks what it says.
fn is_object(text: &str) -> bool {
    serde_json::from_str::<Map<String, Value>>(text).is_ok()
}
