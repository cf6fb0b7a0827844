//! Whose queues, and where: the account and the region in which a queue's name is unique.
//!
//! In SQS both stand in a queue's ARN. Shoal keeps queues of different scopes apart and means nothing more
//! by them: a region is a word of the client's configuration, not a place.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::limits;

/// An account of twelve digits and a region, written `account/region`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(Arc<str>);

/// Why a scope is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Not `account/region`.
    #[error("{0:?} is not an account and a region, such as 000000000000/us-east-1")]
    Form(String),
    /// Not twelve digits.
    #[error("an account has twelve digits, not {0:?}")]
    Account(String),
    /// Empty, too long, or with other characters.
    #[error("a region has 1 to 32 characters of a-z, 0-9 and -, not {0:?}")]
    Region(String),
}

impl Scope {
    /// Who brings no key is of this account.
    pub const DEFAULT_ACCOUNT: &str = "000000000000";
    /// Who names no region means this one.
    pub const DEFAULT_REGION: &str = "us-east-1";
    /// Before a name of the default scope.
    pub(crate) const DEFAULT_PREFIX: &str = "000000000000/us-east-1/";

    /// This account and region.
    ///
    /// # Errors
    /// If one of them is none.
    pub fn new(account: &str, region: &str) -> Result<Self, ScopeError> {
        let digits = account.bytes().all(|byte| byte.is_ascii_digit());
        if account.len() != limits::ACCOUNT_DIGITS || !digits {
            return Err(ScopeError::Account(account.to_owned()));
        }
        let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=limits::REGION_CHARS_MAX).contains(&region.len()) || !region.bytes().all(known) {
            return Err(ScopeError::Region(region.to_owned()));
        }
        Ok(Self(format!("{account}/{region}").into()))
    }

    /// The account's twelve digits.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.0[..limits::ACCOUNT_DIGITS]
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.0[limits::ACCOUNT_DIGITS + 1..]
    }

    /// What the full names of this scope's queues begin with, and no others.
    #[must_use]
    pub fn prefix(&self) -> String {
        format!("{}/", self.0)
    }
}

impl Default for Scope {
    fn default() -> Self {
        Self::new(Self::DEFAULT_ACCOUNT, Self::DEFAULT_REGION).expect("well-formed")
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let parts = text.split_once('/');
        let (account, region) = parts.ok_or_else(|| ScopeError::Form(text.to_owned()))?;
        Self::new(account, region)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_an_account_and_a_region() {
        let scope: Scope = "123456789012/eu-west-1".parse().unwrap();
        assert_eq!(
            (scope.account(), scope.region()),
            ("123456789012", "eu-west-1")
        );
        assert_eq!(Scope::new("123456789012", "eu-west-1"), Ok(scope));
        assert_eq!(Scope::default().prefix(), Scope::DEFAULT_PREFIX);
    }

    #[test]
    fn refuses_everything_else_and_says_why() {
        let refused = |text: &str| text.parse::<Scope>().unwrap_err().to_string();
        assert!(refused("orders").contains("is not an account and a region"));
        for account in [
            "",
            "12345678901",
            "1234567890123",
            "12345678901x",
            "１２３４",
        ] {
            assert!(
                refused(&format!("{account}/eu-west-1")).contains("twelve digits"),
                "{account}"
            );
        }
        let long = "x".repeat(33);
        for region in ["", "EU", "a/b", "é", &long] {
            assert!(
                refused(&format!("123456789012/{region}")).contains("a region has"),
                "{region}"
            );
        }
    }
}
