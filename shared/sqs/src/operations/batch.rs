//! Batches: one to ten entries, each with an id of the client's under which its own result comes back.

use std::collections::BTreeSet;

use crate::reading::{List, Members};
use crate::{ErrorKind, SqsError, limits};

/// One entry of a batch. What is wrong with the entry alone fails that entry and no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchEntry<T> {
    /// The client's name for it, distinct within the batch.
    pub id: String,
    /// What it asks, or why it cannot be done.
    pub item: Result<T, SqsError>,
}

/// A message to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedEntry {
    /// Which one.
    pub receipt_handle: String,
}

/// A message whose lease is to end at another time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisibilityEntry {
    /// Which one.
    pub receipt_handle: String,
    /// Seconds from now; 0 to 43,200.
    pub visibility_timeout_s: u32,
}

/// Reads the entries of a batch and checks what concerns them together: how many, and their ids.
///
/// `kind` is the name of an entry in the query protocol, which AWS's texts use in both. `required` are the
/// members without which an entry is none, so that the whole request fails as AWS's does.
pub(crate) fn entries<T>(
    members: &mut Members<'_>,
    kind: &'static str,
    required: &[&str],
    mut read: impl FnMut(&mut Members<'_>) -> Result<T, SqsError>,
) -> Result<Vec<BatchEntry<T>>, SqsError> {
    let List(raw) = members.list("Entries", kind)?.unwrap_or_default();
    if raw.is_empty() {
        let message = format!("There should be at least one {kind} in the request.");
        return Err(SqsError::new(ErrorKind::EmptyBatchRequest, message));
    }
    if raw.len() > limits::BATCH_ENTRIES_MAX {
        let (most, sent) = (limits::BATCH_ENTRIES_MAX, raw.len());
        let message =
            format!("Maximum number of entries per request are {most}. You have sent {sent}.");
        return Err(SqsError::new(
            ErrorKind::TooManyEntriesInBatchRequest,
            message,
        ));
    }
    let mut seen = BTreeSet::new();
    let mut entries = Vec::with_capacity(raw.len());
    for (i, entry) in raw.into_iter().enumerate() {
        let mut entry = members.object(&format!("{kind}.{}", i + 1), entry)?;
        if let Some(name) = required.iter().find(|name| !entry.has(name)) {
            return Err(SqsError::missing(&format!("{kind}.{}.{name}", i + 1)));
        }
        let id = entry.text("Id")?.unwrap_or_default().into_owned();
        check_id(&id)?;
        if !seen.insert(id.clone()) {
            let message = format!("Id {id} repeated.");
            return Err(SqsError::new(ErrorKind::BatchEntryIdsNotDistinct, message));
        }
        entries.push(BatchEntry {
            id,
            item: read(&mut entry),
        });
    }
    Ok(entries)
}

fn check_id(id: &str) -> Result<(), SqsError> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (1..=limits::BATCH_ID_CHARS_MAX).contains(&id.len()) && id.bytes().all(known) {
        return Ok(());
    }
    let message = "A batch entry id can only contain alphanumeric characters, hyphens and underscores. \
                   It can be at most 80 letters long.";
    Err(SqsError::new(ErrorKind::InvalidBatchEntryId, message))
}
