//! Reading the query part of a URL with the same care as JSON.

use std::fmt::Display;

use serde::de::value::{Error as ValueError, MapDeserializer};
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::{Problem, json};

/// Reads parameters, given as decoded names and values, into a struct.
///
/// # Errors
/// `invalid_request`, naming the parameter.
pub fn read<T: DeserializeOwned>(
    pairs: impl IntoIterator<Item = (String, String)>,
) -> Result<T, Problem> {
    let pairs = pairs.into_iter().map(|(name, value)| (name, Value(value)));
    let reader = MapDeserializer::<_, ValueError>::new(pairs);
    serde_path_to_error::deserialize(reader)
        .map_err(|e| json::describe(&e.path().to_string(), &e.inner().to_string()))
}

/// A value that is text until somebody asks for a number.
struct Value(String);

impl<'de> Deserializer<'de> for Value {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_string(self.0)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.0.parse() {
            Ok(number) => visitor.visit_u64(number),
            Err(_) => visitor.visit_string(self.0),
        }
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

impl IntoDeserializer<'_, ValueError> for Value {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Writes parameters as the query part of a URL; those that are `None` are left out.
#[must_use]
pub fn write<'a>(pairs: impl IntoIterator<Item = (&'a str, Option<&'a dyn Display>)>) -> String {
    let given = pairs
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    let mut query = String::new();
    for (name, value) in given {
        query.push(if query.is_empty() { '?' } else { '&' });
        query.push_str(name);
        query.push('=');
        for byte in value.to_string().bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                query.push(char::from(byte));
            } else {
                query.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    query
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PeekQuery, QueueListQuery, manager::FeedQuery};

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn parameters_are_read_by_the_type_of_their_field() {
        let list: QueueListQuery = read(pairs(&[("prefix", "123"), ("limit", "7")])).unwrap();
        assert_eq!(
            (list.prefix.as_str(), list.limit.unwrap().get()),
            ("123", 7)
        );
        let feed: FeedQuery = read(pairs(&[("since", "18446744073709551615")])).unwrap();
        assert_eq!(feed.since.0, u64::MAX);
    }

    #[test]
    fn mistakes_name_their_parameter() {
        for bad in ["0", "1001", "-1", "x", "1.5", "", "9223372036854775808"] {
            let problem = read::<PeekQuery>(pairs(&[("limit", bad)])).unwrap_err();
            assert_eq!(
                problem.field.as_deref(),
                Some("limit"),
                "{bad}: {}",
                problem.detail
            );
            assert!(
                problem.detail.contains("a whole number from 1 to 1000"),
                "{}",
                problem.detail
            );
        }
        for wrong in [&[("limt", "1")][..], &[("limit", "1"), ("limit", "1")]] {
            let problem = read::<PeekQuery>(pairs(wrong)).unwrap_err();
            assert_eq!(
                problem.field.as_deref(),
                Some(wrong[0].0),
                "{}",
                problem.detail
            );
        }
    }

    #[test]
    fn what_is_written_needs_no_further_quoting() {
        let (prefix, limit) = ("a b&é", 5);
        let query = write([
            ("prefix", Some(&prefix as &dyn Display)),
            ("x", None),
            ("limit", Some(&limit)),
        ]);
        assert_eq!(query, "?prefix=a%20b%26%C3%A9&limit=5");
    }
}
