//! Which queues may have another one as their dead-letter queue.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::QueueName;

/// Who may name a queue as dead-letter queue; as users write it: `"all"`, `"none"`, or
/// `{"queues": [...]}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedriveAllow {
    /// Every queue of the scope.
    #[default]
    All,
    /// No queue.
    None,
    /// Only these; 1 to [`crate::limits::REDRIVE_SOURCES_MAX`].
    Queues(BTreeSet<QueueName>),
}

impl RedriveAllow {
    /// True if this queue may name the one whose setting this is.
    #[must_use]
    pub fn allows(&self, source: &QueueName) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Queues(these) => these.contains(source),
        }
    }

    /// True for what is the default.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::All
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_users_write_it() {
        let orders: QueueName = "orders".parse().unwrap();
        let some = RedriveAllow::Queues([orders.clone()].into());
        for (allow, written, allows) in [
            (RedriveAllow::All, r#""all""#, true),
            (RedriveAllow::None, r#""none""#, false),
            (some, r#"{"queues":["orders"]}"#, true),
        ] {
            assert_eq!(serde_json::to_string(&allow).unwrap(), written);
            assert_eq!(
                serde_json::from_str::<RedriveAllow>(written).unwrap(),
                allow
            );
            assert_eq!(allow.allows(&orders), allows);
            assert_eq!(allow.allows(&"others".parse().unwrap()), allow.is_all());
        }
    }
}
