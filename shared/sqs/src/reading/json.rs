//! Reading a JSON body into a tree of values.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};

use super::value::{Fields, Value};
use crate::{ErrorKind, SqsError, limits};

/// Reads a body, which is an object.
pub(crate) fn read(body: &[u8]) -> Result<Fields<'_>, SqsError> {
    let left = Cell::new(limits::PARAMETERS_MAX);
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = Seed(&left).deserialize(&mut reader);
    match value.and_then(|value| reader.end().map(|()| value)) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(not_json("Expected an object")),
        Err(_) if left.get() == 0 => Err(super::too_many()),
        Err(e) => Err(not_json(e)),
    }
}

fn not_json(why: impl fmt::Display) -> SqsError {
    let message = format!("The body of the request is not a JSON object: {why}");
    SqsError::new(ErrorKind::Serialization, message)
}

/// Counts values down, so that a small body cannot become a large tree.
#[derive(Clone, Copy)]
struct Seed<'c>(&'c Cell<usize>);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value<'de>;

    fn deserialize<D: de::Deserializer<'de>>(self, d: D) -> Result<Value<'de>, D::Error> {
        let left = self.0.get().checked_sub(1);
        let left = left.filter(|left| *left > 0);
        self.0.set(left.unwrap_or(0));
        match left {
            Some(_) => d.deserialize_any(self),
            None => Err(de::Error::custom("too many values")),
        }
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value<'de>, E> {
        Ok(Value::Whole(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value<'de>, E> {
        Ok(Value::Whole(value.into()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value<'de>, E> {
        Ok(Value::Fraction)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value<'de>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(self)? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        let mut fields = Fields::new();
        while let Some(name) = map.next_key_seed(Name)? {
            if fields.iter().any(|(other, _)| *other == name) {
                return Err(de::Error::custom(format_args!("{name} is given twice")));
            }
            fields.push((name, map.next_value_seed(self)?));
        }
        Ok(Value::Object(fields))
    }
}

/// A member's name, borrowed where nothing is escaped in it.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: de::Deserializer<'de>>(self, d: D) -> Result<Cow<'de, str>, D::Error> {
        d.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}
