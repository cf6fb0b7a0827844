//! Queue names: SQS's rules, checked once at the edge and carried as a type from there on.
//!
//! A name is unique in its [`Scope`], an account and a region, as in SQS. Most installations have one scope,
//! the default; it is not written, so there a queue's name is all there is to see.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::scope::{Scope, ScopeError};

/// A queue's name with the scope in which it is unique. The name: 1 to 80 characters of
/// `A–Z a–z 0–9 - _`; a FIFO queue's ends in `.fifo` (counted). Written `name` in the default scope, and
/// `account/region/name` in any other.
///
/// Names are ordered by scope, then by name, so those of a scope stand together.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QueueName {
    /// `account/region/name`, also in the default scope.
    full: Arc<str>,
}

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
    /// What stands before the name is no scope.
    #[error(transparent)]
    Scope(#[from] ScopeError),
}

impl QueueName {
    /// The name in this scope.
    ///
    /// # Errors
    /// If it is none.
    pub fn new(scope: &Scope, local: &str) -> Result<Self, QueueNameError> {
        check(local)?;
        Ok(Self {
            full: format!("{}{local}", scope.prefix()).into(),
        })
    }

    /// The name as it is written: without the scope if that is the default one.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let default = self.full.strip_prefix(Scope::DEFAULT_PREFIX);
        default.unwrap_or(&self.full)
    }

    /// The name without its scope, as its users know it.
    #[must_use]
    pub fn local(&self) -> &str {
        self.split().1
    }

    /// The scope in which it is unique.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.split().0.parse().expect("checked when it was made")
    }

    /// True if the name ends in `.fifo`.
    #[must_use]
    pub fn is_fifo(&self) -> bool {
        self.full.ends_with(".fifo")
    }

    fn split(&self) -> (&str, &str) {
        let parts = self.full.rsplit_once('/');
        parts.expect("a full name has its scope before it")
    }
}

fn check(local: &str) -> Result<(), QueueNameError> {
    let chars = local.chars().count();
    if chars > limits::QUEUE_NAME_CHARS_MAX {
        return Err(QueueNameError::TooLong(chars));
    }
    let stem = local.strip_suffix(".fifo").unwrap_or(local);
    if stem.is_empty() {
        return Err(QueueNameError::Empty);
    }
    let other = |c: &char| !c.is_ascii_alphanumeric() && *c != '-' && *c != '_';
    stem.chars()
        .find(other)
        .map_or(Ok(()), |c| Err(QueueNameError::Character(c)))
}

impl FromStr for QueueName {
    type Err = QueueNameError;

    /// Reads it as it is written. A user's own word for a queue goes through [`QueueName::new`], so that
    /// nobody leaves their scope by writing another one.
    fn from_str(name: &str) -> Result<Self, QueueNameError> {
        match name.rsplit_once('/') {
            Some((scope, local)) => Self::new(&scope.parse()?, local),
            None => Self::new(&Scope::default(), name),
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
        name.as_str().to_owned()
    }
}

/// Maps by name can be searched by a text that begins with [`Scope::prefix`]: order and equality are those
/// of the full text.
impl Borrow<str> for QueueName {
    fn borrow(&self) -> &str {
        &self.full
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_sqs_takes() {
        for good in ["a", "A-b_9", "orders.fifo", &"x".repeat(80)] {
            let name: QueueName = good.parse().unwrap();
            assert_eq!((name.as_str(), name.local()), (good, good));
            assert_eq!(name.scope(), Scope::default());
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
        for (bad, c) in [("a b", ' '), ("..", '.'), ("a.fifo.fifo", '.'), ("é", 'é')] {
            assert_eq!(
                bad.parse::<QueueName>(),
                Err(QueueNameError::Character(c)),
                "{bad}"
            );
        }
    }

    #[test]
    fn only_a_scope_other_than_the_default_is_written() {
        let elsewhere = "123456789012/eu-west-1/orders.fifo";
        let name: QueueName = elsewhere.parse().unwrap();
        assert_eq!(name.to_string(), elsewhere);
        assert_eq!((name.local(), name.is_fifo()), ("orders.fifo", true));
        assert_eq!(name.scope().to_string(), "123456789012/eu-west-1");
        assert_eq!(QueueName::new(&name.scope(), "orders.fifo"), Ok(name));

        let spelt_out: QueueName = "000000000000/us-east-1/orders".parse().unwrap();
        assert_eq!(spelt_out.to_string(), "orders");
        assert_eq!(Ok(spelt_out), "orders".parse());
    }

    #[test]
    fn what_is_before_a_name_must_be_a_scope() {
        for bad in [
            "a/b",
            "/orders",
            "123456789012/orders",
            "1/eu-west-1/orders",
        ] {
            let refused = bad.parse::<QueueName>();
            assert!(
                matches!(refused, Err(QueueNameError::Scope(_))),
                "{bad}: {refused:?}"
            );
        }
    }

    #[test]
    fn a_users_word_does_not_leave_the_scope() {
        let word = "123456789012/eu-west-1/orders";
        let refused = QueueName::new(&Scope::default(), word);
        assert_eq!(refused, Err(QueueNameError::Character('/')));
    }

    #[test]
    fn names_of_a_scope_stand_together() {
        let sorted = ["1a", "zz", "000000000000/us-east-2/a", "123456789012/a/b"];
        let names = sorted.map(|name| name.parse::<QueueName>().unwrap());
        assert!(names.is_sorted(), "{names:?}");
    }
}
