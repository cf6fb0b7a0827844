//! Tags: what users note down at a queue.

use std::borrow::Cow;
use std::collections::BTreeMap;

use shoal_types::QueueName;
use shoal_types::limits::{TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX, TAGS_MAX};

use crate::reading::Members;
use crate::{ErrorKind, SqsError};

/// Asks for a queue's tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQueueTags {
    /// Which queue.
    pub queue: QueueName,
}

/// Sets tags; those of other keys stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagQueue {
    /// Which queue.
    pub queue: QueueName,
    /// Keys and values; 1 to 50. Together with those that stay they may be more than 50.
    pub tags: BTreeMap<String, String>,
}

/// Removes tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UntagQueue {
    /// Which queue.
    pub queue: QueueName,
    /// Keys, at least one; one that is not there is no error.
    pub keys: Vec<String>,
}

impl ListQueueTags {
    pub(crate) fn read(members: &mut Members<'_>) -> Result<Self, SqsError> {
        let queue = members.queue()?;
        Ok(Self { queue })
    }
}

impl TagQueue {
    pub(crate) fn read(members: &mut Members<'_>) -> Result<Self, SqsError> {
        let queue = members.queue()?;
        let tags = read(members, "Tags")?;
        if tags.is_empty() {
            return Err(SqsError::missing("Tags"));
        }
        Ok(Self { queue, tags })
    }
}

impl UntagQueue {
    pub(crate) fn read(members: &mut Members<'_>) -> Result<Self, SqsError> {
        let queue = members.queue()?;
        let keys = members.texts("TagKeys", "TagKey")?;
        if keys.is_empty() {
            return Err(SqsError::missing("TagKeys"));
        }
        keys.iter().try_for_each(|key| check_key(key))?;
        let keys = keys.into_iter().map(|key| key.into_owned()).collect();
        Ok(Self { queue, keys })
    }
}

/// Reads tags from the member of this name, which is `Tag` in the query protocol.
pub(super) fn read(
    members: &mut Members<'_>,
    name: &str,
) -> Result<BTreeMap<String, String>, SqsError> {
    let tags = members.map(name, "Tag", "Key", "Value")?;
    if tags.len() > TAGS_MAX {
        let message = format!("Too many tags added. A queue can have at most {TAGS_MAX}.");
        return Err(SqsError::new(ErrorKind::InvalidParameterValue, message));
    }
    let read_one = |(key, value): (Cow<'_, str>, Cow<'_, str>)| {
        check_key(&key)?;
        check_value(&value)?;
        Ok((key.into_owned(), value.into_owned()))
    };
    tags.into_iter().map(read_one).collect()
}

fn check_key(key: &str) -> Result<(), SqsError> {
    if !(1..=TAG_KEY_CHARS_MAX).contains(&key.chars().count()) {
        let message = "Tag keys must be between 1 and 128 characters in length.";
        return Err(SqsError::new(ErrorKind::InvalidParameterValue, message));
    }
    if key
        .get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("aws:"))
    {
        let message = "Tag keys must not start with aws:, which is reserved for internal use.";
        return Err(SqsError::new(ErrorKind::InvalidParameterValue, message));
    }
    check_characters(key)
}

fn check_value(value: &str) -> Result<(), SqsError> {
    if value.chars().count() > TAG_VALUE_CHARS_MAX {
        let message = "Tag values must be between 0 and 256 characters in length.";
        return Err(SqsError::new(ErrorKind::InvalidParameterValue, message));
    }
    check_characters(value)
}

fn check_characters(text: &str) -> Result<(), SqsError> {
    if text.chars().any(char::is_control) {
        let message = "Tag keys and values must not contain control characters.";
        return Err(SqsError::new(ErrorKind::InvalidParameterValue, message));
    }
    Ok(())
}
