//! A queue's settings, as users set them, and what of them its partitions must know.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Epoch, Micros, QueueName, RedriveAllow, SqsAttributes, limits};

/// Settings as the REST API shows them. Missing fields of a creation take the defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueSettings {
    /// Groups strictly in order, each next message only after the previous is deleted. Cannot change.
    pub fifo: bool,
    /// Seconds that a received message stays hidden; 0 to 43,200.
    pub visibility_timeout_s: u32,
    /// Seconds that a sent message is held back; 0 to 900.
    pub delay_s: u32,
    /// Seconds that a message is kept; 60 to 1,209,600.
    pub retention_s: u32,
    /// Largest message in bytes, attributes included; 1,024 to 1,048,576.
    pub max_message_bytes: u32,
    /// Seconds that a receive waits for a message if it does not say; 0 to 20.
    pub receive_wait_s: u32,
    /// FIFO: messages with equal bodies within five minutes are one.
    pub content_deduplication: bool,
    /// Sends are refused above so many messages; `null`: no bound but the disk.
    pub max_messages: Option<u64>,
    /// Sends are refused above so many bytes; `null`: no bound but the disk.
    pub max_bytes: Option<u64>,
    /// After so many receives a message goes to the dead-letter queue; 1 to 1,000. With `dead_letter_queue`
    /// and never without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_receive_count: Option<u32>,
    /// Another queue of the same scope and kind (FIFO or not).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter_queue: Option<QueueName>,
    /// Which queues may name this one as their dead-letter queue.
    #[serde(skip_serializing_if = "RedriveAllow::is_all")]
    pub redrive_allow: RedriveAllow,
    /// What only users of SQS set and see.
    #[serde(skip_serializing_if = "SqsAttributes::is_default")]
    pub sqs: SqsAttributes,
    /// Whether the queue may be split. Its partitions need not know.
    pub partitions: Partitioning,
    /// Anything a user wants to note down; at most 50.
    pub tags: BTreeMap<String, String>,
}

impl Default for QueueSettings {
    /// SQS's defaults.
    fn default() -> Self {
        Self {
            fifo: false,
            visibility_timeout_s: 30,
            delay_s: 0,
            retention_s: 345_600,
            max_message_bytes: 1 << 20,
            receive_wait_s: 0,
            content_deduplication: false,
            max_messages: None,
            max_bytes: None,
            max_receive_count: None,
            dead_letter_queue: None,
            redrive_allow: RedriveAllow::All,
            sqs: SqsAttributes::default(),
            partitions: Partitioning::One,
            tags: BTreeMap::new(),
        }
    }
}

/// Into how many partitions a queue may be split: `1` or `"auto"`, as users write it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Partitioning {
    /// One that takes sends; it may be moved, as a whole. So a FIFO queue's messages have one order, over
    /// all groups.
    #[default]
    One,
    /// As many as the load needs, each with a part of the message groups.
    Auto,
}

impl Partitioning {
    const AUTO: &str = "auto";
    const EXPECTED: &str = "1 or \"auto\"";
}

impl std::str::FromStr for Partitioning {
    type Err = String;

    /// Reads it as it is written on a command line.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "1" => Ok(Self::One),
            Self::AUTO => Ok(Self::Auto),
            _ => Err(format!("{text:?} is not {}", Self::EXPECTED)),
        }
    }
}

impl Serialize for Partitioning {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One => s.serialize_u64(1),
            Self::Auto => s.serialize_str(Self::AUTO),
        }
    }
}

impl<'de> Deserialize<'de> for Partitioning {
    /// Only of formats that say what a value is, such as JSON.
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(PartitioningVisitor)
    }
}

struct PartitioningVisitor;

impl de::Visitor<'_> for PartitioningVisitor {
    type Value = Partitioning;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(Partitioning::EXPECTED)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        match number {
            1 => Ok(Partitioning::One),
            _ => Err(E::invalid_value(de::Unexpected::Unsigned(number), &self)),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        match text {
            Partitioning::AUTO => Ok(Partitioning::Auto),
            _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }
}

/// A setting outside its range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct SettingsError {
    /// The setting's name as users write it.
    pub field: &'static str,
    /// What is wrong, with the range.
    pub why: String,
}

