//! A message's attributes: the sender's own, and the one system attribute that can be sent.

use std::collections::BTreeMap;

use bytes::Bytes;
use shoal_types::{Attribute, limits};

use crate::limits::{ATTRIBUTE_KIND_BYTES_MAX, TRACE_HEADER_BYTES_MAX};
use crate::reading::Members;
use crate::{ErrorKind, SqsError, message};

const TRACE_HEADER: &str = "AWSTraceHeader";

/// Reads and checks the sender's own attributes.
pub(crate) fn read(members: &mut Members<'_>) -> Result<BTreeMap<String, Attribute>, SqsError> {
    let raw = members.objects("MessageAttributes", "MessageAttribute")?;
    if raw.len() > limits::ATTRIBUTES_MAX {
        let (most, sent) = (limits::ATTRIBUTES_MAX, raw.len());
        return Err(refuse(format!(
            "Number of message attributes [{sent}] exceeds the allowed maximum [{most}]."
        )));
    }
    let mut attributes = BTreeMap::new();
    for (name, mut value) in raw {
        check_name(&name)?;
        let attribute = read_value(&name, &mut value)?;
        attributes.insert(name.into_owned(), attribute);
    }
    Ok(attributes)
}

/// Reads the system attributes, of which `AWSTraceHeader` is the only one that can be sent.
pub(crate) fn read_trace_header(members: &mut Members<'_>) -> Result<Option<String>, SqsError> {
    let raw = members.objects("MessageSystemAttributes", "MessageSystemAttribute")?;
    let mut header = None;
    for (name, mut value) in raw {
        if name != TRACE_HEADER {
            return Err(refuse(format!(
                "Message system attribute name '{}' is invalid.",
                crate::error::quoted(&name)
            )));
        }
        let attribute = read_value(&name, &mut value)?;
        if attribute.kind != "String" || attribute.value.len() > TRACE_HEADER_BYTES_MAX {
            return Err(refuse(format!(
                "Message system attribute '{TRACE_HEADER}' must contain a valid value of type 'String'."
            )));
        }
        let text = String::from_utf8(attribute.value.into());
        header = Some(text.expect("a value that is not Binary was read as text"));
    }
    Ok(header)
}

fn check_name(name: &str) -> Result<(), SqsError> {
    if name.is_empty() {
        return Err(refuse("Message (user) attribute names must not be empty."));
    }
    if name.len() > limits::ATTRIBUTE_NAME_BYTES_MAX {
        return Err(refuse(
            "Message (user) attribute names must be shorter than 256 Bytes",
        ));
    }
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if !name.bytes().all(known) || name.contains("..") {
        return Err(refuse(
            "Message (user) attributes name can only contain upper and lower score characters, digits, \
             periods, hyphens and underscores. ",
        ));
    }
    let lower = name.to_ascii_lowercase();
    let reserved = lower.starts_with("aws.") || lower.starts_with("amazon.");
    if reserved || name.starts_with('.') || name.ends_with('.') {
        return Err(refuse(
            "You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. These strings are \
             reserved for internal use. Additionally, they cannot start or end with '.'.",
        ));
    }
    Ok(())
}

fn read_value(name: &str, value: &mut Members<'_>) -> Result<Attribute, SqsError> {
    for list in [
        "StringListValues",
        "BinaryListValues",
        "StringListValue",
        "BinaryListValue",
    ] {
        if value.has_some(list) {
            return Err(refuse(
                "Message attribute list values in SendMessage operation are not supported.",
            ));
        }
    }
    let kind = value.text("DataType")?.unwrap_or_default();
    if kind.is_empty() {
        return Err(refuse(format!(
            "The message attribute '{name}' must contain non-empty message attribute type."
        )));
    }
    let base = kind.split('.').next().unwrap_or_default();
    if !["String", "Number", "Binary"].contains(&base) {
        return Err(refuse(format!(
            "The message attribute '{name}' has an invalid message attribute type, the set of supported type \
             prefixes is Binary, Number, and String."
        )));
    }
    if kind.len() > ATTRIBUTE_KIND_BYTES_MAX || !kind.chars().all(message::is_taken) {
        return Err(refuse(
            "Message (user) attribute types must be shorter than 256 Bytes",
        ));
    }
    let (text, binary) = (value.text("StringValue")?, value.binary("BinaryValue")?);
    let bytes = match (base, text, binary) {
        ("Binary", None, Some(bytes)) => bytes,
        ("String" | "Number", Some(text), None) => {
            check_text(name, base, &text)?;
            value.bytes(text)
        }
        (_, None, None) => Bytes::new(),
        _ => {
            return Err(refuse(format!(
                "The message attribute '{name}' with type '{base}' must use field '{}'.",
                if base == "Binary" { "Binary" } else { "String" }
            )));
        }
    };
    if bytes.is_empty() {
        return Err(refuse(format!(
            "Message (user) attribute '{name}' must contain a non-empty value of type '{base}'."
        )));
    }
    Ok(Attribute {
        kind: kind.into_owned(),
        value: bytes,
    })
}

fn check_text(name: &str, base: &str, text: &str) -> Result<(), SqsError> {
    message::check_characters(text).map_err(|e| refuse(e.message))?;
    // SQS keeps the text as it was sent, so it is enough that it is a number.
    let number = text.parse::<f64>().is_ok_and(f64::is_finite);
    if base == "Number" && !text.is_empty() && !(number && is_number_text(text)) {
        return Err(refuse(format!(
            "Can't cast the value of message (user) attribute '{name}' to a number."
        )));
    }
    Ok(())
}

/// Digits, sign, point and exponent: not `inf` or `nan`, which Rust reads too.
fn is_number_text(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
}

fn refuse(message: impl Into<std::borrow::Cow<'static, str>>) -> SqsError {
    SqsError::new(ErrorKind::InvalidParameterValue, message)
}
