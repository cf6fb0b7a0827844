//! What is noted down at the clusters beside each partition: enough to make a queue's record anew, were
//! the store lost.

use serde::{Deserialize, Serialize};
use shoal_types::limits::ID_MAX;
use shoal_types::{
    Command, Description, GroupRange, PartitionId, QueueId, QueueName, QueueSettings, Revision, Ts,
};

use super::{PartitionRecord, QueueRecord};

/// In JSON, as records are: a later version may add fields with defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Noted {
    pub(crate) name: QueueName,
    pub(crate) queue: QueueId,
    pub(crate) settings: QueueSettings,
    /// The message groups that are sent to this partition.
    #[serde(default)]
    pub(crate) groups: GroupRange,
    pub(crate) created_at: Ts,
    /// Not noted before users were told of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) changed_at: Option<Ts>,
}

impl Noted {
    /// What is noted of a partition of this queue.
    pub(crate) fn of(queue: &QueueRecord, partition: &PartitionRecord) -> Self {
        Self {
            name: queue.name.clone(),
            queue: queue.queue,
            settings: queue.settings.clone(),
            groups: partition.groups,
            created_at: queue.created_at,
            changed_at: Some(queue.changed_at),
        }
    }

    /// The instruction to note it.
    pub(crate) fn instruction(&self, partition: PartitionId, revision: Revision) -> Command {
        let bytes = serde_json::to_vec(self).expect("records have only string keys");
        Command::Describe {
            partition,
            description: Description {
                revision,
                bytes: bytes.into(),
            },
        }
    }

    /// What was noted, or why it cannot be read.
    pub(crate) fn read(description: &Description) -> Result<Self, String> {
        let noted: Self =
            serde_json::from_slice(&description.bytes).map_err(|error| error.to_string())?;
        if noted.queue.0 > ID_MAX {
            return Err(format!("queue: there is no {}", noted.queue));
        }
        let settings = noted.settings.validate(&noted.name);
        settings.map_err(|error| format!("settings.{}: {}", error.field, error.why))?;
        Ok(noted)
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::limits::{
        DESCRIPTION_BYTES_MAX, KMS_KEY_CHARS_MAX, POLICY_BYTES_MAX, QUEUE_NAME_CHARS_MAX,
        REDRIVE_SOURCES_MAX, REGION_CHARS_MAX, TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX, TAGS_MAX,
    };
    use shoal_types::{RedriveAllow, Scope, SqsAttributes};

    use super::*;

    fn noted(settings: QueueSettings) -> Noted {
        Noted {
            name: "a".repeat(QUEUE_NAME_CHARS_MAX).parse().unwrap(),
            queue: QueueId(ID_MAX),
            settings,
            groups: GroupRange::ALL,
            created_at: Ts(u64::MAX),
            changed_at: Some(Ts(u64::MAX)),
        }
    }

    #[test]
    fn the_longest_there_is_fits_and_is_read_back() {
        // No character takes more than four bytes, but for those of control, which are not taken.
        let widest = "\u{10ffff}";
        let tag = |n: usize| {
            let key = format!("{n:02}{}", widest.repeat(TAG_KEY_CHARS_MAX - 2));
            (key, widest.repeat(TAG_VALUE_CHARS_MAX))
        };
        let source = |n: usize| {
            let name = format!("{n:02}{}", "a".repeat(QUEUE_NAME_CHARS_MAX - 2));
            let region = "x".repeat(REGION_CHARS_MAX);
            QueueName::new(&Scope::new("123456789012", &region).unwrap(), &name).unwrap()
        };
        let longest = noted(QueueSettings {
            tags: (0..TAGS_MAX).map(tag).collect(),
            redrive_allow: RedriveAllow::Queues((0..REDRIVE_SOURCES_MAX).map(source).collect()),
            sqs: SqsAttributes {
                // Quotes take two bytes each.
                policy: Some("\"".repeat(POLICY_BYTES_MAX)),
                kms_master_key_id: Some(widest.repeat(KMS_KEY_CHARS_MAX)),
                ..SqsAttributes::default()
            },
            ..QueueSettings::default()
        });
        longest.settings.validate(&longest.name).unwrap();
        let Command::Describe { description, .. } =
            longest.instruction(PartitionId(1), Revision(1))
        else {
            panic!("an instruction to describe")
        };
        assert!(description.bytes.len() <= DESCRIPTION_BYTES_MAX);
        assert_eq!(Noted::read(&description), Ok(longest));
    }

    /// Clusters keep what was noted for as long as a partition lives.
    #[test]
    fn what_was_noted_first_is_read_for_ever() {
        let bytes = br#"{"name":"orders","queue":7,"settings":{"delay_s":3},"created_at":1000}"#;
        let description = Description {
            revision: Revision(1),
            bytes: bytes.as_slice().into(),
        };
        let read = Noted::read(&description).unwrap();
        assert_eq!((read.settings.delay_s, read.groups), (3, GroupRange::ALL));
    }
}
