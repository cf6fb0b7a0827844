//! What a checkpoint stores.

/// What changed since the last freeze; encoded later and elsewhere.
#[derive(Debug)]
pub struct Frozen;

impl Frozen {
    /// Keys with their new values; `None` deletes the key.
    pub fn into_writes(self) -> impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)> {
        std::iter::empty()
    }
}

/// Why stored keys and values are no state of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// A key or value that cannot be read.
    #[error("checkpoint is unreadable: {0}")]
    Unreadable(String),
}
