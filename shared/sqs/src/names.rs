//! What a receive asks to be told of each message: system attributes, and attributes by name and prefix.

use std::collections::{BTreeMap, BTreeSet};

use shoal_types::{Attribute, Sequence};

use crate::{QueueAttribute, SqsError};

macro_rules! system_attributes {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What SQS itself knows of a message.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum SystemAttribute { $($(#[$doc])* $name,)* }

        impl SystemAttribute {
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

system_attributes! {
    /// The trace header that it was sent with.
    AWSTraceHeader,
    /// When it was first received, in milliseconds since 1970.
    ApproximateFirstReceiveTimestamp,
    /// How often it was received, this time included.
    ApproximateReceiveCount,
    /// The ARN of the queue that it was a dead letter of.
    DeadLetterQueueSourceArn,
    /// The deduplication id that it was sent with, or that its body gave.
    MessageDeduplicationId,
    /// Its message group.
    MessageGroupId,
    /// Whose key sent it.
    SenderId,
    /// When it was sent, in milliseconds since 1970.
    SentTimestamp,
    /// Its number, in FIFO queues.
    SequenceNumber,
}

/// Which system attributes to tell.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SystemAttributeNames(BTreeSet<SystemAttribute>);

impl SystemAttributeNames {
    /// Reads both of SQS's lists, of which the old one may also name attributes of queues: they are of no
    /// message, and nothing is told for them.
    pub(crate) fn read<S: AsRef<str>>(names: &[S], old_names: &[S]) -> Result<Self, SqsError> {
        let mut asked = Self::default();
        for name in names.iter().map(AsRef::as_ref) {
            if !asked.add(name) {
                return Err(QueueAttribute::unknown(name));
            }
        }
        for name in old_names.iter().map(AsRef::as_ref) {
            if !asked.add(name) {
                QueueAttribute::of(name)?;
            }
        }
        Ok(asked)
    }

    /// Adds an attribute, or with `All` every one; false if there is none of this name.
    fn add(&mut self, name: &str) -> bool {
        if name == "All" {
            self.0.extend(SystemAttribute::ALL);
            return true;
        }
        let known = SystemAttribute::ALL.iter().find(|a| a.as_str() == name);
        self.0.extend(known);
        known.is_some()
    }

    /// True if this one is to be told.
    #[must_use]
    pub fn has(&self, attribute: SystemAttribute) -> bool {
        self.0.contains(&attribute)
    }
}

/// Which of a message's own attributes to give: names, `prefix.*`, or all.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AttributeNames {
    all: bool,
    exact: BTreeSet<String>,
    prefixes: Vec<String>,
}

impl AttributeNames {
    /// Reads the names. `All`, `.*` and `*` mean every attribute; a name that ends in `.*` means those that
    /// begin so, with the dot or without.
    pub(crate) fn read<S: AsRef<str>>(names: &[S]) -> Self {
        let mut asked = Self::default();
        for name in names.iter().map(AsRef::as_ref) {
            match name.strip_suffix(".*") {
                _ if ["All", ".*", "*"].contains(&name) => asked.all = true,
                Some(prefix) => asked.prefixes.push(prefix.to_owned()),
                None => {
                    asked.exact.insert(name.to_owned());
                }
            }
        }
        asked
    }

    /// Leaves those attributes that are asked for.
    pub fn retain(&self, attributes: &mut BTreeMap<String, Attribute>) {
        if !self.all {
            attributes.retain(|name, _| self.has(name));
        }
    }

    fn has(&self, name: &str) -> bool {
        self.exact.contains(name) || self.prefixes.iter().any(|p| name.starts_with(p.as_str()))
    }
}

/// A sequence number as SQS writes it: twenty digits, so that they sort as text too.
#[must_use]
pub fn sequence_number(sequence: Sequence) -> String {
    format!("{:020}", sequence.0)
}