impl QueueSettings {
    /// Checks every range, and that `fifo` fits the name.
    ///
    /// # Errors
    /// Names the first field that is wrong.
    pub fn validate(&self, name: &QueueName) -> Result<(), SettingsError> {
        fn check(
            ok: bool,
            field: &'static str,
            why: impl FnOnce() -> String,
        ) -> Result<(), SettingsError> {
            if ok {
                Ok(())
            } else {
                Err(SettingsError { field, why: why() })
            }
        }
        let at_most = |field, value: u32, max: u32| {
            check(value <= max, field, || {
                format!("{value} is not within 0 to {max}")
            })
        };
        let within = |field, value: u32, range: std::ops::RangeInclusive<u32>| {
            check(range.contains(&value), field, || {
                format!("{value} is not within {} to {}", range.start(), range.end())
            })
        };
        check(self.fifo == name.is_fifo(), "fifo", || {
            "a FIFO queue's name ends in .fifo, and only a FIFO queue's".to_owned()
        })?;
        at_most(
            "visibility_timeout_s",
            self.visibility_timeout_s,
            limits::VISIBILITY_S_MAX,
        )?;
        at_most("delay_s", self.delay_s, limits::DELAY_S_MAX)?;
        within("retention_s", self.retention_s, limits::RETENTION_S)?;
        within(
            "max_message_bytes",
            self.max_message_bytes,
            limits::QUEUE_MESSAGE_BYTES,
        )?;
        at_most(
            "receive_wait_s",
            self.receive_wait_s,
            limits::RECEIVE_WAIT_S_MAX,
        )?;
        check(
            self.fifo || !self.content_deduplication,
            "content_deduplication",
            || "only a FIFO queue has it".to_owned(),
        )?;
        check(self.max_messages != Some(0), "max_messages", || {
            "must be at least 1".to_owned()
        })?;
        check(self.max_bytes != Some(0), "max_bytes", || {
            "must be at least 1".to_owned()
        })?;
        self.check_redrive(name)?;
        self.sqs.validate(self.fifo)?;
        check(self.tags.len() <= limits::TAGS_MAX, "tags", || {
            format!(
                "{} tags are more than {}",
                self.tags.len(),
                limits::TAGS_MAX
            )
        })?;
        for (key, value) in &self.tags {
            let key_chars = key.chars().count();
            check(
                (1..=limits::TAG_KEY_CHARS_MAX).contains(&key_chars),
                "tags",
                || {
                    format!(
                        "a key has 1 to {} characters, one has {key_chars}",
                        limits::TAG_KEY_CHARS_MAX
                    )
                },
            )?;
            check(
                value.chars().count() <= limits::TAG_VALUE_CHARS_MAX,
                "tags",
                || {
                    format!(
                        "a value has at most {} characters",
                        limits::TAG_VALUE_CHARS_MAX
                    )
                },
            )?;
            check(
                !key.chars().chain(value.chars()).any(char::is_control),
                "tags",
                || "no control characters are taken".to_owned(),
            )?;
        }
        Ok(())
    }

    /// What can be said of dead letters without knowing other queues.
    fn check_redrive(&self, name: &QueueName) -> Result<(), SettingsError> {
        let refuse = |field, why: String| Err(SettingsError { field, why });
        match (&self.dead_letter_queue, self.max_receive_count) {
            (None, None) => {}
            (Some(_), None) => {
                return refuse(
                    "max_receive_count",
                    "goes with dead_letter_queue".to_owned(),
                );
            }
            (None, Some(_)) => {
                return refuse(
                    "dead_letter_queue",
                    "goes with max_receive_count".to_owned(),
                );
            }
            (Some(to), Some(count)) => {
                let range = limits::RECEIVE_COUNT;
                if !range.contains(&count) {
                    let why = format!("{count} is not within {} to {}", range.start(), range.end());
                    return refuse("max_receive_count", why);
                }
                if to == name {
                    return refuse("dead_letter_queue", "is the queue itself".to_owned());
                }
                if to.is_fifo() != self.fifo {
                    let why = "is a FIFO queue if this is one, and only then";
                    return refuse("dead_letter_queue", why.to_owned());
                }
                if to.scope() != name.scope() {
                    let why = "is in the same account and region";
                    return refuse("dead_letter_queue", why.to_owned());
                }
            }
        }
        if let RedriveAllow::Queues(sources) = &self.redrive_allow
            && !(1..=limits::REDRIVE_SOURCES_MAX).contains(&sources.len())
        {
            let most = limits::REDRIVE_SOURCES_MAX;
            let why = format!("names 1 to {most} queues, not {}", sources.len());
            return refuse("redrive_allow", why);
        }
        Ok(())
    }

    /// What a partition of this queue must know.
    #[must_use]
    pub fn partition(&self, epoch: Epoch) -> PartitionSettings {
        let micros = |seconds: u32| Micros::from(seconds) * 1_000_000;
        PartitionSettings {
            epoch,
            fifo: self.fifo,
            visibility: micros(self.visibility_timeout_s),
            delay: micros(self.delay_s),
            retention: micros(self.retention_s),
            max_messages: self.max_messages.unwrap_or(u64::MAX),
            max_bytes: self.max_bytes.unwrap_or(u64::MAX),
        }
    }
}

