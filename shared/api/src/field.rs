//! A field that may be missing, `null`, or there: three different wishes in a change.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a body says about one field. Needs `#[serde(default)]` on the field, else a missing one is an
/// error.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Field<T> {
    /// Not mentioned: a change leaves it as it is.
    #[default]
    Missing,
    /// `null`: back to the default.
    Null,
    /// This value.
    Value(T),
}

impl<T> Field<T> {
    /// True if it is not mentioned; for `skip_serializing_if`.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing)
    }

    /// Brings `target` to what this says; `default` is what `null` means.
    pub fn apply<V>(self, target: &mut V, default: V, convert: impl FnOnce(T) -> V) {
        match self {
            Self::Missing => {}
            Self::Null => *target = default,
            Self::Value(value) => *target = convert(value),
        }
    }
}

impl<T: Serialize> Serialize for Field<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Missing | Self::Null => s.serialize_none(),
            Self::Value(value) => s.serialize_some(value),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Option::<T>::deserialize(d).map(|value| value.map_or(Self::Null, Self::Value))
    }
}
