//! Access keys with their secrets, and what a secret signs.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::credential::Presented;

/// Knows the keys that there are.
pub trait Keys {
    /// The key of this name, if there is one that may be used.
    fn key(&self, access_key: &str) -> Option<Key>;
}

/// An access key's secret, and whose it is. It prints without the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    secret: String,
    account: String,
    token: Option<String>,
}

impl Key {
    /// A key of this account, which has twelve digits.
    #[must_use]
    pub fn new(secret: String, account: String) -> Self {
        Self {
            secret,
            account,
            token: None,
        }
    }

    /// A key that is good only together with this session token.
    #[must_use]
    pub fn with_token(self, token: String) -> Self {
        Self {
            token: Some(token),
            ..self
        }
    }

    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    pub(super) fn account(&self) -> &str {
        &self.account
    }

    pub(super) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// True if the secret gives the signature that was presented. Takes the same time wherever they differ.
pub(super) fn verifies(secret: &str, presented: &Presented, text: &str) -> bool {
    let mac = keyed(&signing_key(secret, presented)).chain_update(text);
    mac.verify_slice(&presented.signature).is_ok()
}

/// The key for one day, region and service.
fn signing_key(secret: &str, presented: &Presented) -> Vec<u8> {
    let first = format!("AWS4{secret}").into_bytes();
    let parts = [
        &*presented.scope_date,
        &presented.region,
        &presented.service,
        "aws4_request",
    ];
    parts.into_iter().fold(first, |key, part| {
        let mac = keyed(&key).chain_update(part);
        mac.finalize().into_bytes().to_vec()
    })
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("a key of any length is taken")
}
