//! What is to be written, and on which conditions.

use shoal_types::Revision;

use crate::limits::RECORD_BYTES_MAX;

/// Conditions and writes that take effect together or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    pub(super) conditions: Vec<Condition>,
    pub(super) writes: Vec<Write>,
    pub(super) above: Revision,
}

/// What must hold at a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The key.
    pub key: String,
    /// The revision of its last write; `None`: there is nothing.
    pub revision: Option<Revision>,
}

/// A new value for a key, or none any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The key.
    pub key: String,
    /// Its value; `None` removes it. Removing what is not there is fine.
    pub value: Option<Vec<u8>>,
}

impl Transaction {
    /// Writes of one transaction: forming a cluster of five hosts makes seven.
    pub const WRITES_MAX: usize = 16;

    /// One without conditions or writes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only if the key's last write has this revision, or if there is nothing (`None`).
    #[must_use]
    pub fn expect(mut self, key: impl Into<String>, revision: Option<Revision>) -> Self {
        self.conditions.push(Condition {
            key: key.into(),
            revision,
        });
        self
    }

    /// Its revision is above this one, whatever the store's newest is: revisions in between are never given.
    #[must_use]
    pub fn above(mut self, revision: Revision) -> Self {
        self.above = self.above.max(revision);
        self
    }

    /// Writes a value.
    ///
    /// # Panics
    /// If there are more than [`Self::WRITES_MAX`] writes, two to one key, or the value is above
    /// [`RECORD_BYTES_MAX`].
    #[must_use]
    pub fn put(self, key: impl Into<String>, value: Vec<u8>) -> Self {
        assert!(
            value.len() <= RECORD_BYTES_MAX,
            "a record of {} bytes",
            value.len()
        );
        self.write(key.into(), Some(value))
    }

    /// Removes a key.
    ///
    /// # Panics
    /// As [`Self::put`].
    #[must_use]
    pub fn remove(self, key: impl Into<String>) -> Self {
        self.write(key.into(), None)
    }

    fn write(mut self, key: String, value: Option<Vec<u8>>) -> Self {
        assert!(self.writes.len() < Self::WRITES_MAX, "too many writes");
        assert!(
            self.writes.iter().all(|write| write.key != key),
            "two writes to {key}"
        );
        self.writes.push(Write { key, value });
        self
    }
}
