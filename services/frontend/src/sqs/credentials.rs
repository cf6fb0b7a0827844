//! The access keys that this frontend knows, from a file.

use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use shoal_sqs::OperationName;
use shoal_sqs::signature::{self, Key};
use shoal_types::{QueueName, Scope};

use crate::Credentials;
use crate::limits::{KEY_FILE_BYTES_MAX, KEYS_MAX};

/// Whose requests are taken.
pub(crate) enum Keys {
    /// Nobody's.
    Nobodys,
    /// Anybody's, and nothing is verified.
    Anybodys,
    /// Those that are signed with one of these.
    These(KeyFile),
}

/// Keys by their names.
pub(crate) struct KeyFile(HashMap<String, Entry>);

struct Entry {
    secret: String,
    account: String,
    rights: Rights,
}

/// What a key is for. What is not said is not limited.
#[derive(Clone, Default)]
pub(super) struct Rights(Option<Arc<Limits>>);

struct Limits {
    operations: Option<BTreeSet<OperationName>>,
    /// Names of queues; one that ends in `*` is all that begin so.
    queues: Option<Vec<String>>,
}

/// Why keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialsError {
    /// The file cannot be read.
    #[error("credentials: cannot read {0}: {1}")]
    Unreadable(PathBuf, std::io::Error),
    /// Others than its owner and group can read the file.
    #[error("credentials: everybody on this machine can read {0}: take that away (chmod o-rwx)")]
    Open(PathBuf),
    /// The file says something else.
    #[error("credentials: {0}: {1}")]
    Malformed(PathBuf, String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    key: Vec<Written>,
}

/// A key as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    access_key: String,
    secret: String,
    #[serde(default = "default_account")]
    account: String,
    operations: Option<Vec<String>>,
    queues: Option<Vec<String>>,
}

fn default_account() -> String {
    Scope::DEFAULT_ACCOUNT.to_owned()
}

impl Keys {
    /// # Errors
    /// If there is a key file that cannot be used; what it says of secrets is not repeated.
    pub(crate) fn load(credentials: &Credentials) -> Result<Self, CredentialsError> {
        Ok(match credentials {
            Credentials::None => Self::Nobodys,
            Credentials::Any => Self::Anybodys,
            Credentials::File(path) => {
                let text = read_secretly(path)?;
                let malformed = |why| CredentialsError::Malformed(path.clone(), why);
                Self::These(KeyFile::parse(&text).map_err(malformed)?)
            }
        })
    }
}

fn read_secretly(path: &Path) -> Result<String, CredentialsError> {
    let unreadable = |error| CredentialsError::Unreadable(path.to_owned(), error);
    let file = std::fs::File::open(path).map_err(unreadable)?;
    if is_open(&file.metadata().map_err(unreadable)?) {
        return Err(CredentialsError::Open(path.to_owned()));
    }
    let mut text = String::new();
    let most = KEY_FILE_BYTES_MAX + 1;
    file.take(most)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.len() as u64 == most {
        let why = format!("has more than {KEY_FILE_BYTES_MAX} bytes");
        return Err(CredentialsError::Malformed(path.to_owned(), why));
    }
    Ok(text)
}

#[cfg(unix)]
fn is_open(file: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.permissions().mode() & 0o007 != 0
}

#[cfg(not(unix))]
fn is_open(_: &std::fs::Metadata) -> bool {
    false
}

impl KeyFile {
    fn parse(text: &str) -> Result<Self, String> {
        // The error's own text would show the line, which may have a secret in it.
        let document: Document = toml::from_str(text).map_err(|e| e.message().to_owned())?;
        if document.key.len() > KEYS_MAX {
            return Err(format!(
                "{} keys are more than {KEYS_MAX}",
                document.key.len()
            ));
        }
        let mut keys = HashMap::new();
        for (index, written) in document.key.into_iter().enumerate() {
            let (name, entry) = Entry::new(written).map_err(|why| format!("key[{index}].{why}"))?;
            if keys.insert(name, entry).is_some() {
                return Err(format!("key[{index}].access_key: is there twice"));
            }
        }
        Ok(Self(keys))
    }

    pub(super) fn rights(&self, access_key: &str) -> Rights {
        let known = self.0.get(access_key);
        known.map(|entry| entry.rights.clone()).unwrap_or_default()
    }
}

