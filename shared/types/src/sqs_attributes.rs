//! Attributes of a queue that only users of SQS set and see. They change nothing of what its partitions do.

use serde::{Deserialize, Serialize};

use crate::{SettingsError, limits};

/// As SQS has them, under names of our own. Which of them mean something here stands in `docs/sqs.md`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SqsAttributes {
    /// `Policy`: who may do what, JSON as text; at most [`limits::POLICY_BYTES_MAX`] bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// `KmsMasterKeyId`: kept and shown, nothing is encrypted with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_master_key_id: Option<String>,
    /// `KmsDataKeyReusePeriodSeconds`, 60 to 86,400: kept and shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_data_key_reuse_period_s: Option<u32>,
    /// `SqsManagedSseEnabled`: kept and shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_sse: Option<bool>,
    /// `DeduplicationScope`, of FIFO queues.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deduplication_scope: Option<DeduplicationScope>,
    /// `FifoThroughputLimit`, of FIFO queues: kept and shown, there is no such limit here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throughput_limit: Option<ThroughputLimit>,
}

/// Within what equal deduplication ids are the same message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeduplicationScope {
    /// The queue.
    #[default]
    Queue,
    /// Each message group by itself.
    MessageGroup,
}

/// Within what SQS would count a FIFO queue's requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThroughputLimit {
    /// The queue.
    #[default]
    Queue,
    /// Each message group by itself; needs [`DeduplicationScope::MessageGroup`].
    MessageGroup,
}

impl SqsAttributes {
    /// True if nothing is set.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Checks every range.
    ///
    /// # Errors
    /// Names the first field that is wrong.
    pub(crate) fn validate(&self, fifo: bool) -> Result<(), SettingsError> {
        let refuse = |field, why: String| Err(SettingsError { field, why });
        let most = limits::POLICY_BYTES_MAX;
        if let Some(policy) = &self.policy {
            if policy.len() > most {
                return refuse("sqs.policy", format!("has more than {most} bytes"));
            }
            if policy
                .chars()
                .any(|c| c.is_control() && !c.is_ascii_whitespace())
            {
                return refuse("sqs.policy", "no control characters are taken".to_owned());
            }
        }
        let most = limits::KMS_KEY_CHARS_MAX;
        let key = self.kms_master_key_id.as_ref();
        if key.is_some_and(|key| key.chars().count() > most || key.chars().any(char::is_control)) {
            let why = format!("has more than {most} characters, or one for control");
            return refuse("sqs.kms_master_key_id", why);
        }
        let range = limits::KMS_REUSE_S;
        if let Some(seconds) = self.kms_data_key_reuse_period_s
            && !range.contains(&seconds)
        {
            let why = format!(
                "{seconds} is not within {} to {}",
                range.start(),
                range.end()
            );
            return refuse("sqs.kms_data_key_reuse_period_s", why);
        }
        let only_fifo = "only a FIFO queue has it";
        if !fifo && self.deduplication_scope.is_some() {
            return refuse("sqs.deduplication_scope", only_fifo.to_owned());
        }
        if !fifo && self.throughput_limit.is_some() {
            return refuse("sqs.throughput_limit", only_fifo.to_owned());
        }
        if self.throughput_limit == Some(ThroughputLimit::MessageGroup)
            && self.deduplication_scope != Some(DeduplicationScope::MessageGroup)
        {
            let why = "a limit by message group needs deduplication by message group";
            return refuse("sqs.throughput_limit", why.to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_range_names_its_field() {
        let refused = |fifo: bool, change: fn(&mut SqsAttributes)| {
            let mut attributes = SqsAttributes::default();
            attributes.validate(fifo).unwrap();
            change(&mut attributes);
            attributes.validate(fifo).unwrap_err().field
        };
        let policy = refused(false, |s| s.policy = Some("x".repeat(8 * 1_024 + 1)));
        assert_eq!(policy, "sqs.policy");
        let key = refused(false, |s| s.kms_master_key_id = Some("x".repeat(257)));
        assert_eq!(key, "sqs.kms_master_key_id");
        for seconds in [59, 86_401] {
            let attributes = SqsAttributes {
                kms_data_key_reuse_period_s: Some(seconds),
                ..SqsAttributes::default()
            };
            let refused = attributes.validate(false).unwrap_err();
            assert_eq!(refused.field, "sqs.kms_data_key_reuse_period_s");
        }
        let scope = refused(false, |s| {
            s.deduplication_scope = Some(DeduplicationScope::Queue)
        });
        assert_eq!(scope, "sqs.deduplication_scope");
        let limit = refused(false, |s| s.throughput_limit = Some(ThroughputLimit::Queue));
        assert_eq!(limit, "sqs.throughput_limit");
        let unscoped = refused(true, |s| {
            s.throughput_limit = Some(ThroughputLimit::MessageGroup)
        });
        assert_eq!(unscoped, "sqs.throughput_limit");
    }
}
