//! Reading a query string or form into a tree of values: `Attribute.1.Name=x` is the text `x` in the field
//! `Name` of the field `1` of the field `Attribute`. No name makes anything larger than itself: a number in
//! it is a field's name like any other.

use std::borrow::Cow;

use super::value::{Fields, Value};
use crate::{ErrorKind, SqsError, limits};

/// The parameters of a request, unescaped, by name.
#[derive(Debug, Default)]
pub(crate) struct Form<'a> {
    fields: Fields<'a>,
    /// Parameters so far, of query string and body together.
    count: usize,
}

impl<'a> Form<'a> {
    /// Adds what stands in `name=value&name=value…`.
    pub(crate) fn add(&mut self, text: &'a str) -> Result<(), SqsError> {
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            self.count += 1;
            if self.count > limits::PARAMETERS_MAX {
                return Err(super::too_many());
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            self.insert(decode(name)?, decode(value)?)?;
        }
        Ok(())
    }

    /// The tree.
    pub(crate) fn into_fields(self) -> Fields<'a> {
        self.fields
    }

    fn insert(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) -> Result<(), SqsError> {
        if name.split('.').count() > limits::NAME_PARTS_MAX {
            let why = format!(
                "The parameter {} has too many parts.",
                crate::error::quoted(&name)
            );
            return Err(malformed(why));
        }
        let mut fields = &mut self.fields;
        let mut parts = name.split('.').peekable();
        while let Some(part) = parts.next() {
            // What was added last is what mostly is added to next.
            let known = fields.iter().rposition(|(other, _)| other == part);
            let last = parts.peek().is_none();
            if last {
                if known.is_some() {
                    return Err(twice(&name));
                }
                fields.push((Cow::Owned(part.to_owned()), Value::Text(value)));
                return Ok(());
            }
            let at = known.unwrap_or_else(|| {
                fields.push((Cow::Owned(part.to_owned()), Value::Object(Fields::new())));
                fields.len() - 1
            });
            fields = match &mut fields[at].1 {
                Value::Object(inner) => inner,
                _ => return Err(twice(&name)),
            };
        }
        Ok(())
    }
}

fn twice(name: &str) -> SqsError {
    malformed(format!(
        "The parameter {} is given twice.",
        crate::error::quoted(name)
    ))
}

fn malformed(message: String) -> SqsError {
    SqsError::new(ErrorKind::MalformedQueryString, message)
}

/// Unescapes a name or value, which is UTF-8 then.
pub(crate) fn decode(text: &str) -> Result<Cow<'_, str>, SqsError> {
    if !is_escaped(text) {
        return Ok(Cow::Borrowed(text));
    }
    let bytes = decode_bytes(text)
        .ok_or_else(|| malformed("A % is not followed by two hex digits.".to_owned()))?;
    match String::from_utf8(bytes.into_owned()) {
        Ok(text) => Ok(Cow::Owned(text)),
        Err(_) => Err(malformed("A parameter is not UTF-8.".to_owned())),
    }
}

/// Unescapes bytes: `+` is a space, `%` and two hex digits a byte. None if they are not two.
pub(crate) fn decode_bytes(text: &str) -> Option<Cow<'_, [u8]>> {
    if !is_escaped(text) {
        return Some(Cow::Borrowed(text.as_bytes()));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => hex_byte(rest.next(), rest.next())?,
            other => other,
        });
    }
    Some(Cow::Owned(decoded))
}

fn is_escaped(text: &str) -> bool {
    text.bytes().any(|byte| byte == b'+' || byte == b'%')
}

/// The byte of two hex digits.
pub(crate) fn hex_byte(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}