impl signature::Keys for KeyFile {
    fn key(&self, access_key: &str) -> Option<Key> {
        let entry = self.0.get(access_key)?;
        Some(Key::new(entry.secret.clone(), entry.account.clone()))
    }
}

impl Entry {
    fn new(written: Written) -> Result<(String, Self), String> {
        let Written {
            access_key,
            secret,
            account,
            operations,
            queues,
        } = written;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !(1..=128).contains(&access_key.len()) || !access_key.bytes().all(plain) {
            return Err(
                "access_key: has 1 to 128 characters of A-Z, a-z, 0-9, -, _ and .".to_owned(),
            );
        }
        if secret.len() < 16 {
            return Err("secret: has at least 16 characters".to_owned());
        }
        Scope::new(&account, Scope::DEFAULT_REGION).map_err(|e| format!("account: {e}"))?;
        let operation = |name: String| {
            let known = OperationName::of(&name);
            known.ok_or_else(|| format!("operations: {name:?} is no operation of SQS"))
        };
        let operations = operations.map(|names| names.into_iter().map(operation).collect());
        let limits = Limits {
            operations: operations.transpose()?,
            queues,
        };
        let entry = Self {
            secret,
            account,
            rights: Rights(Some(Arc::new(limits))),
        };
        Ok((access_key, entry))
    }
}

impl Rights {
    pub(super) fn allow(&self, operation: OperationName) -> bool {
        let limits = self.0.as_deref();
        let these = limits.and_then(|limits| limits.operations.as_ref());
        these.is_none_or(|these| these.contains(&operation))
    }

    pub(super) fn reach(&self, queue: &QueueName) -> bool {
        let limits = self.0.as_deref();
        let these = limits.and_then(|limits| limits.queues.as_ref());
        let fits = |pattern: &String| match pattern.strip_suffix('*') {
            Some(prefix) => queue.local().starts_with(prefix),
            None => queue.local() == pattern,
        };
        these.is_none_or(|these| these.iter().any(fits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_for_what_its_file_says() {
        let text = r#"
            [[key]]
            access_key = "AKIDWORKER"
            secret = "wJalrXUtnFEMI/K7MDENG"
            account = "123456789012"
            operations = ["ReceiveMessage", "DeleteMessage"]
            queues = ["orders", "bills-*"]

            [[key]]
            access_key = "AKIDADMIN"
            secret = "wJalrXUtnFEMI/K7MDENG"
        "#;
        let keys = KeyFile::parse(text).unwrap();
        let worker = keys.rights("AKIDWORKER");
        assert!(worker.allow(OperationName::ReceiveMessage));
        assert!(!worker.allow(OperationName::SendMessage));
        let queue = |name: &str| name.parse::<QueueName>().unwrap();
        assert!(worker.reach(&queue("orders")) && worker.reach(&queue("bills-1")));
        assert!(!worker.reach(&queue("orders-1")));
        let admin = keys.rights("AKIDADMIN");
        assert!(admin.allow(OperationName::DeleteQueue) && admin.reach(&queue("orders-1")));
    }

    #[test]
    fn what_is_wrong_is_named_without_a_word_of_the_secret() {
        let key = |more: &str| {
            format!("[[key]]\naccess_key = \"AKID\"\nsecret = \"0123456789abcdef\"\n{more}")
        };
        for (text, why) in [
            (key("account = \"12\""), "key[0].account"),
            (key("operations = [\"Fly\"]"), "key[0].operations: \"Fly\""),
            (key("operation = []"), "unknown field `operation`"),
            (key("") + &key(""), "key[1].access_key: is there twice"),
            (
                "[[key]]\naccess_key = \"\"\nsecret = \"0123456789abcdef\"".to_owned(),
                "access_key",
            ),
            (
                "[[key]]\naccess_key = \"a\"\nsecret = \"0123456789abcd\"".to_owned(),
                "key[0].secret",
            ),
            (
                "[[key]]\naccess_key = \"a\"\nsecret = 0123456789abcdef".to_owned(),
                "",
            ),
        ] {
            let Err(refused) = KeyFile::parse(&text) else {
                panic!("{text}");
            };
            assert!(refused.contains(why), "{text}: {refused}");
            assert!(!refused.contains("0123456789abcd"), "{refused}");
        }
    }
}
