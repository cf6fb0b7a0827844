//! For a field that JSON has and the binary form of frames has not: what is told by heartbeats alone may come
//! without a new version of the protocol between processes.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The value in a form that people can read, nothing in any other.
///
/// # Errors
/// The serializer's.
pub(crate) fn serialize<T: Serialize, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    if to.is_human_readable() {
        value.serialize(to)
    } else {
        ().serialize(to)
    }
}

/// The value; the default where it was not written.
///
/// # Errors
/// The deserializer's.
pub(crate) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    if from.is_human_readable() {
        T::deserialize(from)
    } else {
        <()>::deserialize(from).map(|()| T::default())
    }
}
