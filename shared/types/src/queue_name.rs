//! Queue names: SQS's rules, checked once at the edge and carried as a type from there on.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::limits;

/// 1 to 80 characters of `A–Z a–z 0–9 - _`; a FIFO queue's name ends in `.fifo` (counted).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QueueName(Arc<str>);

/// Why a name is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueNameError {
    /// No characters, or only the suffix `.fifo`.
    #[error("a queue name has at least 1 character")]
    Empty,
    /// Longer than [`limits::QUEUE_NAME_CHARS_MAX`].
    #[error("a queue name has at most 80 characters, this one has {0}")]
    TooLong(usize),
    /// A character outside the set.
    #[error(
        "a queue name consists of A-Z, a-z, 0-9, - and _ (a FIFO queue's ends in .fifo), not {0:?}"
    )]
    Character(char),
}

impl QueueName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True if the name ends in `.fifo`.
    #[must_use]
    pub fn is_fifo(&self) -> bool {
        self.0.ends_with(".fifo")
    }
}

impl FromStr for QueueName {
    type Err = QueueNameError;

    fn from_str(name: &str) -> Result<Self, QueueNameError> {
        let chars = name.chars().count();
        if chars > limits::QUEUE_NAME_CHARS_MAX {
            return Err(QueueNameError::TooLong(chars));
        }
        let stem = name.strip_suffix(".fifo").unwrap_or(name);
        if stem.is_empty() {
            return Err(QueueNameError::Empty);
        }
        match stem
            .chars()
            .find(|c| !c.is_ascii_alphanumeric() && *c != '-' && *c != '_')
        {
            Some(other) => Err(QueueNameError::Character(other)),
            None => Ok(Self(name.into())),
        }
    }
}

impl TryFrom<String> for QueueName {
    type Error = QueueNameError;
    fn try_from(name: String) -> Result<Self, QueueNameError> {
        name.parse()
    }
}

impl From<QueueName> for String {
    fn from(name: QueueName) -> Self {
        name.0.as_ref().to_owned()
    }
}

/// Maps by name can be searched by any text; order and equality are those of the text.
impl Borrow<str> for QueueName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_sqs_takes() {
        for good in ["a", "A-b_9", "orders.fifo", &"x".repeat(80)] {
            assert_eq!(good.parse::<QueueName>().unwrap().as_str(), good);
        }
        assert!("orders.fifo".parse::<QueueName>().unwrap().is_fifo());
    }

    #[test]
    fn refuses_what_sqs_refuses_and_says_why() {
        assert_eq!("".parse::<QueueName>(), Err(QueueNameError::Empty));
        assert_eq!(".fifo".parse::<QueueName>(), Err(QueueNameError::Empty));
        assert_eq!(
            "x".repeat(81).parse::<QueueName>(),
            Err(QueueNameError::TooLong(81))
        );
        for (bad, c) in [
            ("a b", ' '),
            ("a/b", '/'),
            ("..", '.'),
            ("a.fifo.fifo", '.'),
            ("é", 'é'),
        ] {
            assert_eq!(
                bad.parse::<QueueName>(),
                Err(QueueNameError::Character(c)),
                "{bad}"
            );
        }
    }
}