/// A partition's behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PartitionSettings {
    /// Upper part of the sequence numbers. Cannot change.
    pub epoch: Epoch,
    /// Groups strictly in order. Cannot change.
    pub fifo: bool,
    /// How long a lease lasts if the receive does not say.
    pub visibility: Micros,
    /// How long a message is held back if the send does not say.
    pub delay: Micros,
    /// How long a message is kept.
    pub retention: Micros,
    /// Sends are refused above so many messages.
    pub max_messages: u64,
    /// Sends are refused above so many bytes of stored form.
    pub max_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, change: impl FnOnce(&mut QueueSettings)) -> &'static str {
        let mut settings = QueueSettings::default();
        change(&mut settings);
        settings.validate(&name.parse().unwrap()).unwrap_err().field
    }

    #[test]
    fn defaults_are_valid() {
        QueueSettings::default()
            .validate(&"orders".parse().unwrap())
            .unwrap();
        let fifo = QueueSettings {
            fifo: true,
            content_deduplication: true,
            ..Default::default()
        };
        fifo.validate(&"orders.fifo".parse().unwrap()).unwrap();
    }

    #[test]
    fn partitions_are_one_or_auto_and_nothing_else() {
        assert_eq!("1".parse(), Ok(Partitioning::One));
        assert_eq!("auto".parse(), Ok(Partitioning::Auto));
        for bad in ["2", "Auto", ""] {
            let refused = bad.parse::<Partitioning>().unwrap_err();
            assert_eq!(refused, format!("{bad:?} is not 1 or \"auto\""));
        }
    }

    #[test]
    fn each_range_names_its_field() {
        assert_eq!(refused("a.fifo", |_| ()), "fifo");
        assert_eq!(refused("a", |s| s.fifo = true), "fifo");
        assert_eq!(
            refused("a", |s| s.visibility_timeout_s = 43_201),
            "visibility_timeout_s"
        );
        assert_eq!(refused("a", |s| s.delay_s = 901), "delay_s");
        assert_eq!(refused("a", |s| s.retention_s = 59), "retention_s");
        assert_eq!(refused("a", |s| s.retention_s = 1_209_601), "retention_s");
        assert_eq!(
            refused("a", |s| s.max_message_bytes = 1_023),
            "max_message_bytes"
        );
        assert_eq!(
            refused("a", |s| s.max_message_bytes = 1_048_577),
            "max_message_bytes"
        );
        assert_eq!(refused("a", |s| s.receive_wait_s = 21), "receive_wait_s");
        assert_eq!(
            refused("a", |s| s.content_deduplication = true),
            "content_deduplication"
        );
        assert_eq!(refused("a", |s| s.max_messages = Some(0)), "max_messages");
        assert_eq!(refused("a", |s| s.max_bytes = Some(0)), "max_bytes");
        assert_eq!(
            refused("a", |s| s.tags = [(String::new(), String::new())].into()),
            "tags"
        );
        assert_eq!(
            refused("a", |s| s.tags = [("a".into(), "\n".into())].into()),
            "tags"
        );
        assert_eq!(
            refused("a", |s| s.sqs.kms_data_key_reuse_period_s = Some(0)),
            "sqs.kms_data_key_reuse_period_s"
        );
    }

    #[test]
    fn a_dead_letter_queue_is_another_one_of_the_same_kind_and_scope() {
        let to = |queue: &str, count| QueueSettings {
            dead_letter_queue: Some(queue.parse().unwrap()),
            max_receive_count: Some(count),
            ..QueueSettings::default()
        };
        let name: QueueName = "a".parse().unwrap();
        to("dead", 1).validate(&name).unwrap();
        to("dead", 1_000).validate(&name).unwrap();
        for (queue, count, field) in [
            ("dead", 0, "max_receive_count"),
            ("dead", 1_001, "max_receive_count"),
            ("a", 3, "dead_letter_queue"),
            ("dead.fifo", 3, "dead_letter_queue"),
            ("123456789012/us-east-1/dead", 3, "dead_letter_queue"),
        ] {
            let refused = to(queue, count).validate(&name).unwrap_err();
            assert_eq!(refused.field, field, "{queue} after {count}");
        }
        assert_eq!(
            refused("a", |s| s.max_receive_count = Some(3)),
            "dead_letter_queue"
        );
        assert_eq!(
            refused("a", |s| s.dead_letter_queue = Some("b".parse().unwrap())),
            "max_receive_count"
        );
        assert_eq!(
            refused("a", |s| s.redrive_allow = RedriveAllow::Queues([].into())),
            "redrive_allow"
        );
    }
}
